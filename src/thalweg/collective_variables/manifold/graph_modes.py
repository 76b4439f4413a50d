r"""Slow modes of a walk on a graph: the smallest eigenvalues of a sparse Laplacian with a mass matrix.

.. math::  (D - S)\, f = \lambda\, W f, \qquad D = \mathrm{diag}\Big(\sum_j S_{ij}\Big)

Guesses are improved by locally optimal block iterations [knyazev2001], preconditioned by :math:`D`: nothing is
factorized, and from modes found on few of the points some ten products with the sparse matrix are enough.

A walk on points also has modes of its outskirts, of single points seldom left. A mode that fewer than a given number of
points carry, :math:`1 / \sum_i (w_i f_i^2)^2`, is passed over in every iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy
from scipy.sparse import csr_array

ALL_AT_ONCE = 600
"""Points up to which a dense matrix is solved."""

GUARD = 5
"""Modes iterated beside those asked for."""

TOLERANCE = 1e-4
"""What the last iterations changed in eigenvalues, relative to these, when iteration ends."""

LAST = 5
"""Iterations over which that is taken: about what remains is then as much again."""

MOVING, SURE = 0.02, 0.1
"""Residuals of a mode, relative to its eigenvalue: from the first on it is improved, below the second iteration may
end. The eigenvalue's error is of second order in them."""

DEPENDENT = 1e-10
"""Squared length, relative to one, below which a direction is made of the others."""


MOST = 2
"""Modes held in iterations, those that few points carry among them, in units of those improved."""


