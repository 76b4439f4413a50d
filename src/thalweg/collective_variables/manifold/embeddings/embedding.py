r"""A map of the frames into few coordinates, whatever the method: solved at landmarks, extended to every other frame.

A method says what the coordinates of landmarks are (`ManifoldMethod.solve`). The rest is common to all: landmarks far
fewer than frames, with the weights of the frames that they stand for; one function of frames through them, with
derivatives, so that a map is a basis for `VAC` and a variable that drives a simulation
(`thalweg.sampling.model_variable`); and scores of the map on landmarks left out of it and then put where the rest of
the map puts them.

Frames that coincide are one landmark of their common weight, so that a frame of weight 2 is that frame twice.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thalweg.collective_variables.bases.basis import Features, Functions, along
from thalweg.collective_variables.bases.linear_map import as_frames, mapped, names_of_features
from thalweg.collective_variables.bases.raw_angles import warned_angles
from thalweg.collective_variables.manifold.embeddings.extension import smooth_map
from thalweg.collective_variables.manifold.embeddings.map_scores import MapScores, map_scores
from thalweg.collective_variables.manifold.landmarks import (
    DeltaNet,
    LandmarkChoice,
    landmarks_of,
)
from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.learning.models import Model, Transforming
from thalweg.machine.surviving import reason
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import CHUNK, Trajectories, TrajectoryData, as_trajectories

FRAMES_EACH = 5
"""Effective frames for each coordinate and one more, at least."""

FEW_EFFECTIVE = 0.05
"""Share of frames that weights must leave effective, or it is noted."""

SCORED_NEIGHBORS = 12
"""Neighbors by which methods that know none are scored."""

MOST_LEFT_OUT = 500
"""Landmarks that are left out for scores, at most."""

MOST_RANKED = 4000
"""Landmarks that are ranked by their distance from those left out, at most."""


class Solved(NamedTuple):
    """What a method makes of landmarks.

    Attributes
    ----------
    coordinates : (landmarks, dim)
    spectrum : eigenvalues or stresses that say how many coordinates there are; see the method
    extension : the function of frames that the mathematics gives, None where one is to be fitted
    notes : what one should know
    """

    coordinates: Shaped[np.ndarray, "landmarks dim"]
    spectrum: Shaped[np.ndarray, " values"]
    extension: Functions | None = None
    notes: tuple[str, ...] = ()


class ManifoldMethod(Transforming, abc.ABC):
    """A method that maps landmarks into few coordinates; `fit` extends them to every frame.

    Attributes
    ----------
    dim : coordinates
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on, by solving it again without them; 0 for no scores
    seed : of what is left out
    """

    # fields of the frozen dataclasses below it, which a checker is to see as read-only; dataclasses are not to see them
    if TYPE_CHECKING:

        @property
        def dim(self) -> int: ...

        @property
        def landmarks(self) -> int | LandmarkChoice: ...

        @property
        def metric(self) -> Metric: ...

        @property
        def left_out(self) -> float: ...

        @property
        def seed(self) -> int: ...

    @abc.abstractmethod
    def solve(
        self, points: Shaped[np.ndarray, "landmarks features"], weights: Shaped[np.ndarray, " landmarks"]
    ) -> Solved:
        """Coordinates of landmarks ``points`` of positive ``weights`` that sum to one."""

    def fit(self, data: TrajectoryData) -> Embedding:
        """The map of data.

        Raises
        ------
        ValueError
            If there are fewer different frames than the map needs, weights leave too few effective ones, or neighbors
            do not connect them; the message has the numbers.
        """
        trajectories = as_trajectories(data)
        self._require_settings()
        notes = warned_angles(trajectories, Features()) if isinstance(self.metric, Euclidean) else ()
        notes += self._effective(trajectories)
        points, weights = self.sampled(trajectories)
        held = weights > 0
        points, weights = points[held], weights[held] / weights[held].sum()
        self._require_frames(points, trajectories)
        solved = self.solve(points, weights)
        scores, told = self._scored(points, weights, solved)
        return Embedding(
            self,
            points,
            weights,
            solved.coordinates,
            solved.spectrum,
            self._extended(points, solved),
            scores,
            names_of_features(trajectories),
            (*notes, *solved.notes, *told),
        )

    def sampled(self, data: Trajectories) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks of data ``(landmarks, features)`` and their weights ``(landmarks,)``."""
        choice = DeltaNet(self.landmarks) if isinstance(self.landmarks, int) else self.landmarks
        chosen = landmarks_of(data, choice, self.metric)
        return chosen.points, chosen.weights

    @property
    def word(self) -> str:
        """What its coordinates are called."""
        return type(self).__name__

    def most(self, features: int) -> float:
        """Coordinates that there can be of so many features."""
        return features if isinstance(self.metric, Euclidean) else np.inf

    def _extended(self, points: np.ndarray, solved: Solved) -> Functions:
        """The extension that the method gives, or a smooth function through the landmarks."""
        if solved.extension is not None:
            return solved.extension
        names = [f"{self.word} {k + 1}" for k in range(self.dim)]
        return smooth_map(points, solved.coordinates, names, self.metric)

    def _require_settings(self) -> None:
        if self.dim < 1 or not 0 <= self.left_out <= 0.5:
            raise ValueError(f"dim={self.dim} must be at least 1, left_out={self.left_out} between 0 and 0.5")

    def _require_frames(self, points: np.ndarray, data: Trajectories) -> None:
        """Refuse fewer different frames than the map has use for, and more coordinates than features."""
        if self.dim > self.most(data.n_features):
            raise ValueError(
                f"dim={self.dim} coordinates of {data.n_features} features; ask for {data.n_features} at most"
            )
        needed = max(getattr(self, "neighbors", 0) + 2, FRAMES_EACH * (self.dim + 1))
        if len(points) < needed:
            raise ValueError(
                f"{data.n_frames} frames are {len(points)} different landmarks of positive weight; a map of "
                f"{self.word} with {self._settings_told()} needs {needed}: give more frames, or more landmarks"
            )

    def _settings_told(self) -> str:
        neighbors = f" and neighbors={self.neighbors}" if hasattr(self, "neighbors") else ""
        return f"dim={self.dim}{neighbors}"

    def _effective(self, data: Trajectories) -> tuple[str, ...]:
        """Refuse weights that leave next to no frames; a note where they leave few."""
        if data.weights is None:
            return ()
        total, squares = (sum(float((w**power).sum()) for w in data.weights) for power in (1, 2))
        effective = total**2 / squares if squares else 0.0
        needed = FRAMES_EACH * (self.dim + 1)
        told = f"weights leave {effective:.1f} effective frames of {data.n_frames}"
        if effective < needed:
            raise ValueError(
                f"{told}, a map with dim={self.dim} needs {needed}; reweight with less bias, or give more frames"
            )
        return (told,) if effective < FEW_EFFECTIVE * data.n_frames else ()

    def _scored(
        self, points: np.ndarray, weights: np.ndarray, whole: Solved
    ) -> tuple[MapScores | None, tuple[str, ...]]:
        """The map solved without some landmarks and extended to them: scores, or why there are none."""
        count = min(int(self.left_out * len(points)), MOST_LEFT_OUT)
        if not count:
            return None, ()
        order = np.random.default_rng(self.seed).permutation(len(points))
        out, kept = np.sort(order[:count]), np.sort(order[count:])
        ranked = slice(None, None, -(-len(kept) // MOST_RANKED))
        neighbors = min(getattr(self, "neighbors", SCORED_NEIGHBORS), (len(kept[ranked]) - 1) // 2)
        try:
            part = self.solve(points[kept], weights[kept] / weights[kept].sum())
            placed = np.asarray(self._extended(points[kept], part)(points[out]))
        except ValueError as error:
            return None, (f"not scored: without {count} of {len(points)} landmarks, {reason(error)}",)
        scores = map_scores(
            points[kept[ranked]],
            points[out],
            part.coordinates[ranked],
            placed,
            weights=weights[out],
            neighbors=neighbors,
            metric=self.metric,
            errors=_missed(whole.coordinates, part.coordinates, placed, weights, (out, kept)),
        )
        return scores, ()


@dataclass(frozen=True, eq=False)
class Embedding(Model):
    """A map of frames into few coordinates, a function of frames with derivatives.

    Attributes
    ----------
    method : with its settings
    landmarks : (landmarks, features) frames that the map was solved at
    weights : (landmarks,) of the frames that each stands for; they sum to one
    coordinates : (landmarks, dim)
    spectrum : eigenvalues or stresses; see the method
    extension : the function of frames
    scores : on landmarks left out; None where there are none
    features : names of the features, by which columns of a DataFrame are found; None where they had none
    notes : what one should know
    """

    method: ManifoldMethod
    landmarks: Shaped[np.ndarray, "landmarks features"]
    weights: Shaped[np.ndarray, " landmarks"]
    coordinates: Shaped[np.ndarray, "landmarks dim"]
    spectrum: Shaped[np.ndarray, " values"]
    extension: Functions
    scores: MapScores | None = None
    features: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """One of each coordinate."""
        return tuple(self.extension.names)

    def __call__(self, frames: Any) -> Any:
        if frames.ndim != 2 or frames.shape[1] != self.landmarks.shape[1]:
            raise ValueError(
                f"got shape {frames.shape}, needed is (frames, {self.landmarks.shape[1]}) as in the fit"
            )
        if not isinstance(frames, np.ndarray) or len(frames) <= CHUNK:
            return self.extension(frames)
        parts = [self.extension(frames[start : start + CHUNK]) for start in range(0, len(frames), CHUNK)]
        return np.concatenate(parts)

    def transform(self, data: Any) -> Any:
        """Coordinates ``(frames, dim)`` of an array, a DataFrame or every trajectory."""

        def coordinates(frames: Any) -> Any:
            return along(frames, self) if isinstance(frames, Trajectories) else self(as_frames(frames))

        return mapped(data, self.features, coordinates)

    def headline(self) -> dict[str, object]:
        """Method, landmarks, coordinates and how well unseen frames are placed."""
        shown: dict[str, object] = {
            "method": type(self.method).__name__,
            "landmarks": len(self.landmarks),
            "dim": self.coordinates.shape[1],
        }
        return shown if self.scores is None else shown | self.scores.headline()

    def __str__(self) -> str:
        dim = self.coordinates.shape[1]
        lines = [
            f"{type(self.method).__name__}: {dim} coordinates of {len(self.landmarks)} landmarks, "
            f"{self.landmarks.shape[1]} features",
            "spectrum: " + ", ".join(f"{value:.4g}" for value in self.spectrum[:10]),
        ]
        lines += [] if self.scores is None else [str(self.scores)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _missed(
    whole: np.ndarray,
    part: np.ndarray,
    placed: np.ndarray,
    weights: np.ndarray,
    split: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Distances of placed landmarks from where the whole map has them, in standard deviations ``(dim,)``.

    Two maps of the same frames agree up to what no method fixes, so the smaller one is first laid on the whole one by
    the affine map that fits the landmarks they share best.
    """
    out, kept = split
    root = np.sqrt(weights[kept])[:, None]
    columns = np.concatenate([np.ones((len(kept), 1)), part], axis=1)
    laid = np.linalg.lstsq(root * columns, root * whole[kept], rcond=None)[0]
    missed = np.concatenate([np.ones((len(out), 1)), placed], axis=1) @ laid - whole[out]
    square = np.average(missed**2, axis=0, weights=weights[out])
    mean = np.average(whole, axis=0, weights=weights)
    return np.sqrt(square / np.maximum(np.average((whole - mean) ** 2, axis=0, weights=weights), 1e-300))
