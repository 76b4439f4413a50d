"""Fingerprints of ligands in poses that lack an atom, to say what each atom adds in its pocket [riniker2013].

Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

import numpy as np

from thalweg.binding.complexes import Ligand
from thalweg.interop.complexes.ligands import BOND_SLACK
from thalweg.interop.rdkit.atom_contributions import without_each_atom
from thalweg.shapes import Int, Shaped
from thalweg.systems.elements import COVALENT_RADII
from thalweg.units import ANGSTROM


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
    from rdkit import Chem, rdBase
    from rdkit.Chem import AllChem

    drawn, positions = Chem.RWMol(), ligand.atoms.positions
    for number in ligand.atoms.numbers:
        drawn.AddAtom(Chem.Atom(int(number)))
    places = Chem.Conformer(len(positions))
    for k, place in enumerate(positions / ANGSTROM):
        places.SetAtomPosition(k, place.tolist())
    radii = COVALENT_RADII[ligand.atoms.numbers]
    gaps = np.linalg.norm(positions[:, None] - positions, axis=-1)
    for i, j in zip(*np.nonzero(np.triu(gaps < radii[:, None] + radii + BOND_SLACK, 1))):
        drawn.AddBond(int(i), int(j), Chem.BondType.SINGLE)
    drawn.AddConformer(places)
    plain, template = drawn.GetMol(), Chem.MolFromSmiles(ligand.smiles)
    plain.UpdatePropertyCache(strict=False)
    with rdBase.BlockLogs():
        try:
            found = AllChem.AssignBondOrdersFromTemplate(template, plain).GetSubstructMatch(template)
        except ValueError:
            found = ()
    if len(found) != len(positions):
        raise ValueError(f"the atoms of {ligand.name} in space are not bound as in {ligand.smiles!r}")
    return np.argsort(found)
