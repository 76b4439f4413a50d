r"""Clusters of structures by their distances alone: whatever the metric, far more frames than distances can be held of.

A method divides landmarks, with the weights of the frames that they stand for, by the matrix of their distances
(`MetricClusters.divided`); every frame then belongs where the nearest landmark does. Each cluster is shown by its
medoid, the landmark of least mean distance from the others, and judged by silhouettes
:math:`(b - a)/\max(a, b)` with the mean distances :math:`a` from the own and :math:`b` from the nearest other cluster
[rousseeuw1987].
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.collective_variables.bases.basis import Features
from thalweg.collective_variables.bases.linear_map import as_frames
from thalweg.collective_variables.bases.raw_angles import warned_angles
from thalweg.collective_variables.manifold.landmarks import DeltaNet, LandmarkChoice, landmarks_of
from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.collective_variables.manifold.neighbors import nearest
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.learning.models import Labeling, Model
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

NOT_APART = 0.25
"""Mean silhouette below which clusters are hardly apart."""


@dataclass(frozen=True, eq=False)
class MetricClustering(Model):
    """A division of frames by distances.

    Attributes
    ----------
    method : with its settings
    landmarks : (landmarks, features)
    labels : (landmarks,) cluster of each, the largest cluster first
    medoids : (clusters, features) frames in the middle of each
    populations : (clusters,) share of the weight
    radii : (clusters,) mean distance of the frames from the medoid
    silhouettes : (clusters,) mean of each
    notes : what one should know
    """

    method: MetricClusters
    landmarks: Shaped[np.ndarray, "landmarks features"]
    labels: Shaped[np.ndarray, " landmarks"]
    medoids: Shaped[np.ndarray, "clusters features"]
    populations: Shaped[np.ndarray, " clusters"]
    radii: Shaped[np.ndarray, " clusters"]
    silhouettes: Shaped[np.ndarray, " clusters"]
    notes: tuple[str, ...] = ()

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.medoids)

    def headline(self) -> dict[str, object]:
        """Clusters, their shares and how far they are apart."""
        return {
            "clusters": self.n_clusters,
            "populations": self.populations[:6],
            "silhouette": float(self.silhouettes @ self.populations),
        }

    def transform(self, data: TrajectoryData) -> Any:
        """The cluster of every frame: int32 ``(frames,)``, or `DiscreteTrajectories` of several trajectories."""
        if isinstance(data, list | tuple) and all(np.ndim(block) == 2 for block in data):
            data = as_trajectories(data)
        if not isinstance(data, Trajectories):
            return self._assigned(as_trajectories(as_frames(data)))[0]
        return DiscreteTrajectories(
            self._assigned(data), data.dt, data.weights, self.n_clusters, data.log_path
        )

    def _assigned(self, data: Trajectories) -> list[np.ndarray]:
        if data.n_features != self.landmarks.shape[1]:
            raise ValueError(
                f"got {data.n_features} features, clusters were made of {self.landmarks.shape[1]}"
            )
        parts: list[list[np.ndarray]] = [[] for _ in range(len(data))]
        for k, _, frames in data.chunks():
            near = nearest(self.landmarks, 1, self.method.metric, frames.astype(float)).indices[:, 0]
            parts[k].append(self.labels[near].astype(np.int32))
        return [np.concatenate(each) for each in parts]


class MetricClusters(Labeling, abc.ABC):
    """A method that divides landmarks by their distances.

    Attributes
    ----------
    landmarks : frames that are divided, at most, or a way to choose them
    metric : between frames
    """

    # fields of the frozen dataclasses below it, which a checker is to see as read-only; dataclasses are not to see them
    if TYPE_CHECKING:

        @property
        def landmarks(self) -> int | LandmarkChoice: ...

        @property
        def metric(self) -> Metric: ...

    @abc.abstractmethod
    def divided(
        self, distances: Shaped[np.ndarray, "n n"], weights: Shaped[np.ndarray, " n"]
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """The cluster of every landmark ``(n,)`` and notes; weights are positive and of mean one."""

    def fit(self, data: TrajectoryData) -> MetricClustering:
        """Clusters of the frames.

        Raises
        ------
        ValueError
            If there are fewer different frames than clusters.
        MemoryError
            If distances of so many landmarks do not fit into memory.
        """
        trajectories = as_trajectories(data)
        notes = warned_angles(trajectories, Features()) if isinstance(self.metric, Euclidean) else ()
        choice = DeltaNet(self.landmarks) if isinstance(self.landmarks, int) else self.landmarks
        chosen = landmarks_of(trajectories, choice, self.metric)
        held = chosen.weights > 0
        points, weights = chosen.points[held], chosen.weights[held] / chosen.weights[held].mean()
        require_memory(24.0 * len(points) ** 2, f"distances between {len(points)} landmarks; take fewer")
        distances = np.asarray(self.metric.between(points, points), float)
        distances = 0.5 * (distances + distances.T)
        np.fill_diagonal(distances, 0.0)
        labels, told = self.divided(distances, weights)
        return self._model(points, weights, distances, labels, (*notes, *told))

    def _model(
        self,
        points: np.ndarray,
        weights: np.ndarray,
        distances: np.ndarray,
        labels: np.ndarray,
        notes: tuple[str, ...],
    ) -> MetricClustering:
        share = np.bincount(labels, weights) / weights.sum()
        order = np.argsort(-share, kind="stable")
        labels, share = np.argsort(order)[labels], share[order]
        middles = medoids(distances, weights, labels)
        radii = [
            np.average(distances[labels == k, middle], weights=weights[labels == k])
            for k, middle in enumerate(middles)
        ]
        shape = silhouettes(distances, weights, labels)
        if len(share) > 1 and (mean := float(shape @ share)) < NOT_APART:
            notes = (
                *notes,
                f"the mean silhouette is {mean:.2f}: clusters are hardly apart, and their number is a choice, not a "
                "finding",
            )
        return MetricClustering(self, points, labels, points[middles], share, np.array(radii), shape, notes)


def medoids(distances: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The point of least mean distance from the others of its cluster, for each cluster ``(clusters,)``."""
    found = []
    for k in range(labels.max() + 1):
        members = np.flatnonzero(labels == k)
        found.append(members[(distances[np.ix_(members, members)] @ weights[members]).argmin()])
    return np.array(found)


def silhouettes(distances: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean silhouette of each cluster ``(clusters,)``; zero for one of a single point, and where there is one only."""
    clusters = labels.max() + 1
    if clusters == 1:
        return np.zeros(1)
    mass = np.bincount(labels, weights)
    sums = np.stack([distances[:, labels == k] @ weights[labels == k] for k in range(clusters)], axis=1)
    own = sums[np.arange(len(labels)), labels] / np.maximum(mass[labels] - weights, 1e-300)
    means = sums / mass
    means[np.arange(len(labels)), labels] = np.inf
    other = means.min(axis=1)
    alone = np.bincount(labels)[labels] == 1
    value = np.where(alone, 0.0, (other - own) / np.maximum(np.maximum(own, other), 1e-300))
    return np.bincount(labels, weights * value) / mass
