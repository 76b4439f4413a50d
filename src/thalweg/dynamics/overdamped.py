"""Overdamped Langevin dynamics by Euler-Maruyama.

``x(t + dt) = x(t) + (D/kT) f dt + sqrt(2 D dt) N(0, 1)``. In a harmonic well of stiffness k the sampled
variance is ``(kT/k) / (1 - D k dt / 2 kT)``: the error is of first order in dt, and beyond ``dt = 2 kT / (D
k)`` there is none.
"""

from __future__ import annotations

import jax.numpy as jnp

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import Overdamped
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase


def euler_maruyama(
    phase: Phase,
    forces_at: ForceFunction,
    integrator: Overdamped,
    bonds: BondConstraints,
    noise: NoiseFunction,
) -> Phase:
    """Advance all replicas by one step; momenta, which this dynamics does not know, stay as they are."""
    kT, dt, diffusion = integrator.kT, integrator.dt, integrator.diffusion
    drift = diffusion / kT * dt * phase.forces
    steps = drift + jnp.sqrt(2 * diffusion * dt) * noise(drift.shape, drift.dtype)
    positions = phase.positions + jnp.where(bonds.masses[:, None, None] > 0, steps, 0.0)
    return Phase(positions, phase.momenta, forces_at(positions))
