"""Langevin dynamics by the BAOAB splitting, with bonds of fixed length [leimkuhler2013, leimkuhler2016].

``dx = p/m dt``, ``dp = f dt - friction p dt + sqrt(2 friction kT m) dW`` is split into a kick B, a drift A
and the exact thermostat O, composed as B(dt/2) A(dt/2) O(dt) A(dt/2) B(dt/2). Configurational averages are
wrong by order dt^2 only, and for a harmonic well not at all. With constraints, momenta and noise are freed of
their components along the bonds before they move anything, and the two drifts around O are restored together.
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
    dt, tangents = integrator.dt, bonds.tangents(phase.positions)

    momenta = bonds.projected(phase.momenta + dt / 2 * phase.forces, tangents)
    halfway = phase.positions + dt / 2 * bonds.velocities(momenta)
    keep = jnp.exp(-integrator.friction * dt)
    width = jnp.sqrt((1.0 - keep**2) * integrator.kT * bonds.masses)[:, None, None]
    momenta = keep * momenta + bonds.projected(width * noise(momenta.shape, momenta.dtype), tangents)
    free = halfway + dt / 2 * bonds.velocities(momenta)
    positions, momenta = bonds.restored(free, momenta, tangents, dt)

    forces = forces_at(positions)
    return Phase(positions, momenta + dt / 2 * forces, forces)
