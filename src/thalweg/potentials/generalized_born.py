"""Generalized Born solvation: pairwise descreened Born radii and the energy of charges in a dielectric [onufriev2004].

Each atom's Born radius follows from a sum over the others, ``I_i = sum_j h(r_ij; i, j)``, the energy from the radii:

    B_i = 1 / (1/o_i - tanh(psi (alpha - psi (beta - psi gamma))) / R_i),   psi = I_i o_i
    U   = sum_i s(B_i; i) + sum_{i<j} g(r_ij, B_i, B_j; i, j)
    g   = -tau q_i q_j / f,   f^2 = r^2 + B_i B_j exp(-r^2 / (4 B_i B_j)),   s = -tau q_i^2 / (2 B_i) + surface

===========  ==========================  ================================================================
``R``        radius                      intrinsic radius [nm]
``o``        ``radius - offset``         what enters the integral [nm]
``S``        ``scale * o``               descreening radius of a partner [nm]
``tau``      ``tau``                     (1/solute - 1/solvent dielectric constant) / 4 pi eps0
===========  ==========================  ================================================================

``h`` is the Coulomb-field integral over the partner's sphere [hawkins1996]. The models HCT, OBC1, OBC2 differ in
``(alpha, beta, gamma)``; the surface term is the approximation of [schaefer1998].

The three functions are parts one can exchange; the chain rule through the Born radii is written once, below.

References: [hawkins1996] Hawkins, Cramer, Truhlar, J. Phys. Chem. 100, 19824 (1996). [onufriev2004] Onufriev, Bashford,
Case, Proteins 55, 383 (2004). [schaefer1998] Schaefer, Bartels, Karplus, J. Mol. Biol. 284, 835 (1998).
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.explicit_gradient import ExplicitGradient, per_replica
from thalweg.potentials.pairs import AllPairs, square
from thalweg.shapes import Box, Energies, Positions


class GeneralizedBorn(ExplicitGradient):
    """``U = sum_i s(B_i) + sum_{i<j} g(r, B_i, B_j)`` with ``B_i = b(sum_j h(r_ij))``.

    Attributes
    ----------
    integral : ``h(r, own, partner)``
    born_radius : ``b(I, parameters)``
    self_energy : ``s(B, parameters)`` [kJ/mol]
    pair_energy : ``g(r, B_own, B_partner, own, partner)`` [kJ/mol]
    parameters : tuple of (atoms,) arrays the functions above are given
    pairs : `AllPairs`
    """

    integral: Callable
    born_radius: Callable
    self_energy: Callable
    pair_energy: Callable
    parameters: tuple
    pairs: AllPairs
    periodic: bool = eqx.field(static=True, default=False)

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        box = box if self.periodic else None
        single = [per_replica(p, positions[:, 0]) for p in self.parameters]
        integrals = self.pairs.total(self._descreening, positions, self.parameters, box)[1]
        radii, widening = _slope(lambda i: self.born_radius(i, single), integrals)
        alone, pressure = _slope(lambda b: self.self_energy(b, single), radii)
        together, more = self.pairs.total(self._screening, positions, (radii, *self.parameters), box)
        pull = (pressure + more) * widening
        gradient = self.pairs.total(self._gradient, positions, (radii, pull, *self.parameters), box)[1]
        return alone.sum(0) + together, gradient

    def _descreening(self, displacement, own, partner):
        r = jnp.sqrt(square(displacement))
        return None, self.integral(r, own, partner), self.integral(r, partner, own)

    def _screening(self, displacement, own, partner):
        r = jnp.sqrt(square(displacement))
        born = jnp.broadcast_to(own[0], r.shape), partner[0]
        energy, back = jax.vjp(lambda b, c: self.pair_energy(r, b, c, own[1:], partner[1:]), *born)
        return energy, *back(jnp.ones_like(energy))

    def _gradient(self, displacement, own, partner):
        (born, pull, *own), (partner_born, partner_pull, *partner) = own, partner
        r = jnp.sqrt(square(displacement))

        def energy(r):
            descreening = pull * self.integral(r, own, partner) + partner_pull * self.integral(
                r, partner, own
            )
            return self.pair_energy(r, born, partner_born, own, partner) + descreening

        slope = _slope(energy, r)[1] / r
        force = jnp.stack([slope * d for d in displacement], 2)
        return None, force, -force


def _slope(function, x):
    return jax.jvp(function, (x,), (jnp.ones_like(x),))


@jax.custom_jvp
def coulomb_field_integral(r: jax.Array, offset_radius: jax.Array, sphere: jax.Array) -> jax.Array:
    """``h`` of [hawkins1996]: a sphere of radius ``S`` at ``r``, seen from an atom of radius ``o``."""
    return _integral_and_slope(r, offset_radius, sphere)[0]


@coulomb_field_integral.defjvp
def _(primals, tangents):
    h, slope = _integral_and_slope(*primals)
    return h, slope * tangents[0]


def _integral_and_slope(r, offset_radius, sphere):
    lower = jnp.maximum(offset_radius, jnp.abs(r - sphere))
    upper = r + sphere
    reciprocal = 1 / (lower * upper * r)
    l, u, inverse_r = upper * r * reciprocal, lower * r * reciprocal, lower * upper * reciprocal
    logarithm = 0.5 * inverse_r * jnp.log(lower * u)
    ratio = sphere * inverse_r
    squares = (u - l) * (u + l)
    h = 0.5 * (l - u + logarithm + 0.25 * r * (1 - ratio * ratio) * squares)
    slope = 0.125 * (1 + ratio * ratio) * squares - 0.5 * inverse_r * logarithm
    inside = jnp.where(sphere - r > offset_radius, l * l, 0.0)
    apart = upper > offset_radius
    return jnp.where(apart, h, 0.0), jnp.where(apart, slope + inside, 0.0)


@jax.custom_jvp
def inverse_screened_distance(r: jax.Array, product: jax.Array) -> jax.Array:
    """``1/f``, with ``f^2 = r^2 + P exp(-r^2 / 4P)`` and ``P`` the product of two Born radii [still1990]."""
    return jax.lax.rsqrt(r * r + product * jnp.exp(-0.25 * r * r / product))


@inverse_screened_distance.defjvp
def _(primals, tangents):
    r, product = primals
    ratio = 0.25 * r * r / product
    exponential = jnp.exp(-ratio)
    y = jax.lax.rsqrt(r * r + product * exponential)
    change = r * (2 - 0.5 * exponential) * tangents[0] + exponential * (1 + ratio) * tangents[1]
    return y, -0.5 * y * y * y * change


def descreening(r, own, partner):
    return coulomb_field_integral(r, own[1], partner[2])


class TanhBornRadius(eqx.Module):
    """``b(I)`` of the OBC and GBn models; parameters of an atom end with ``(..., radius, alpha, beta, gamma)``."""

    def __call__(self, integral: jax.Array, parameters: list[jax.Array]) -> jax.Array:
        offset_radius, (radius, alpha, beta, gamma) = parameters[1], parameters[-4:]
        psi = integral * offset_radius
        return 1 / (1 / offset_radius - jnp.tanh(psi * (alpha - psi * (beta - psi * gamma))) / radius)


class Solvent(eqx.Module):
    """Charges in a solvent, and the surface term ``surface (R + probe)^2 (R/B)^6``.

    Attributes
    ----------
    tau : ``COULOMB (1/solute - 1/solvent)`` [kJ nm/mol/e^2]
    surface : 4 pi times the surface energy [kJ/mol/nm^2]; 0 for none
    """

    tau: float
    surface: float
    probe: float = 0.14

    def self_energy(self, born: jax.Array, parameters: list[jax.Array]) -> jax.Array:
        charge, radius = parameters[0], parameters[3]
        area = self.surface * (radius + self.probe) ** 2 * (radius / born) ** 6
        return area - 0.5 * self.tau * charge * charge / born

    def pair_energy(
        self, r: jax.Array, born, partner_born, own: list[jax.Array], partner: list[jax.Array]
    ) -> jax.Array:
        product = born * partner_born
        square = r * r
        return (
            -self.tau
            * own[0]
            * partner[0]
            * jax.lax.rsqrt(square + product * jnp.exp(-0.25 * square / product))
        )


OFFSET = 0.009
"""Difference between intrinsic radius and the radius in the integral, HCT to GBn [nm]."""

HCT, OBC1, OBC2 = None, (0.8, 0.0, 2.909125), (1.0, 0.8, 4.85)
"""``(alpha, beta, gamma)`` of the Born radius; HCT has none: ``B = 1 / (1/o - I)``."""


def generalized_born(charge, radius, scale, coefficients, tau: float, surface: float) -> GeneralizedBorn:
    """Generalized Born solvation of atoms with ``charge`` [e], intrinsic ``radius`` [nm] and descreening ``scale``."""
    offset_radius = radius - OFFSET
    alpha, beta, gamma = (np.full(len(charge), c) for c in coefficients)
    solvent = Solvent(tau, surface)
    parameters = (charge, offset_radius, scale * offset_radius, radius, alpha, beta, gamma)
    pairs = AllPairs.but(len(charge), np.zeros((0, 2), int))
    return GeneralizedBorn(
        descreening, TanhBornRadius(), solvent.self_energy, solvent.pair_energy, parameters, pairs
    )
