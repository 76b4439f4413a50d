"""Lennard-Jones and Coulomb interactions, as OpenMM's ``NonbondedForce`` defines them.

    u(r) = 4 eps [(sigma/r)^12 - (sigma/r)^6] S(r) + (q q' / 4 pi eps0) (1/r + k_rf r^2 - c_rf)

with Lorentz-Berthelot combination. Without cutoff ``S = 1`` and ``k_rf = c_rf = 0``. Below a cutoff ``rc`` the reaction
field of a medium of dielectric constant ``eps_rf`` [tironi1995] has

    k_rf = (eps_rf - 1) / ((2 eps_rf + 1) rc^3),   c_rf = 3 eps_rf / ((2 eps_rf + 1) rc),

and ``S`` falls smoothly from 1 at the switching distance to 0 at ``rc``.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.energy import Energy
from thalweg.potentials.explicit_gradient import per_replica
from thalweg.potentials.internal_coordinates import InternalEnergy, distance
from thalweg.potentials.pairs import AllPairs, PairEnergy, PairsWithin, needed_box
from thalweg.shapes import Array, Box, Energies, Float, Positions
from thalweg.systems.box import volume
from thalweg.units import COULOMB


class Cutoff(eqx.Module):
    """Where interactions end: ``radius`` [nm], reaction-field ``dielectric``, ``switch`` distance [nm] or None."""

    radius: float
    dielectric: float = 1.0
    switch: float | None = None


def _lennard_jones_energy(r2: jax.Array, sigma: jax.Array, epsilon: jax.Array) -> jax.Array:
    """``4 eps [(sigma/r)^12 - (sigma/r)^6]`` at squared distances."""
    attraction = (sigma * sigma / r2) ** 3
    return 4 * epsilon * (attraction * attraction - attraction)


class LennardJonesCoulomb(eqx.Module):
    """The interaction of two atoms with parameters ``(charge, sigma, epsilon)`` [e, nm, kJ/mol] each."""

    cutoff: Cutoff | None = None

    def __call__(self, r2: jax.Array, own: list[jax.Array], partner: list[jax.Array]) -> jax.Array:
        sigma, epsilon = 0.5 * (own[1] + partner[1]), jnp.sqrt(own[2] * partner[2])
        charges = COULOMB * own[0] * partner[0]
        if self.cutoff is None:
            return _lennard_jones_energy(r2, sigma, epsilon) + charges * jax.lax.rsqrt(r2)
        rc, medium = self.cutoff.radius, self.cutoff.dielectric
        k = (medium - 1) / (2 * medium + 1) / rc**3
        c = 3 * medium / (2 * medium + 1) / rc
        coulomb = charges * (jax.lax.rsqrt(r2) + k * r2 - c)
        energy = _lennard_jones_energy(r2, sigma, epsilon) * switched(r2, self.cutoff) + coulomb
        return jnp.where(r2 < rc * rc, energy, 0.0)


def switched(r2: jax.Array, cutoff: Cutoff) -> jax.Array:
    """``S = 1 - 10 x^3 + 15 x^4 - 6 x^5`` with ``x = (r - switch)/(radius - switch)`` in [0, 1]."""
    if cutoff.switch is None:
        return jnp.ones_like(r2)
    x = jnp.clip((jnp.sqrt(r2) - cutoff.switch) / (cutoff.radius - cutoff.switch), 0.0, 1.0)
    return 1 - x**3 * (10 - x * (15 - 6 * x))


class ExceptionPotential(eqx.Module):
    """Pairs with parameters of their own (1-4 pairs): never cut off, no reaction field."""

    charge_product: Float[Array, " terms"]
    sigma: Float[Array, " terms"]
    epsilon: Float[Array, " terms"]

    def __call__(self, r: Float[Array, " terms *replicas"]) -> jax.Array:
        r, parameters = jnp.asarray(r), (self.charge_product, self.sigma, self.epsilon)
        product, sigma, epsilon = (jnp.asarray(per_replica(p, r)) for p in parameters)
        return _lennard_jones_energy(r * r, sigma, epsilon) + COULOMB * product / r


class DispersionCorrection(Energy):
    """Lennard-Jones attraction beyond the cutoff, on average: ``U = coefficient / volume`` [shirts2007]."""

    coefficient: float

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        u = self.coefficient / volume(jnp.asarray(needed_box(box), positions.dtype))
        return jnp.broadcast_to(u, positions.shape[2:])


def dispersion_correction(particles: Float[Array, "atoms 3"], cutoff: Cutoff) -> DispersionCorrection:
    """The correction for atoms with rows ``(charge, sigma, epsilon)``, excluded pairs counted like others.

    With ``N`` atoms, and averages over all pairs of them, an atom with itself included,

        coefficient = 2 pi N^2 < int_0^oo (1 - S(r)) u_LJ(r) r^2 dr >,

    ``S`` switching from 1 to 0 before the cutoff, or in a step at it.
    """
    kinds, counts = np.unique(np.asarray(particles, float)[:, 1:], axis=0, return_counts=True)
    i, j = np.triu_indices(len(kinds))
    weight = np.where(i == j, counts[i] * (counts[i] + 1) / 2, counts[i] * counts[j])
    sigma, epsilon = (kinds[i, 0] + kinds[j, 0]) / 2, np.sqrt(kinds[i, 1] * kinds[j, 1])
    rc = cutoff.radius
    tail = 4 * epsilon * (sigma**12 / (9 * rc**9) - sigma**6 / (3 * rc**3))
    if cutoff.switch is not None:
        x, dx = np.polynomial.legendre.leggauss(64)
        r = cutoff.switch + (x + 1) / 2 * (rc - cutoff.switch)
        s = (r - cutoff.switch) / (rc - cutoff.switch)
        missing = s**3 * (10 - s * (15 - 6 * s)) * r**2 * dx * (rc - cutoff.switch) / 2
        attraction = (sigma[:, None] / r) ** 6
        tail = tail + (4 * epsilon[:, None] * (attraction**2 - attraction) * missing).sum(1)
    n = len(particles)
    return DispersionCorrection(float(2 * np.pi * n**2 * (weight @ tail) / (n * (n + 1) / 2)))


def nonbonded(
    particles: Float[Array, "atoms 3"],
    exceptions: tuple,
    cutoff: Cutoff | None = None,
    periodic: bool = False,
    periodic_exceptions: bool = False,
) -> tuple[Energy, ...]:
    """The nonbonded energy of atoms with ``particles`` rows ``(charge, sigma, epsilon)`` [e, nm, kJ/mol].

    ``exceptions`` are ``(pairs, charge product, sigma, epsilon)``: pairs taken out of the sum over all, with what they
    have instead.
    """
    pairs, *parameters = exceptions
    free = AllPairs.but(len(particles), pairs)
    counted = free if cutoff is None else PairsWithin(cutoff.radius, free)
    everything = PairEnergy(LennardJonesCoulomb(cutoff), tuple(particles.T), counted, periodic)
    acting = (parameters[0] != 0) | (parameters[2] != 0)
    if not acting.any():
        return (everything,)
    special = ExceptionPotential(*(p[acting] for p in parameters))
    return everything, InternalEnergy(distance, special, pairs[acting].T, periodic_exceptions)
