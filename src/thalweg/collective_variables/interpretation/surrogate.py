r"""A physical variable in place of a learned one: the candidate that is most like a learned coordinate.

Candidates are the features, each in units of its deviation, and directions in the plane of any two of them,
:math:`\chi_\theta = \cos\theta\,\tilde x_i + \sin\theta\,\tilde x_j`. What is chosen is affine in the features: it has
a name, costs nothing to drive, and goes on as it is where the learner has seen nothing.

Two criteria are in use. RAVE [ribeiro2018] takes the candidate whose distribution is that of the coordinate :math:`z`,

.. math::  D(P_z \| P_\chi) = \int P_z \ln \frac{P_z}{P_\chi} ,

either way round, both on the range of their frames. Two variables may be distributed alike and have nothing to do with
each other, so candidates that correlate with the coordinate go before all that hardly do; where there are none of the
former, the model says so. Correlation [trstanova2020] asks for just that, but sees only what is linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from thalweg.collective_variables.bases.basis import along, feature_names
from thalweg.collective_variables.bases.linear_map import as_frames, mapped
from thalweg.learning.models import Model, Transforming
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

MOST_FRAMES = 20_000
"""Frames that candidates are judged on, evenly spread."""

MOST_PAIRED = 12
"""Features that are combined with each other: those that are most like the coordinate by themselves."""

RELATED = 0.5
"""Correlation of a candidate with the coordinate below which likeness may be by chance."""


@runtime_checkable
class Likeness(Protocol):
    """How unlike a coordinate a candidate is. A frozen dataclass of plain data."""

    def __call__(
        self,
        candidate: Shaped[np.ndarray, " frames"],
        coordinate: Shaped[np.ndarray, " frames"],
        weights: Shaped[np.ndarray, " frames"],
    ) -> float:
        """Zero for the same variable, more for others; either may be turned round."""
        ...


@dataclass(frozen=True)
class ByDistribution:
    """The relative entropy of both distributions, each on the range of its frames, the better way round [nat].

    Parameters
    ----------
    bins : of the histograms
    tails : share of the frames at either end that is not looked at when the range is found
    """

    bins: int = 32
    tails: float = 1e-3

    def __call__(
        self,
        candidate: Shaped[np.ndarray, " frames"],
        coordinate: Shaped[np.ndarray, " frames"],
        weights: Shaped[np.ndarray, " frames"],
    ) -> float:
        counts = weights.sum() ** 2 / (weights**2).sum()
        found, wanted = (self._histogram(x, weights, counts) for x in (candidate, coordinate))
        return float(min((wanted * np.log(wanted / each)).sum() for each in (found, found[::-1])))

    def _histogram(self, x, weights, counts):
        """Shares of the bins, each with half a frame more than there is, so that none is empty."""
        low, high = np.quantile(x, [self.tails, 1 - self.tails])
        place = np.clip((x - low) / max(high - low, 1e-300) * self.bins, 0, self.bins - 1).astype(int)
        share = np.bincount(place, weights / weights.sum(), self.bins) + 0.5 / counts
        return share / share.sum()


@dataclass(frozen=True)
class ByCorrelation:
    """What the candidate leaves of the variance of the coordinate, one less the squared correlation."""

    def __call__(
        self,
        candidate: Shaped[np.ndarray, " frames"],
        coordinate: Shaped[np.ndarray, " frames"],
        weights: Shaped[np.ndarray, " frames"],
    ) -> float:
        return 1 - _correlation(candidate, coordinate, weights) ** 2


class SurrogateCandidate(NamedTuple):
    """A physical variable that was judged.

    Attributes
    ----------
    name : in terms of the features
    loadings : (features,) of the variable, per deviation of a feature
    unlikeness : by the criterion
    correlation : with the coordinate
    """

    name: str
    loadings: Shaped[np.ndarray, " features"]
    unlikeness: float
    correlation: float

    @property
    def rank(self) -> tuple[bool, float]:
        """The less, the better: those that go with the coordinate before those that do not, the most alike first."""
        return abs(self.correlation) < RELATED, self.unlikeness


@dataclass(frozen=True, eq=False)
class SurrogateModel(Model):
    """What was chosen, as an affine map of features.

    Attributes
    ----------
    mean : (features,)
    loadings : (features, dim)
    names : of the chosen variables
    candidates : for each learned coordinate, all that were judged, best first
    correlations : (dim,) of the chosen variables with their coordinates
    learned : the model of the coordinates
    features : names of the features; None where they had none
    notes : what one should know
    """

    mean: Shaped[np.ndarray, " features"]
    loadings: Shaped[np.ndarray, "features dim"]
    names: tuple[str, ...]
    candidates: tuple[tuple[SurrogateCandidate, ...], ...]
    correlations: Shaped[np.ndarray, " dim"]
    learned: Model
    features: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __call__(self, frames: Any) -> Any:
        if frames.ndim != 2 or frames.shape[1] != len(self.mean):
            raise ValueError(f"got shape {frames.shape}, needed is (frames, {len(self.mean)}) as in the fit")
        return (frames - self.mean) @ self.loadings

    def transform(self, data: Any) -> Any:
        """Values ``(frames, dim)`` of an array, a DataFrame or every trajectory."""

        def values(frames: Any) -> Any:
            return along(frames, self) if isinstance(frames, Trajectories) else self(as_frames(frames))

        return mapped(data, self.features, values)

    def headline(self) -> dict[str, object]:
        """What was chosen, and how it correlates with what was learned."""
        return {"chosen": ", ".join(self.names), "correlations": self.correlations}

    def __str__(self) -> str:
        lines = [
            f"{each[0].name}: unlikeness {each[0].unlikeness:.3g}, correlation {abs(correlation):.2f}; next "
            + ", ".join(f"{other.name} ({other.unlikeness:.3g})" for other in each[1:4])
            for each, correlation in zip(self.candidates, self.correlations)
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


@dataclass(frozen=True)
class Surrogate(Transforming):
    """Learn coordinates, and take for each the physical variable that is most like it.

    Parameters
    ----------
    learner : of the coordinates
    likeness : by which candidates are judged
    directions : of half a turn in the plane of two features; two for the features alone

    Raises
    ------
    ValueError
        If there are fewer than two directions, or in `fit` fewer candidates than coordinates.

    Examples
    --------
    >>> from thalweg.collective_variables.linear.pca import PCA
    >>> x = np.random.default_rng(0).standard_normal((2000, 3)) * [1, 3, 1]
    >>> Surrogate(PCA(dim=1), ByCorrelation()).fit(x).names
    ('feature 1',)
    """

    learner: Transforming
    likeness: Likeness = ByDistribution()
    directions: int = 8

    def __post_init__(self):
        if self.directions < 2:
            raise ValueError(f"directions={self.directions}; give at least 2, which are the features alone")

    @on_one_thread
    def fit(self, data: TrajectoryData) -> SurrogateModel:
        """The variables chosen."""
        trajectories = as_trajectories(data)
        learned = self.learner.fit(trajectories)
        x, weights = _sample(trajectories)
        z = np.asarray(learned.transform(x), float).reshape(len(x), -1)
        mean = np.average(x, axis=0, weights=weights)
        deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
        scaled = (x - mean) / np.where(deviation > 0, deviation, np.inf)
        names = feature_names(trajectories)
        judged = [self._judged(scaled, each, weights, names, deviation > 0) for each in z.T]
        chosen = _chosen(judged, scaled)
        loadings = np.stack([each.loadings for each in chosen], axis=1)
        correlations = np.array([each.correlation for each in chosen])
        notes = (*getattr(learned, "notes", ()), *_unrelated(chosen))
        ranked = tuple((best, *(c for c in all_ if c is not best)) for best, all_ in zip(chosen, judged))
        return SurrogateModel(
            mean,
            loadings / np.where(deviation > 0, deviation, np.inf)[:, None],
            tuple(each.name for each in chosen),
            ranked,
            correlations,
            learned,
            None if trajectories.names is None else tuple(trajectories.names),
            notes,
        )

    def _judged(self, scaled, coordinate, weights, names, varies) -> list[SurrogateCandidate]:
        """All candidates for a coordinate, best first: the features, and directions of the best of them."""

        def judged(name: str, loadings: np.ndarray) -> SurrogateCandidate:
            candidate = scaled @ loadings
            unlike = self.likeness(candidate, coordinate, weights)
            return SurrogateCandidate(name, loadings, unlike, _correlation(candidate, coordinate, weights))

        unit, rank = np.eye(len(names)), attrgetter("rank")
        single = sorted((judged(names[j], unit[j]) for j in np.flatnonzero(varies)), key=rank)
        best = [int(each.loadings.argmax()) for each in single[:MOST_PAIRED]]
        pairs = [
            judged(name, loadings)
            for i, j in combinations(sorted(best), 2)
            for name, loadings in self._directions(i, j, names)
        ]
        return sorted([*single, *pairs], key=rank)

    def _directions(self, i: int, j: int, names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
        """Directions between two features, neither of them alone."""
        for k in range(1, self.directions):
            if 2 * k == self.directions:
                continue
            cosine, sine = np.cos(np.pi * k / self.directions), np.sin(np.pi * k / self.directions)
            loadings = np.zeros(len(names))
            loadings[[i, j]] = cosine, sine
            yield f"{cosine:.2f} {names[i]} + {sine:.2f} {names[j]}", loadings


def _sample(data: Trajectories) -> tuple[np.ndarray, np.ndarray]:
    """Frames, evenly spread, and their weights."""
    frames = data.strided(MOST_FRAMES).astype(float)
    if data.weights is None:
        return frames, np.ones(len(frames))
    return frames, np.concatenate(data.weights)[:: -(-data.n_frames // MOST_FRAMES)].astype(float)


def _chosen(judged: list[list[SurrogateCandidate]], scaled: np.ndarray) -> list[SurrogateCandidate]:
    """The best candidate of each coordinate that is not, within a tenth of the variance, one chosen before."""
    chosen: list[SurrogateCandidate] = []
    for candidates in judged:
        for each in candidates:
            if all(_correlation(scaled @ each.loadings, scaled @ c.loadings) ** 2 < 0.9 for c in chosen):
                chosen.append(each)
                break
        else:
            raise ValueError(
                f"{len(judged)} coordinates were learned, but features have only {len(chosen)} different directions; "
                "learn fewer coordinates"
            )
    return chosen


def _correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    norm = np.average(x * x, weights=weights) * np.average(y * y, weights=weights)
    return float(np.average(x * y, weights=weights) / np.sqrt(max(norm, 1e-300)))


def _unrelated(chosen: list[SurrogateCandidate]) -> list[str]:
    return [
        f"{each.name} was chosen but correlates only {abs(each.correlation):.2f} with what was learned: "
        "alike may be by chance"
        for each in chosen
        if abs(each.correlation) < RELATED
    ]
