"""Torsions as polynomials of ``cos phi``, so that no angle and no singularity appears.

A torsion energy is a finite Fourier series in ``phi``. By Chebyshev's ``cos(n phi) = T_n(cos phi)`` and
``sin(n phi) = sin(phi) U_{n-1}(cos phi)`` it is

    u(phi) = P(cos phi) + sin(phi) Q(cos phi),

and all series on the same four atoms add to one ``P`` and ``Q``. The usual phases 0 and pi have ``Q = 0``.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from thalweg.potentials.explicit_gradient import per_replica
from thalweg.potentials.internal_coordinates import InternalEnergy, dihedral
from thalweg.shapes import Array, Float, Int


class TorsionPolynomial(eqx.Module):
    """``u = sum_k even_k cos^k + sin sum_k odd_k cos^k``; the odd part may be absent.

    Attributes
    ----------
    even, odd : (terms, degrees) coefficients in increasing degree [kJ/mol]; ``odd`` is None where it vanishes
    """

    even: Float[Array, "terms degrees"]
    odd: Float[Array, "terms lower_degrees"] | None

    def __call__(self, cosine_sine: tuple) -> jax.Array:
        cosine, sine = cosine_sine
        u = _horner(self.even, cosine)
        return u if self.odd is None else u + sine * _horner(self.odd, cosine)


def _horner(coefficients, x):
    value = jnp.zeros_like(x)
    for k in range(coefficients.shape[1] - 1, -1, -1):
        value = value * x + per_replica(coefficients[:, k], x)
    return value


def periodic_torsions(
    quads: Int[Array, "terms 4"],
    multiplicity: Int[Array, " terms"],
    phase: Float[Array, " terms"],
    barrier: Float[Array, " terms"],
    periodic: bool = False,
) -> InternalEnergy:
    """``u = k (1 + cos(n phi - phase))``: ``barrier`` k [kJ/mol], ``phase`` [rad]; quadruples met twice are merged.

    Examples
    --------
    >>> import numpy as np
    >>> quad = np.array([[0, 1, 2, 3]])
    >>> torsion = periodic_torsions(quad, np.array([2]), np.array([np.pi]), np.array([5.0]))
    >>> cis = np.array([[0.1, 0, 0], [0, 0, 0], [0, 0, 0.1], [0.1, 0, 0.1]])
    >>> abs(round(float(torsion(cis)), 5))
    0.0
    """
    highest = int(max(multiplicity, default=0))
    even, odd = np.zeros((len(quads), highest + 1)), np.zeros((len(quads), max(highest, 1)))
    for term, (n, delta, k) in enumerate(zip(multiplicity, phase, barrier)):
        even[term, 0] += k
        even[term, : n + 1] += k * np.cos(delta) * chebyshev.cheb2poly(np.eye(n + 1)[n])
        if n > 0:
            odd[term, :n] += k * _sine_of(delta) * _second_kind(n - 1)
    return _merged(np.asarray(quads), even, odd, periodic)


def ryckaert_bellemans_torsions(
    quads: Int[Array, "terms 4"], coefficients: Float[Array, "terms 6"], periodic: bool = False
) -> InternalEnergy:
    """``u = sum_n C_n cos(phi - pi)^n`` with ``coefficients`` C_0..C_5 [kJ/mol]."""
    even = np.asarray(coefficients, float) * (-1.0) ** np.arange(6)
    return _merged(np.asarray(quads), even, np.zeros((len(even), 1)), periodic)


def _sine_of(phase):
    """sin(phase), exactly zero for phases meant to be multiples of pi (force field files round pi)."""
    sine = np.sin(phase)
    return 0.0 if abs(sine) < 2e-6 else sine


def _second_kind(degree):
    """U_degree, the Chebyshev polynomial of the second kind, in powers of x."""
    return chebyshev.cheb2poly(chebyshev.chebder(np.eye(degree + 2)[degree + 1])) / (degree + 1)


def _merged(quads, even, odd, periodic):
    forward = quads[:, 0] < quads[:, 3]
    quads = np.where(forward[:, None], quads, quads[:, ::-1])
    unique, group = np.unique(quads, axis=0, return_inverse=True)
    merge = np.zeros((len(unique), len(quads)))
    merge[group.reshape(-1), np.arange(len(quads))] = 1
    even, odd = merge @ even, merge @ odd
    return InternalEnergy(dihedral, TorsionPolynomial(even, odd if odd.any() else None), unique.T, periodic)
