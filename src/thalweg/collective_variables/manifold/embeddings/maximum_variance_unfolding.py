r"""Maximum variance unfolding: neighbors keep their distances, all else moves apart as far as it can [weinberger2006].

.. math::  \max \sum_i w_i |y_i|^2 \quad\text{where}\quad |y_i - y_j|^2 = d_{ij}^2 \text{ of neighbors},\;
           \sum_i w_i y_i = 0

is a semidefinite program for the products :math:`y_i \cdot y_j`. Its solution has few dimensions, so that it is looked
for among coordinates of a few more than wanted [burer2003], from those of `Isomap`; neighbors and those that have a
neighbor in common are held by springs, since distances through the air that are a little shorter than along the data
cannot all be kept.

How good it is, is known: forces :math:`\lambda_{ij}` of springs bound what any embedding of any dimension can reach if
their tension :math:`\sum_{ij} \lambda_{ij} (e_i - e_j)(e_i - e_j)^T` is nowhere weaker than the pull. Where those found
are, all are made stronger by the same amount, the least that is enough, so that there always is a bound; and the
directions in which they are too weak are those in which the embedding can still grow: it is given them, and relaxed
again, until the bound is near [boumal2016]. The spectrum is the variance along each direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from scipy.sparse import coo_array, csr_array, diags_array, triu

from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.embeddings.isomap import geodesic_distances
from thalweg.collective_variables.manifold.embeddings.neighborhoods import connected_graph
from thalweg.collective_variables.manifold.embeddings.principal_coordinates import principal_coordinates
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric

ROUNDS = 6
"""Times that springs are made stiffer, or directions are added, at most."""

STEPS = 1000
"""Steps of descent in each."""

KEPT = 3e-3
"""Root mean square error of distances between neighbors, over their root mean square, that springs are made for."""

CLOSE = 0.01
"""Bound on how much better another embedding may be, relative, at which it ends."""

WAYS_OUT = 6
"""Directions that are added at a time, at most."""

PUSHED = 0.1
"""How far into them, in units of the spread of the embedding."""

UNUSED = 1e-6
"""Variance along a direction, over the largest, below which it is not used."""

STIFFER = 4.0
"""Growth of the stiffness where errors are more than twice that."""


@dataclass(frozen=True)
class MaximumVarianceUnfolding(ManifoldMethod):
    """Maximum variance unfolding of landmarks.

    Parameters
    ----------
    dim : coordinates
    neighbors : of every landmark, whose distances are kept, and those of their neighbors
    room : dimensions that it unfolds in, beyond ``dim``, before others are found to be needed
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
    neighbors: int = 8
    room: int = 4
    landmarks: int | LandmarkChoice = 2000
    metric: Metric = Euclidean()  # noqa: RUF009
    left_out: float = 0.1
    seed: int = 0

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """Main coordinates of the embedding of largest variance."""
        bonds = _bonds(points, self.neighbors, self.metric)
        start = _start(points, weights, self)
        y, error, gap = _unfolded(start, bonds, weights)
        squares, directions = scipy.linalg.eigh(y.T @ (weights[:, None] * y))
        coordinates = y @ directions[:, ::-1][:, : self.dim]
        told = (
            f"distances of neighbors are kept within {100 * error:.2g} % (root mean square); no embedding of any "
            f"dimension does better by more than {100 * gap:.2g} %"
        )
        return Solved(coordinates * loading_signs(coordinates), np.maximum(squares[::-1], 0.0), notes=(told,))


class _Bonds(NamedTuple):
    """Pairs of landmarks that keep their distances.

    Attributes
    ----------
    steps : (bonds, landmarks) one row each, 1 and -1 at its ends
    squares : (bonds,) squared distances
    """

    steps: csr_array
    squares: np.ndarray

    @classmethod
    def between(cls, first: np.ndarray, second: np.ndarray, squares: np.ndarray, landmarks: int) -> _Bonds:
        """_Bonds of given ends."""
        entries = np.tile([1.0, -1.0], len(first))
        ends = np.stack([first, second], axis=1).ravel()
        steps = csr_array((entries, ends, np.arange(0, len(ends) + 1, 2)), (len(first), landmarks))
        return cls(steps, squares)

    def missed(self, y: np.ndarray) -> np.ndarray:
        """By how much squared distances are too long ``(bonds,)``."""
        return ((self.steps @ y) ** 2).sum(axis=1) - self.squares

    def tension(self, forces: np.ndarray) -> csr_array:
        """The form ``sum of forces |y_i - y_j|^2``, a Laplacian ``(landmarks, landmarks)``."""
        return csr_array(self.steps.T @ diags_array(forces) @ self.steps)


