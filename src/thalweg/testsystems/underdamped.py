"""Spectra of Langevin dynamics with inertia, and with memory, in a basis of orthogonal polynomials.

The backward generators act on functions of position x, velocity v and, with memory, an auxiliary variable z.
In the products of polynomials orthonormal in ``exp(-U/kT)`` and of Hermite polynomials they are sparse
[risken1996]:

``L = s (G a' - G' a) - gamma a' a``                              Langevin,
``L = s (G a' - G' a) + (gamma / tau)^(1/2) (b' a - a' b) - b' b / tau``    generalized Langevin,

=========  =======================================================================================
``G``      derivative in the polynomials of x, ``G_jk = <p_j, p_k'>``; a prime is the transpose
``a, b``   lowering matrices of the Hermite polynomials of v and z, ``a_(n-1)n = sqrt(n)``
``s``      thermal velocity ``(kT/m)^(1/2)``
``gamma``  friction, the integral of the memory kernel ``K(t) = gamma / tau exp(-t / tau)``
=========  =======================================================================================

The memory kernel arises from z coupled to v [zwanzig2001]. Convergence in the number of functions is
exponential.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from thalweg.testsystems.potential import Potential

QUADRATURE_POINTS = 4000
"""Points of the trapezoidal rule, exact to rounding for smooth integrands that vanish at the ends."""


def _polynomial_derivative(potential: Potential, kT: float, count: int) -> np.ndarray:
    """``G_jk = <p_j, p_k'>`` (count, count) [1/nm] of the polynomials orthonormal in ``exp(-U/kT)``,
    one-dimensional.

    Each polynomial is x times the one before, made orthogonal to all before and differentiated along with
    them [brubeck2021]; elements that rounding alone made are set to zero. Integrals go a quarter beyond each
    end of the domain, where polynomials of high degree still have weight.
    """
    ((lower, upper),) = potential.domain
    margin = 0.25 * (upper - lower)
    x = np.linspace(lower - margin, upper + margin, QUADRATURE_POINTS)
    energy = potential.energy(x[None]) / kT
    root = np.exp(-0.5 * (energy - energy.min()))
    values, slopes = np.zeros((count, x.size)), np.zeros((count, x.size))
    values[0] = root / np.linalg.norm(root)
    for k in range(1, count):
        value, slope = x * values[k - 1], values[k - 1] + x * slopes[k - 1]
        # Gram-Schmidt twice, which is as good as exact orthogonality
        for _ in range(2):
            overlap = values[:k] @ value
            value, slope = value - overlap @ values[:k], slope - overlap @ slopes[:k]
        norm = np.linalg.norm(value)
        values[k], slopes[k] = value / norm, slope / norm
    derivative = np.triu(values @ slopes.T, 1)
    derivative[np.abs(derivative) < 1e-10 * np.abs(derivative).max()] = 0.0
    return derivative


def _lowering(count: int) -> scipy.sparse.csc_array:
    """``a`` (count, count) of the orthonormal Hermite polynomials, ``h_n' = sqrt(n) h_(n-1)``."""
    return scipy.sparse.diags_array(np.sqrt(np.arange(1.0, count)), offsets=1, format="csc")


def _kronecker(*factors) -> scipy.sparse.csc_array:
    """The Kronecker product of matrices, one per variable."""
    result = scipy.sparse.csc_array(factors[0])
    for factor in factors[1:]:
        result = scipy.sparse.kron(result, factor, format="csc")
    return result


def _slowest(generator: scipy.sparse.csc_array, functions: tuple[int, ...], count: int) -> np.ndarray:
    """``-1 / Re lambda`` (count,) [ps] of the converged eigenvalues of a generator next to zero, slowest
    first.

    An eigenvector with over a thousandth of its weight on the top fifth of the degrees of a variable is an
    artifact of the truncation and is passed over.

    Raises
    ------
    ValueError
        If fewer than ``count`` eigenvectors are converged.
    """
    start = np.ones(generator.shape[0])
    values, vectors = scipy.sparse.linalg.eigs(
        generator, count + 5, sigma=1e-3 * abs(generator).max(), v0=start, maxiter=10_000
    )
    # weight of each eigenvector on the highest degrees, where the truncation is felt
    degrees = np.indices(functions).reshape(len(functions), -1)
    top = np.any(degrees >= 0.8 * np.array(functions)[:, None], axis=0)
    weights = np.abs(vectors) ** 2
    converged = weights[top].sum(axis=0) < 1e-3 * weights.sum(axis=0)
    times = np.sort(-1.0 / np.sort(values.real[converged])[:-1])[::-1]
    if len(times) < count:
        raise ValueError(
            f"{len(times)} of {count} time scales are converged with {functions} functions; give more"
        )
    return times[:count]


