r"""Kernel PCA: directions of largest variance in the space that a Gaussian kernel opens [schoelkopf1998].

.. math::  k(x, y) = \exp\!\left(-\frac{d(x, y)^2}{2 w^2}\right)

A wide kernel gives the principal components, a narrow one sets clusters apart; it does not unroll what is rolled up,
for which see `Isomap`. The spectrum is the variance along each coordinate, of one in all.

Unless told, the width is the one from whose coordinates frames are given back best: each landmark in turn by a smooth
function through all others (`extension`), after the pre-images by which kernels are chosen in [alam2014].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.extension import metric_squares, smooth_map
from thalweg.collective_variables.manifold.embeddings.principal_coordinates import (
    PRODUCTS,
    KernelCoordinates,
    principal_coordinates,
)
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric

WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Widths tried, in units of the median distance of two landmarks."""

CHOSEN_ON = 300
"""Landmarks that the width is chosen on, at most."""


@dataclass(frozen=True)
class KernelPCA(ManifoldMethod):
    """Kernel PCA with a Gaussian kernel.

    Parameters
    ----------
    dim : coordinates
    width : of the kernel, in units of the metric; None for the one of `WIDTHS` that gives frames back best, of a metric
        without a flat space for twice the median distance
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((300, 3))
    >>> KernelPCA(dim=2).fit(x).transform(x).shape
    (300, 2)
    """

    dim: int = 2
    width: float | None = None
    landmarks: int | LandmarkChoice = 2000
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.1
    seed: int = 0

    def most(self, features: int) -> float:
        """The space of the kernel has as many dimensions as there are landmarks."""
        return np.inf

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """Principal coordinates of the kernel of landmarks."""
        squares = np.asarray(metric_squares(self.metric, points, points))
        width = _width(points, weights, self) if self.width is None else self.width
        found = principal_coordinates(PRODUCTS["gaussian"](squares / width**2), weights, self.dim)
        names = tuple(f"{self.word} {k + 1}" for k in range(self.dim))
        extension = KernelCoordinates(
            points, self.metric, "gaussian", width, found.factors, found.offset, names
        )
        return Solved(found.coordinates, found.spectrum, extension)


def _width(points: np.ndarray, weights: np.ndarray, method: KernelPCA) -> float:
    """The width of the kernel from whose coordinates landmarks that were left out are given back best."""
    order = np.random.default_rng(method.seed).permutation(len(points))[:CHOSEN_ON]
    points, weights = points[order], weights[order] / weights[order].sum()
    squares = np.asarray(metric_squares(method.metric, points, points))
    median = float(np.sqrt(np.median(squares[np.triu_indices(len(points), 1)])))
    flat = method.metric.embedded(points)
    if flat is None:
        return 2.0 * median
    names = [f"feature {k + 1}" for k in range(np.shape(flat)[1])]
    missed = {median: np.inf}
    for width in (factor * median for factor in WIDTHS):
        try:
            kernel = PRODUCTS["gaussian"](squares / width**2)
            y = principal_coordinates(kernel, weights, method.dim).coordinates
        except ValueError:
            # so wide a kernel has fewer directions than are asked for
            continue
        missed[width] = float((smooth_map(y, np.asarray(flat), names).errors ** 2).sum())
    return min(missed, key=lambda width: missed[width])
