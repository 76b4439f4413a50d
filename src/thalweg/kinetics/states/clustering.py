"""Clustering frames into discrete states: k-means, k-centers, half of each, and what they give.

Periodic features are laid on a circle whose arc length is the feature, so that both ends of the period
meet. Clusters are found on at most ``max_frames`` frames spread evenly over the data; assigning reads all
of them, chunk by chunk.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from thalweg.collective_variables.bases.linear_map import as_frames
from thalweg.kinetics.states.discrete_trajectories import AcceleratedStates, DiscreteTrajectories
from thalweg.learning.models import Labeling, Model
from thalweg.machine.memory import require_memory
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.accelerated import AcceleratedTrajectories
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

Periods = Sequence[float | None] | None


@dataclass(frozen=True, eq=False)
class Clustering(Model):
    """A division of feature space into the surroundings of centers.

    Attributes
    ----------
    centers : (clusters, features), in the features' units
    periods : one per feature, None where it is not periodic; or None for all
    radius : distance of frames from their centers, root mean square (k-means) or largest (k-centers)
    """

    centers: Shaped[np.ndarray, "clusters features"]
    periods: Periods
    radius: float

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.centers)

    def headline(self) -> dict[str, object]:
        """Clusters and their size."""
        return {"clusters": self.n_clusters, "features": self.centers.shape[1], "radius": self.radius}

    @on_one_thread
    def transform(self, data: TrajectoryData) -> Any:
        """The cluster of every frame: int32 ``(frames,)``, or `DiscreteTrajectories` of several trajectories."""
        if isinstance(data, list | tuple) and all(np.ndim(block) == 2 for block in data):
            data = as_trajectories(data)
        if not isinstance(data, Trajectories):
            return self._assigned(as_trajectories(as_frames(data)))[0]
        states = self._assigned(data)
        if isinstance(data, AcceleratedTrajectories):
            return AcceleratedStates(states, data.dt, None, self.n_clusters, acceleration=data.acceleration)
        return DiscreteTrajectories(states, data.dt, data.weights, self.n_clusters, data.log_path)

    def _assigned(self, data: Trajectories) -> list[np.ndarray]:
        """Clusters of all frames, one array per trajectory."""
        if data.n_features != self.centers.shape[1]:
            raise ValueError(f"got {data.n_features} features, clusters were made of {self.centers.shape[1]}")
        assigned = [np.empty(length, np.int32) for length in data.lengths]
        centers = on_circles(self.centers, self.periods)
        origin = centers.mean(axis=0)
        centers = centers - origin
        for k, start, frames in data.chunks():
            points = on_circles(frames, self.periods)
            kind = points.dtype
            points = points - origin.astype(kind)
            # |x - c|^2 less |x|^2, the same for all centers; about their mean, so that single precision will do
            scores = points @ (-2 * centers.T).astype(kind) + (centers**2).sum(axis=1).astype(kind)
            assigned[k][start : start + len(points)] = scores.argmin(axis=1)
        return assigned


@dataclass(frozen=True)
class KMeans(Labeling):
    """Clusters of least variance [lloyd1982], started by k-means++ [arthur2007] on a part of the frames.

    The start is drawn from about ten frames per cluster and improved there, since drawing it from all
    frames costs more than all iterations.

    Parameters
    ----------
    n_clusters : int
    periods : sequence, optional
        Period of each feature, None where it is not periodic.
    max_iterations : int
    tolerance : float
        Iteration ends when centers move less than this, relative to the spread of the data.
    max_frames : int
    seed : int

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((500, 2)) + np.repeat([[0.0], [20.0]], 250, axis=0)
    >>> states = KMeans(n_clusters=2).fit(x).transform(x)
    >>> len(set(states[:250])), len(set(states[250:])), bool(states[0] != states[-1])
    (1, 1, True)
    """

    n_clusters: int
    periods: Periods = None
    max_iterations: int = 100
    tolerance: float = 1e-4
    max_frames: int = 1_000_000
    seed: int = 0

    def fit(self, data: TrajectoryData) -> Clustering:
        """Clusters of the frames.

        Raises
        ------
        ValueError
            If there are fewer different frames than clusters.
        """
        from sklearn.cluster import kmeans_plusplus

        points, few = _sampled_points(data, self.periods, self.max_frames, self.n_clusters)
        with threadpool_limits(1):
            start, _ = kmeans_plusplus(few, self.n_clusters, random_state=self.seed)
            if len(few) < len(points):
                start = self._iterated(few, start).cluster_centers_
            lloyd = self._iterated(points, start)
        radius = float(np.sqrt(lloyd.inertia_ / len(points)))
        return Clustering(unembedded(lloyd.cluster_centers_, self.periods), self.periods, radius)

    def _iterated(self, points: np.ndarray, start: np.ndarray) -> Any:
        """Lloyd's iteration from given centers: a fitted `sklearn.cluster.KMeans`."""
        from sklearn.cluster import KMeans as Lloyd

        method = Lloyd(
            self.n_clusters, init=start, n_init=1, max_iter=self.max_iterations, tol=self.tolerance
        )
        return method.fit(points)


