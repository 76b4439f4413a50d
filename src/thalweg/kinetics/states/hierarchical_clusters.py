r"""Hierarchical clusters: the two nearest become one, again and again [mullner2011].

"average" joins by the mean distance of members, "complete" by the largest (clusters of bounded size), "single" by the
smallest (clusters of any shape that gaps divide), "ward" by the least growth of variance (Euclidean distances alone).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.kinetics.states.metric_clusters import MetricClusters


@dataclass(frozen=True)
class HierarchicalClusters(MetricClusters):
    """A tree of clusters, cut at a number of them or at a distance.

    Parameters
    ----------
    n_clusters : number of clusters; None if ``cutoff`` is given
    cutoff : distance up to which clusters are joined; None if a number is given
    joining : how distances between clusters are taken
    metric : between frames
    landmarks : frames that are divided, at most, or a way to choose them

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((200, 2)) + np.repeat([[0.0], [20.0]], 100, axis=0)
    >>> HierarchicalClusters(cutoff=10.0).fit(x).n_clusters
    2
    """

    n_clusters: int | None = None
    cutoff: float | None = None
    joining: Literal["average", "complete", "single", "ward"] = "average"
    metric: Metric = Euclidean()  # noqa: RUF009
    landmarks: int | LandmarkChoice = 2000

    def __post_init__(self):
        if (self.n_clusters is None) == (self.cutoff is None):
            raise ValueError(
                f"n_clusters={self.n_clusters} and cutoff={self.cutoff}; give one of them, and only one"
            )
        if self.joining == "ward" and not isinstance(self.metric, Euclidean):
            raise ValueError(f'joining="ward" needs Euclidean distances, not {self.metric}; use "average"')

    def divided(self, distances: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """The branch of every landmark."""
        if self.n_clusters is not None and not 1 <= self.n_clusters <= len(distances):
            raise ValueError(
                f"n_clusters={self.n_clusters} of {len(distances)} different frames; ask for fewer"
            )
        if len(distances) == 1:
            return np.zeros(1, int), ()
        tree = linkage(squareform(distances, checks=False), self.joining)
        if self.n_clusters is not None:
            return fcluster(tree, self.n_clusters, "maxclust") - 1, ()
        return fcluster(tree, self.cutoff, "distance") - 1, ()
