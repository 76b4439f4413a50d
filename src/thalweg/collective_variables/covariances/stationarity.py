r"""Weights that make short runs from anywhere count as they would at equilibrium [wu2017].

In the basis :math:`(1, y)` with :math:`y` the whitened features (mean zero, unit covariance over first
frames) the Koopman matrix is

.. math::  K = \begin{pmatrix} 1 & m^T \\ 0 & A \end{pmatrix},\quad m = \langle y_{t+\tau}\rangle,\quad
           A = \langle y_t\, y_{t+\tau}^T\rangle .

The stationary density relative to that of the first frames is its left eigenvector of eigenvalue one,
:math:`w(x) = 1 + v \cdot y` with :math:`(I - A^T)\, v = m`: no eigenvalue has to be picked out. Its
relative variance is :math:`|v|^2`.

Whether data are stationary at all is a test: at equilibrium the sum of last less first frames of a run is as likely
as its negative, so that among draws with random signs of the runs as large a :math:`|v|^2` as the one seen is not
rare. Of long runs pieces stand in for runs. Only data that fail the test are weighted.

Not to be trusted where the basis is poor (weights turn negative) or the parts of the data do not exchange
(:math:`I - A` singular); both are found and said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy

from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.whitening import (
    FIRST_OF_PAIRS,
    Whitening,
    directions,
    whitening,
)
from thalweg.shapes import Shaped

STATIONARY = 1e-4
"""Relative variance of the weights up to which data count as stationary: corrections of one per cent."""

FALSE_ALARMS = 0.05
"""Share of stationary data that the test takes for others."""

DRAWS = 1999
"""Draws of random signs in the test."""

PIECES = 10
"""Pieces of a long run at most that stand in for runs; they should last longer than what they tell apart."""


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


def _koopman_model(sums: Covariances, whitened: Whitening) -> KoopmanModel:
    """The unsymmetrized operator from covariances at one lag time.

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> sums = covariances(np.random.default_rng(0).standard_normal((5000, 2)), lagtime=1)
    >>> _koopman_model(sums, whitening(sums.mean_0, sums.c00)).variance < 1e-3
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
    return _koopman_model(sums, whitening(sums.mean_0, sums.c00, cutoff, FIRST_OF_PAIRS))


class Tilt(NamedTuple):
    """Stationary weights and whether the data need them.

    Attributes
    ----------
    weights : the function of frames; None where the data fall into parts that do not exchange
    variance : relative variance of the weights over the first frames; NaN without them
    chance : how often stationary data give as large a variance; NaN where this is not known
    """

    weights: StationaryWeights | None
    variance: float
    chance: float

    @property
    def stationary(self) -> bool:
        """Whether weights are not needed: they are one nearly, or differ from it by no more than chance."""
        return self.variance <= STATIONARY or self.chance > FALSE_ALARMS


def tilt(sums: Covariances, cutoff: float) -> Tilt:
    r"""The stationary weights that covariances imply, and the test whether the data are stationary.

    With :math:`d_b` the sum of last less first frames of piece :math:`b` and :math:`G = (I - A^T)^{-1}`, the tilt is
    :math:`v = G \sum_b d_b / n`; it is compared with :math:`G \sum_b \pm d_b / n`.

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> tilt(covariances(np.random.default_rng(0).standard_normal((5000, 2)), lagtime=1), 1e-6).stationary
    True
    """
    within = directions(sums.mean_0, sums.c00, cutoff, FIRST_OF_PAIRS)
    size = np.eye(within.matrix.shape[1]) if within.whitened else within.form(sums.c00)
    gap = size - within.form(sums.c0t).T
    drifts = np.zeros((0, len(sums.mean_0))) if sums.drifts is None else sums.drifts / sums.total.weight
    right = within.along(np.vstack([sums.mean_t - sums.mean_0, drifts])).T
    # without exchange eigenvalue one is there twice, and what is left of the gap is rounding
    solved = _solved(gap, right, 1e-9 if within.whitened else 1e-14)
    if solved is None:
        return Tilt(None, float("nan"), float("nan"))
    vector, of_pieces = solved[:, 0], solved[:, 1:]
    variance = float(vector @ size @ vector)
    chance = float("nan") if sums.drifts is None else _chance(of_pieces.T @ size @ of_pieces, sums)
    return Tilt(StationaryWeights(sums.mean_0, within.back(vector[:, None])[:, 0]), variance, chance)


def _solved(gap: np.ndarray, right: np.ndarray, least: float) -> np.ndarray | None:
    """Solutions of ``gap v = right``; None where the reciprocal condition number of the gap is below ``least``."""
    size = float(np.abs(gap).sum(axis=0).max())
    factor, pivots, failed = scipy.linalg.lapack.dgetrf(gap)
    if failed or scipy.linalg.lapack.dgecon(factor, size)[0] < least:
        return None
    return scipy.linalg.lu_solve((factor, pivots), right)


def _chance(products: np.ndarray, sums: Covariances) -> float:
    """Share of draws of random signs whose variance is not smaller than that of the data."""
    assert sums.runs is not None
    whole = float((sums.report.used > 0).sum()) if sums.report is not None else float(sums.runs.sum())
    # neighboring pieces of long runs are joined; each sum over one is then distributed like that over a whole run
    joined = max(1, round(float(sums.runs.sum()) / (PIECES * whole)))
    group = np.arange(len(products)) // joined
    together = np.array([group == k for k in range(group[-1] + 1)], float)
    products = together @ products @ together.T
    parts = float(sums.runs.sum()) / joined if joined > 1 else float(sums.runs.sum())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, len(products)))
    drawn = np.einsum("sb,bc,sc->s", signs, products, signs) * min(1.0, whole / parts)
    return float((1 + (drawn >= products.sum() * (1 - 1e-9)).sum()) / (1 + DRAWS))
