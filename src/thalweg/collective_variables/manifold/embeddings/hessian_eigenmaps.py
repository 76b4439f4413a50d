r"""Hessian eigenmaps: functions of the least curvature along the data [donoho2003].

.. math::  \mathcal{H}(f) = \int \| \mathrm{Hess}_{\tan} f \|_F^2\, d\mu

with Hessians by least squares of quadratic functions of tangent coordinates in each neighborhood. Where a sheet can be
laid flat, the functions of no curvature are its flat coordinates, also of a region that is not convex or has holes.
A neighborhood is that of the neighbors of a landmark, which need to be ``dim (dim + 3) / 2``, and of little noise.

A landmark that is a neighbor of few others is bound by few Hessians, one that is nobody's neighbor by none: it would go
anywhere, at no cost. Such outliers belong to their own neighborhoods, too; they are common among molecules, next to
none in a cloud of even density.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.neighborhoods import (
    assembled,
    connected_graph,
    local_products,
    smoothest,
    tangent_coordinates,
)
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric

BOUND = 0.5
"""Neighborhoods of others that a landmark belongs to, over its neighbors, below which it belongs to its own, too."""

ROUGH = 0.1
"""Weight, along a line, of what no quadratic function is in a neighborhood."""


@dataclass(frozen=True)
class HessianEigenmaps(ManifoldMethod):
    """Hessian eigenmaps at landmarks.

    Parameters
    ----------
    dim : coordinates, of the map and of tangent spaces
    neighbors : of every landmark, ``dim (dim + 3) / 2`` at least
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> angle = np.random.default_rng(0).uniform(0, 4, 400)
    >>> arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> y = HessianEigenmaps(dim=1).fit(arc).transform(arc)
    >>> bool(abs(np.corrcoef(angle, y[:, 0])[0, 1]) > 0.999)
    True
    """

    dim: int = 2
    neighbors: int = 12
    landmarks: int | LandmarkChoice = 2000
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.1
    seed: int = 0

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """The smoothest functions in the sense of squared Hessians.

        Raises
        ------
        ValueError
            If there are not enough neighbors for a quadratic function.
        """
        needed = self.dim * (self.dim + 3) // 2
        if self.neighbors < needed:
            raise ValueError(f"dim={self.dim} needs neighbors={needed} at least, got {self.neighbors}")
        near = connected_graph(points, self.neighbors, self.metric).neighbors.indices
        loose = np.bincount(near.ravel(), minlength=len(points)) < BOUND * self.neighbors
        bound, alone = np.flatnonzero(~loose), np.flatnonzero(loose)
        form = self._of_neighborhoods(points, weights, bound, near[bound])
        form += self._of_neighborhoods(
            points, weights, alone, np.concatenate([alone[:, None], near[alone]], axis=1)
        )
        return smoothest(form, weights, self.dim)

    def _of_neighborhoods(
        self, points: np.ndarray, weights: np.ndarray, centers: np.ndarray, members: np.ndarray
    ) -> csr_array:
        """The squared Hessians in the neighborhoods of ``centers``, each of its ``members``."""
        if not len(centers):
            return csr_array((len(points), len(points)))
        tangent = tangent_coordinates(local_products(points, members, self.metric, centers), self.dim)
        return assembled(weights[centers, None, None] * _forms(tangent), members, len(points))


def _forms(tangent: np.ndarray) -> np.ndarray:
    """Squares of what is quadratic, and not affine, in tangent coordinates ``(points, count, count)``.

    Along a line there is one such number in each neighborhood, which functions that oscillate from frame to frame make
    vanish as well: there, what no quadratic function is, counts, too.
    """
    _, count, dim = tangent.shape
    first, second = np.triu_indices(dim)
    ones = np.ones((len(tangent), count, 1))
    columns = np.concatenate([ones, tangent, tangent[:, :, first] * tangent[:, :, second]], axis=2)
    orthonormal, _ = np.linalg.qr(columns)
    curved = orthonormal[:, :, 1 + dim :]
    forms = curved @ curved.transpose(0, 2, 1)
    if dim > 1:
        return forms
    return forms + ROUGH * (np.eye(count) - orthonormal @ orthonormal.transpose(0, 2, 1))
