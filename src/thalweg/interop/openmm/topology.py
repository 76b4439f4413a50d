"""Atoms, residues and bonds as OpenMM lists them, in our own words."""

from __future__ import annotations

import numpy as np
import openmm.app as app

from thalweg.systems.topology import Topology


def topology_from_openmm(topology: app.Topology) -> Topology:
    """The `Topology` of an ``openmm.app.Topology``, atoms in the same order.

    A residue id that is no number (an insertion code, say) is replaced by the residue's position in the file.

    Examples
    --------
    >>> import openmm.app as app
    >>> argon = app.Topology()
    >>> residue = argon.addResidue("AR", argon.addChain())
    >>> _ = argon.addAtom("AR", app.element.argon, residue)
    >>> topology_from_openmm(argon).label(0)
    'AR1-AR'
    """
    atoms = list(topology.atoms())
    bonds = [(bond.atom1.index, bond.atom2.index) for bond in topology.bonds()]
    return Topology(
        names=tuple(atom.name for atom in atoms),
        elements=tuple("" if atom.element is None else atom.element.symbol for atom in atoms),
        residue_names=tuple(atom.residue.name for atom in atoms),
        residue_ids=tuple(_residue_number(atom.residue.id, atom.residue.index) for atom in atoms),
        chains=tuple(atom.residue.chain.index for atom in atoms),
        bonds=np.array(bonds, int).reshape(-1, 2),
    )


def _residue_number(written: str, index: int) -> int:
    """The residue number as ``written`` in a file, or ``index + 1`` where that is no number."""
    try:
        return int(written)
    except ValueError:
        return index + 1
