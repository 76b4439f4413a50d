r"""Ways of counting transitions at a lag time: sliding, strided, and effective.

=============  ==========================================================================================
`Sliding`      every start frame; uses all data, but neighboring counts repeat each other
`Strided`      start frames a lag time apart; no overlap, and all else is thrown away
`Effective`    sliding counts divided by the statistical inefficiency of their row (`inefficiencies`)
=============  ==========================================================================================

All three estimate the same probabilities. They differ in how much evidence a likelihood takes the counts
for, which matters where errors are derived from numbers of counts (`posterior`). Even effective counts are
too many when the dynamics between states is not Markovian: in replicas of Prinz's potential, errors derived
from sliding counts were five to eight times and from effective counts three to four times too small. The
errors to quote come from `bootstrap`, which needs no such number and takes any counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array, diags_array

from thalweg.kinetics.counts.counts import TransitionCounts, transition_counts
from thalweg.kinetics.counts.inefficiency import inefficiencies
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.time_series.trajectories import PairReport, pair_report


@runtime_checkable
class Counting(Protocol):
    """A way of counting: `Sliding`, `Strided`, `Effective`."""

    def count(
        self,
        trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
        lagtime: int,
        n_blocks: int = 40,
    ) -> TransitionCounts:
        """Counts at ``lagtime`` [frames], kept in about ``n_blocks`` blocks."""
        ...


@dataclass(frozen=True)
class Sliding:
    """Counts from every start frame.

    Examples
    --------
    >>> Sliding().count([np.array([0, 0, 1, 1, 0])], lagtime=2, n_blocks=1).matrix.toarray().tolist()
    [[0.0, 2.0], [1.0, 0.0]]
    """

    def count(
        self,
        trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
        lagtime: int,
        n_blocks: int = 40,
    ) -> TransitionCounts:
        """Sliding-window counts; see `transition_counts`."""
        return transition_counts(trajectories, lagtime, n_blocks)


@dataclass(frozen=True)
class Strided:
    """Counts from start frames a lag time apart, the first of them ``offset`` frames into each trajectory.

    Parameters
    ----------
    offset : frames before the first start frame of each trajectory

    Examples
    --------
    >>> Strided().count([np.array([0, 0, 1, 1, 0])], lagtime=2, n_blocks=1).matrix.toarray().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """

    offset: int = 0

    def count(
        self,
        trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
        lagtime: int,
        n_blocks: int = 40,
    ) -> TransitionCounts:
        """Counts of pairs that do not overlap.

        Raises
        ------
        ValueError
            If the offset is negative or, with the lag time, leaves no pairs.
        """
        data = as_discrete(trajectories)
        if self.offset < 0:
            raise ValueError(f"offset={self.offset} must be zero frames or more")
        lagtime = pair_report(np.maximum(data.lengths - self.offset, 0), lagtime).lagtime
        long = [k for k, length in enumerate(data.lengths) if length > self.offset]
        # every lagtime-th frame alone; neighbors among these are the pairs, one frame apart
        weights = None if data.weights is None else [data.weights[k][self.offset :: lagtime] for k in long]
        blocks = [data.blocks[k][self.offset :: lagtime] for k in long]
        thinned = DiscreteTrajectories(blocks, data.dt, weights, data.n_states)
        used = np.zeros(len(data), int)
        used[long] = np.maximum(thinned.lengths - 1, 0)
        report = PairReport(lagtime, used, data.lengths - used)
        return replace(transition_counts(thinned, 1, n_blocks), lagtime=lagtime, report=report, apart=lagtime)


@dataclass(frozen=True)
class Effective:
    """Sliding counts divided by the inefficiency of their first state: about as many as are independent.

    Examples
    --------
    >>> states = np.cumsum(np.random.default_rng(0).random(20000) < 0.05) % 2
    >>> sliding, effective = (c.count([states], 10).matrix.sum() for c in (Sliding(), Effective()))
    >>> bool(0.05 < effective / sliding < 0.3)
    True
    """

    def count(
        self,
        trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
        lagtime: int,
        n_blocks: int = 40,
    ) -> TransitionCounts:
        """Effective counts."""
        data = as_discrete(trajectories)
        counts = transition_counts(data, lagtime, n_blocks)
        share = 1 / inefficiencies(data, counts.lagtime)[counts.rows]
        return replace(counts, blocks=csr_array(counts.blocks @ diags_array(share)))
