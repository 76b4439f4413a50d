r"""Eigenvalues and right eigenvectors of transition matrices, the slowest first.

A reversible matrix is similar to the symmetric :math:`\pi_i^{1/2}\, p_{ij}\, \pi_j^{-1/2}`: a few
eigenpairs come from Lanczos iterations on the sparse matrix, all real, the eigenfunctions orthonormal in
the stationary distribution. Where nothing is slow the iteration may not converge: it is tried again in a larger
space, and then all eigenpairs are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.linalg import eig, eigh
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import ArpackError, eigs, eigsh

from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.machine.memory import require_memory
from thalweg.machine.threads import on_one_thread
from thalweg.time_series.relaxation import slowest_first

DENSE = 150
"""Up to this many states all eigenpairs are computed at once."""

SPARE = 4
"""Eigenvalues computed beyond those asked for without detailed balance."""


@on_one_thread
def spectrum(fit: TransitionMatrix, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` largest eigenvalues and their eigenfunctions ``(states, count)``.

    Eigenfunctions have mean square one in the stationary distribution; the first is one everywhere, the
    largest entry of every other is positive. Complex only without detailed balance.

    Parameters
    ----------
    fit : transition matrix between connected states
    count : eigenpairs wanted; as many as there are states at most

    Examples
    --------
    >>> from thalweg.kinetics.estimation.reversible import Reversible
    >>> values, functions = spectrum(Reversible().fit(csr_array(np.array([[8.0, 2], [2, 8]]))), 2)
    >>> values.round(6).tolist(), functions.round(6).tolist()
    ([1.0, 0.6], [[1.0, 1.0], [1.0, -1.0]])
    """
    count = min(count, len(fit.stationary_distribution))
    if fit.reversible:
        values, functions = _symmetric(fit, count)
    else:
        values, functions = _general(fit.matrix, count)
    functions = functions / np.sqrt(fit.stationary_distribution @ np.abs(functions) ** 2)
    largest = functions[np.abs(functions).argmax(axis=0), np.arange(functions.shape[1])]
    return values, functions * (np.conj(largest) / np.abs(largest))


def _symmetric(fit: TransitionMatrix, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenpairs under detailed balance."""
    root = np.sqrt(fit.stationary_distribution)
    # pi^{1/2} P pi^{-1/2}, symmetric by detailed balance and made so to the last bit
    similar = diags_array(root) @ fit.matrix @ diags_array(1 / root)
    similar = csr_array((similar + similar.T) / 2)
    states = len(root)
    if states <= max(DENSE, 3 * count):
        values, vectors = eigh(similar.toarray(), subset_by_index=[states - count, states - 1])
    else:
        values, vectors = _few_pairs(
            partial(eigsh, similar, count, which="LA", v0=root),
            partial(eigh, subset_by_index=[states - count, states - 1]),
            similar,
            count,
        )
    # right eigenvectors of P are pi^{-1/2} times those of the symmetric matrix
    order = np.argsort(-values)
    return values[order], vectors[:, order] / root[:, None]


def _general(matrix: csr_array, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenpairs without symmetry, largest magnitude first."""
    if matrix.shape[0] <= max(DENSE, 3 * count):
        values, vectors = eig(matrix.toarray())
    else:
        # some of the largest may not decay, on the negative side
        values, vectors = _few_pairs(
            partial(eigs, matrix, count + SPARE, which="LM", v0=np.ones(matrix.shape[0])),
            eig,
            matrix,
            count + SPARE,
        )
    order = slowest_first(values)[:count]
    return values[order], vectors[:, order]


def _few_pairs(
    iterate: Callable[..., tuple[np.ndarray, np.ndarray]],
    whole: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    matrix: csr_array,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenpairs by Arnoldi or Lanczos iterations in growing spaces, by dense algebra if these do not converge."""
    states = matrix.shape[0]
    for space in (max(4 * count, 30), max(16 * count, 150)):
        try:
            return iterate(ncv=min(states, space), maxiter=100)
        except ArpackError:
            continue
    require_memory(8 * 4 * states**2, f"all eigenvalues of {states} states, of which few did not converge")
    return whole(matrix.toarray())
