r"""Slow modes of a walk on a graph: the smallest eigenvalues of a sparse Laplacian with a mass matrix.

.. math::  (D - S)\, f = \lambda\, W f, \qquad D = \mathrm{diag}\Big(\sum_j S_{ij}\Big)

Guesses are improved by locally optimal block iterations [knyazev2001], preconditioned by :math:`D`: nothing is
factorized, and from good guesses, such as modes found on fewer of the points, ten to thirty products with the sparse
matrix are enough.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import scipy
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import eigsh, lobpcg

ALL_AT_ONCE = 600
"""Points up to which a dense matrix is solved."""

GUARD = 5
"""Modes iterated beside those asked for."""

TOLERANCE = 0.03
"""Residual of a mode at which iteration ends, relative to the slowest eigenvalue: of second order in its error."""


class GraphModes(NamedTuple):
    """Slow modes of a graph, the constant not among them.

    Attributes
    ----------
    eigenvalues : (modes,) smallest first
    vectors : (points, modes) of mean zero and variance one under the mass
    residuals : (modes,) of each, relative to its eigenvalue: an eigenvalue is wrong by less than this
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray


def graph_modes(
    flow: csr_array,
    mass: np.ndarray,
    count: int,
    start: np.ndarray | None = None,
    iterations: int = 100,
    tolerance: float = TOLERANCE,
) -> GraphModes:
    """The ``count`` slowest modes, and a few more that are less exact.

    Parameters
    ----------
    flow : (points, points) symmetric S, whose points hang together
    mass : (points,) W, positive
    start : (points, guesses); None for a rough first search by Lanczos iterations
    iterations, tolerance : where improvement ends

    Examples
    --------
    >>> ring = np.roll(np.eye(400), 1, axis=1)
    >>> found = graph_modes(csr_array(ring + ring.T), np.ones(400), 2)
    >>> bool(np.allclose(found.eigenvalues[:2], 2 - 2 * np.cos(2 * np.pi / 400)))
    True
    """
    rates = np.asarray(flow.sum(axis=1)).ravel()
    wanted = min(count + GUARD, len(mass) - 1)
    if len(mass) <= ALL_AT_ONCE:
        return _all_at_once(flow, rates, mass, wanted)
    guesses = _roughly(flow, rates, wanted) if start is None else start
    return _improved(flow, rates, mass, guesses, iterations, tolerance)


def _all_at_once(flow: csr_array, rates: np.ndarray, mass: np.ndarray, count: int) -> GraphModes:
    """Modes by a dense solve."""
    root = np.sqrt(mass)
    laplacian = (np.diag(rates) - flow.toarray()) / root / root[:, None]
    values, vectors = scipy.linalg.eigh(laplacian, subset_by_index=(0, count))
    return GraphModes(values[1:], _normalized(vectors[:, 1:] / root[:, None], mass), np.zeros(count))


def _roughly(flow: csr_array, rates: np.ndarray, count: int) -> np.ndarray:
    """Guesses ``(points, count)``: slow modes of the walk that waits equally long everywhere."""
    root = np.sqrt(rates)
    walk = csr_array(diags_array(1 / root) @ flow @ diags_array(1 / root))
    values, vectors = eigsh(
        walk, k=count + 1, which="LA", tol=1e-2, v0=root, ncv=3 * (count + 1), maxiter=3000
    )
    return vectors[:, np.argsort(-values)[1:]] / root[:, None]


def _improved(
    flow: csr_array,
    rates: np.ndarray,
    mass: np.ndarray,
    guesses: np.ndarray,
    iterations: int,
    tolerance: float,
) -> GraphModes:
    """Modes by locally optimal block iterations from guesses."""
    root = np.sqrt(mass)
    laplacian = csr_array(diags_array(rates / mass) - diags_array(1 / root) @ flow @ diags_array(1 / root))
    typical = float(np.median(rates / mass))
    basis = _normalized(guesses, mass) * root[:, None]
    # Rayleigh quotients: basis vectors have the length of the mass
    slowest = float((basis * (laplacian @ basis)).sum(axis=0).min() / mass.sum())
    with warnings.catch_warnings():
        # it warns of what is said of residuals here
        warnings.simplefilter("ignore", UserWarning)
        values, vectors = lobpcg(
            laplacian / typical,
            basis,
            M=diags_array(typical * mass / rates),
            Y=root[:, None],
            tol=tolerance * slowest / typical,
            maxiter=iterations,
            largest=False,
        )
    order = np.argsort(values)
    values, vectors = typical * values[order], vectors[:, order]
    residuals = np.linalg.norm(laplacian @ vectors - vectors * values, axis=0) / values
    return GraphModes(values, _normalized(vectors / root[:, None], mass), residuals)


def _normalized(vectors: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Vectors of mean zero and variance one under the mass, their largest entries positive."""
    share = mass / mass.sum()
    vectors = vectors - share @ vectors
    vectors = vectors / np.sqrt(share @ vectors**2)
    return vectors * np.where(vectors.max(axis=0) >= -vectors.min(axis=0), 1.0, -1.0)
