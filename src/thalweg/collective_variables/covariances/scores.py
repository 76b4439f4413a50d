r"""Scores of slow functions on data they were not fitted to.

With functions :math:`f = U^T\varphi` for first and :math:`g = V^T\varphi` for last frames, and covariances of the
held-out data about their means,

.. math::  R_r = 1 + \big\| (U^T C_{00} U)^{-1/2}\, U^T C_{0t} V\, (V^T C_{tt} V)^{-1/2} \big\|_r^r

is the VAMP-r score [wu2020], in which the one stands for the constant function.

A score compares models at the same lag time on the same data; on training data it only grows with flexibility.
"""

from __future__ import annotations

import numpy as np
import scipy

from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.shapes import Float

RANK = 1e-10
"""Directions of less variance than this share of the largest do not count."""


def vamp_score(
    held_out: Covariances,
    first: Float[np.ndarray, "functions dim"],
    last: Float[np.ndarray, "functions dim"] | None = None,
    r: int = 2,
) -> float:
    """VAMP-r score of functions on held-out covariances, the constant included.

    Parameters
    ----------
    first, last : coefficients of the functions of first and last frames; the same if ``last`` is None
    r : 1 or 2 are usual

    Raises
    ------
    ValueError
        If ``r`` is less than one.

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> x = np.cumsum(np.random.default_rng(0).standard_normal((1000, 1)), axis=0)
    >>> 1.9 < vamp_score(covariances(x, lagtime=1), np.eye(1)) <= 2
    True
    """
    if r < 1:
        raise ValueError(f"r={r}; VAMP scores are defined for r of at least one")
    last = first if last is None else last
    left, right = (
        whitened_directions(first.T @ held_out.c00 @ first),
        whitened_directions(last.T @ held_out.ctt @ last),
    )
    # singular values above one are rounding: no function is more like itself later than it is now
    singular = np.linalg.svd(left.T @ (first.T @ held_out.c0t @ last) @ right, compute_uv=False)
    return 1 + float((np.minimum(singular, 1.0) ** r).sum())


def whitened_directions(covariance: np.ndarray) -> np.ndarray:
    """Columns ``(dim, rank)`` in which a matrix of second moments is the identity."""
    values, vectors = scipy.linalg.eigh(covariance)
    significant = values > RANK * max(values[-1], 0.0)
    return vectors[:, significant] / np.sqrt(values[significant])
