"""Dynamics at constant energy by velocity Verlet, bonds fixed by RATTLE [swope1982, andersen1983].

Kick by half a step, drift, kick by half a step: of second order, symplectic and reversible in time.
"""

from __future__ import annotations

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import VelocityVerlet
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase


def velocity_verlet(
    phase: Phase,
    forces_at: ForceFunction,
    integrator: VelocityVerlet,
    bonds: BondConstraints,
    noise: NoiseFunction,
) -> Phase:
    """Advance all replicas by one step; one evaluation of the forces, no ``noise``."""
    dt, tangents = integrator.dt, bonds.tangents(phase.positions)
    momenta = bonds.projected(phase.momenta + dt / 2 * phase.forces, tangents)
    free = phase.positions + dt * bonds.velocities(momenta)
    positions, momenta = bonds.restored(free, momenta, tangents, dt)
    forces = forces_at(positions)
    return Phase(positions, momenta + dt / 2 * forces, forces)
