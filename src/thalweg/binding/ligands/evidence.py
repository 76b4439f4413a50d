"""The evidence of a Gaussian process and its slope, which choose amplitudes and noise [rasmussen2006].

With covariance ``C`` of labels ``y`` and ``alpha = C^-1 y``,

    -log p(y) = y^T alpha / 2 + log det C / 2 + constant,    d(-log p) = tr((C^-1 - alpha alpha^T) dC) / 2.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, get_lapack_funcs

from thalweg.shapes import Float

HOPELESS = 1e10
"""Taken for a covariance that is not positive definite, so that a search turns back."""


def minus_log_evidence(
    covariance: Float[np.ndarray, "known known"], y: Float[np.ndarray, " known"]
) -> tuple[float, Float[np.ndarray, "known known"]]:
    """``-log p(y)`` up to a constant, and the symmetric ``S`` of its slope ``tr(S dC)``; zero where there is none.

    Examples
    --------
    >>> value, slope = minus_log_evidence(np.diag([1.0, 4.0]), np.array([1.0, 2.0]))
    >>> round(value, 6), slope.round(6).tolist()
    (1.693147, [[0.0, -0.25], [-0.25, 0.0]])
    """
    try:
        factor = cholesky(covariance, lower=True, check_finite=False)
    except LinAlgError:
        return HOPELESS, np.zeros_like(covariance)
    alpha = cho_solve((factor, True), y, check_finite=False)
    lower = lower_inverse(factor)
    inverse = np.tril(lower) + np.tril(lower, -1).T
    return float(0.5 * y @ alpha + np.log(np.diag(factor)).sum()), 0.5 * (inverse - np.outer(alpha, alpha))


def lower_inverse(factor: Float[np.ndarray, "known known"]) -> Float[np.ndarray, "known known"]:
    """Lower triangle of ``C^-1`` from the lower Cholesky factor of ``C``."""
    (potri,) = get_lapack_funcs(("potri",), (factor,))
    return potri(factor, lower=1)[0]