@dataclass(frozen=True)
class KCenters(Labeling):
    """Clusters of small radius: each new center is the frame farthest from all others [gonzalez1985].

    Covers the outskirts of the data, where adaptive sampling starts; the radius is at most twice the
    smallest possible.

    Parameters
    ----------
    n_clusters : int
    periods : sequence, optional
        Period of each feature, None where it is not periodic.
    max_frames : int

    Examples
    --------
    >>> x = np.array([[0.0], [0.1], [5.0], [9.9], [10.0]])
    >>> sorted(KCenters(n_clusters=3).fit(x).centers.ravel().tolist())
    [0.0, 5.0, 10.0]
    """

    n_clusters: int
    periods: Periods = None
    max_frames: int = 1_000_000

    @on_one_thread
    def fit(self, data: TrajectoryData) -> Clustering:
        """Clusters of the frames.

        Raises
        ------
        ValueError
            If there are fewer different frames than clusters.
        """
        points, _ = _sampled_points(data, self.periods, self.max_frames, self.n_clusters)
        others, radius = _farthest(points, points[:1], self.n_clusters - 1)
        centers = np.concatenate([points[:1], others])
        return Clustering(unembedded(centers, self.periods), self.periods, radius)


def _farthest(points: np.ndarray, begun: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """``count`` more centers ``(count, features)``, each the point farthest from all so far, and the radius of all."""
    origin = points.mean(axis=0)
    points, centers = points - origin, list(begun - origin)
    norms, distance = np.einsum("nf,nf->n", points, points), np.full(len(points), np.inf)
    for place in range(len(begun) + count):
        if place == len(centers):
            centers.append(points[distance.argmax()])
        # squared distance to the nearest center so far
        center = centers[place]
        np.minimum(distance, norms - 2 * (points @ center) + center @ center, out=distance)
    radius = float(np.sqrt(max(distance.max(), 0.0)))
    return np.reshape(centers[len(begun) :], (count, points.shape[1])) + origin, radius


@dataclass(frozen=True)
class KMeansAndCenters(Labeling):
    """Half of the clusters where frames are many, by `KMeans`, half evenly spread, by `KCenters`.

    States are small where most of the time is spent, and rare places, such as barriers, have states of their own.

    Parameters
    ----------
    n_clusters, periods, max_frames, seed : as for `KMeans`

    Examples
    --------
    >>> x = np.append(np.random.default_rng(0).standard_normal(5000), 7.0)[:, None]
    >>> [bool(method.fit(x).centers.max() > 6) for method in (KMeans(4), KMeansAndCenters(4))]
    [False, True]
    """

    n_clusters: int
    periods: Periods = None
    max_frames: int = 1_000_000
    seed: int = 0

    def fit(self, data: TrajectoryData) -> Clustering:
        """Clusters of the frames.

        Raises
        ------
        ValueError
            If there are fewer than two clusters, or fewer different frames.
        """
        if self.n_clusters < 2:
            raise ValueError(f"n_clusters={self.n_clusters}; give at least two, one of either kind")
        half = self.n_clusters // 2
        points, _ = _sampled_points(data, self.periods, self.max_frames, self.n_clusters)
        dense = KMeans(self.n_clusters - half, self.periods, max_frames=self.max_frames, seed=self.seed).fit(
            data
        )
        even, _ = _farthest(points, on_circles(dense.centers, self.periods).astype(points.dtype), half)
        return Clustering(
            np.concatenate([dense.centers, unembedded(even, self.periods)]), self.periods, dense.radius
        )


def _sampled_points(
    data: TrajectoryData, periods: Periods, max_frames: int, n_clusters: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames to cluster, evenly spread over the data, embedded, and fewer of them to begin with, enough of them
    different."""
    trajectories = as_trajectories(data)
    if periods is not None and len(periods) != trajectories.n_features:
        raise ValueError(f"got {len(periods)} periods for {trajectories.n_features} features")
    frames = min(max_frames, int(trajectories.lengths.sum()))
    require_memory(
        8 * frames * (3 * trajectories.n_features + 4) + 8 * n_clusters * trajectories.n_features,
        f"{n_clusters} clusters of {frames} frames of {trajectories.n_features} features; set max_frames lower",
    )
    sample = trajectories.strided(max_frames)
    if periods is None and (warning := _wrapping(sample, trajectories)):
        warnings.warn(warning, stacklevel=3)
    points = on_circles(sample, periods)
    if n_clusters < 1 or n_clusters > len(points):
        raise ValueError(
            f"n_clusters={n_clusters} must lie between 1 and the number of frames, {len(points)}"
        )
    few = points[:: max(1, len(points) // max(10 * n_clusters, 5000))]
    if len(np.unique(few, axis=0)) < n_clusters:
        few = np.unique(points, axis=0)
        if len(few) < n_clusters:
            raise ValueError(
                f"there are {len(few)} different frames, fewer than n_clusters={n_clusters} clusters; ask for fewer"
            )
    return points, few


def _wrapping(sample: np.ndarray, trajectories: Trajectories) -> str:
    """Which features jump as angles do that pass from one end of their range to the other; empty if none does."""
    span = np.ptp(sample, axis=0)
    angles = [
        (column, period)
        for period in (2 * np.pi, 360.0)
        for column in np.flatnonzero((span > 0.95 * period) & (span <= 1.0001 * period))
    ]
    if not angles:
        return ""
    _, _, frames = next(iter(trajectories.chunks()))
    jumping = []
    for column, period in angles:
        jump = np.abs(np.diff(frames[:, column]))
        around = (period - jump)[jump > period / 2]
        # a jump across the range that is a small step around the circle
        if len(around) and np.median(around) < period / 10:
            jumping.append(int(column))
    if not jumping:
        return ""
    return (
        f"features {jumping[:10]} jump from one end of their range to the other as angles do, and so one place becomes "
        "two clusters: give their periods, or cluster sines and cosines"
    )


def on_circles(frames: np.ndarray, periods: Periods) -> np.ndarray:
    """Features with every periodic one replaced by its place on a circle of that circumference."""
    frames = frames if frames.dtype.kind == "f" else frames.astype(float)
    if periods is None or not any(periods):
        return frames
    columns = []
    for column, period in zip(frames.T, periods):
        if period is None:
            columns.append(column)
        else:
            # a circle of circumference one period: distances along it are those of the feature
            turn = 2 * np.pi / period
            columns += [np.cos(turn * column) / turn, np.sin(turn * column) / turn]
    return np.stack(columns, axis=1).astype(frames.dtype)


def unembedded(points: np.ndarray, periods: Periods) -> np.ndarray:
    """Features of embedded points, periodic ones between minus and plus half a period."""
    if periods is None or not any(periods):
        return points
    features, place = [], 0
    for period in periods:
        if period is None:
            features.append(points[:, place])
            place += 1
        else:
            features.append(np.arctan2(points[:, place + 1], points[:, place]) * period / (2 * np.pi))
            place += 2
    return np.stack(features, axis=1)
