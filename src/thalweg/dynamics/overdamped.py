"""Overdamped Langevin dynamics by Euler-Maruyama.

``x(t + dt) = x(t) + (D/kT) f dt + sqrt(2 D dt) N(0, 1)``. In a harmonic well of stiffness k the sampled
variance is ``(kT/k) / (1 - D k dt / 2 kT)``: the error is of first order in dt, and beyond ``dt = 2 kT / (D
k)`` there is none.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import Overdamped
from thalweg.dynamics.phase import FieldFunction, Phase


def euler_maruyama(
    phase: Phase, field: FieldFunction, integrator: Overdamped, bonds: BondConstraints, key: jax.Array
) -> Phase:
    """Advance all replicas by one step; momenta, which this dynamics does not know, stay as they are."""
    kT, dt, diffusion = integrator.kT, integrator.dt, integrator.diffusion
    noise = jax.random.normal(key, phase.positions.shape, phase.positions.dtype)
    steps = diffusion / kT * dt * phase.field.forces + jnp.sqrt(2 * diffusion * dt) * noise
    positions = phase.positions + jnp.where(bonds.masses[:, None, None] > 0, steps, 0.0)
    return Phase(positions, phase.momenta, field(positions))
