r"""Weights that make short runs from anywhere count as they would at equilibrium [wu2017].

In the basis :math:`(1, y)` with :math:`y` the whitened features (mean zero, unit covariance over first
frames) the Koopman matrix is

.. math::  K = \begin{pmatrix} 1 & m^T \\ 0 & A \end{pmatrix},\quad m = \langle y_{t+\tau}\rangle,\quad
           A = \langle y_t\, y_{t+\tau}^T\rangle .

The stationary density relative to that of the first frames is its left eigenvector of eigenvalue one,
:math:`w(x) = 1 + v \cdot y` with :math:`(I - A^T)\, v = m`: no eigenvalue has to be picked out. Its
relative variance is :math:`|v|^2`.

Not to be trusted where the basis is poor (weights turn negative) or the parts of the data do not exchange
(:math:`I - A` singular); both are found and said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.whitening import Whitening, whitening
from thalweg.shapes import Shaped

STATIONARY = 1e-4
"""Relative variance of the weights up to which data count as stationary: corrections of one per cent."""


@dataclass(frozen=True, eq=False)
class KoopmanModel:
    r"""The unsymmetrized operator on whitened features and the stationary density it implies.

    Attributes
    ----------
    whitening : from features to ``y``
    matrix : (rank, rank), :math:`A`
    drift : (rank,), :math:`m`, the mean of ``y`` a lag time later
    tilt : (rank,), :math:`v`; NaN where the data fall into parts that do not exchange
    """

    whitening: Whitening
    matrix: Shaped[np.ndarray, "rank rank"]
    drift: Shaped[np.ndarray, " rank"]
    tilt: Shaped[np.ndarray, " rank"]

    @property
    def variance(self) -> float:
        """Relative variance of the stationary weights over the first frames; NaN if there are none."""
        return float(self.tilt @ self.tilt)

    def eigenpairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Complex eigenvalues, largest real part first, and right eigenvectors in ``y`` as columns."""
        values, vectors = np.linalg.eig(self.matrix)
        order = np.lexsort((values.imag, -values.real))
        return values[order], vectors[:, order]

    def weights(self) -> StationaryWeights:
        """The function from frames ``(frames, features)`` to weights ``(frames,)``, one on average."""
        return StationaryWeights(self.whitening.mean, self.whitening.matrix @ self.tilt)


class StationaryWeights(NamedTuple):
    """Weights ``1 + (x - mean) . direction``.

    Attributes
    ----------
    mean : (features,)
    direction : (features,)
    """

    mean: np.ndarray
    direction: np.ndarray

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        return 1 + (frames - self.mean) @ self.direction


def koopman_model(sums: Covariances, whitened: Whitening) -> KoopmanModel:
    """The unsymmetrized operator from covariances at one lag time.

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> sums = covariances(np.random.default_rng(0).standard_normal((5000, 2)), lagtime=1)
    >>> koopman_model(sums, whitening(sums.mean_0, sums.c00)).variance < 1e-3
    True
    """
    matrix = whitened.matrix.T @ sums.c0t @ whitened.matrix
    drift = (sums.mean_t - sums.mean_0) @ whitened.matrix
    # (1 - A^T) v = m; singular where eigenvalue one is there twice, as without exchange
    gap = np.eye(len(drift)) - matrix.T
    exchanging = np.linalg.svd(gap, compute_uv=False)[-1] > 1e-8
    tilt = np.linalg.solve(gap, drift) if exchanging else np.full(len(drift), np.nan)
    return KoopmanModel(whitened, matrix, drift, tilt)


def unsymmetrized(sums: Covariances, cutoff: float) -> KoopmanModel:
    """The operator without any symmetry assumed."""
    return koopman_model(sums, whitening(sums.mean_0, sums.c00, cutoff))
