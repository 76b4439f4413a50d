r"""Sketch-map: who is near whom and who is far, at one scale, without asking how near or how far [ceriotti2011].

Distances that thermal motion sets and those between far regions say nothing that a map of few coordinates could show.
Both are flattened by sigmoids that cross one half at the same distance :math:`\sigma`,

.. math::

   F(r) = 1 - \left(1 + (2^{a/b} - 1)(r/\sigma)^a\right)^{-b/a}, \qquad
   \chi^2(y) = \sum_{ij} w_i w_j \left(F(d_{ij}) - f(|y_i - y_j|)\right)^2

with exponents :math:`a, b` of ``F`` for the frames and others of ``f`` for the map. The least stress is looked for as
in the paper: from classical scaling, first of distances and then more and more of their sigmoids, by gradients of all
coordinates; then every landmark in turn is tried all over the map and moved where its own stress is least, and all are
relaxed again.

Unless told, :math:`\sigma` is read off the histogram of distances, as its authors do by eye: in the valley between
those within regions and those between them, where there is one; data of one scale only have none, and any
:math:`\sigma` among the smaller distances is as good.

A new frame is put where its stress with all landmarks is least near those landmarks that are nearest to it. Where the
map is torn, between landmarks that are neighbors in truth and far in the map, this changes steeply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from scipy.stats import qmc

from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.extension import metric_squares
from thalweg.collective_variables.manifold.embeddings.principal_coordinates import principal_coordinates
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.collective_variables.manifold.neighbors import nearest
from thalweg.shapes import Shaped

MIXTURES = (1.0, 0.5, 0.2, 0.0)
"""Shares of plain distances in the stress, one after the other."""

TRIALS = 256
"""Places in the map at which every landmark is tried."""

PLACING_STEPS = 15
"""By which a new frame is put into the map."""

DAMPING = 0.05
"""Of these steps, in units of the trace of the curvature."""

QUANTILE = 0.2
"""Of distances between landmarks, that sigmoids cross one half at where the histogram has no valley."""

BINS = 100
"""Of the histogram of distances."""

SMOOTHED = 3.0
"""Standard deviation by which it is smoothed, in bins."""

DEEP = 0.25
"""Depth of a valley over the height of the peak before it, at least."""

NEAR_PAIRS = (0.01, 0.5)
"""Share of the pairs that lie before a valley between two scales."""


@dataclass(frozen=True)
class SketchSigmoid:
    """A sigmoid of distances that is one half at ``sigma``, rises as ``r^a`` and ends as ``1 - r^-b``.

    Parameters
    ----------
    sigma : in units of the distance
    a, b : exponents

    Examples
    --------
    >>> float(SketchSigmoid(2.0, 8, 8)(np.array(2.0)))
    0.5
    """

    sigma: float
    a: float
    b: float

    def __call__(self, distances: Any) -> Any:
        return self.with_slope(distances)[0]

    def with_slope(self, distances: Any) -> tuple[Any, Any]:
        """The sigmoid and its derivative by the distance, at distances above zero."""
        factor, u = 2 ** (self.a / self.b) - 1, distances / self.sigma
        rise = factor * u**self.a
        fall = (1 + rise) ** (-self.b / self.a)
        return 1 - fall, self.b * rise * fall / ((1 + rise) * distances)


@dataclass(frozen=True, eq=False)
class LeastStress:
    """The place in a sketch-map where a frame has the least stress, by damped Gauss-Newton steps.

    Attributes
    ----------
    landmarks : (landmarks, features)
    coordinates : (landmarks, dim)
    weights : (landmarks,)
    metric : between frames
    width : within which landmarks are near, in units of the metric; steps start from the mean of these
    true, mapped : sigmoids of distances between frames and in the map
    names : one per coordinate
    """

    landmarks: Shaped[np.ndarray, "landmarks features"]
    coordinates: Shaped[np.ndarray, "landmarks dim"]
    weights: Shaped[np.ndarray, " landmarks"]
    metric: Metric
    width: float
    true: SketchSigmoid
    mapped: SketchSigmoid
    names: tuple[str, ...]

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        coordinates, weights = (
            xp.asarray(each, dtype=frames.dtype) for each in (self.coordinates, self.weights)
        )
        squares = metric_squares(self.metric, frames, self.landmarks)
        target = self.true(xp.sqrt(xp.maximum(squares, 1e-16 * self.true.sigma**2)))
        near = xp.exp(-0.5 * (squares - squares.min(axis=1)[:, None]) / self.width**2)
        y = near @ coordinates / near.sum(axis=1)[:, None]
        for _ in range(PLACING_STEPS):
            away = y[:, None, :] - coordinates
            distances = xp.sqrt((away * away).sum(axis=2) + 1e-8 * self.mapped.sigma**2)
            values, slope = self.mapped.with_slope(distances)
            slopes = (slope / distances)[:, :, None] * away
            weighted = slopes * weights[:, None]
            # (J^T W J + damping) step = J^T W (f - F)
            curvature = xp.matmul(weighted.transpose(0, 2, 1), slopes)
            trace = (weighted * slopes).sum(axis=(1, 2)) + 1e-8 / self.mapped.sigma**2
            firm = curvature + DAMPING * trace[:, None, None] * xp.eye(y.shape[1], dtype=frames.dtype)
            pull = (weighted * (values - target)[:, :, None]).sum(axis=1)
            y = y - xp.linalg.solve(firm, pull[:, :, None])[:, :, 0]
        return y


@dataclass(frozen=True)
class SketchMap(ManifoldMethod):
    """Sketch-map of landmarks.

    The spectrum has one number, the stress that is left, :math:`\\chi`, a root mean square of differences of sigmoids.

    Parameters
    ----------
    dim : coordinates
    sigma : distance at which sigmoids are one half; None for the valley of the histogram of distances behind its first
        peak, or where it has none, for the distance that a fifth of the pairs stay below
    near, far : exponents ``a, b`` of the frames' sigmoid
    map_near, map_far : exponents ``a, b`` of the map's
    sweeps : times that every landmark is tried all over the map
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((100, 3)) * [1, 5, 3]
    >>> bool(SketchMap(dim=2).fit(x).spectrum[0] < 0.2)
    True
    """

    dim: int = 2
    sigma: float | None = None
    near: float = 8.0
    far: float = 8.0
    map_near: float = 2.0
    map_far: float = 8.0
    sweeps: int = 2
    landmarks: int | LandmarkChoice = 700
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.1
    seed: int = 0

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """Coordinates of the least stress found."""
        distances = np.array(self.metric.between(points, points))
        np.fill_diagonal(distances, 0.0)
        y = principal_coordinates(-0.5 * distances**2, weights, self.dim).coordinates
        sigma = self.sigma or _between_scales(distances, weights)
        true, mapped = (
            SketchSigmoid(sigma, self.near, self.far),
            SketchSigmoid(sigma, self.map_near, self.map_far),
        )
        target = true(np.maximum(distances, 1e-9 * sigma))
        scale = float(weights @ distances**2 @ weights)
        for mixture in MIXTURES:
            y, stress = _relaxed(y, target, mapped, weights, (mixture, distances, scale))
        for _ in range(self.sweeps):
            tried = _tried_everywhere(y, target, mapped, weights)
            moved, lower = _relaxed(tried, target, mapped, weights, (0.0, distances, scale))
            if lower >= stress:
                break
            y, stress = moved, lower
        y = y - weights @ y
        names = tuple(f"{self.word} {k + 1}" for k in range(self.dim))
        width = 0.5 * float(np.median(nearest(points, 1, self.metric).distances))
        extension = LeastStress(points, y, weights, self.metric, width, true, mapped, names)
        return Solved(y, np.array([np.sqrt(stress)]), extension)


def _between_scales(
    distances: Shaped[np.ndarray, "landmarks landmarks"], weights: Shaped[np.ndarray, " landmarks"]
) -> float:
    """The distance between those within regions and those between them; a small one where there is one scale only.

    Parameters
    ----------
    distances : (landmarks, landmarks)
    weights : (landmarks,)

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(0, 0.3, (200, 3)) + np.repeat([0.0, 5.0], 100)[:, None]
    >>> 2 < _between_scales(Euclidean().between(x, x), np.ones(200)) < 7
    True
    """
    first, second = np.triu_indices(len(distances), 1)
    pairs, shares = distances[first, second], weights[first] * weights[second]
    counts, edges = np.histogram(pairs, BINS, (0.0, pairs.max()), weights=shares)
    before = np.cumsum(counts) / counts.sum()
    # padded, so that a peak at either end is one
    smooth = np.pad(scipy.ndimage.gaussian_filter1d(counts, SMOOTHED, mode="constant"), 1)
    peaks, found = scipy.signal.find_peaks(smooth, prominence=0.0)
    peaks = peaks[found["prominences"] >= DEEP * smooth[peaks]] - 1
    if len(peaks) > 1:
        valley = peaks[0] + int(smooth[1:-1][peaks[0] : peaks[1]].argmin())
        if NEAR_PAIRS[0] <= before[valley] <= NEAR_PAIRS[1]:
            return float(edges[valley : valley + 2].mean())
    return float(edges[1 + np.searchsorted(before, QUANTILE)])


def _stress_and_slope(
    y: Shaped[np.ndarray, "landmarks dim"],
    target: Shaped[np.ndarray, "landmarks landmarks"],
    sigmoid: SketchSigmoid,
    weights: Shaped[np.ndarray, " landmarks"],
) -> tuple[float, np.ndarray]:
    """The stress of a map and its derivative ``(landmarks, dim)``.

    Parameters
    ----------
    y : (landmarks, dim) coordinates
    target : (landmarks, landmarks) what the sigmoid of distances in the map should be
    sigmoid : of the map
    weights : (landmarks,)
    """
    distances = np.maximum(Euclidean().between(y, y), 1e-9 * sigmoid.sigma)
    values, slopes = sigmoid.with_slope(distances)
    missed = values - target
    np.fill_diagonal(missed, 0.0)
    # 4 w_i w_j (f - F) f' (y_i - y_j) / |y_i - y_j|, since either end of a pair counts
    pull = 4 * missed * slopes / distances
    pull *= weights * weights[:, None]
    return float(weights @ missed**2 @ weights), pull.sum(axis=1)[:, None] * y - pull @ y


def _direct(
    y: np.ndarray, distances: np.ndarray, weights: np.ndarray, scale: float
) -> tuple[float, np.ndarray]:
    """The stress of plain distances over their mean square, and its derivative."""
    mapped = Euclidean().between(y, y)
    missed = mapped - distances
    np.fill_diagonal(missed, 0.0)
    pull = 4 * missed / np.maximum(mapped, 1e-12 * np.sqrt(scale)) * weights * weights[:, None] / scale
    return float(weights @ missed**2 @ weights) / scale, pull.sum(axis=1)[:, None] * y - pull @ y


def _relaxed(
    y: np.ndarray,
    target: np.ndarray,
    sigmoid: SketchSigmoid,
    weights: np.ndarray,
    mixed: tuple[float, np.ndarray, float],
) -> tuple[np.ndarray, float]:
    """The minimum near ``y`` of the stress mixed with that of plain distances, and its value."""
    share, distances, scale = mixed

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        at = flat.reshape(y.shape)
        value, slope = _stress_and_slope(at, target, sigmoid, weights)
        if share:
            direct, pull = _direct(at, distances, weights, scale)
            value, slope = (1 - share) * value + share * direct, (1 - share) * slope + share * pull
        return value, slope.ravel()

    found = scipy.optimize.minimize(
        objective, y.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200}
    )
    return found.x.reshape(y.shape), float(found.fun)


def _tried_everywhere(
    y: np.ndarray, target: np.ndarray, sigmoid: SketchSigmoid, weights: np.ndarray
) -> np.ndarray:
    """The map after every landmark in turn went where, all over the map, its own stress is least."""
    y = y.copy()
    unit = qmc.Sobol(y.shape[1], scramble=False).random(TRIALS)
    lowest, highest = y.min(axis=0), y.max(axis=0)
    places = lowest + (highest - lowest) * unit
    for i in range(len(y)):
        at = np.concatenate([y[i : i + 1], places])
        missed = (sigmoid(np.maximum(Euclidean().between(at, y), 1e-9 * sigmoid.sigma)) - target[i]) ** 2
        missed[:, i] = 0.0
        y[i] = at[(missed @ weights).argmin()]
    return y