@dataclass(frozen=True)
class LangevinGenerator:
    """The generator of Langevin dynamics in one dimension, ``m dv = -U' dt - m gamma v dt + noise``.

    Attributes
    ----------
    potential : Potential, in one dimension
    kT : [kJ/mol]
    friction : gamma [1/ps]
    mass : [amu]
    functions : numbers of polynomials of position and of velocity; low friction needs more of both

    Examples
    --------
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> LangevinGenerator(DoubleWell(barrier=5.0), friction=10.0, functions=(40, 20)).timescales(1).round(2).tolist()
    [206.29]
    """

    potential: Potential
    kT: float = 1.0
    friction: float = 1.0
    mass: float = 1.0
    functions: tuple[int, int] = (60, 60)

    @property
    def generator(self) -> scipy.sparse.csc_array:
        """L [1/ps] in the products of the polynomials, those of velocity running fastest."""
        positions, velocities = self.functions
        slope = scipy.sparse.csc_array(_polynomial_derivative(self.potential, self.kT, positions))
        a = _lowering(velocities)
        streaming = np.sqrt(self.kT / self.mass) * (_kronecker(slope, a.T) - _kronecker(slope.T, a))
        return streaming - self.friction * _kronecker(scipy.sparse.eye_array(positions), a.T @ a)

    def timescales(self, count: int) -> np.ndarray:
        """The ``count`` slowest relaxation times [ps]."""
        return _slowest(self.generator, self.functions, count)


@dataclass(frozen=True)
class GeneralizedLangevin:
    """The generator of Langevin dynamics with the memory kernel ``K(t) = gamma / tau exp(-t / tau)``.

    ``m dv = -U' dt - m int K(t - s) v(s) ds dt + noise``, with noise of correlation ``m kT K``; in the limit
    of vanishing ``memory_time`` tau it is `LangevinGenerator`.

    Attributes
    ----------
    potential : Potential, in one dimension
    kT : [kJ/mol]
    friction : gamma [1/ps]
    memory_time : tau [ps]
    mass : [amu]
    functions : numbers of polynomials of position, velocity and auxiliary variable

    Examples
    --------
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> well = DoubleWell(barrier=5.0)
    >>> model = GeneralizedLangevin(well, friction=10.0, memory_time=0.1, functions=(30, 10, 10))
    >>> model.timescales(1).round(0).tolist()
    [184.0]
    """

    potential: Potential
    kT: float = 1.0
    friction: float = 10.0
    memory_time: float = 0.1
    mass: float = 1.0
    functions: tuple[int, int, int] = (32, 14, 14)

    @property
    def generator(self) -> scipy.sparse.csc_array:
        """L [1/ps] in the products of the polynomials, those of the auxiliary variable running fastest."""
        positions, velocities, auxiliaries = self.functions
        slope = scipy.sparse.csc_array(_polynomial_derivative(self.potential, self.kT, positions))
        a, b = _lowering(velocities), _lowering(auxiliaries)
        one_x, one_v, one_z = (scipy.sparse.eye_array(n) for n in self.functions)
        streaming = np.sqrt(self.kT / self.mass) * (
            _kronecker(slope, a.T, one_z) - _kronecker(slope.T, a, one_z)
        )
        exchange = np.sqrt(self.friction / self.memory_time) * (
            _kronecker(one_x, a, b.T) - _kronecker(one_x, a.T, b)
        )
        return streaming + exchange - _kronecker(one_x, one_v, b.T @ b) / self.memory_time

    def timescales(self, count: int) -> np.ndarray:
        """The ``count`` slowest relaxation times [ps]."""
        return _slowest(self.generator, self.functions, count)
