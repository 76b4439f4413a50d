r"""Landmarks: few frames that stand for many, each with the weight of the frames nearest to it.

What costs more than memory or patience allow on a million frames is done on landmarks, and extended to all frames from
there. Frames are read in chunks; what is held is the landmarks and one chunk.

==================  ===============================================================================================
`DeltaNet`          no two closer than :math:`\delta`, none of the frames farther than that from all: even coverage,
                    for maps that divide the density of the sample out (target measure maps)
`FarthestPoints`    each as far as possible from those before: the outskirts of the data
`Centroids`         means of clusters: many where the frames are many
==================  ===============================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.collective_variables.manifold.neighbors import nearest
from thalweg.learning.models import Model
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import CHUNK, Trajectories, TrajectoryData, as_trajectories

GROWTH = 1.2
"""By what the distance between points of a net grows whenever they become too many."""

SAMPLE = 100_000
"""Frames among which the farthest are looked for, at most."""


@dataclass(frozen=True, eq=False)
class LandmarkFrames(Model):
    """Frames that stand for others.

    Attributes
    ----------
    points : (landmarks, features)
    blocks : (blocks, landmarks) sum of the weights, or number, of the frames nearest to each, for each stretch of the
        data
    counts : (landmarks,) frames nearest to each
    radius : root mean square distance of frames from the nearest landmark
    """

    points: Shaped[np.ndarray, "landmarks features"]
    blocks: Shaped[np.ndarray, "blocks landmarks"]
    counts: Shaped[np.ndarray, " landmarks"]
    radius: float

    @property
    def weights(self) -> np.ndarray:
        """Sum of the weights ``(landmarks,)`` of the frames nearest to each; their number where frames have none."""
        return self.blocks.sum(axis=0)

    @property
    def occupied(self) -> LandmarkFrames:
        """Those that stand for a frame at least."""
        held = self.counts > 0
        return LandmarkFrames(self.points[held], self.blocks[:, held], self.counts[held], self.radius)

    def headline(self) -> dict[str, object]:
        """Landmarks, the frames they stand for and how near these are."""
        return {"landmarks": len(self.points), "frames": int(self.counts.sum()), "radius": self.radius}


@runtime_checkable
class LandmarkChoice(Protocol):
    """A way to choose landmarks."""

    def chosen(self, data: Trajectories, metric: Metric) -> np.ndarray:
        """Landmarks ``(landmarks, features)``."""
        ...


@dataclass(frozen=True)
class DeltaNet:
    r"""Frames no two of which are closer than :math:`\delta`, found in one pass.

    A frame farther than :math:`\delta` from all chosen so far is chosen. Where no distance is given it grows whenever
    more than ``count`` are chosen, and the net is thinned to it.

    Parameters
    ----------
    count : landmarks at most (from about half of it on, as the distance grows in steps)
    distance : the least between two; None to find it
    """

    count: int = 2000
    distance: float | None = None

    def chosen(self, data: Trajectories, metric: Metric) -> np.ndarray:
        """Landmarks ``(landmarks, features)``.

        Raises
        ------
        ValueError
            If a given distance needs more than ``count``.
        """
        return self.net_over((frames for _, _, frames in data.chunks()), data.n_features, metric)[0]

    def net_over(
        self, parts: Iterable[np.ndarray], features: int, metric: Metric, delta: float = 0.0
    ) -> tuple[np.ndarray, float]:
        """Landmarks ``(landmarks, features)`` of frames that come in parts, and the least distance between two.

        Parameters
        ----------
        parts : each ``(frames, features)``; the points of other nets too
        delta : distance that is allowed in any case, where none was given
        """
        net = np.zeros((0, features))
        delta = max(delta, self.distance or 0.0)
        for frames in parts:
            net = _grown(net, frames.astype(float), delta, metric)
            while len(net) > self.count:
                if self.distance is not None:
                    raise ValueError(
                        f"a net of distance={self.distance:g} needs more than {self.count} landmarks; raise it or count"
                    )
                delta = GROWTH * delta if delta else _smallest(net, metric)
                net = _grown(net[:0], net, delta, metric)
        return net, delta


@dataclass(frozen=True)
class FarthestPoints:
    """Each the frame farthest from all before [gonzalez1985], among at most a hundred thousand evenly spread ones.

    Parameters
    ----------
    count : landmarks
    """

    count: int = 2000

    def chosen(self, data: Trajectories, metric: Metric) -> np.ndarray:
        """Landmarks ``(landmarks, features)``."""
        points = data.strided(SAMPLE).astype(float)
        distances = metric.between(points, points[:1])[:, 0]
        chosen = [0]
        for _ in range(min(self.count, len(points)) - 1):
            if distances.max() == 0:
                break
            chosen.append(int(distances.argmax()))
            np.minimum(distances, metric.between(points, points[chosen[-1:]])[:, 0], out=distances)
        return points[chosen]


@dataclass(frozen=True)
class Centroids:
    """Means of clusters, improved batch by batch; Euclidean whatever the metric.

    Parameters
    ----------
    count : landmarks
    seed : of the start
    """

    count: int = 2000
    seed: int = 0

    def chosen(self, data: Trajectories, metric: Metric) -> np.ndarray:
        """Landmarks ``(landmarks, features)``."""
        from sklearn.cluster import MiniBatchKMeans

        start = np.unique(data.strided(max(10 * self.count, CHUNK)).astype(float), axis=0)
        clusters = MiniBatchKMeans(min(self.count, len(start)), random_state=self.seed, n_init=1).fit(start)
        for k, _, frames in data.chunks():
            clusters.partial_fit(
                frames.astype(float),
                sample_weight=None if data.weights is None else data.weights[k][: len(frames)],
            )
        return np.asarray(clusters.cluster_centers_)


def landmarks_of(
    data: TrajectoryData,
    choice: LandmarkChoice = DeltaNet(),
    metric: Metric = Euclidean(),  # noqa: B008
    n_blocks: int = 1,
) -> LandmarkFrames:
    """Landmarks of data with the weights of the frames they stand for, in two passes and flat memory.

    Parameters
    ----------
    data : trajectories
    choice : of the landmarks
    metric : distances between frames
    n_blocks : stretches of the data, of equally many frames, whose weights are kept apart

    Examples
    --------
    >>> x = np.random.default_rng(0).random((10000, 2))
    >>> landmarks = landmarks_of(x, DeltaNet(200))
    >>> bool(100 <= len(landmarks.points) <= 200), int(landmarks.counts.sum())
    (True, 10000)
    """
    trajectories = as_trajectories(data)
    return weighed_landmarks(choice.chosen(trajectories, metric), trajectories, metric, n_blocks).occupied


def weighed_landmarks(
    points: Shaped[np.ndarray, "landmarks features"],
    trajectories: Trajectories,
    metric: Metric = Euclidean(),  # noqa: B008
    n_blocks: int = 1,
) -> LandmarkFrames:
    """Given landmarks with the weights of the frames they stand for, zero for some perhaps; see `landmarks_of`."""
    total, read, squares = trajectories.n_frames, 0, 0.0
    blocks, counts = np.zeros((n_blocks, len(points))), np.zeros(len(points), int)
    for k, start, frames in trajectories.chunks():
        near = nearest(points, 1, metric, frames.astype(float))
        owner, stop = near.indices[:, 0], start + len(frames)
        weights = (
            np.ones(len(frames)) if trajectories.weights is None else trajectories.weights[k][start:stop]
        )
        stretch = (read + np.arange(len(frames))) * n_blocks // total
        np.add.at(blocks, (stretch, owner), weights)
        counts += np.bincount(owner, minlength=len(points))
        squares += float((near.distances**2).sum())
        read += len(frames)
    return LandmarkFrames(points, blocks, counts, float(np.sqrt(squares / total)))


def _grown(net: np.ndarray, frames: np.ndarray, delta: float, metric: Metric) -> np.ndarray:
    """The net with those of the frames that are farther than ``delta`` from it and from each other."""
    if len(net):
        frames = frames[nearest(net, 1, metric, frames).distances[:, 0] > delta]
    if delta == 0:
        return np.concatenate([net, np.unique(frames, axis=0)])
    chosen = []
    while len(frames):
        chosen.append(frames[0])
        frames = frames[metric.between(frames, frames[:1])[:, 0] > delta]
    return np.concatenate([net, np.reshape(chosen, (len(chosen), net.shape[1]))])


def _smallest(net: np.ndarray, metric: Metric) -> float:
    """A distance at which a good part of a net falls away: the median of those to the nearest other."""
    return float(np.median(nearest(net, 1, metric).distances))
