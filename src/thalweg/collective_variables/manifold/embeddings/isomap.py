r"""Isomap: distances along the data instead of through the air [tenenbaum2000].

Geodesic distances are the shortest ways along the graph of nearest neighbors; classical scaling of them lays a sheet
flat that is curved in space without being stretched, and needs it to have no holes. The spectrum is the variance along
each coordinate, and falls where the dimension of the sheet ends.

New frames are placed by a smooth function through the landmarks: the shortest way over the nearest neighbors of a frame
would have a kink wherever these change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import shortest_path

from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.neighborhoods import connected_graph
from thalweg.collective_variables.manifold.embeddings.principal_coordinates import principal_coordinates
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric

FLAT = 0.8
"""Share of the extent that coordinates must have, or it is noted."""


@dataclass(frozen=True)
class Isomap(ManifoldMethod):
    """Isomap at landmarks.

    Parameters
    ----------
    dim : coordinates
    neighbors : of every landmark; too few and the graph falls apart, too many and it takes short cuts
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> angle = np.random.default_rng(0).uniform(0, 4, 400)
    >>> arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> y = Isomap(dim=1).fit(arc).transform(arc)
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
        """Principal coordinates of minus half the squared geodesic distances."""
        geodesic = geodesic_distances(points, self.neighbors, self.metric)
        found = principal_coordinates(-0.5 * geodesic**2, weights, self.dim)
        share = found.spectrum[: self.dim].sum() / np.maximum(found.spectrum, 0).sum()
        note = (
            f"{100 * share:.0f} % of the extent along geodesic distances lies in dim={self.dim} coordinates: the graph "
            f"of neighbors={self.neighbors} takes short cuts, or the sheet has holes or more dimensions"
        )
        return Solved(found.coordinates, found.spectrum, notes=(note,) if share < FLAT else ())


def geodesic_distances(points: np.ndarray, neighbors: int, metric: Metric) -> np.ndarray:
    """Shortest ways ``(points, points)`` along the graph of nearest neighbors.

    Raises
    ------
    ValueError
        If the graph falls into several parts.
    """
    return shortest_path(connected_graph(points, neighbors, metric).lengths, method="D", directed=False)
