r"""Laplacian eigenmaps: functions that change least between neighbors [belkin2003].

.. math::  \sum_i \sum_{j \in N(i)} w_i w_j |y_i - y_j|^2

at unit variance in the measure :math:`D_i = w_i \sum_j w_j A_{ij}`, with :math:`A_{ij}` one of a frame with itself, and
half the number of times that two are among the neighbors :math:`N` of each other. Every frame counts its own neighbors,
and all of them alike: two that are each other's count twice, one in a sparse region does not draw all those at it that
it has for neighbors, and no frame is cut off because its neighbors are far. Of the weights of the paper these have no
width. The spectrum is that of :math:`L y = \lambda D y`. What the density of the sample does to such a Laplacian, and
how it is divided out, is the subject of diffusion maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array

from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.neighborhoods import connected_graph, smoothest
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric


@dataclass(frozen=True)
class LaplacianEigenmaps(ManifoldMethod):
    """Laplacian eigenmaps at landmarks.

    Parameters
    ----------
    dim : coordinates
    neighbors : of every landmark
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> angle = np.random.default_rng(0).uniform(0, 4, 400)
    >>> arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> y = LaplacianEigenmaps(dim=1).fit(arc).transform(arc)
    >>> bool(abs(np.corrcoef(angle, y[:, 0])[0, 1]) > 0.97)
    True
    """

    dim: int = 2
    neighbors: int = 12
    landmarks: int | LandmarkChoice = 2000
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.1
    seed: int = 0

    def most(self, features: int) -> float:
        """There are as many functions as landmarks."""
        return np.inf

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """The smoothest functions in the sense of differences between neighbors."""
        near = connected_graph(points, self.neighbors, self.metric).neighbors.indices
        n, count = near.shape
        directed = csr_array((np.ones(near.size), near.ravel(), np.arange(0, near.size + 1, count)), (n, n))
        adjacent = 0.5 * (directed + directed.T)
        # a frame is its own neighbor, so that a frame of weight 2 is that frame twice
        pairs = csr_array(diags_array(weights) @ (adjacent + eye_array(n)) @ diags_array(weights))
        degrees = pairs.sum(axis=1)
        found = smoothest(csr_array(diags_array(degrees) - pairs), degrees, self.dim)
        return found._replace(spectrum=found.spectrum / degrees.sum())
