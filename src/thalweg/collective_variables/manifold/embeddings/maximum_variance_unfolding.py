r"""Maximum variance unfolding: neighbors keep their distances, all else moves apart as far as it can [weinberger2006].

.. math::  \max \sum_i w_i |y_i|^2 \quad\text{where}\quad |y_i - y_j|^2 = d_{ij}^2 \text{ of neighbors},\;
           \sum_i w_i y_i = 0

is a semidefinite program for the products :math:`y_i \cdot y_j`. Its solution has few dimensions, so that it is looked
for among coordinates of a few more than wanted [burer2003], by an augmented Lagrangian, from the coordinates of
`Isomap`; neighbors and those that have a neighbor in common keep their distances. Stationary multipliers
:math:`\lambda_{ij}` prove that no embedding of any number of dimensions has more variance, if the tension
:math:`\sum_{ij} \lambda_{ij} (e_i - e_j)(e_i - e_j)^T - \mathrm{diag}(w)` has no negative eigenvalue.
The spectrum is the variance along each direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from scipy.sparse import coo_array, csr_array, triu

from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.isomap import geodesic_distances
from thalweg.collective_variables.manifold.embeddings.neighborhoods import connected_graph
from thalweg.collective_variables.manifold.embeddings.principal_coordinates import principal_coordinates
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric

ROUNDS = 30
"""Updates of the multipliers, at most."""

STEPS = 300
"""Steps of descent in each."""

KEPT = 1e-3
"""Root mean square error of distances between neighbors, over their root mean square, at which it ends."""

STIFFER = 3.0
"""Growth of the penalty where errors do not fall by half."""


@dataclass(frozen=True)
class MaximumVarianceUnfolding(ManifoldMethod):
    """Maximum variance unfolding of landmarks.

    Parameters
    ----------
    dim : coordinates
    neighbors : of every landmark, whose distances are kept, and those of their neighbors
    room : dimensions that it unfolds in, beyond ``dim``
    landmarks : frames that the map is solved at, at most, or a way to choose them
    metric : between frames
    left_out : share of the landmarks that the map is scored on; 0 for no scores
    seed : of what is left out

    Examples
    --------
    >>> angle = np.random.default_rng(0).uniform(0, 4, 150)
    >>> arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> y = MaximumVarianceUnfolding(dim=1).fit(arc).transform(arc)
    >>> bool(abs(np.corrcoef(angle, y[:, 0])[0, 1]) > 0.999)
    True
    """

    dim: int = 2
    neighbors: int = 6
    room: int = 4
    landmarks: int | LandmarkChoice = 2000
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.2
    seed: int = 0

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """Main coordinates of the embedding of largest variance."""
        bonds = _bonds(points, self.neighbors, self.metric)
        start = _start(points, weights, self)
        y, error, pulled = unfolded(start, bonds, weights)
        squares, directions = scipy.linalg.eigh(y.T @ (weights[:, None] * y))
        coordinates = y @ directions[:, ::-1][:, : self.dim]
        told = (
            f"distances of neighbors are kept within {100 * error:.2g} % (root mean square); the bound on the variance "
            f"of any embedding that keeps them lies {100 * pulled:.2g} % above"
        )
        return Solved(coordinates * loading_signs(coordinates), np.maximum(squares[::-1], 0.0), notes=(told,))


class Bonds(NamedTuple):
    """Pairs of landmarks that keep their distances.

    Attributes
    ----------
    first, second : (bonds,) landmarks
    squares : (bonds,) squared distances
    """

    first: np.ndarray
    second: np.ndarray
    squares: np.ndarray

    def missed(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By how much squared distances are too long ``(bonds,)``, and the steps ``(bonds, dims)``."""
        steps = y[self.first] - y[self.second]
        return (steps * steps).sum(axis=1) - self.squares, steps

    def tension(self, forces: np.ndarray, landmarks: int) -> csr_array:
        """The form ``sum of forces |y_i - y_j|^2``, a Laplacian ``(landmarks, landmarks)``."""
        rows = np.concatenate([self.first, self.second, self.first, self.second])
        columns = np.concatenate([self.second, self.first, self.first, self.second])
        entries = np.concatenate([-forces, -forces, forces, forces])
        return csr_array(coo_array((entries, (rows, columns)), (landmarks, landmarks)))


