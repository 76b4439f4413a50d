r"""Local tangent space alignment: coordinates of all neighborhoods laid together [zhang2004].

Every neighborhood, the landmark and its neighbors, has coordinates :math:`\Theta_i` in its own tangent space. The map
is, up to an affine one in each neighborhood, the same:

.. math::  \sum_i w_i \min_{c, L} \big\| Y_i - 1 c^T - \Theta_i L \big\|^2

at unit variance. A sheet that can be laid flat without stretching is laid flat, with holes in it, too, up to an affine
map of the whole. ``dim`` is that of the tangent spaces and of the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class LTSA(ManifoldMethod):
    """Local tangent space alignment at landmarks.

    Parameters
    ----------
    dim : coordinates, of the map and of tangent spaces
    neighbors : of every landmark, more than ``dim``
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> angle = np.random.default_rng(0).uniform(0, 4, 400)
    >>> arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> y = LTSA(dim=1).fit(arc).transform(arc)
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
        """The smoothest functions in the sense of what affine functions of tangent coordinates miss.

        Raises
        ------
        ValueError
            If there are not more neighbors than coordinates.
        """
        if self.neighbors <= self.dim:
            raise ValueError(f"dim={self.dim} needs neighbors={self.dim + 1} at least, got {self.neighbors}")
        near = connected_graph(points, self.neighbors, self.metric).neighbors.indices
        members = np.concatenate([np.arange(len(points))[:, None], near], axis=1)
        tangent = tangent_coordinates(local_products(points, members, self.metric), self.dim)
        count = members.shape[1]
        # 1 - 1 1^T / count - V V^T: what is not affine in tangent coordinates
        beyond = np.eye(count) - 1 / count - tangent @ tangent.transpose(0, 2, 1)
        return smoothest(assembled(weights[:, None, None] * beyond, members, len(points)), weights, self.dim)
