r"""Operators on functions whose times measurement noise does not shorten: earlier frames as instruments.

White measurement noise adds to :math:`C_{00}` alone and so shortens all times. Where frames a time :math:`s` earlier
stand in for first frames, no product is of a frame with itself and noise drops out [durbin1954],

.. math::  K = \langle\varphi(x_{t-s})\,\varphi(x_t)^T\rangle^{-1}
               \langle\varphi(x_{t-s})\,\varphi(x_{t+\tau})^T\rangle

for motion that is driven at random as well as for motion that is not (forward-backward forms and total least squares
hold for the latter only). The price is variance: directions that have forgotten the instruments are dropped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.time_series.trajectories import Trajectories

REMEMBERED = 0.1
"""Correlation with the instruments from which on a direction is used."""


class _Products(NamedTuple):
    """Mean products of functions.

    Attributes
    ----------
    mean, later : (functions,) of first and of last frames
    same : (functions, functions) of first frames with themselves
    first, last : of instruments with first and with last frames; without instruments ``first`` is ``same``
    """

    mean: np.ndarray
    later: np.ndarray
    same: np.ndarray
    first: np.ndarray
    last: np.ndarray


class Operator(NamedTuple):
    """Eigenvalues and eigenfunctions of an operator on functions.

    Attributes
    ----------
    mean : (functions,) of first frames
    matrix : (functions, rank), coordinates ``y = (phi - mean) @ matrix``, or ``phi @ matrix`` where not centered
    values : (modes,) complex, largest magnitude first
    vectors : (rank, modes), eigenfunctions in ``y`` as columns
    drift : (rank,), by how much the mean of ``y`` moves in a lag time
    notes : what was dropped
    """

    mean: np.ndarray
    matrix: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    drift: np.ndarray
    notes: tuple[str, ...]


def instrumented_sums(columns: Trajectories, lagtime: int, instruments: int, n_blocks: int) -> Covariances:
    """Block sums of functions; with instruments, of functions at them and at first frames side by side.

    Parameters
    ----------
    columns : values of the functions
    lagtime : in frames
    instruments : how many frames earlier they are; zero for none
    n_blocks : as for `covariances`

    Raises
    ------
    ValueError
        If the number is negative, or lag time and instruments leave no pairs.
    """
    if instruments < 0:
        raise ValueError(f"instruments={instruments} must be a number of frames, zero for none")
    if not instruments:
        return covariances(columns, lagtime, n_blocks)
    long = np.flatnonzero(columns.lengths > instruments + lagtime)
    if not len(long):
        raise ValueError(
            f"lagtime={lagtime} and instruments={instruments} leave no pairs in trajectories of up to "
            f"{int(columns.lengths.max())} frames; use shorter ones"
        )
    blocks = []
    for k in long:
        (frames,) = columns.windows(int(k), [(0, int(columns.lengths[k]))])
        blocks.append(np.hstack([frames[:-instruments], frames[instruments:]]))
    weights = None if columns.weights is None else [columns.weights[k][:-instruments] for k in long]
    return covariances(Trajectories(blocks, columns.dt, weights), lagtime, n_blocks)


def mean_products(sums: Covariances, instruments: int, centered: bool) -> _Products:
    """_Products of functions from their `instrumented_sums`.

    Parameters
    ----------
    instruments : as for the sums
    centered : whether means are taken off first
    """
    total, size = sums.total, len(sums.mean_0) // (2 if instruments else 1)
    early, now = slice(0, size), slice(len(sums.mean_0) - size, None)
    same, first, last = (
        each / total.weight for each in (total.s00[now, now], total.s00[early, now], total.s0t[early, now])
    )
    if not centered:
        same = same + np.outer(total.mean_0[now], total.mean_0[now])
        first = first + np.outer(total.mean_0[early], total.mean_0[now])
        last = last + np.outer(total.mean_0[early], total.mean_t[now])
    return _Products(total.mean_0[now], total.mean_t[now], same, first, last)


def operator_of(products: _Products, matrix: np.ndarray, notes: tuple[str, ...]) -> Operator:
    """The operator in coordinates of unit size, among the directions that remember the instruments.

    Parameters
    ----------
    products : of the functions
    matrix : (functions, rank), to the coordinates
    notes : what was dropped so far

    Raises
    ------
    ValueError
        If no direction remembers the instruments.
    """
    left, remembered, right = np.linalg.svd(matrix.T @ products.first @ matrix)
    kept = remembered > REMEMBERED
    if not kept.any():
        raise ValueError(
            f"no function remembers its instruments (largest correlation {remembered[0]:.2g}); take nearer ones"
        )
    if not kept.all():
        forgotten = (
            f"{(~kept).sum()} of {len(kept)} directions have forgotten the instruments and were dropped"
        )
        notes = (*notes, forgotten)
    # K = C_s^-1 C_(s + tau) among the directions V of C_s = U S V^T
    inside = right[kept].T
    later = left[:, kept].T @ (matrix.T @ products.last @ matrix) @ inside
    values, vectors = np.linalg.eig(later / remembered[kept][:, None])
    order = np.argsort(-np.abs(values))
    drift = (products.later - products.mean) @ matrix
    return Operator(products.mean, matrix, values[order], inside @ vectors[:, order], drift, notes)


def without_instruments(sums: Covariances) -> Covariances:
    """Sums of functions at first frames alone, from sums that have those of instruments beside them."""
    size = len(sums.mean_0)
    return sums.along(np.eye(size)[:, size // 2 :])
