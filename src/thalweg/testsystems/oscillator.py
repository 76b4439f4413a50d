"""Harmonic motion in closed form: overdamped, damped, and with exponential memory.

All relax as sums of exponentials ``C(t) = sum_k c_k exp(r_k t)``. The rates r are the roots of a polynomial
and the weights c follow from the derivatives of C at zero. Eigenvalues of the generators are sums of such
roots [risken1996].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def _exponential_sum(roots: np.ndarray, derivatives: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The sum of exponentials (times,) of these rates that has these derivatives 0, 1, ... at ``t = 0``."""
    # sum_k c_k r_k^n = C^(n)(0): a Vandermonde system for the weights c
    weights = np.linalg.solve(np.vander(roots, increasing=True).T, derivatives.astype(complex))
    return (weights @ np.exp(np.multiply.outer(roots, np.asarray(t, float)))).real


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """Overdamped motion in ``U = k x^2 / 2``, ``dx = -D k x / kT dt + sqrt(2 D) dW`` [uhlenbeck1930].

    Attributes
    ----------
    stiffness : k [kJ/mol/nm^2]
    kT : [kJ/mol]
    diffusion : D [nm^2/ps]

    Examples
    --------
    >>> OrnsteinUhlenbeck(stiffness=2.0).timescales(3).round(4).tolist()
    [0.5, 0.25, 0.1667]
    """

    stiffness: float
    kT: float = 1.0
    diffusion: float = 1.0

    def timescales(self, count: int) -> np.ndarray:
        """Relaxation times (count,) [ps] of the Hermite polynomials of degree n, ``kT / (n k D)``."""
        return self.kT / (self.stiffness * self.diffusion * np.arange(1, count + 1))

    def autocorrelation(self, t: np.ndarray) -> np.ndarray:
        """``<x(0) x(t)>`` (times,) [nm^2] at times ``t`` [ps]."""
        return self.kT / self.stiffness * np.exp(-np.asarray(t) / self.timescales(1)[0])

    def propagator(self, x: np.ndarray, t: float) -> tuple[np.ndarray, float]:
        """Mean (like ``x``) [nm] and variance [nm^2] of the Gaussian position a time [ps] after ``x``."""
        decay = np.exp(-t / self.timescales(1)[0])
        return x * decay, self.kT / self.stiffness * (1.0 - decay**2)


@dataclass(frozen=True)
class DampedOscillator:
    """``m x'' = -k x - m gamma x' + noise``; rates are the roots of ``r^2 + gamma r + k/m``.

    Attributes
    ----------
    stiffness : k [kJ/mol/nm^2]
    friction : gamma [1/ps]
    mass : [amu]
    kT : [kJ/mol]

    Examples
    --------
    >>> DampedOscillator(stiffness=2.0, friction=3.0).rates.tolist()
    [-2.0, -1.0]
    """

    stiffness: float
    friction: float
    mass: float = 1.0
    kT: float = 1.0

    @property
    def rates(self) -> np.ndarray:
        """The rates r (2,) [1/ps], complex if the friction is below critical."""
        return np.roots([1.0, self.friction, self.stiffness / self.mass])

    def autocorrelation(self, t: np.ndarray) -> np.ndarray:
        """``<x(0) x(t)>`` (times,) [nm^2] at times ``t`` [ps], off critical damping."""
        return _exponential_sum(self.rates, self.kT / self.stiffness * np.array([1.0, 0.0]), t)


@dataclass(frozen=True)
class MemoryOscillator:
    """``m x'' = -k x - m int K(t - s) x'(s) ds + noise`` with the kernel ``K(t) = gamma / tau exp(-t /
    tau)``.

    Rates are the roots of ``r^3 + r^2 / tau + (k/m + gamma/tau) r + k / (m tau)`` [zwanzig2001].

    Attributes
    ----------
    stiffness : k [kJ/mol/nm^2]
    friction : gamma [1/ps]
    memory_time : tau [ps]
    mass : [amu]
    kT : [kJ/mol]

    Examples
    --------
    >>> oscillator = MemoryOscillator(stiffness=1.0, friction=10.0, memory_time=0.5)
    >>> oscillator.autocorrelation(np.array([0.0, 1.0])).round(4).tolist()
    [1.0, 0.8573]
    """

    stiffness: float
    friction: float
    memory_time: float
    mass: float = 1.0
    kT: float = 1.0

    @property
    def rates(self) -> np.ndarray:
        """The rates r (3,) [1/ps], some complex where the motion rings."""
        square, tau = self.stiffness / self.mass, self.memory_time
        return np.roots([1.0, 1.0 / tau, square + self.friction / tau, square / tau])

    def autocorrelation(self, t: np.ndarray) -> np.ndarray:
        """``<x(0) x(t)>`` (times,) [nm^2] at times ``t`` [ps]."""
        derivatives = np.array([1.0, 0.0, -self.stiffness / self.mass])
        return _exponential_sum(self.rates, self.kT / self.stiffness * derivatives, t)
