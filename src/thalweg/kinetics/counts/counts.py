r"""Transition counts at a lag time, kept block by block.

.. math::  c_{ij} = \sum_t w_t\, [s_t = i]\, [s_{t+\tau} = j]

over all start frames (sliding window; other ways in `counting`). Consecutive counts are not independent,
which changes no estimate but every error bar: those come from re-adding the counts of blocks (`bootstrap`),
not from the number of counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby

import numpy as np
from scipy.sparse import csr_array

from thalweg.kinetics.states.discrete_trajectories import AcceleratedStates, DiscreteTrajectories, as_counted
from thalweg.learning.models import Model
from thalweg.machine.memory import available_memory
from thalweg.shapes import Float, Shaped
from thalweg.time_series.accelerated import overlaps
from thalweg.time_series.blocks import PairRange, segments
from thalweg.time_series.trajectories import PairReport
from thalweg.units import ONE_FRAME, duration

DENSE = 2**26
"""Up to this many pairs of states are counted in a dense table; above, the pairs seen are sorted."""

CHUNK = 2**16
"""Pairs counted at a time: as many as stay in the cache between being made and being counted."""


@dataclass(frozen=True, eq=False)
class TransitionCounts(Model):
    """Counts of transitions between states in original numbering, one row of counts per block.

    Attributes
    ----------
    lagtime : frames
    dt : time between frames [ps]
    n_states : number of states, seen or not
    rows, columns : (seen,), the pairs of states between which transitions were seen, ordered
    blocks : (blocks, seen) sparse, their counts in each block
    report : pairs used and lost per trajectory
    apart : frames between the starts of consecutive pairs

    Examples
    --------
    >>> counts = transition_counts([np.array([0, 1, 1, 0, 1])], lagtime=1, n_blocks=2)
    >>> counts.matrix.toarray().tolist(), counts.n_blocks
    ([[0.0, 2.0], [1.0, 1.0]], 2)
    """

    lagtime: int
    dt: float
    n_states: int
    rows: Shaped[np.ndarray, " seen"]
    columns: Shaped[np.ndarray, " seen"]
    blocks: csr_array
    report: PairReport
    apart: int = 1

    @classmethod
    def of_matrix(
        cls, matrix: np.ndarray | csr_array, lagtime: int = 1, dt: float = ONE_FRAME
    ) -> TransitionCounts:
        """Counts that were made elsewhere, whole numbers or not, in one block.

        Parameters
        ----------
        matrix : (states, states) dense or sparse, counts from row to column
        lagtime : frames between both ends of a transition
        dt : time between frames [ps]; where none is given, times are in frames

        Raises
        ------
        ValueError
            If the matrix is not square, empty, or holds counts that are negative or not finite.

        Examples
        --------
        >>> counts = TransitionCounts.of_matrix(np.array([[90.5, 9.5], [9.0, 41.0]]))
        >>> counts.n_states, counts.matrix.sum().item()
        (2, 150.0)
        """
        sparse = csr_array(matrix).astype(float).tocoo()
        if sparse.ndim != 2 or sparse.shape[0] != sparse.shape[1]:
            raise ValueError(f"counts of shape {sparse.shape}; needed is a square matrix, from row to column")
        if not (np.isfinite(sparse.data).all() and (sparse.data >= 0).all()):
            raise ValueError("counts must be finite and not negative; are these counts or something else?")
        if not sparse.data.sum() > 0:
            raise ValueError("the matrix of counts holds no transitions")
        n_states = sparse.shape[0]
        total = csr_array(sparse)  # entries given twice are added up
        rows = np.repeat(np.arange(n_states), np.diff(total.indptr))
        none = np.zeros(0, int)
        report = PairReport(lagtime, none, none)
        return cls(lagtime, dt, n_states, rows, total.indices, csr_array(total.data[None]), report)

    def headline(self) -> dict[str, object]:
        """States, lag and how many transitions there are."""
        return {
            "states": self.n_states,
            "lag": duration(self.lagtime * self.dt, self.dt),
            "transitions": float(self.blocks.sum()),
            "between pairs of states": len(self.rows),
            "blocks": self.n_blocks,
        }

    @property
    def n_blocks(self) -> int:
        """Number of blocks the counts are kept in."""
        return self.blocks.shape[0]

    @property
    def n_pairs(self) -> int:
        """Frames covered by the starts of pairs; as many as there are pairs, unless they lie apart."""
        return int(self.report.used.sum()) * self.apart

    @cached_property
    def matrix(self) -> csr_array:
        """Counts from row to column, all blocks together ``(n_states, n_states)``."""
        total = np.asarray(self.blocks.sum(axis=0)).ravel()
        return _matrix(total, self.rows, self.columns, self.n_states)

    def resampled(self, multiplicities: Float[np.ndarray, " blocks"]) -> TransitionCounts:
        """Counts of data in which each block occurs as often as ``multiplicities`` says."""
        total = np.asarray(self.blocks.T @ multiplicities)
        return replace(self, blocks=csr_array(total[None]))


def transition_counts(
    trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray, lagtime: int, n_blocks: int = 40
) -> TransitionCounts:
    """Sliding-window transition counts.

    Parameters
    ----------
    trajectories : `DiscreteTrajectories` or a list of arrays of states
    lagtime : int
        In frames.
    n_blocks : int
        About how many blocks to count separately.

    Raises
    ------
    ValueError
        If no trajectory is longer than the lag time.
    """
    data = as_counted(trajectories)
    report = data.report(lagtime)
    pieces = sorted(segments(report.used, n_blocks), key=lambda piece: piece.block)
    occurring, blocks = _counted(_Keys(data, report.lagtime), pieces)
    # a key is i n_states + j
    rows, columns = np.divmod(occurring, data.n_states)
    return TransitionCounts(report.lagtime, data.dt, data.n_states, rows, columns, blocks, report)


class _Keys:
    """Pairs of states as single numbers ``i n_states + j``, a part at a time that stays in the cache."""

    def __init__(self, data: DiscreteTrajectories, lagtime: int):
        self.data, self.lagtime = data, lagtime
        self.number = data.n_states**2
        self.kind = np.int32 if self.number < 2**31 else np.int64

    def parts(self, pieces: Iterable[PairRange]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Keys and weights of all pairs starting in the pieces; a part is overwritten by the next."""
        if isinstance(self.data, AcceleratedStates):
            yield from self._accelerated(self.data, pieces)
            return
        keys, places = np.empty(CHUNK, self.kind), np.empty(CHUNK, np.intp)
        weights = np.empty(CHUNK) if self.weighted else None
        filled = 0
        for piece in pieces:
            start = piece.start
            while start < piece.stop:
                count = min(piece.stop - start, CHUNK - filled)
                self._fill(keys[filled : filled + count], piece.trajectory, start)
                if weights is not None:
                    self._weigh(weights[filled : filled + count], piece.trajectory, start)
                start, filled = start + count, filled + count
                if filled == CHUNK:
                    places[:] = keys
                    yield places, weights
                    filled = 0
        if filled:
            places[:filled] = keys[:filled]
            yield places[:filled], None if weights is None else weights[:filled]

    @property
    def weighted(self) -> bool:
        """Whether counts are not whole numbers."""
        return bool(self.data.columns)

    def _weigh(self, part: np.ndarray, trajectory: int, start: int) -> None:
        """Weights of consecutive pairs of one trajectory."""
        stop = start + len(part)
        part[:] = 1.0 if self.data.weights is None else self.data.weights[trajectory][start:stop]
        if self.data.log_path is not None:
            path = self.data.log_path[trajectory]
            # w_t times the weight of the path from t to t + tau, a difference of running logarithms
            part *= np.exp(path[start + self.lagtime : stop + self.lagtime] - path[start:stop])

    def _accelerated(
        self, data: AcceleratedStates, pieces: Iterable[PairRange]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Keys of pairs a lag apart in unbiased time, and how long they last."""
        for trajectory, own in groupby(sorted(pieces), key=lambda piece: piece.trajectory):
            states = np.asarray(data.blocks[trajectory], np.intp)
            first, last, lasting = overlaps(data.acceleration[trajectory], self.lagtime)
            for piece in own:
                low, high = np.searchsorted(first, [piece.start, piece.stop])
                yield states[first[low:high]] * data.n_states + states[last[low:high]], lasting[low:high]

    def _fill(self, part: np.ndarray, trajectory: int, start: int) -> None:
        """Keys of consecutive pairs of one trajectory."""
        states, stop = self.data.blocks[trajectory], start + len(part)
        np.multiply(states[start:stop], self.data.n_states, out=part, casting="unsafe", dtype=self.kind)
        last = states[start + self.lagtime : stop + self.lagtime]
        np.add(part, last, out=part, casting="unsafe", dtype=self.kind)


def _counted(keys: _Keys, pieces: Sequence[PairRange]) -> tuple[np.ndarray, csr_array]:
    """The keys that occur, in order, and how often each does in every block."""
    # where a table of all pairs, with the place of each, has no room, those seen are sorted
    if keys.number <= DENSE and 16 * keys.number < available_memory() / 2:
        total = np.zeros(keys.number, float if keys.weighted else np.int64)
        for part, weights in keys.parts(pieces):
            np.add.at(total, part, 1 if weights is None else weights)
        occurring = np.flatnonzero(total)
        # one block is counted already; else a second pass counts block by block, at places known from the first
        if pieces[-1].block == pieces[0].block:
            return occurring, csr_array(total[occurring].astype(float)[None])
        place = np.empty(keys.number, np.intp)
        place[occurring] = np.arange(len(occurring))
        find = place.__getitem__
    else:
        occurring = np.unique(np.concatenate([np.unique(part) for part, _ in keys.parts(pieces)]))
        find = partial(np.searchsorted, occurring)
    rows = []
    for _, block in groupby(pieces, key=lambda piece: piece.block):
        counts = np.zeros(len(occurring))
        for part, weights in keys.parts(block):
            np.add.at(counts, find(part), 1.0 if weights is None else weights)
        rows.append(csr_array(counts[None]))
    return occurring, _stacked(rows)


def _stacked(rows: list[csr_array]) -> csr_array:
    """Sparse rows as one matrix."""
    pointers = np.cumsum([0, *(row.nnz for row in rows)])
    data, indices = np.concatenate([r.data for r in rows]), np.concatenate([r.indices for r in rows])
    return csr_array((data, indices, pointers), shape=(len(rows), rows[0].shape[1]))


def _matrix(total: np.ndarray, rows: np.ndarray, columns: np.ndarray, n_states: int) -> csr_array:
    """A matrix of counts without stored zeros."""
    positive = total > 0
    return csr_array((total[positive], (rows[positive], columns[positive])), shape=(n_states, n_states))
