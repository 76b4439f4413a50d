r"""Slow modes of time-lagged covariances, with and without detailed balance assumed.

With it, covariances are averaged with those of the reversed data and

.. math::  C_{0t}\, a_i = \lambda_i\, C_{00}\, a_i

is a symmetric problem with real eigenvalues. Without it, the eigenvectors of :math:`C_{00}^{-1} C_{0t}` may
come in complex pairs, of which the real and the imaginary part are taken as modes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.stationarity import KoopmanModel
from thalweg.collective_variables.covariances.whitening import whitening


class SlowModes(NamedTuple):
    """Linear combinations of features, slowest first.

    Attributes
    ----------
    mean : (features,), subtracted first
    vectors : (features, rank), modes of unit variance
    eigenvalues : (rank,), real parts
    timescales : (rank,) [ps]; NaN where an eigenvalue is not between zero and one
    """

    mean: np.ndarray
    vectors: np.ndarray
    eigenvalues: np.ndarray
    timescales: np.ndarray


def reversible_modes(sums: Covariances, cutoff: float) -> SlowModes:
    """Modes of data averaged with their time reverse.

    Parameters
    ----------
    sums : covariances at one lag time
    cutoff : as for `VAC`

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> x = np.sin(np.arange(1000) / 100)[:, None]
    >>> round(float(reversible_modes(covariances(x, lagtime=10), 1e-6).eigenvalues[0]), 2)
    0.99
    """
    mean, c0, ct = symmetrized(sums)
    # L^T C_t L y = lambda y with L^T C_0 L = 1, a = L y
    whitened = whitening(mean, c0, cutoff)
    values, vectors = scipy.linalg.eigh(whitened.matrix.T @ ct @ whitened.matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    return SlowModes(mean, whitened.matrix @ vectors, values, decay_times(values, sums))


def symmetrized(sums: Covariances) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, instantaneous and time-lagged covariance of data averaged with their time reverse."""
    mean, apart = (sums.mean_0 + sums.mean_t) / 2, (sums.mean_t - sums.mean_0) / 2
    # covariances are about the means of first and of last frames; both move to the mean of the two
    c0 = (sums.c00 + sums.ctt) / 2 + np.outer(apart, apart)
    ct = (sums.c0t + sums.c0t.T) / 2 - np.outer(apart, apart)
    return mean, c0, ct


def nonreversible_modes(koopman: KoopmanModel, sums: Covariances) -> SlowModes:
    """Modes of the unsymmetrized operator."""
    values, vectors = koopman.eigenpairs()
    # of a complex pair one member gives the real part, the other the imaginary one
    real = np.where(values.imag < 0, vectors.imag, vectors.real)
    real = real / np.linalg.norm(real, axis=0)
    times = decay_times(np.where(values.real > 0, np.abs(values), 0.0), sums)
    return SlowModes(koopman.whitening.mean, koopman.whitening.matrix @ real, values.real, times)


def decay_times(eigenvalues: np.ndarray, sums: Covariances) -> np.ndarray:
    r"""Timescales :math:`-\tau / \ln\lambda` [ps], NaN where that is no decay."""
    decaying = (eigenvalues > 0) & (eigenvalues < 1)
    return np.where(decaying, -sums.lagtime * sums.dt / np.log(np.where(decaying, eigenvalues, 0.5)), np.nan)
