"""Residues of a topology: their numbers, labels, heavy atoms, and pairs of them along the chain."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from thalweg.systems.topology import Topology

SOLVENT = frozenset("HOH WAT SOL TIP3 TIP4 TP3M H2O NA CL K SOD CLA POT Na+ Cl- K+ NA+ CL-".split())
"""Residues of water and of the ions of a salt; ions that proteins bind are none."""


def residue_of_atoms(topology: Topology) -> np.ndarray:
    """Consecutive residue number of each atom, ``(atoms,)`` int; a new one where chain, number or name changes.

    Examples
    --------
    >>> water = Topology(("O", "H", "O"), ("O", "H", "O"), ("HOH",) * 3, (1, 1, 2), (0,) * 3, np.zeros((0, 2), int))
    >>> residue_of_atoms(water).tolist()
    [0, 0, 1]
    """
    places = list(zip(topology.chains, topology.residue_ids, topology.residue_names))
    starts = [before != after for before, after in pairwise(places)]
    return np.cumsum([0, *starts])[: len(places)]


def residue_labels(topology: Topology) -> tuple[str, ...]:
    """A name for each residue that people recognize, such as ``ALA2``."""
    first = np.unique(residue_of_atoms(topology), return_index=True)[1]
    return tuple(topology.residue(int(k)) for k in first)


def solute_atoms(topology: Topology) -> np.ndarray:
    """Indices of the atoms that are not water or salt."""
    return np.array([k for k, name in enumerate(topology.residue_names) if name not in SOLVENT], int)


def heavy_atoms_by_residue(topology: Topology) -> tuple[tuple[int, ...], ...]:
    """Indices of the heavy atoms of each residue."""
    residue = residue_of_atoms(topology)
    groups: list[list[int]] = [[] for _ in range(residue[-1] + 1)]
    for atom in topology.heavy_atoms.tolist():
        groups[residue[atom]].append(atom)
    return tuple(map(tuple, groups))


def protein_residues(topology: Topology) -> np.ndarray:
    """Consecutive numbers of the residues with an alpha carbon CA: amino acids, not calcium, not caps."""
    residue = residue_of_atoms(topology)
    return np.unique(
        [residue[k] for k in range(len(topology)) if (topology.names[k], topology.elements[k]) == ("CA", "C")]
    ).astype(int)


def residue_pairs(topology: Topology, separation: int = 3) -> np.ndarray:
    """All pairs of protein residues at least ``separation`` residues apart in file order, ``(pairs, 2)`` int.

    Three leaves out the pairs that a chain holds close by itself.

    Raises
    ------
    ValueError
        If there is no such pair.
    """
    known = protein_residues(topology)
    first, second = np.triu_indices(len(known), 1)
    pairs = np.stack([known[first], known[second]], axis=1)
    pairs = pairs[pairs[:, 1] - pairs[:, 0] >= separation]
    if not len(pairs):
        raise ValueError(
            f"{len(known)} protein residues have no pair {separation} apart; give a smaller separation, or a "
            "topology with CA atoms"
        )
    return pairs
