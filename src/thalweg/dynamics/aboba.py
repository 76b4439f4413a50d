"""Langevin dynamics by the ABOBA splitting, whose force acts once, in the middle of a step [leimkuhler2013].

``A(dt/2) B(dt/2) O(dt) B(dt/2) A(dt/2)`` with drift A, kick B and thermostat O as in `langevin`. What another force
would have done to a step is what another noise would have done, so that runs under a bias have path weights
(`path_weights`); `baoab` samples configurations better and has none.
"""

from __future__ import annotations

import jax.numpy as jnp

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import ABOBA
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase
from thalweg.shapes import Positions


def aboba(
    phase: Phase, forces_at: ForceFunction, integrator: ABOBA, bonds: BondConstraints, noise: NoiseFunction
) -> Phase:
    """Advance all replicas by one ABOBA step; one evaluation of the forces. There must be no constraints."""
    dt, halfway = integrator.dt, midpoint(phase, integrator, bonds)
    forces = forces_at(halfway)
    keep = jnp.exp(-integrator.friction * dt)
    width = jnp.sqrt((1.0 - keep**2) * integrator.kT * bonds.masses)[:, None, None]
    momenta = keep * (phase.momenta + dt / 2 * forces) + width * noise(forces.shape, forces.dtype)
    momenta = momenta + dt / 2 * forces
    return Phase(halfway + dt / 2 * bonds.velocities(momenta), momenta, forces)


def midpoint(phase: Phase, integrator: ABOBA, bonds: BondConstraints) -> Positions:
    """Where the force of the next step acts."""
    return phase.positions + integrator.dt / 2 * bonds.velocities(phase.momenta)
