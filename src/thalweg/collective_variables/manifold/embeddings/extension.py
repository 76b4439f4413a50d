r"""A smooth function through the coordinates that a map gives its landmarks: the extension to all other frames.

.. math::  y(x) = \sum_j \alpha_j\, k(d(x, c_j)) + b_0 + b^T x

with coefficients by kernel ridge regression beside a linear trend. Kernel (Gaussian, Matérn or the thin plate), width
and ridge are those that predict every landmark best from all others; such errors are known without a second fit
[dubrule1983]: with :math:`Q` the inverse of the kernel matrix among what the trend leaves, the landmark ``i`` left out
is missed by :math:`(Q y)_i / Q_{ii}`. A candidate whose coefficients are so large that single precision would be lost
in their sum is charged for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy

from thalweg.collective_variables.manifold.metric import Euclidean, Metric, squared_distances
from thalweg.collective_variables.manifold.neighbors import nearest
from thalweg.shapes import Shaped

CHOSEN_ON = 500
"""Landmarks on which kernel, width and ridge are chosen, at most; widths are in units of their spacing."""

RIDGES = (1e-8, 1e-5, 1e-3, 1e-1)
"""Ridges tried, added to the diagonal of kernels that are of order one at their width."""

WIDTHS = {"gaussian": (2.0, 4.0, 8.0), "matern": (4.0, 16.0, 64.0), "thin plate": (16.0,)}
"""Widths tried of every kernel, in units of the median distance of a landmark from the nearest other."""

TREND = 10
"""Landmarks for each direction of the linear trend, at least."""


def _gaussian(squares: Any) -> Any:
    return squares.__array_namespace__().exp(-0.5 * squares)


def _matern(squares: Any) -> Any:
    """Of smoothness 5/2; the root is cut off where its derivative, not the kernel's, has no limit."""
    xp = squares.__array_namespace__()
    r = xp.sqrt(xp.maximum(5 * squares, 1e-30))
    return (1 + r + r * r / 3) * xp.exp(-r)


def _thin_plate(squares: Any) -> Any:
    """The cube of the distance: least bending through points in space, of no width of its own."""
    xp = squares.__array_namespace__()
    return squares * xp.sqrt(xp.maximum(squares, 1e-30))


KERNELS: dict[str, Callable[[Any], Any]] = {
    "gaussian": _gaussian,
    "matern": _matern,
    "thin plate": _thin_plate,
}
"""Kernels as functions of squared distances over the squared width."""


class _Form(NamedTuple):
    """What is chosen of a smooth map: kernel, width in units of the spacing, ridge."""

    kernel: str
    width: float
    ridge: float


@dataclass(frozen=True, eq=False)
class SmoothMap:
    """A smooth function of frames through given values at landmarks.

    Attributes
    ----------
    landmarks : (landmarks, features)
    metric : between frames
    kernel : one of ``"gaussian"``, ``"matern"``, ``"thin plate"``
    width : of the kernel, in units of the metric
    ridge : added to the diagonal
    coefficients : (landmarks, dim)
    center : (dims,) of the trend, in the flat space of the metric; of no length where it has none
    slopes : (dims, dim)
    offset : (dim,)
    errors : (dim,) root mean square error at landmarks left out one by one
    names : one per value
    """

    landmarks: Shaped[np.ndarray, "landmarks features"]
    metric: Metric
    kernel: str
    width: float
    ridge: float
    coefficients: Shaped[np.ndarray, "landmarks dim"]
    center: Shaped[np.ndarray, " dims"]
    slopes: Shaped[np.ndarray, "dims dim"]
    offset: Shaped[np.ndarray, " dim"]
    errors: Shaped[np.ndarray, " dim"]
    names: tuple[str, ...]

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        coefficients, center, slopes, offset = (
            xp.asarray(array, dtype=frames.dtype)
            for array in (self.coefficients, self.center, self.slopes, self.offset)
        )
        squares = metric_squares(self.metric, frames, self.landmarks)
        values = KERNELS[self.kernel](squares / self.width**2) @ coefficients + offset
        if not len(self.center):
            return values
        return values + (self.metric.embedded(frames) - center) @ slopes


def smooth_map(
    landmarks: Shaped[np.ndarray, "landmarks features"],
    values: Shaped[np.ndarray, "landmarks dim"],
    names: Sequence[str],
    metric: Metric = Euclidean(),  # noqa: B008
) -> SmoothMap:
    """The smooth function through ``values`` at ``landmarks`` that predicts those left out best.

    Parameters
    ----------
    landmarks : (landmarks, features), all different
    values : (landmarks, dim)
    names : one per value
    metric : between frames

    Examples
    --------
    >>> x = np.random.default_rng(0).random((200, 2))
    >>> follows = smooth_map(x[:150], np.sin(x[:150]), ("a", "b"))
    >>> bool(np.abs(follows(x[150:]) - np.sin(x[150:])).max() < 0.01)
    True
    """
    order = np.random.default_rng(0).permutation(len(landmarks))[:CHOSEN_ON]
    form = _best(landmarks[order], values[order], metric)
    problem = _Problem.of(landmarks, values, metric)
    width = form.width * problem.spacing
    kernels = problem.kernel(form.kernel, width)
    ridge, coefficients, errors = problem.firmly_solved(problem.beyond_trend(kernels), form.ridge)
    # the trend takes what the kernels leave
    left = values - kernels @ coefficients - ridge * coefficients
    trend = np.linalg.lstsq(problem.trend, left, rcond=None)[0]
    slopes = problem.directions @ trend[1:] if len(problem.center) else np.zeros((0, values.shape[1]))
    return SmoothMap(
        landmarks,
        metric,
        form.kernel,
        width,
        ridge,
        coefficients,
        problem.center,
        slopes,
        trend[0],
        np.sqrt((errors**2).mean(axis=0)),
        tuple(names),
    )


