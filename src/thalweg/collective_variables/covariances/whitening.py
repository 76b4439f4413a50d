r"""Whitening: the linear map to uncorrelated coordinates of unit variance, with useless directions left out.

Features are first scaled to unit variance, so that the cut does not depend on their units, then the
correlation matrix is diagonalized. Constant features and directions with less than ``cutoff`` of the
largest eigenvalue (exactly collinear features) are dropped and named.

Of hundreds of features that are all independent no eigenvector is needed: problems are then solved in the features
divided by their deviations, by the Cholesky factor of their correlations, at a small part of the cost.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from thalweg.shapes import Float

FIRST_OF_PAIRS = "the first frames of all pairs, those that another follows a lag time later"
LAST_OF_PAIRS = "the last frames of all pairs, those a lag time and more after the beginning of a trajectory"

DENSE = 400
"""Functions up to which whole spectra are found; of more, the slowest modes alone."""


class Whitening(NamedTuple):
    """``y = (x - mean) @ matrix`` has unit covariance; what was dropped is said in ``notes``.

    Attributes
    ----------
    mean : (features,)
    matrix : (features, rank)
    notes : what was dropped
    """

    mean: np.ndarray
    matrix: np.ndarray
    notes: tuple[str, ...]

    @property
    def rank(self) -> int:
        """Number of coordinates kept."""
        return self.matrix.shape[1]


def whitening(
    mean: Float[np.ndarray, " features"],
    covariance: Float[np.ndarray, "features features"],
    cutoff: float = 1e-6,
    frames: str = "the frames looked at",
) -> Whitening:
    """Whitening of data with this mean and covariance.

    Parameters
    ----------
    cutoff : float
        Smallest eigenvalue of the correlation matrix kept, relative to the largest.
    frames : str
        Which frames these are, for the error.

    Raises
    ------
    ValueError
        If all features are constant.

    Examples
    --------
    >>> twice = whitening(np.zeros(2), np.ones((2, 2)))
    >>> twice.rank, twice.notes
    (1, ('1 of 2 directions are combinations of the others and were dropped',))
    """
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
    scale = np.maximum(np.abs(mean), 1e-30)
    varies = deviation > 1e-7 * scale
    notes = []
    if not varies.any():
        raise ValueError(f"all features are constant in {frames}; nothing varies in time")
    if not varies.all():
        listed = ", ".join(str(i) for i in np.flatnonzero(~varies)[:10])
        notes.append(f"{(~varies).sum()} constant features were dropped: {listed}")
    inverse = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    correlation = (covariance * inverse[:, None] * inverse)[np.ix_(varies, varies)]
    # R = Q Lambda Q^T of the correlations; columns D^-1 q_i / sqrt(lambda_i), the largest first
    values, vectors = scipy.linalg.eigh(correlation)
    significant = values > cutoff * values[-1]
    if not significant.all():
        notes.append(
            f"{(~significant).sum()} of {len(significant)} directions are combinations of the others and were dropped"
        )
    matrix = np.zeros((len(mean), int(significant.sum())))
    matrix[varies] = (
        inverse[varies, None] * vectors[:, significant][:, ::-1] / np.sqrt(values[significant][::-1])
    )
    return Whitening(mean, matrix, tuple(notes))


class _Directions(NamedTuple):
    """Coordinates ``(x - mean) @ matrix`` that a linear problem is solved in.

    Attributes
    ----------
    mean : (features,)
    matrix : (features, rank) of whitened coordinates; (features,) where features are only divided by their deviations
    notes : what was dropped
    """

    mean: np.ndarray
    matrix: np.ndarray
    notes: tuple[str, ...]

    @property
    def whitened(self) -> bool:
        """Whether the coordinates have unit covariance."""
        return self.matrix.ndim == 2

    def form(self, covariance: np.ndarray) -> np.ndarray:
        """A matrix of products of features as one of products of coordinates."""
        if self.whitened:
            return self.matrix.T @ covariance @ self.matrix
        return covariance * self.matrix[:, None] * self.matrix

    def along(self, rows: np.ndarray) -> np.ndarray:
        """Coordinates ``(rows, rank)`` of differences ``(rows, features)``."""
        return rows @ self.matrix if self.whitened else rows * self.matrix

    def back(self, vectors: np.ndarray) -> np.ndarray:
        """Combinations of coordinates ``(rank, dim)`` as combinations of features."""
        return self.matrix @ vectors if self.whitened else self.matrix[:, None] * vectors


def directions(
    mean: Float[np.ndarray, " features"],
    covariance: Float[np.ndarray, "features features"],
    cutoff: float,
    frames: str = "the frames looked at",
) -> _Directions:
    """Coordinates to solve in: whitened ones, or scaled features where these are many and all independent.

    ``frames`` says which frames these are, for the error.

    Raises
    ------
    ValueError
        If all features are constant.

    Examples
    --------
    >>> directions(np.zeros(2), np.eye(2), 1e-6).whitened, directions(np.zeros(500), np.eye(500), 1e-6).whitened
    (True, False)
    """
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
    if len(mean) > DENSE and (deviation > 1e-7 * np.maximum(np.abs(mean), 1e-30)).all():
        inverse = 1 / deviation
        if _independent(covariance * inverse[:, None] * inverse, cutoff):
            return _Directions(mean, inverse, ())
    return _Directions(*whitening(mean, covariance, cutoff, frames))


def _independent(correlation: np.ndarray, cutoff: float) -> bool:
    """Whether the condition number of a correlation matrix, which is overwritten, is below ``1 / cutoff`` for sure."""
    # of a symmetric matrix the condition number in the norm of sums is not smaller than that of eigenvalues
    size = float(np.abs(correlation).sum(axis=0).max())
    factor, failed = scipy.linalg.lapack.dpotrf(correlation.T, lower=1, overwrite_a=1)
    if failed:
        return False
    reciprocal, _ = scipy.linalg.lapack.dpocon(factor, size, uplo="L")
    return bool(reciprocal > cutoff)
