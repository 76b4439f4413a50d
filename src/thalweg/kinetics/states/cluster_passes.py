r"""K-means of data of any size: one pass that keeps a coreset, and exact passes of Lloyd's iteration.

A coreset is a small weighted sample on which any centers cost nearly what they cost on all frames. That of
`CoresetPass` [bachem2018] draws frames by

.. math::  q(x) = \frac{1}{2 n} + \frac{d(x, \mu)^2}{2 \sum_{x'} d(x', \mu)^2} ,

weighs each by :math:`1 / (m q)`, and costs two looks at a chunk in memory, whatever the number of clusters. With
:math:`m` of order :math:`(d k \ln k) / \varepsilon^2` the cost of every choice of centers is right to
:math:`\varepsilon/2` of itself and :math:`\varepsilon/2` of the variance of the data. Coresets of coresets are
coresets, so that they merge like any sum. One step of Lloyd's iteration [lloyd1982] needs sums over frames alone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from thalweg.kinetics.states.clustering import Clustering, Periods, on_circles, unembedded
from thalweg.learning.models import Labeling
from thalweg.shapes import Shaped
from thalweg.time_series.one_pass import FRAMES, Adding, Share, Sums, gathered, shares
from thalweg.time_series.trajectories import TrajectoryData

STARTS = 5
"""Starts on a coreset, which are cheap there; the best is taken."""


class Coreset(NamedTuple):
    """Points that stand for frames.

    Attributes
    ----------
    points : (points, dimensions) frames, periodic features on circles
    weights : (points,) how many frames each stands for
    """

    points: Shaped[np.ndarray, "points dimensions"]
    weights: Shaped[np.ndarray, " points"]


@dataclass(frozen=True)
class CoresetPass:
    """A `Coreset` of all frames, in one pass.

    Parameters
    ----------
    size : points drawn at a time
    periods : of each feature, None where it is not periodic; or None for all
    seed : of the draws, which depend on nothing else than the place of a share

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((10000, 2))
    >>> coreset = gathered(CoresetPass(500), shares(x, frames=3000))
    >>> coreset.points.shape, round(float(coreset.weights.sum()))
    ((500, 2), 10000)
    """

    size: int
    periods: Periods = None
    seed: int = 0

    def of(self, share: Share) -> Sums:
        """Points that stand for the frames of a share."""
        points, weights = np.zeros((0, 0)), np.zeros(0)
        for k, start, frames in share.data.chunks(max(self.size, 2048)):
            own = share.data.weights
            more = np.ones(len(frames)) if own is None else own[k][start : start + len(frames)]
            new = on_circles(frames, self.periods).astype(float)
            points = np.concatenate([points, new]) if len(points) else new
            weights = np.concatenate([weights, more])
            points, weights = self._drawn(points, weights, share.number, start)
        return {"points": points, "weights": weights, "first": np.array([share.number])}

    def merged(self, first: Sums, second: Sums) -> Sums:
        """Points drawn from those of both."""
        points, weights = (np.concatenate([first[name], second[name]]) for name in ("points", "weights"))
        drawn = self._drawn(points, weights, int(first["first"][0]), int(second["first"][0]), 1)
        return {"points": drawn[0], "weights": drawn[1], "first": first["first"]}

    def result(self, total: Sums) -> Coreset:
        """The points."""
        return Coreset(total["points"], total["weights"])

    def _drawn(self, points: np.ndarray, weights: np.ndarray, *place: int) -> tuple[np.ndarray, np.ndarray]:
        """At most ``size`` of the points, drawn by where the frames are; the sum of weights is kept."""
        if len(points) <= self.size:
            return points, weights
        total = weights.sum()
        mean = weights @ points / total
        spread = weights * ((points - mean) ** 2).sum(axis=1)
        share = weights / total
        chance = share if not spread.any() else 0.5 * share + 0.5 * spread / spread.sum()
        chosen = np.random.default_rng([self.seed, *place]).choice(
            len(points), self.size, p=chance / chance.sum()
        )
        drawn = weights[chosen] / chance[chosen]
        return points[chosen], drawn * (total / drawn.sum())


@dataclass(frozen=True, eq=False)
class LloydPass(Adding):
    """One exact step of Lloyd's iteration [lloyd1982]: the mean of the frames nearest to each center.

    Parameters
    ----------
    clustering : the centers before

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [10.0]])
    >>> before = Clustering(np.array([[0.0], [9.0]]), None, np.nan)
    >>> gathered(LloydPass(before), shares(x)).centers.ravel().tolist()
    [0.5, 10.0]
    """

    clustering: Clustering

    def of(self, share: Share) -> Sums:
        """Sums of the frames of each cluster about its center."""
        periods = self.clustering.periods
        centers = on_circles(self.clustering.centers, periods)
        sums, counts, squares = np.zeros(centers.shape), np.zeros(len(centers)), 0.0
        for k, start, frames in share.data.chunks():
            points = on_circles(frames, periods).astype(float)
            own = self.clustering.transform(frames)
            weights = share.data.weights
            weight = np.ones(len(points)) if weights is None else weights[k][start : start + len(points)]
            apart = points - centers[own]
            for column, sum_ in zip(apart.T, sums.T):
                sum_ += np.bincount(own, weight * column, len(centers))
            counts += np.bincount(own, weight, len(centers))
            squares += float(weight @ (apart**2).sum(axis=1))
        return {"sums": sums, "counts": counts, "squares": np.array(squares)}

    def result(self, total: Sums) -> Clustering:
        """The new centers, that of a cluster without frames where it was; the radius is about the centers before."""
        counts, periods = total["counts"], self.clustering.periods
        before = on_circles(self.clustering.centers, periods)
        centers = before + total["sums"] / np.maximum(counts, np.finfo(float).tiny)[:, None]
        radius = float(np.sqrt(total["squares"] / counts.sum()))
        return Clustering(unembedded(centers, periods), periods, radius)


@dataclass(frozen=True)
class StreamingKMeans(Labeling):
    """K-means of data that are read once, or once more for each exact step.

    Centers are those of k-means++ [arthur2007] and Lloyd's iteration on a coreset [bachem2018]. Where a cluster is
    smaller than a few points of the coreset, a larger one or exact steps help.

    Parameters
    ----------
    n_clusters : int
    periods : of each feature, None where it is not periodic; or None for all
    points : of the coreset; 40 a cluster, 10000 at least, if None
    exact : steps of Lloyd's iteration over all frames afterwards, a pass each
    seed : int

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((5000, 2)) + np.repeat([[0.0], [20.0]], 2500, axis=0)
    >>> sorted(StreamingKMeans(n_clusters=2, exact=1).fit(x).centers[:, 0].round(1).tolist())
    [-0.0, 20.0]
    """

    n_clusters: int
    periods: Periods = None
    points: int | None = None
    exact: int = 0
    seed: int = 0

    def fit(
        self,
        data: TrajectoryData,
        executor: Callable[[], Executor] | None = None,
        folder: str | Path | None = None,
        frames: int = FRAMES,
    ) -> Clustering:
        """Clusters of the frames; ``executor`` and ``folder`` as in `gathered`, shares of so many ``frames``.

        Raises
        ------
        ValueError
            If there are fewer different points than clusters.
        """
        parts = shares(data, frames=frames)
        size = max(40 * self.n_clusters, 10_000) if self.points is None else self.points
        keep = [None if folder is None else Path(folder) / str(step) for step in range(1 + self.exact)]
        coreset = gathered(CoresetPass(size, self.periods, self.seed), parts, executor, keep[0])
        clustering = self.of_coreset(coreset)
        for step in range(self.exact):
            clustering = gathered(LloydPass(clustering), parts, executor, keep[1 + step])
        return clustering

    def of_coreset(self, coreset: Coreset) -> Clustering:
        """Clusters of the points of a coreset."""
        from sklearn.cluster import KMeans

        different = len(np.unique(coreset.points, axis=0))
        if different < self.n_clusters:
            raise ValueError(
                f"{different} different frames were drawn, fewer than n_clusters={self.n_clusters}; ask for fewer "
                "clusters, or more points"
            )
        with threadpool_limits(1):
            lloyd = KMeans(self.n_clusters, n_init=STARTS, random_state=self.seed).fit(
                coreset.points, sample_weight=coreset.weights
            )
        radius = float(np.sqrt(lloyd.inertia_ / coreset.weights.sum()))
        return Clustering(unembedded(lloyd.cluster_centers_, self.periods), self.periods, radius)
