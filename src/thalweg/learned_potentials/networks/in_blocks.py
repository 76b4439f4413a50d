"""Replicas a few at a time: what passes between the atoms of a block stays in the processor's cache.

Messages have tens of numbers per pair of atoms, several times over. For all replicas of a molecule together these go to
memory and back; for a few they do not, which more than pays for computing the energy once more in its gradient.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.potentials.energy import Energy
from thalweg.shapes import Box, Energies, Positions

PAIRS = 1800
"""Pairs of atoms (both ways round) in a block at most; measured on 64 features with 1 MiB of second-level cache."""


class InBlocks(Energy):
    """``energy``, evaluated for at most ``most`` replicas at a time; for one without neighbor lists.

    Examples
    --------
    >>> from thalweg.learned_potentials.terms.learned_potential import ConstantEnergy
    >>> InBlocks(ConstantEnergy(2.0), 3)(jnp.zeros((5, 3, 6))).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    """

    energy: Energy
    most: int = eqx.field(static=True)

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        positions = jnp.asarray(positions)
        shape = positions.shape
        flat = positions.reshape(*shape[:2], -1)
        count = flat.shape[2]
        block = max(k for k in range(1, max(min(self.most, count), 1) + 1) if count % k == 0)
        if block == count or block < self.most / 2:
            return self.energy(positions, box)
        blocks = jnp.moveaxis(flat.reshape(*shape[:2], -1, block), 2, 0)
        energies = jax.lax.map(jax.checkpoint(lambda replicas: self.energy(replicas, box)), blocks)
        return energies.reshape(shape[2:])
