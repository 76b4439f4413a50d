"""What dynamics carries from step to step."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.shapes import Array, Boxes, Int, Masses, Momenta, Positions


class State(eqx.Module):
    """Positions and momenta of all replicas, the box, the random key and the step count.

    Attributes
    ----------
    positions : (atoms, dims, replicas) [nm]
    momenta : (atoms, dims, replicas) [amu nm/ps]
    key : a JAX random key, from ``jax.random.key(seed)``; advanced by every step that draws noise
    step : steps done since the state was made
    box : (3, 3), box vectors as rows [nm], (3, 3, replicas) where each has its own, as under a barostat, or None
    """

    positions: Positions
    momenta: Momenta
    key: jax.Array
    step: Int[Array, ""]
    box: Boxes | None = None


def thermal_state(
    positions: Positions, masses: Masses, kT: float, key: jax.Array, box: Boxes | None = None
) -> State:
    """A state at ``positions`` ``(atoms, dims, replicas)`` with momenta from the Maxwell-Boltzmann distribution."""
    carry, draw = jax.random.split(key)
    width = jnp.sqrt(kT * jnp.asarray(masses, positions.dtype))[:, None, None]
    momenta = width * jax.random.normal(draw, positions.shape, positions.dtype)
    return State(jnp.asarray(positions), momenta, carry, jnp.zeros((), jnp.int32), box)
