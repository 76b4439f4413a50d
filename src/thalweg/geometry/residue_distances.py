r"""Distances of residues by their closest heavy atoms, and a smooth version of them that can carry a bias.

The shortest of all distances is what contacts are counted by, but it has kinks, where a bias would jump from one
pair of atoms to another. The soft minimum

.. math::  d_{AB} = \beta \Big/ \ln \sum_{a \in A,\, b \in B} \exp(\beta / |x_a - x_b|)

is smooth and at most as large [bonomi2009]; with a larger ``beta`` it is closer.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.closest_atoms import atom_pairs, closest_distances
from thalweg.geometry.constant_tables import AtomTable, Names, Rows
from thalweg.geometry.internal import distances
from thalweg.geometry.lengths import Lengths
from thalweg.geometry.residues import heavy_atoms_by_residue, residue_labels
from thalweg.shapes import Array, Box, Float, Positions, Values
from thalweg.systems.topology import Topology


class _OfResiduePairs(Lengths):
    """Lengths of pairs of residues: the pairs, the heavy atoms of all residues, and the atoms of each pair."""

    pairs: AtomTable = eqx.field(static=True)
    groups: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    @property
    def atoms(self) -> Rows:
        return tuple(self.groups[i] + self.groups[j] for i, j in self.pairs.array.tolist())


class ResidueDistances(_OfResiduePairs):
    """Distances [nm] of the closest heavy atoms of pairs of residues; nearest images if there is a box.

    For a bias take `SoftResidueDistances`: these have kinks.

    Parameters
    ----------
    pairs : rows of two residues, counted from 0 in file order, such as `thalweg.geometry.residues.residue_pairs`
    topology : of the system

    Raises
    ------
    ValueError
        If a residue is not there, has no heavy atom, or is paired with itself.
    """

    def __init__(self, pairs: np.ndarray | Sequence, topology: Topology):
        self.pairs = AtomTable(pairs, 2)
        self.groups = _heavy_groups(self.pairs.array, topology)
        self.names = _pair_names(self.pairs.array, topology)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return closest_distances(positions, self.groups, self.pairs.array, box)


class SoftResidueDistances(_OfResiduePairs):
    """Soft minima [nm] of the distances between heavy atoms of pairs of residues.

    Parameters
    ----------
    pairs, topology : as for `ResidueDistances`
    beta : sharpness [nm]

    Raises
    ------
    ValueError
        As for `ResidueDistances`, and if ``beta`` is not positive.
    """

    beta: float

    def __init__(self, pairs: np.ndarray | Sequence, topology: Topology, beta: float = 20.0):
        if beta <= 0:
            raise ValueError(f"beta={beta} must be positive; 20 nm follows the closest pair well")
        self.pairs = AtomTable(pairs, 2)
        self.groups = _heavy_groups(self.pairs.array, topology)
        self.names = tuple(f"soft {name}" for name in _pair_names(self.pairs.array, topology))
        self.beta = beta

    @property
    def links(self) -> tuple[np.ndarray, np.ndarray]:
        """All pairs of atoms, ``(links, 2)``, and which pair of residues each belongs to."""
        return atom_pairs(self.groups, self.pairs.array)

    def of_distances(self, lengths: Float[Array, " links *replicas"]) -> Values:
        """The values, from the distances of all `links`."""
        owner = self.links[1]
        return _soft_minima(lengths, owner, len(self.pairs), self.beta)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return self.of_distances(distances(positions, self.links[0], box))


def _soft_minima(
    lengths: Float[Array, " links *replicas"], owner: np.ndarray, count: int, beta: float | Array
) -> Float[Array, " pairs *replicas"]:
    """``beta / ln sum exp(beta / length)`` over the lengths of each of ``count`` owners, without overflow.

    Examples
    --------
    >>> np.asarray(_soft_minima(jnp.array([0.5, 0.7, 3.0]), np.array([0, 0, 1]), 2, 1000.0)).round(3)
    array([0.5, 3. ], dtype=float32)
    """
    exponents = beta / lengths
    largest = jax.lax.stop_gradient(jax.ops.segment_max(exponents, owner, count, indices_are_sorted=True))
    shares = jnp.exp(exponents - largest[owner])
    return beta / (largest + jnp.log(jax.ops.segment_sum(shares, owner, count, indices_are_sorted=True)))


def _heavy_groups(pairs: np.ndarray, topology: Topology) -> tuple[tuple[int, ...], ...]:
    groups = heavy_atoms_by_residue(topology)
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < len(groups):
        raise ValueError(
            f"residues {pairs.min()} to {pairs.max()} were asked of {len(groups)}; they count from 0 in file order"
        )
    empty = [residue for residue in np.unique(pairs).tolist() if not groups[residue]]
    if empty:
        raise ValueError(f"residue {residue_labels(topology)[empty[0]]} has no heavy atom; leave it out")
    return groups


def _pair_names(pairs: np.ndarray, topology: Topology) -> Names:
    labels = residue_labels(topology)
    return Names(f"{labels[i]}..{labels[j]}" for i, j in pairs.tolist())
