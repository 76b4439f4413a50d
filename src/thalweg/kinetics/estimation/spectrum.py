r"""Eigenvalues and right eigenvectors of transition matrices, the slowest first.

A reversible matrix is similar to the symmetric :math:`\pi_i^{1/2}\, p_{ij}\, \pi_j^{-1/2}`: a few
eigenpairs come from Lanczos iterations on the sparse matrix, all real, the eigenfunctions orthonormal in
the stationary distribution.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eig, eigh
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import eigs, eigsh

from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.machine.threads import on_one_thread

DENSE = 150
"""Up to this many states all eigenpairs are computed at once."""


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
        values, vectors = eigsh(similar, count, which="LA", v0=root, ncv=min(states, max(4 * count, 30)))
    # right eigenvectors of P are pi^{-1/2} times those of the symmetric matrix
    order = np.argsort(-values)
    return values[order], vectors[:, order] / root[:, None]


def _general(matrix: csr_array, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenpairs without symmetry, largest magnitude first."""
    if matrix.shape[0] <= max(DENSE, 3 * count):
        values, vectors = eig(matrix.toarray())
    else:
        values, vectors = eigs(matrix, count, which="LM", v0=np.ones(matrix.shape[0]))
    order = np.lexsort((values.imag, -np.abs(values).round(12)))[:count]
    return values[order], vectors[:, order]
