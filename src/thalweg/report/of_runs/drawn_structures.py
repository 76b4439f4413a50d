"""Which atoms of a structure are drawn, with which bonds, and from which side one looks."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from thalweg.geometry.residues import solute_atoms
from thalweg.report.results import ViewerMolecule
from thalweg.systems.topology import Topology

LARGE, MOST = 500, 2000
"""Atoms from which on hydrogens are not drawn; the most atoms that are."""


def drawn_atoms(topology: Topology) -> np.ndarray:
    """Indices of the atoms to draw: no solvent, no hydrogens of large molecules, `MOST` at most."""
    atoms = solute_atoms(topology)
    if len(atoms) > LARGE:
        atoms = np.intersect1d(atoms, topology.heavy_atoms)
    return atoms[:MOST]


def molecule(topology: Topology, drawn: np.ndarray) -> ViewerMolecule:
    """Elements and bonds of the atoms drawn, renumbered."""
    place = {int(atom): number for number, atom in enumerate(drawn)}
    bonds = [(place[i], place[j]) for i, j in topology.bonds.tolist() if i in place and j in place]
    return ViewerMolecule(tuple(topology.elements[i] for i in drawn), np.array(bonds, int).reshape(-1, 2))


def turned_onto(reference: np.ndarray, structures: np.ndarray) -> np.ndarray:
    """Structures ``(n, atoms, 3)`` about their centers, each turned onto ``reference`` ``(atoms, 3)``."""
    about = reference - reference.mean(axis=0)
    centered = structures - structures.mean(axis=1, keepdims=True)
    return np.array([Rotation.align_vectors(about, each)[0].apply(each) for each in centered])
