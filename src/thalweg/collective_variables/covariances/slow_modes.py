r"""Slow modes of time-lagged covariances, with and without detailed balance assumed.

With it, covariances are averaged with those of the reversed data and

.. math::  C_{0t}\, a_i = \lambda_i\, C_{00}\, a_i

is a symmetric problem with real eigenvalues. Without it, the eigenvectors of :math:`C_{00}^{-1} C_{0t}` may
come in complex pairs, of which the real and the imaginary part are taken as modes.

Of more than `DENSE` functions the slowest modes alone are found, by Lanczos and Arnoldi iterations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.stationarity import KoopmanModel
from thalweg.collective_variables.covariances.whitening import DENSE, directions
from thalweg.time_series.relaxation import relaxation_times

SLOWEST = 20
"""Modes found of more than `DENSE` functions, if no number is asked for."""


class SlowModes(NamedTuple):
    """Linear combinations of features, slowest first.

    Attributes
    ----------
    mean : (features,), subtracted first
    vectors : (features, rank), modes of unit variance
    eigenvalues : (rank,), real parts
    timescales : (rank,) [ps]; NaN where an eigenvalue is not between zero and one
    notes : which directions were dropped
    """

    mean: np.ndarray
    vectors: np.ndarray
    eigenvalues: np.ndarray
    timescales: np.ndarray
    notes: tuple[str, ...] = ()


def reversible_modes(sums: Covariances, cutoff: float, count: int = SLOWEST) -> SlowModes:
    """Modes of data averaged with their time reverse.

    Parameters
    ----------
    sums : covariances at one lag time
    cutoff : as for `VAC`
    count : how many modes of more than `DENSE` functions; of fewer, all

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> x = np.sin(np.arange(1000) / 100)[:, None]
    >>> round(float(reversible_modes(covariances(x, lagtime=10), 1e-6).eigenvalues[0]), 2)
    0.99
    """
    mean, c0, ct = symmetrized(sums)
    within = directions(mean, c0, cutoff)
    values, vectors = _symmetric_pairs(None if within.whitened else within.form(c0), within.form(ct), count)
    return SlowModes(mean, within.back(vectors), values, decay_times(values, sums), within.notes)


def _symmetric_pairs(c0: np.ndarray | None, ct: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Solutions of ``C_t a = lambda C_0 a``, slowest first: all of few functions, ``count`` of many.

    Both matrices are overwritten; no ``c0`` stands for the identity.
    """
    # L L^T = C_0, symmetric L^-1 C_t L^-T y = lambda y, a = L^-T y; of the matrices the lower triangles are used
    factor, lowered = None, ct.T
    if c0 is not None:
        factor, _ = scipy.linalg.lapack.dpotrf(c0.T, lower=1, overwrite_a=1)
        lowered, _ = scipy.linalg.lapack.dsygst(ct.T, factor, lower=1, overwrite_a=1)
    values, vectors = _largest_pairs(lowered, count)
    if factor is not None:
        vectors = scipy.linalg.solve_triangular(factor, vectors, lower=True, trans="T")
    return values, vectors


def _largest_pairs(lower: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenvalues and their vectors of a symmetric matrix given by its lower triangle; all if it is small."""
    size = len(lower)
    if size <= max(DENSE, 4 * count):
        values, vectors = scipy.linalg.eigh(lower, lower=True)
        return values[::-1], vectors[:, ::-1]
    sparse = scipy.sparse.linalg
    product = sparse.LinearOperator(
        lower.shape, lambda v: scipy.linalg.blas.dsymv(1.0, lower, np.ravel(v), lower=1), dtype=float
    )
    try:
        start = np.random.default_rng(0).standard_normal(size)
        wide = min(max(4 * count, 80), size)
        values, vectors = sparse.eigsh(product, count, which="LA", v0=start, ncv=wide, tol=1e-10)
    except scipy.sparse.linalg.ArpackError:
        values, vectors = scipy.linalg.eigh(lower, lower=True, subset_by_index=[size - count, size - 1])
    order = np.argsort(-values)
    return values[order], vectors[:, order]


def symmetrized(sums: Covariances) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, instantaneous and time-lagged covariance of data averaged with their time reverse."""
    mean, apart = (sums.mean_0 + sums.mean_t) / 2, (sums.mean_t - sums.mean_0) / 2
    # covariances are about the means of first and of last frames; both move to the mean of the two
    c0 = (sums.c00 + sums.ctt) / 2 + np.outer(apart, apart)
    ct = (sums.c0t + sums.c0t.T) / 2 - np.outer(apart, apart)
    return mean, c0, ct


def nonreversible_modes(koopman: KoopmanModel, sums: Covariances, count: int = SLOWEST) -> SlowModes:
    """Modes of the unsymmetrized operator: all of few functions, ``count`` of more than `DENSE`."""
    values, vectors = (
        koopman.eigenpairs() if len(koopman.matrix) <= DENSE else _slowest(koopman.matrix, count)
    )
    # of a complex pair one member gives the real part, the other the imaginary one
    real = np.where(values.imag < 0, vectors.imag, vectors.real)
    real = real / np.linalg.norm(real, axis=0)
    times = decay_times(values, sums)
    whitened = koopman.whitening
    return SlowModes(whitened.mean, whitened.matrix @ real, values.real, times, whitened.notes)


def _slowest(matrix: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of largest real part and right eigenvectors of a large matrix."""
    start = np.random.default_rng(0).standard_normal(len(matrix))
    wide = min(max(4 * count, 80), len(matrix))
    try:
        values, vectors = scipy.sparse.linalg.eigs(matrix, count, which="LR", v0=start, ncv=wide)
    except scipy.sparse.linalg.ArpackError:
        values, vectors = np.linalg.eig(matrix)
    order = np.lexsort((values.imag, -values.real))[:count]
    return values[order], vectors[:, order]


def decay_times(eigenvalues: np.ndarray, sums: Covariances) -> np.ndarray:
    r"""Timescales :math:`-\tau / \ln\lambda` [ps], NaN where that is no decay."""
    return relaxation_times(eigenvalues, sums.lagtime * sums.dt)
