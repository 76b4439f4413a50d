"""The points a map rests on: frames, each place once, or landmarks of more frames than are wanted; with their weights.

Weights are kept apart for stretches of the data, so that errors are resampled without reading them again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from thalweg.collective_variables.manifold.landmarks import LandmarkChoice, LandmarkFrames, landmarks_of
from thalweg.collective_variables.manifold.metric import Metric
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories

STRETCHES = 40
"""Stretches of the data whose weights are kept apart."""

FEWEST_EFFECTIVE = 20
"""Frames that must count effectively under the weights."""

FEW_EFFECTIVE = 0.1
"""Share of frames that count effectively below which a note says so."""


class MapPoints(NamedTuple):
    """Points with weights.

    Attributes
    ----------
    places : (points, features)
    blocks : (blocks, points) weight of each point in each stretch of the data; all sum to one
    frames : (points,) number of the frame (or landmark) each is, increasing
    landmarks : whether they are landmarks
    weighted : whether frames had weights
    notes : what one should know
    """

    places: Shaped[np.ndarray, "points features"]
    blocks: Shaped[np.ndarray, "blocks points"]
    frames: Shaped[np.ndarray, " points"]
    landmarks: bool
    weighted: bool
    notes: tuple[str, ...]

    @property
    def weights(self) -> np.ndarray:
        """Weights ``(points,)`` of sum one."""
        weights = self.blocks.sum(axis=0)
        return weights / weights.sum()

    def taken(self, kept: np.ndarray) -> MapPoints:
        """Some of the points, by their numbers in increasing order."""
        return self._replace(places=self.places[kept], blocks=self.blocks[:, kept], frames=self.frames[kept])


def map_points(data: Trajectories, landmarks: LandmarkChoice, max_frames: int, metric: Metric) -> MapPoints:
    """The points of a map of data.

    Raises
    ------
    ValueError
        If weights are negative, or leave too few frames.
    """
    notes = _checked_weights(data)
    total = data.n_frames
    weighted = data.weights is not None
    if total > max_frames:
        found = points_of_landmarks(landmarks_of(data, landmarks, metric, STRETCHES))
        return found._replace(weighted=weighted, notes=notes + found.notes)
    require_memory(
        3 * 8 * total * data.n_features, f"{total} frames of {data.n_features} features; lower max_frames"
    )
    places = np.concatenate([frames.astype(float) for _, _, frames in data.chunks()])
    weights = np.ones(total) if data.weights is None else np.concatenate(data.weights)
    different, first, number = np.unique(places, axis=0, return_index=True, return_inverse=True)
    if len(different) < total:
        notes += (
            f"{total - len(different)} of {total} frames stand exactly where another one does and are joined to it",
        )
    # in the order of the frames
    order = np.argsort(first)
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    stretches = min(STRETCHES, total)
    stretch = np.arange(total) * stretches // total
    blocks = np.zeros((stretches, len(different)))
    np.add.at(blocks, (stretch, rank[number.ravel()]), weights / weights.sum())
    points = MapPoints(
        places[first[order]], blocks, first[order], landmarks=False, weighted=weighted, notes=notes
    )
    return points.taken(np.flatnonzero(points.weights > 0))


def points_of_landmarks(found: LandmarkFrames) -> MapPoints:
    """The points of a map of landmarks."""
    note = (
        f"{int(found.counts.sum())} frames are represented by {len(found.points)} landmarks, {found.radius:.3g} away "
        "on average; raise max_frames to use the frames themselves"
    )
    points = MapPoints(
        found.points,
        found.blocks,
        np.arange(len(found.points)),
        landmarks=True,
        weighted=not np.array_equal(found.weights, found.counts),
        notes=(note,),
    )
    return points.taken(np.flatnonzero(points.weights > 0))


def _checked_weights(data: Trajectories) -> tuple[str, ...]:
    """A note where few frames count effectively."""
    if data.weights is None:
        return ()
    weights = np.concatenate(data.weights)
    if (weights < 0).any():
        raise ValueError(f"{int((weights < 0).sum())} weights are negative; a measure has none")
    effective = weights.sum() ** 2 / (weights**2).sum()
    if effective < FEWEST_EFFECTIVE:
        raise ValueError(
            f"weights leave {effective:.1f} effective of {len(weights)} frames, fewer than {FEWEST_EFFECTIVE}; sample "
            "nearer to the measure they are to represent"
        )
    if effective < FEW_EFFECTIVE * len(weights):
        return (f"weights leave {effective:.0f} effective of {len(weights)} frames",)
    return ()
