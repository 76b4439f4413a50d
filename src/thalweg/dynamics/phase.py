"""Where all replicas are between two steps, and what they feel there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.shapes import Array, Energies, Forces, Momenta, Positions, Values


class Field(eqx.Module):
    """Energies and forces at the positions of a phase.

    Attributes
    ----------
    forces : (atoms, dims, replicas), those of the bias included [kJ/mol/nm]
    energy : (replicas,), without the bias [kJ/mol]
    bias_energy : (replicas,) [kJ/mol]
    values : (values, replicas), the bias variable; no rows without a bias
    """

    forces: Forces
    energy: Energies
    bias_energy: Energies
    values: Values


class Phase(eqx.Module):
    """Positions [nm] and momenta [amu nm/ps], both ``(atoms, dims, replicas)``, and the field there."""

    positions: Positions
    momenta: Momenta
    field: Field


FieldFunction = Callable[[Positions], Field]
"""From positions to what is felt there."""

NoiseFunction = Callable[[tuple[int, ...], Any], Array]
"""From a shape and a dtype to the independent normal numbers of this step."""


def field_of(energy, bias, bias_state, box) -> FieldFunction:
    """The function from positions to the field of ``energy`` plus ``bias`` (or None) in its present state."""

    def total(positions):
        energies = energy(positions, box)
        if bias is None:
            none = jnp.zeros((0, *energies.shape), positions.dtype)
            return energies.sum(), (energies, jnp.zeros_like(energies), none)
        values = bias.variable(positions, box)
        bias_energies = bias.energy(bias_state, values)
        return energies.sum() + bias_energies.sum(), (energies, bias_energies, values)

    def field(positions):
        gradient, (energies, bias_energies, values) = jax.grad(total, has_aux=True)(positions)
        return Field(-gradient, energies, bias_energies, values)

    return field
