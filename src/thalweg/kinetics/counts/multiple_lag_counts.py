"""Transition counts between few states at many lag times, from the same blocks of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import PairReport, pair_report


@dataclass(frozen=True, eq=False)
class MultipleLagCounts:
    """Transition counts at ``1 ... M`` times a lag time from the same blocks of start frames.

    Attributes
    ----------
    lagtime : frames
    dt : time between frames [ps]
    tables : (blocks, M, states, states)
    report : pairs used and lost per trajectory at the shortest lag time
    """

    lagtime: int
    dt: float
    tables: Shaped[np.ndarray, "blocks m states states"]
    report: PairReport

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.tables)

    @property
    def n_pairs(self) -> int:
        """Start frames in all blocks."""
        return int(self.report.used.sum())

    def resampled(self, multiplicities: np.ndarray) -> MultipleLagCounts:
        """Counts of data in which each block occurs as often as stated ``(blocks,)``."""
        return replace(self, tables=np.tensordot(multiplicities, self.tables, axes=1)[None])

    def probabilities(self, multiples: int | None = None) -> np.ndarray:
        """Transition probabilities ``(M, states, states)``.

        Parameters
        ----------
        multiples : of the lag time up to this one only; default all

        Raises
        ------
        ValueError
            If a state has no counts at one of the lag times.
        """
        table = self.tables.sum(axis=0)[:multiples]
        leaving = table.sum(axis=2, keepdims=True)
        if (leaving <= 0).any():
            multiple, state = np.argwhere(leaving[..., 0] <= 0)[0]
            raise ValueError(
                f"state {state} is never seen {self.lagtime * (multiple + 1)} frames before the end of a "
                "trajectory; use fewer states or a shorter memory"
            )
        return table / leaving


def multiple_lag_counts(
    trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
    lagtime: int,
    multiples: int,
    n_blocks: int = 40,
) -> MultipleLagCounts:
    """Counts at ``1 ... multiples`` times the lag time [frames].

    Parameters
    ----------
    trajectories : of few states
    lagtime : the shortest, in frames
    multiples : how many lag times there are
    n_blocks : about how many blocks of start frames to keep apart

    Raises
    ------
    ValueError
        If the longest lag time leaves no pairs.

    Examples
    --------
    >>> counts = multiple_lag_counts([np.array([0, 1, 1, 0])], lagtime=1, multiples=2, n_blocks=1)
    >>> counts.tables[0].tolist()
    [[[0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]
    """
    data = as_discrete(trajectories)
    pair_report(data.lengths, lagtime * multiples)
    report, size = pair_report(data.lengths, lagtime), data.n_states
    pieces = segments(report.used, n_blocks)
    require_memory(
        8 * (1 + max(piece.block for piece in pieces)) * multiples * size**2,
        f"counts between {size} states at {multiples} lag times in blocks; lump states into fewer sets",
    )
    tables = np.zeros((1 + max(piece.block for piece in pieces), multiples, size, size))
    for k, start, stop, block in pieces:
        states = data.blocks[k].astype(np.int64)
        for multiple in range(1, multiples + 1):
            last = min(stop, len(states) - multiple * lagtime)
            if last <= start:
                break
            # c_ij(n tau) of the pairs that begin in the piece, as keys i n_states + j
            keys = states[start:last] * size + states[start + multiple * lagtime : last + multiple * lagtime]
            weights = None if data.weights is None else data.weights[k][start:last]
            tables[block, multiple - 1] += np.bincount(keys, weights, size**2).reshape(size, size)
    return MultipleLagCounts(report.lagtime, data.dt, tables, report)
