"""The bonds of a molecule as a graph: neighbors, rings, pairs some bonds apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.geometry.residues import solute_atoms
from thalweg.systems.topology import Topology


def bonded_atoms(topology: Topology) -> list[list[int]]:
    """Sorted neighbors of each atom.

    Raises
    ------
    ValueError
        If the topology has no bonds.
    """
    if not len(topology.bonds):
        raise ValueError(
            f"the topology of {len(topology)} atoms has no bonds; give one with bonds, from a PDB with "
            "CONECT records, say, or list the atoms yourself"
        )
    bonded: list[list[int]] = [[] for _ in range(len(topology))]
    for i, j in topology.bonds.tolist():
        bonded[i].append(j)
        bonded[j].append(i)
    return [sorted(neighbors) for neighbors in bonded]


def in_ring(bonded: Sequence[Sequence[int]], i: int, j: int) -> bool:
    """Whether the bond ``i``-``j`` is part of a ring: ``j`` can be reached from ``i`` without it.

    Examples
    --------
    >>> triangle_with_tail = [[1, 2], [0, 2], [0, 1, 3], [2]]
    >>> in_ring(triangle_with_tail, 0, 1), in_ring(triangle_with_tail, 2, 3)
    (True, False)
    """
    seen, frontier = {i}, [k for k in bonded[i] if k != j]
    while frontier:
        atom = frontier.pop()
        if atom == j:
            return True
        if atom not in seen:
            seen.add(atom)
            frontier += bonded[atom]
    return False


def heavy_atom_pairs(topology: Topology, separation: int = 1) -> np.ndarray:
    """All pairs of heavy atoms at least ``separation`` bonds apart, water and salt left out, ``(pairs, 2)`` int.

    One keeps every pair; three leaves out the distances that bonds and angles hold nearly fixed.
    """
    heavy = np.intersect1d(topology.heavy_atoms, solute_atoms(topology))
    first, second = np.triu_indices(len(heavy), 1)
    pairs = np.stack([heavy[first], heavy[second]], axis=1)
    if separation <= 1:
        return pairs
    bonded = bonded_atoms(topology)
    near = {atom: _reach(bonded, atom, separation - 1) for atom in heavy.tolist()}
    return np.array([(i, j) for i, j in pairs.tolist() if j not in near[i]], int).reshape(-1, 2)


def _reach(bonded: Sequence[Sequence[int]], atom: int, steps: int) -> set[int]:
    """Atoms at most ``steps`` bonds from ``atom``."""
    reached = {atom}
    for _ in range(steps):
        reached |= {neighbor for member in reached for neighbor in bonded[member]}
    return reached
