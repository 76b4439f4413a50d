r"""Relaxation times of eigenvalues a lag time apart.

.. math::  t_k = -\tau / \ln|\lambda_k|

for eigenvalues inside the unit circle with a positive real part: only these decay from frame to frame of the lag.
A complex pair is an oscillation that decays, with one time for both.
"""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Shaped


def slowest_first(eigenvalues: Shaped[np.ndarray, " values"]) -> np.ndarray:
    """The order ``(values,)`` of eigenvalues by how slowly they decay, those that do not decay last.

    Examples
    --------
    >>> slowest_first(np.array([0.5, -0.99, 1.0, 0.9])).tolist()
    [2, 3, 0, 1]
    """
    # conjugates, equal to rounding, stand side by side, the one above the real axis first
    size = np.abs(eigenvalues).round(12)
    return np.lexsort((-np.imag(eigenvalues), -size, ~(np.real(eigenvalues) > 0)))


def relaxation_times(eigenvalues: Shaped[np.ndarray, " values"], lag: float) -> np.ndarray:
    """Relaxation times ``(values,)`` in the unit of ``lag``; NaN where none decays.

    Parameters
    ----------
    eigenvalues : real or complex, without the one that is one
    lag : time between the two ends of a pair

    Examples
    --------
    >>> relaxation_times(np.array([np.exp(-0.1), 1.02, -0.5]), lag=2.0).round(6).tolist()
    [20.0, nan, nan]
    """
    size = np.abs(eigenvalues)
    decaying = (size < 1) & (np.real(eigenvalues) > 0)
    return np.where(decaying, -lag / np.log(np.where(decaying, size, 0.5)), np.nan)


def relaxing_order(eigenvalues: Shaped[np.ndarray, " values"]) -> np.ndarray:
    """The order ``(values,)`` of all eigenvalues of a chain: the one nearest to one, then the others `slowest_first`.

    Examples
    --------
    >>> relaxing_order(np.array([0.5, 1.0, -0.9, 0.8])).tolist()
    [1, 3, 0, 2]
    """
    equilibrium = int(np.argmin(np.abs(eigenvalues - 1)))
    others = np.delete(np.arange(len(eigenvalues)), equilibrium)
    return np.append(equilibrium, others[slowest_first(eigenvalues[others])])
