"""Transition counts of data of any size, states assigned on the fly and counted share by share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from thalweg.kinetics.counts.counts import TransitionCounts, transition_counts
from thalweg.kinetics.states.clustering import Clustering
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.time_series.one_pass import Share, Sums
from thalweg.time_series.trajectories import PairReport


@dataclass(frozen=True, eq=False)
class CountPass:
    """`TransitionCounts` between clusters in one pass over frames; `MarkovStateModel` fits them.

    Parameters
    ----------
    clustering : assigns frames to states
    lagtime : in frames, that of the shares
    dt : time between frames [ps]

    Examples
    --------
    >>> from thalweg.time_series.one_pass import gathered, shares
    >>> x = np.array([0.0, 0.1, 5.0, 5.1, 0.2])[:, None]
    >>> halves = Clustering(np.array([[0.0], [5.0]]), None, 0.1)
    >>> gathered(CountPass(halves, 1), shares(x, lagtime=1, frames=2)).matrix.toarray().tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """

    clustering: Clustering
    lagtime: int
    dt: float = 1.0

    def of(self, share: Share) -> Sums:
        """Counts of a share."""
        states = self.clustering.transform(share.data)
        assert isinstance(states, DiscreteTrajectories)
        counts = transition_counts(states, self.lagtime, n_blocks=1)
        pairs = np.array([[counts.report.used.sum(), counts.report.lost.sum()]])
        keys = share.block * self._pairs + counts.rows * counts.n_states + counts.columns
        return {"keys": keys, "counts": counts.blocks.toarray()[0], "pairs": pairs}

    def merged(self, first: Sums, second: Sums) -> Sums:
        """Counts of both, those of the same block and pair of states added."""
        keys, place = np.unique(np.concatenate([first["keys"], second["keys"]]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([first["counts"], second["counts"]]))
        return {"keys": keys, "counts": counts, "pairs": first["pairs"] + second["pairs"]}

    def result(self, total: Sums) -> TransitionCounts:
        """Counts with a row for each stretch of the data."""
        block, pair = np.divmod(total["keys"], self._pairs)
        (pairs, column), (blocks, row) = (np.unique(each, return_inverse=True) for each in (pair, block))
        counts = csr_array((total["counts"], (row, column)), shape=(len(blocks), len(pairs)))
        rows, columns = np.divmod(pairs, self.clustering.n_clusters)
        report = PairReport(self.lagtime, *np.asarray(total["pairs"], int).T)
        return TransitionCounts(
            self.lagtime, self.dt, self.clustering.n_clusters, rows, columns, counts, report
        )

    @property
    def _pairs(self) -> int:
        return self.clustering.n_clusters**2