def metric_squares(metric: Metric, frames: Any, landmarks: np.ndarray) -> Any:
    """Squared distances ``(frames, landmarks)``, with derivatives at landmarks too where the metric is flat."""
    xp = frames.__array_namespace__()
    flat = metric.embedded(frames)
    if flat is None:
        return metric.between(frames, xp.asarray(landmarks, dtype=frames.dtype)) ** 2
    return squared_distances(flat, xp.asarray(metric.embedded(landmarks), dtype=frames.dtype))


def _best(landmarks: np.ndarray, values: np.ndarray, metric: Metric) -> _Form:
    """Kernel, width and ridge of the least error at landmarks left out, rounding in single precision included."""
    problem = _Problem.of(landmarks, values, metric)
    spread = np.maximum(values.var(axis=0), 1e-300)
    losses: dict[_Form, float] = {}
    for kernel, widths in WIDTHS.items():
        for width in widths:
            matrix = problem.kernel(kernel, width * problem.spacing)
            inner, rounding = problem.beyond_trend(matrix), problem.rounding(matrix, width * problem.spacing)
            for ridge in RIDGES:
                try:
                    coefficients, errors = problem.solved(inner, ridge)
                except scipy.linalg.LinAlgError:
                    # a kernel need not be positive where distances are not Euclidean, or the trend has no slopes
                    continue
                lost = rounding * np.sqrt((coefficients**2).sum(axis=0))
                loss = float((((errors**2).mean(axis=0) + lost**2) / spread).mean())
                losses[_Form(kernel, width, ridge)] = loss
    if not losses:
        raise ValueError("no kernel of these distances is positive with any ridge; the metric is none")
    return min(losses, key=lambda form: losses[form])


class _Problem(NamedTuple):
    """Kernel ridge regression beside a trend: what does not depend on the kernel.

    Attributes
    ----------
    squares : (landmarks, landmarks) squared distances
    values : (landmarks, dim)
    trend : (landmarks, 1 + directions) columns of the trend
    rest : (landmarks, landmarks - 1 - directions) orthonormal, all that is no trend
    center : (dims,), directions : (dims, directions), of the trend in the flat space of the metric
    spacing : median distance of a landmark from the nearest other
    """

    squares: np.ndarray
    values: np.ndarray
    trend: np.ndarray
    rest: np.ndarray
    center: np.ndarray
    directions: np.ndarray
    spacing: float

    @classmethod
    def of(cls, landmarks: np.ndarray, values: np.ndarray, metric: Metric) -> _Problem:
        flat = metric.embedded(landmarks)
        center, directions = _main_directions(
            None if flat is None else np.asarray(flat), len(landmarks) // TREND
        )
        columns = np.ones((len(landmarks), 1))
        if len(center):
            columns = np.concatenate([columns, (np.asarray(flat) - center) @ directions], axis=1)
        orthogonal, _ = scipy.linalg.qr(columns)
        squares = np.array(metric_squares(metric, landmarks, landmarks))
        np.fill_diagonal(squares, 0.0)
        spacing = float(np.median(nearest(landmarks, 1, metric).distances))
        return cls(squares, values, columns, orthogonal[:, columns.shape[1] :], center, directions, spacing)

    def kernel(self, kernel: str, width: float) -> np.ndarray:
        return KERNELS[kernel](self.squares / width**2)

    def beyond_trend(self, matrix: np.ndarray) -> np.ndarray:
        """``N^T K N`` with ``N`` the directions that the trend leaves."""
        return self.rest.T @ matrix @ self.rest

    def solved(self, inner: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients ``Q y`` and errors ``(Q y)_i / Q_ii`` at landmarks left out one by one."""
        factor = scipy.linalg.cholesky(inner + ridge * np.eye(len(inner)), lower=True, check_finite=False)
        # Q = N (N^T K N + ridge)^-1 N^T
        half = scipy.linalg.solve_triangular(factor, self.rest.T, lower=True, check_finite=False)
        coefficients = half.T @ (half @ self.values)
        return coefficients, coefficients / (half**2).sum(axis=0)[:, None]

    def firmly_solved(self, inner: np.ndarray, ridge: float) -> tuple[float, np.ndarray, np.ndarray]:
        """The ridge, ten times larger as often as it must be for the matrix to be positive, and what it gives."""
        for larger in ridge * 10.0 ** np.arange(12):
            try:
                return float(larger), *self.solved(inner, larger)
            except scipy.linalg.LinAlgError:
                continue
        raise ValueError("no kernel of these distances is positive; the metric is none")

    def rounding(self, matrix: np.ndarray, width: float) -> float:
        """What single precision loses of a kernel: in itself, and through the squared distance that it is of."""
        extent = self.squares.max() / (4 * width**2)
        return float(np.finfo(np.float32).eps * max(1.0, extent, np.abs(matrix).max()))


def _main_directions(flat: np.ndarray | None, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Center and main directions of points, ``most`` at most; of no length where there is no flat space."""
    if flat is None or most < 1:
        return np.zeros(0), np.zeros((0, 0))
    center = flat.mean(axis=0)
    _, sizes, directions = np.linalg.svd(flat - center, full_matrices=False)
    used = directions[: int((sizes > 1e-8 * max(sizes[0], 1e-300)).sum())][:most]
    return (center, used.T) if len(used) else (np.zeros(0), np.zeros((0, 0)))
