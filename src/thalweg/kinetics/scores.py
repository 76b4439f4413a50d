r"""How well a model's slow functions do on data it has not seen: VAMP-r and GMRQ scores.

With the model's functions :math:`F` on states (one column each) and moments of test data

.. math::  C_{00} = \langle f_t f_t^T\rangle,\quad C_{0\tau} = \langle f_t f_{t+\tau}^T\rangle,\quad
           C_{\tau\tau} = \langle f_{t+\tau} f_{t+\tau}^T\rangle ,

.. math::  R_r = \bigl\| C_{00}^{-1/2}\, C_{0\tau}\, C_{\tau\tau}^{-1/2} \bigr\|_r^r,\qquad
           \mathrm{GMRQ} = \operatorname{tr}\, \bar C_{00}^{-1}\, \bar C_{0\tau}

[wu2020] [mcgibbon2015], bars meaning averages over both directions of time. The sum over :math:`r`-th
powers of singular values includes the constant function, so the best of ``m`` functions score at most ``m``.

All states count, in the numbering of the data: where a model says nothing, outside its active set or in
states it was not given, its functions are zero. A model that throws difficult states away is so left with a
constant that is not constant, and pays for it.

Compare models of the same number of functions and the same lag time only, on test data that were not
trained on. GMRQ supposes test data near equilibrium; VAMP scores do not.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from thalweg.collective_variables.covariances.scores import whitened_directions


def vamp_score_of_counts(counts: csr_array, functions: np.ndarray, r: int = 2) -> float:
    """VAMP-r score of ``functions`` ``(states, m)`` on test ``counts`` ``(states, states)``.

    Parameters
    ----------
    counts : (states, states) sparse, of test data
    functions : (states, m)
    r : 1 or 2 are usual

    Raises
    ------
    ValueError
        If ``r`` is below one, or no pair of frames was counted.

    Examples
    --------
    >>> counts = csr_array(np.array([[8.0, 2], [2, 8]]))
    >>> round(vamp_score_of_counts(counts, np.eye(2), r=2), 6)
    1.36
    """
    if r < 1:
        raise ValueError(f"r={r} must be at least one; 1 and 2 are usual")
    start, lagged, end = _moments(counts, functions)
    # singular values of C00^-1/2 C0t Ctt^-1/2; directions without variance are left out of either root
    singular = np.linalg.svd(
        whitened_directions(start).T @ lagged @ whitened_directions(end), compute_uv=False
    )
    return float((singular**r).sum())


def gmrq(counts: csr_array, functions: np.ndarray) -> float:
    """Generalized matrix Rayleigh quotient of ``functions`` ``(states, m)`` on test ``counts``.

    Parameters
    ----------
    counts : (states, states) sparse, of test data
    functions : (states, m)

    Examples
    --------
    >>> counts = csr_array(np.array([[8.0, 2], [2, 8]]))
    >>> round(gmrq(counts, np.eye(2)), 6)
    1.6
    """
    start, lagged, end = _moments(counts, functions)
    # tr C00^-1 C0t with both averaged over the two directions of time
    white = whitened_directions((start + end) / 2)
    return float(np.trace(white.T @ (lagged + lagged.T) @ white) / 2)


def _moments(counts: csr_array, functions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second moments ``(m, m)`` at the start, across the lag, and at the end."""
    total = float(counts.sum())
    if total <= 0:
        raise ValueError("the test data give no pairs of frames; use longer trajectories")
    begin, finish = (np.asarray(counts.sum(axis=axis)).ravel() / total for axis in (1, 0))
    start, end = (functions.T * weight @ functions for weight in (begin, finish))
    return start, functions.T @ (counts @ functions) / total, end
