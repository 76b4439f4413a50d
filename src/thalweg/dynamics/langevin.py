"""Langevin dynamics by the BAOAB splitting, with bonds of fixed length [leimkuhler2013, leimkuhler2016].

``dx = p/m dt``, ``dp = f dt - friction p dt + sqrt(2 friction kT m) dW`` is split into a kick B, a drift A
and the exact thermostat O, composed as B(dt/2) A(dt/2) O(dt) A(dt/2) B(dt/2). Configurational averages are
wrong by order dt^2 only, and for a harmonic well not at all. With constraints the two drifts around O are
restored together, and the momentum along each bond is removed after O and after the last kick, as in RATTLE.
"""

from __future__ import annotations

import jax.numpy as jnp

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import Langevin
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase


def baoab(
    phase: Phase, forces_at: ForceFunction, integrator: Langevin, bonds: BondConstraints, noise: NoiseFunction
) -> Phase:
    """Advance all replicas by one BAOAB step; one evaluation of the forces."""
    dt, kT = integrator.dt, integrator.kT
    tangents = bonds.tangents(phase.positions)

    momenta = phase.momenta + dt / 2 * phase.forces
    halfway = phase.positions + dt / 2 * bonds.velocities(momenta)
    momenta = bonds.projected(
        _thermalized(momenta, kT, integrator.friction * dt, bonds.masses, noise), tangents
    )
    free = halfway + dt / 2 * bonds.velocities(momenta)
    positions, momenta = bonds.restored(free, momenta, tangents, dt)

    forces = forces_at(positions)
    momenta = bonds.projected(momenta + dt / 2 * forces, bonds.tangents(positions))
    return Phase(positions, momenta, forces)


def _thermalized(momenta, kT, damping, masses, noise):
    """The exact Ornstein-Uhlenbeck step: momenta keep ``exp(-damping)``, the bath gives the rest."""
    keep = jnp.exp(-damping)
    width = jnp.sqrt((1.0 - keep**2) * kT * masses)[:, None, None]
    return keep * momenta + width * noise(momenta.shape, momenta.dtype)