def _bonds(points: np.ndarray, neighbors: int, metric: Metric) -> _Bonds:
    """Neighbors, and those that have a neighbor in common, so that angles are kept, too."""
    near = connected_graph(points, neighbors, metric).neighbors.indices
    n, count = near.shape
    directed = csr_array((np.ones(near.size), near.ravel(), np.arange(0, near.size + 1, count)), (n, n))
    pairs = coo_array(triu(directed + directed.T + directed.T @ directed, 1))
    first, second = pairs.coords
    flat = metric.embedded(points)
    if flat is not None:
        steps = np.asarray(flat)[first] - np.asarray(flat)[second]
        return _Bonds.between(first, second, (steps**2).sum(axis=1), n)
    lengths = [
        float(np.asarray(metric.between(points[[i]], points[[j]]))[0, 0]) for i, j in zip(first, second)
    ]
    return _Bonds.between(first, second, np.array(lengths) ** 2, n)


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


def _unfolded(start: np.ndarray, bonds: _Bonds, weights: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The embedding of largest variance less what springs hold, near ``start (landmarks, dims)``.

    Springs are made stiffer until distances are kept, and directions added until no embedding does much better.

    Returns
    -------
    y : (landmarks, dims), of weighted mean zero
    error : root mean square error of distances kept, over their root mean square
    gap : by how much the best embedding of any dimension may do better, relative; from duality
    """
    length = float(np.sqrt(bonds.squares.mean()))
    y = (start - weights @ start) / length
    bonds = bonds._replace(squares=bonds.squares / length**2)
    share = len(weights) * weights
    # in balance the sum of lambda d^2 is that of w y^2; a spring of force lambda misses by lambda / stiffness
    stiffness = float(share @ (y**2).sum(axis=1)) / (2 * KEPT * bonds.squares.sum())
    for left in reversed(range(ROUNDS)):
        y = _relaxed(y, bonds, share, stiffness)
        y = y - weights @ y
        error = float(np.sqrt((bonds.missed(y) ** 2).mean()) / 2)
        if error > 2 * KEPT and left:
            stiffness *= STIFFER
            continue
        gap, ways_out = _judged(y, bonds, share, stiffness)
        if gap < CLOSE or not left:
            break
        y = _widened(y, ways_out, weights)
    return length * y, error, gap


def _relaxed(y: np.ndarray, bonds: _Bonds, share: np.ndarray, stiffness: float) -> np.ndarray:
    """The maximum near ``y`` of the variance less the energy of springs."""
    back = csr_array(bonds.steps.T)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        at = flat.reshape(y.shape)
        steps = bonds.steps @ at
        missed = (steps**2).sum(axis=1) - bonds.squares
        value = 0.5 * stiffness * missed @ missed - share @ (at**2).sum(axis=1)
        return float(value), 2 * (back @ (stiffness * missed[:, None] * steps) - share[:, None] * at).ravel()

    options = {"maxiter": STEPS, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-6}
    return scipy.optimize.minimize(
        objective, y.ravel(), jac=True, method="L-BFGS-B", options=options
    ).x.reshape(y.shape)


def _judged(y: np.ndarray, bonds: _Bonds, share: np.ndarray, stiffness: float) -> tuple[float, np.ndarray]:
    r"""How far at most ``y`` is from the best embedding, and directions in which it could grow.

    With :math:`L` the tension, :math:`L_1` that of unit forces, :math:`W` the pull in all that is no constant and
    :math:`c` the largest eigenvalue of :math:`(W - L) v = c L_1 v`, the forces :math:`\mu = \lambda + c` hold every
    embedding together, so that none reaches more than :math:`\sum \mu_{ij} d_{ij}^2 + \sum \mu_{ij}^2 / 2 \kappa`.

    Returns
    -------
    gap : bound over what ``y`` reaches, less one
    ways_out : (landmarks, ways) eigenvectors of positive ``c``
    """
    missed = bonds.missed(y)
    forces = stiffness * missed
    pull = np.diag(share) - np.outer(share, share) / share.sum()
    even = bonds.tension(np.ones(len(forces))).toarray()
    # constants are given a tension, too, so that it can be inverted
    even += np.abs(even.diagonal()).max() / len(share)
    n = len(share)
    lacking, ways = scipy.linalg.eigh(
        pull - bonds.tension(forces).toarray(), even, subset_by_index=(max(n - WAYS_OUT, 0), n - 1)
    )
    firm = forces + max(lacking[-1], 0.0)
    bound = firm @ bonds.squares + firm @ firm / (2 * stiffness)
    reached = share @ (y**2).sum(axis=1) - 0.5 * stiffness * missed @ missed
    return float(bound / reached - 1), ways[:, lacking > 0]


def _widened(y: np.ndarray, ways_out: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The embedding along its main axes, less those it has not used, and a little into directions it could grow in."""
    squares, axes = scipy.linalg.eigh(y.T @ (weights[:, None] * y))
    spread = np.sqrt(squares.sum() / max(ways_out.shape[1], 1))
    into = ways_out / np.sqrt(weights @ ways_out**2) * PUSHED * spread
    return np.concatenate([y @ axes[:, squares > UNUSED * squares[-1]], into], axis=1)
