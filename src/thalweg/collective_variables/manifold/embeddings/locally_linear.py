r"""Locally linear embedding: every frame is the same mixture of its neighbors in the map as in truth [roweis2000].

The mixture of frame ``i``, of weights that sum to one, solves :math:`(G_i + r\,\mathrm{tr} G_i)\, m = 1` with
:math:`G_i` the products of the steps to its neighbors. The map minimizes

.. math::  \sum_i w_i \Big| y_i - \sum_j m_{ij} y_j \Big|^2

at unit variance. It is fast and bends easily; `LTSA` and `HessianEigenmaps` keep shapes better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array

from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.neighborhoods import (
    connected_graph,
    local_products,
    smoothest,
)
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric


@dataclass(frozen=True)
class LocallyLinearEmbedding(ManifoldMethod):
    """Locally linear embedding at landmarks.

    Parameters
    ----------
    dim : coordinates
    neighbors : of every landmark
    ridge : added to local products, in units of their trace; makes a mixture of more neighbors than features unique
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> angle = np.random.default_rng(0).uniform(0, 4, 400)
    >>> arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> y = LocallyLinearEmbedding(dim=1).fit(arc).transform(arc)
    >>> bool(abs(np.corrcoef(angle, y[:, 0])[0, 1]) > 0.95)
    True
    """

    dim: int = 2
    neighbors: int = 12
    ridge: float = 1e-3
    landmarks: int | LandmarkChoice = 2000
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.1
    seed: int = 0

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """The smoothest functions in the sense of what the mixtures miss."""
        near = connected_graph(points, self.neighbors, self.metric).neighbors.indices
        mixtures = _mixtures(local_products(points, near, self.metric), self.ridge)
        n, count = near.shape
        mixed = csr_array((mixtures.ravel(), near.ravel(), np.arange(0, n * count + 1, count)), (n, n))
        missed = eye_array(n) - mixed
        return smoothest(csr_array(missed.T @ diags_array(weights) @ missed), weights, self.dim)


def _mixtures(products: np.ndarray, ridge: float) -> np.ndarray:
    """Weights ``(points, neighbors)`` of sum one, by which neighbors make each point."""
    count = products.shape[1]
    trace = np.trace(products, axis1=1, axis2=2)
    firm = products + (ridge * np.where(trace > 0, trace, 1.0))[:, None, None] * np.eye(count)
    mixtures = np.linalg.solve(firm, np.ones((len(products), count, 1)))[:, :, 0]
    return mixtures / mixtures.sum(axis=1, keepdims=True)
