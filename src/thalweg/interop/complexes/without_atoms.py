"""Fingerprints of ligands in poses that lack an atom, to say what each atom adds in its pocket [riniker2013].

Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

import numpy as np

from thalweg.binding.complexes import Ligand
from thalweg.interop.complexes.ligands import molecule_of
from thalweg.interop.rdkit.atom_contributions import without_each_atom
from thalweg.shapes import Int, Shaped


def counts_without_atoms(ligand: Ligand, fingerprint: str = "morgan") -> Shaped[np.ndarray, "atoms columns"]:
    """Counts of a fingerprint without each atom, in the order in which atoms stand in space.

    Raises
    ------
    ValueError
        If the atoms in space are not bound as the SMILES says.
    ImportError
        If RDKit is not installed.
    """
    return without_each_atom(ligand.smiles).counts[fingerprint][_of_smiles(ligand)]


def _of_smiles(ligand: Ligand) -> Int[np.ndarray, " atoms"]:
    """Which atom of the SMILES each atom in space is."""
    from rdkit import Chem

    return np.argsort(molecule_of(ligand).GetSubstructMatch(Chem.MolFromSmiles(ligand.smiles)))
