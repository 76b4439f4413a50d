"""The generalized Born model OBC2 [onufriev2004], with a surface term.

===========  ==================================================================================
``R``        intrinsic radius [nm]
``o``        ``R - 0.009 nm``, what enters the integral
``S``        ``scale * o``, the radius with which an atom displaces solvent around others [nm]
``P``        ``B_i B_j`` [nm^2]
``tau``      ``(1/solute - 1/solvent dielectric constant) / 4 pi eps0`` [kJ nm/mol/e^2]
===========  ==================================================================================

    h = integral of the Coulomb field over the partner's sphere (`coulomb_field_integral`)
    b = 1 / (1/o - tanh(psi (1 - psi (0.8 - 4.85 psi))) / R),   psi = I o
    s = -tau q^2 / 2B + surface (R + 0.14 nm)^2 (R/B)^6
    g = -tau q_i q_j / f,   f^2 = r^2 + P exp(-r^2 / 4P)

The surface term is that of [schaefer1998].
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.generalized_born import GeneralizedBorn
from thalweg.potentials.pairs import AllPairs
from thalweg.shapes import Array, Float
from thalweg.units import COULOMB

OFFSET = 0.009
"""Difference between the intrinsic radius and the radius in the integral [nm]."""

PROBE = 0.14
"""Radius of a water molecule [nm]."""


def obc2(
    charge: Float[Array, " atoms"],
    radius: Float[Array, " atoms"],
    scale: Float[Array, " atoms"],
    solute: float = 1.0,
    solvent: float = 78.5,
    surface: float = 0.0,
) -> GeneralizedBorn:
    """OBC2 solvation of atoms with ``charge`` [e], intrinsic ``radius`` [nm] and ``scale``.

    ``solute`` and ``solvent`` are dielectric constants; ``surface`` is 4 pi times the surface energy
    [kJ/mol/nm^2].

    Examples
    --------
    >>> ion = obc2(np.array([1.0]), np.array([0.159]), np.array([0.8]))
    >>> round(float(ion(np.zeros((1, 3)))), 1)
    -457.2
    """
    model = OBC2(COULOMB * (1 / solute - 1 / solvent), surface)
    parameters = (charge, radius, radius - OFFSET, scale * (radius - OFFSET))
    pairs = AllPairs.but(len(charge), np.zeros((0, 2), int))
    return GeneralizedBorn(
        model.integral, model.born_radius, model.self_energy, model.pair_energy, parameters, pairs
    )


class OBC2(eqx.Module):
    """The four functions of the model; an atom's parameters are ``(charge, R, o, S)``."""

    tau: float
    surface: float

    def integral(self, r: jax.Array, own: list[jax.Array], partner: list[jax.Array]) -> jax.Array:
        return coulomb_field_integral(r, own[2], partner[3])

    def born_radius(self, integral: jax.Array, parameters: list[jax.Array]) -> jax.Array:
        _, radius, offset_radius, _ = parameters
        psi = integral * offset_radius
        return 1 / (1 / offset_radius - jnp.tanh(psi * (1 - psi * (0.8 - 4.85 * psi))) / radius)

    def self_energy(self, born: jax.Array, parameters: list[jax.Array]) -> jax.Array:
        charge, radius, _, _ = parameters
        area = (radius + PROBE) ** 2 * (radius / born) ** 6
        return self.surface * area - 0.5 * self.tau * charge * charge / born

    def pair_energy(
        self,
        r: jax.Array,
        born: jax.Array,
        partner_born: jax.Array,
        own: list[jax.Array],
        partner: list[jax.Array],
    ) -> jax.Array:
        return -self.tau * own[0] * partner[0] * _inverse_screened_distance(r, born * partner_born)


@jax.custom_jvp
def coulomb_field_integral(
    r: jax.Array, offset_radius: jax.Array | float, sphere: jax.Array | float
) -> jax.Array:
    """``h`` of [hawkins1996]: a sphere of radius ``S`` at distance ``r``, seen from an atom of radius ``o``.

    With ``L = max(o, |r - S|)`` and ``U = r + S``, and zero where ``U < o``,

        h     = [1/L - 1/U + (r - S^2/r) (1/U^2 - 1/L^2) / 4 + log(L/U) / 2r] / 2
        dh/dr = (1 + S^2/r^2) (1/U^2 - 1/L^2) / 8 - log(L/U) / 4r^2

    since ``h`` is stationary in both limits; but for an atom deep inside the sphere, ``o < S - r``, it is not,
    and ``1/L^2`` is added. Only ``r`` is a variable: radii are parameters of the model.

    Examples
    --------
    >>> round(float(coulomb_field_integral(jnp.array(0.3), 0.1, 0.1)), 4)
    0.0474
    """
    return _integral_and_slope(r, offset_radius, sphere)[0]


@coulomb_field_integral.defjvp
def _(primals, tangents):
    h, slope = _integral_and_slope(*primals)
    return h, slope * tangents[0]


def _integral_and_slope(r, offset_radius, sphere):
    # L and U; 1/L, 1/U and 1/r by one division
    lower = jnp.maximum(offset_radius, jnp.abs(r - sphere))
    upper = r + sphere
    reciprocal = 1 / (lower * upper * r)
    l, u, inverse_r = upper * r * reciprocal, lower * r * reciprocal, lower * upper * reciprocal
    logarithm = 0.5 * inverse_r * jnp.log(lower * u)
    ratio = sphere * inverse_r
    squares = (u - l) * (u + l)
    h = 0.5 * (l - u + logarithm + 0.25 * r * (1 - ratio * ratio) * squares)
    slope = 0.125 * (1 + ratio * ratio) * squares - 0.5 * inverse_r * logarithm
    engulfed = jnp.where(sphere - r > offset_radius, l * l, 0.0)
    reaches = upper > offset_radius
    return jnp.where(reaches, h, 0.0), jnp.where(reaches, slope + engulfed, 0.0)


@jax.custom_jvp
def _inverse_screened_distance(r: jax.Array, product: jax.Array) -> jax.Array:
    """``1/f`` with ``f^2 = r^2 + P exp(-r^2 / 4P)``; its derivative shares the exponential."""
    return _screened(r, product)[0]


@_inverse_screened_distance.defjvp
def _(primals, tangents):
    r, product = primals
    y, exponential, ratio = _screened(r, product)
    change = r * (2 - 0.5 * exponential) * tangents[0] + exponential * (1 + ratio) * tangents[1]
    return y, -0.5 * y * y * y * change


def _screened(r, product):
    square = r * r
    ratio = 0.25 * square / product
    exponential = jnp.exp(-ratio)
    return jax.lax.rsqrt(square + product * exponential), exponential, ratio