class GraphModes(NamedTuple):
    """Slow modes of a graph, the constant not among them.

    Attributes
    ----------
    eigenvalues : (modes,) smallest first, those passed over after the others
    vectors : (points, modes) of mean zero and variance one under the mass
    residuals : (modes,) of each, relative to its eigenvalue: an eigenvalue is wrong by less than this
    lone : modes carried by too few points that were passed over, slower than the last asked for
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    lone: int


def graph_modes(
    flow: csr_array,
    mass: np.ndarray,
    count: int,
    guesses: np.ndarray | None = None,
    carriers: float = 1.0,
    iterations: int = 100,
    tolerance: float = TOLERANCE,
) -> GraphModes:
    """The ``count`` slowest modes, and a few more that are less exact.

    Parameters
    ----------
    flow : (points, points) symmetric S, whose points hang together
    mass : (points,) W, positive
    guesses : (points, guesses), at least ``count`` of them; needed for more than `ALL_AT_ONCE` points
    carriers : fewest points that carry a mode, effectively
    iterations, tolerance : where improvement ends

    Examples
    --------
    >>> ring = np.roll(np.eye(400), 1, axis=1)
    >>> found = graph_modes(csr_array(ring + ring.T), np.ones(400), 2)
    >>> bool(np.allclose(found.eigenvalues[:2], 2 - 2 * np.cos(2 * np.pi / 400)))
    True
    """
    wanted = min(count + GUARD, len(mass) - 1)
    if len(mass) <= ALL_AT_ONCE:
        return _all_at_once(flow, mass, count, wanted, carriers)
    if guesses is None:
        raise ValueError(f"{len(mass)} points need guesses of their modes; up to {ALL_AT_ONCE} do without")
    return _improved(flow, mass, count, guesses[:, :wanted], carriers, iterations, tolerance)


def _all_at_once(flow: csr_array, mass: np.ndarray, count: int, wanted: int, carriers: float) -> GraphModes:
    """Modes by a dense solve."""
    root = np.sqrt(mass)
    laplacian = (np.diag(flow.sum(axis=1)) - flow.toarray()) / root / root[:, None]
    last = min(wanted + 6 * GUARD, len(mass) - 1)
    values, vectors = scipy.linalg.eigh(laplacian, subset_by_index=(0, last))
    values, vectors = values[1:], vectors[:, 1:]
    order, _, lone = _carried(vectors, wanted, count, carriers)
    functions = _normalized(vectors[:, order] / root[:, None], mass)
    return GraphModes(values[order], functions, np.zeros(len(order)), lone)


def _improved(
    flow: csr_array,
    mass: np.ndarray,
    count: int,
    guesses: np.ndarray,
    carriers: float,
    iterations: int,
    tolerance: float,
) -> GraphModes:
    """Modes by locally optimal block iterations from guesses.

    ``x`` are the modes times the root of the mass, those passed over among them, ``p`` the directions of the last step,
    ``h`` residuals divided by the diagonal; ``lx``, ``lp`` what the Laplacian makes of them.
    """
    root = np.sqrt(mass)
    rates = np.asarray(flow.sum(axis=1)).ravel() / mass
    laplacian = _laplacian(flow, rates, root)
    constant = root[:, None] / np.linalg.norm(root)
    block = guesses.shape[1]
    x = np.linalg.qr(_without(guesses * root[:, None], constant))[0]
    lx = laplacian(x)
    values, turn = np.linalg.eigh(x.T @ lx)
    x, lx = x @ turn, lx @ turn
    p = lp = np.zeros_like(x[:, :0])
    order, chosen, lone = _carried(x, block, count, carriers)
    before = np.full((LAST, count), np.inf)
    for iteration in range(iterations):
        residuals = lx - x * values
        sizes = np.linalg.norm(residuals, axis=0) / values
        moving, now = sizes >= MOVING, values[chosen[:count]]
        settled = (before[0] / now - 1 < tolerance) & (sizes[chosen[:count]] < SURE)
        if (settled | ~moving[chosen[:count]]).all():
            break
        before = np.vstack([before[1:], now])
        h = _unit(_without(residuals[:, moving] / rates[:, None], constant))
        if iteration:
            p, lp = p[:, moving], lp[:, moving]
        s, ls = np.hstack([x, h, p]), np.hstack([lx, laplacian(h), lp])
        values, turn = _rayleigh_ritz(s.T @ s, s.T @ ls, MOST * block)
        old = x.shape[1]
        x = s @ turn
        order, chosen, lone = _carried(x, block, count, carriers)
        kept = slice(0, chosen.max() + 1)
        x, lx, values, turn = x[:, kept], ls @ turn[:, kept], values[kept], turn[:, kept]
        lengths = np.linalg.norm(p := s[:, old:] @ turn[old:], axis=0)
        p, lp = p / lengths, ls[:, old:] @ turn[old:] / lengths
    x, values = x[:, order], values[order]
    sizes = np.linalg.norm(lx[:, order] - x * values, axis=0) / values
    return GraphModes(values, _normalized(x / root[:, None], mass), sizes, lone)


def _laplacian(flow: csr_array, rates: np.ndarray, root: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """``W^-1/2 (D - S) W^-1/2`` as a function of vectors ``(points, vectors)``."""
    moving = flow.data * np.repeat(1 / root, np.diff(flow.indptr)) / root[flow.indices]
    # products are as fast as indices are read
    moved = csr_array((moving, flow.indices.astype(np.int32), flow.indptr.astype(np.int32)), flow.shape)
    return lambda vectors: rates[:, None] * vectors - moved @ vectors


def _without(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Vectors less what they have of others, which are orthonormal."""
    return vectors - others @ (others.T @ vectors)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one."""
    return vectors / np.linalg.norm(vectors, axis=0)


def _rayleigh_ritz(gram: np.ndarray, energy: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Values ``(most,)`` and coefficients ``(directions, most)`` of modes among directions that may depend on each
    other, given their products and those under the Laplacian."""
    squares, turn = np.linalg.eigh(gram)
    held = squares > DEPENDENT
    turn = turn[:, held] / np.sqrt(squares[held])
    values, modes = np.linalg.eigh(turn.T @ energy @ turn)
    return values[:most], turn @ modes[:, :most]


def _carried(
    vectors: np.ndarray, wanted: int, count: int, carriers: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """An order of vectors of length one, and how many stand before the last of the first ``count`` and are passed over.

    Numbers ``(wanted,)`` of the first vectors that enough points carry, then of others where these are too few, come
    before those of the others that stand between them, ``order (at least wanted,)``.
    """
    squares = vectors**2
    carried = 1 / np.einsum("nk,nk->k", squares, squares) >= carriers
    others = np.flatnonzero(~carried)
    chosen = np.concatenate([np.flatnonzero(carried), others])[:wanted]
    passed = others[(others < chosen.max()) & ~np.isin(others, chosen)]
    return np.concatenate([chosen, passed]), chosen, int((~carried[: chosen[:count].max()]).sum())


def _normalized(vectors: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Vectors of mean zero and variance one under the mass, their largest entries positive."""
    share = mass / mass.sum()
    vectors = vectors - share @ vectors
    vectors = vectors / np.sqrt(share @ vectors**2)
    return vectors * np.where(vectors.max(axis=0) >= -vectors.min(axis=0), 1.0, -1.0)
