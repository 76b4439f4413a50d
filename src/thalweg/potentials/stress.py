"""Stress: how an energy answers to a strain of everything, over the volume.

A strain ``e`` moves positions and box vectors (rows) alike, ``x -> x (1 + e)``; the stress is
``s = (dU/de) / V`` at ``e = 0``, positive under tension. Only lower triangular strains are tried, which keep a reduced
box reduced: for an energy that rotations leave alone they determine the symmetric stress.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from thalweg.machine.precision import full_precision
from thalweg.shapes import Box, Energies, Float, Forces, Positions


@full_precision()
def energy_forces_and_virial(
    energy: Any, positions: Positions, box: Box
) -> tuple[Energies, Forces, Float[jax.Array, "3 3"]]:
    """Energy [kJ/mol], forces [kJ/mol/nm] and stress times volume [kJ/mol] of one replica.

    Parameters
    ----------
    energy : an `Energy` that is differentiable in the box too
    positions : (atoms, 3) [nm]
    box : (3, 3) [nm]
    """

    def strained(positions, strain):
        deformation = jnp.eye(3, dtype=strain.dtype) + jnp.tril(strain)
        return energy(positions @ deformation, box @ deformation)

    still = jnp.zeros((3, 3), jnp.result_type(positions))
    value, (gradient, lower) = jax.value_and_grad(strained, (0, 1))(positions, still)
    return value, -gradient, lower + lower.T - jnp.diag(jnp.diag(lower))