def _bonds(points: np.ndarray, neighbors: int, metric: Metric) -> Bonds:
    """Neighbors, and those that have a neighbor in common, so that angles are kept, too."""
    near = connected_graph(points, neighbors, metric).neighbors.indices
    n, count = near.shape
    directed = csr_array((np.ones(near.size), near.ravel(), np.arange(0, near.size + 1, count)), (n, n))
    pairs = coo_array(triu(directed + directed.T + directed.T @ directed, 1))
    first, second = pairs.coords
    flat = metric.embedded(points)
    if flat is not None:
        steps = np.asarray(flat)[first] - np.asarray(flat)[second]
        return Bonds(first, second, (steps**2).sum(axis=1))
    lengths = [
        float(np.asarray(metric.between(points[[i]], points[[j]]))[0, 0]) for i, j in zip(first, second)
    ]
    return Bonds(first, second, np.array(lengths) ** 2)


def _start(points: np.ndarray, weights: np.ndarray, method: MaximumVarianceUnfolding) -> np.ndarray:
    """Coordinates of Isomap in all dimensions that it may unfold in, filled up with a little of nothing."""
    geodesic = geodesic_distances(points, method.neighbors, method.metric)
    dims = method.dim + method.room
    while True:
        try:
            y = principal_coordinates(-0.5 * geodesic**2, weights, dims).coordinates
        except ValueError:
            dims -= 1
            continue
        missing = method.dim + method.room - dims
        return np.concatenate([y, np.zeros((len(y), missing))], axis=1)


def unfolded(start: np.ndarray, bonds: Bonds, weights: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The embedding of largest variance near ``start (landmarks, dims)`` that keeps distances.

    Returns
    -------
    y : (landmarks, dims), of weighted mean zero
    error : root mean square error of distances kept, over their root mean square
    gap : by how much the variance may lie below that of the best embedding of any dimension, relative; from duality
    """
    length = float(np.sqrt(bonds.squares.mean()))
    y = (start - weights @ start) / length
    bonds = bonds._replace(squares=bonds.squares / length**2)
    share, n = len(weights) * weights, len(weights)
    forces, stiffness, before = np.zeros(len(bonds.first)), 10.0, np.inf

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        at = flat.reshape(y.shape)
        missed, _ = bonds.missed(at)
        held = forces + stiffness * missed
        value = -share @ (at**2).sum(axis=1) + forces @ missed + 0.5 * stiffness * missed @ missed
        return float(value), (2 * (bonds.tension(held, n) @ at - share[:, None] * at)).ravel()

    error = np.inf
    for _ in range(ROUNDS):
        found = scipy.optimize.minimize(
            objective, y.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "maxcor": 20}
        )
        y = found.x.reshape(y.shape)
        y = y - weights @ y
        missed, _ = bonds.missed(y)
        forces = forces + stiffness * missed
        error = float(np.sqrt((missed**2).mean()) / 2)
        if error < KEPT:
            break
        stiffness *= STIFFER if error > before / 2 else 1.0
        before = error
    return length * y, error, _gap(y, forces, bonds, share)


def _gap(y: np.ndarray, forces: np.ndarray, bonds: Bonds, share: np.ndarray) -> float:
    r"""How far the dual bound lies above the variance of ``y``, relative; infinite where there is no bound.

    With :math:`L` the tension and :math:`\mu` the least eigenvalue of :math:`L v = \mu\, \mathrm{diag}(w) v` beyond
    constants, the multipliers over :math:`\mu` are feasible, so that no embedding has a variance above
    :math:`\sum \lambda_{ij} d_{ij}^2 / \mu`.
    """
    root = np.sqrt(share)
    scaled = bonds.tension(forces, len(y)).toarray() / root / root[:, None]
    scaled += np.outer(root, root) / share.sum() * np.abs(scaled.diagonal()).max()
    least = float(scipy.linalg.eigvalsh(scaled, subset_by_index=(0, 0))[0])
    bound = float(forces @ bonds.squares) / least if least > 0 else np.inf
    return bound / float(share @ (y**2).sum(axis=1)) - 1
