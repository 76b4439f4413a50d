r"""Whitening: the linear map to uncorrelated coordinates of unit variance, with useless directions left out.

Features are first scaled to unit variance, so that the cut does not depend on their units, then the
correlation matrix is diagonalized. Constant features and directions with less than ``cutoff`` of the
largest eigenvalue (exactly collinear features) are dropped and named.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from thalweg.shapes import Float


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
) -> Whitening:
    """Whitening of data with this mean and covariance.

    Parameters
    ----------
    cutoff : float
        Smallest eigenvalue of the correlation matrix kept, relative to the largest.

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
        raise ValueError("all features are constant; nothing varies in time")
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
