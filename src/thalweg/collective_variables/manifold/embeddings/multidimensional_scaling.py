r"""Multidimensional scaling: points whose distances are those of the frames, as nearly as can be.

*Classical* scaling matches products, so that it has a closed form and, of Euclidean distances, is principal component
analysis. *Metric* scaling matches distances themselves,

.. math::  \sigma(y) = \sum_{i < j} w_i w_j \left(d_{ij} - |y_i - y_j|\right)^2,

by majorization [deleeuw1988]: every step solves a quadratic problem that lies above the stress and touches it where one
stands, and the stress never rises. With weights of pairs :math:`w_i w_j` that sum to one the step has a closed form,

.. math::  y_i \leftarrow \sum_j w_j \frac{d_{ij}}{|y_i - y_j|} (y_i - y_j).

Both keep large distances before small ones; neither unrolls what is rolled up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.extension import metric_squares
from thalweg.collective_variables.manifold.embeddings.principal_coordinates import (
    PRODUCTS,
    KernelCoordinates,
    principal_coordinates,
)
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric

SMALL = 1e-12
"""Distance in a map, over the largest true one, below which two points stand at the same place."""


@dataclass(frozen=True)
class ClassicalMDS(ManifoldMethod):
    """Classical multidimensional scaling [torgerson1952]; the spectrum is the variance along each coordinate.

    Parameters
    ----------
    dim : coordinates
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((300, 3)) * [1, 5, 1]
    >>> y = ClassicalMDS(dim=1).fit(x).transform(x)
    >>> bool(abs(np.corrcoef(x[:, 1], y[:, 0])[0, 1]) > 0.99)
    True
    """

    dim: int = 2
    landmarks: int | LandmarkChoice = 2000
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.1
    seed: int = 0

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """Principal coordinates of minus half the squared distances."""
        squares = np.asarray(metric_squares(self.metric, points, points))
        found = principal_coordinates(PRODUCTS["distance"](squares), weights, self.dim)
        names = tuple(f"{self.word} {k + 1}" for k in range(self.dim))
        extension = KernelCoordinates(
            points, self.metric, "distance", 1.0, found.factors, found.offset, names
        )
        return Solved(found.coordinates, found.spectrum, extension)


@dataclass(frozen=True)
class MetricMDS(ManifoldMethod):
    """Metric multidimensional scaling by majorization (SMACOF), from the classical solution.

    The spectrum has one number, the stress that is left, :math:`\\sqrt{\\sigma / \\sum w_i w_j d_{ij}^2}`.

    Parameters
    ----------
    dim : coordinates
    landmarks : frames that the map is solved at, at most, or a way to choose them
    iterations : at most
    tolerance : relative decrease of the stress at which it ends
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((200, 3)) * [1, 5, 3]
    >>> bool(MetricMDS(dim=2).fit(x).spectrum[0] < 0.2)
    True
    """

    dim: int = 2
    landmarks: int | LandmarkChoice = 1000
    iterations: int = 300
    tolerance: float = 1e-5
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.1
    seed: int = 0

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """Coordinates of least stress near the classical ones."""
        distances = np.array(self.metric.between(points, points))
        np.fill_diagonal(distances, 0.0)
        y = principal_coordinates(-0.5 * distances**2, weights, self.dim).coordinates
        whole = weights @ distances**2 @ weights
        previous = np.inf
        for _ in range(self.iterations):
            mapped = Euclidean().between(y, y)
            stress = float(np.sqrt(weights @ (distances - mapped) ** 2 @ weights / whole))
            if previous - stress < self.tolerance * stress:
                return Solved(y, np.array([stress]))
            previous = stress
            # y_i <- sum_j w_j d_ij / |y_i - y_j| (y_i - y_j)
            pull = np.divide(
                distances, mapped, out=np.zeros_like(mapped), where=mapped > SMALL * distances.max()
            )
            pull *= weights
            y = pull.sum(axis=1)[:, None] * y - pull @ y
        note = f"the stress {stress:.4g} still falls after iterations={self.iterations}; ask for more"
        return Solved(y, np.array([stress]), notes=(note,))
