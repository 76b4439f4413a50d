"""Proper torsions of a molecule: typed by SMIRKS of their four atoms, with MMFF94's terms; scaffolds of molecules.

A type says of each atom its element, how many atoms are bonded to it, whether it is aromatic and its charge, and of
bonds their order and, of the one in the middle, whether it is in a ring. Each torsion matches exactly its own type, so
that the order of types in a file does not matter.
"""

from __future__ import annotations

import numpy as np

from thalweg.interop.rdkit.mmff import molecule_in_order
from thalweg.learned_potentials.torsions.fourier_terms import HIGHEST
from thalweg.learned_potentials.torsions.profiles import ProperTorsions
from thalweg.units import KILOCALORIE

BONDS = {1.0: "-", 1.5: ":", 2.0: "=", 3.0: "#"}
"""Bonds in SMARTS by their order."""


def proper_torsions(smiles: str) -> ProperTorsions:
    """All proper torsions of the molecule of a SMILES, whose atoms are ordered as in `MMFF94`.

    Raises
    ------
    ValueError
        If the SMILES is none.

    Examples
    --------
    >>> torsions = proper_torsions("CC")
    >>> len(torsions.atoms), set(torsions.types)
    (9, {'[#1X1A+0:1]-[#6X4A+0:2]-;!@[#6X4A+0:3]-[#1X1A+0:4]'})
    """
    molecule = molecule_in_order(smiles)
    fields = _mmff(molecule)
    atoms, types, start = [], [], []
    for bond in molecule.GetBonds():
        middle = bond.GetBeginAtom(), bond.GetEndAtom()
        for first in middle[0].GetNeighbors():
            for last in middle[1].GetNeighbors():
                four = (first.GetIdx(), middle[0].GetIdx(), middle[1].GetIdx(), last.GetIdx())
                if len(set(four)) < 4:
                    continue
                forward, backward = _smirks(molecule, four), _smirks(molecule, four[::-1])
                atoms.append(four if forward <= backward else four[::-1])
                types.append(min(forward, backward))
                start.append(_mmff_terms(molecule, fields, four))
    return ProperTorsions(
        np.array(atoms, int).reshape(-1, 4), tuple(types), np.array(start, float).reshape(-1, HIGHEST)
    )


def turnable_torsion(smiles: str) -> tuple[int, int, int, int]:
    """The torsion about the bond nearest to the middle of a molecule that it can turn about: single, in no ring.

    Of heavy atoms where there are such.

    Raises
    ------
    ValueError
        If the SMILES is none, or there is no such bond.

    Examples
    --------
    >>> turnable_torsion("CCCC")
    (0, 1, 2, 3)
    """
    from rdkit import Chem

    molecule = molecule_in_order(smiles)
    distances = Chem.GetDistanceMatrix(molecule)
    found = []
    for four in proper_torsions(smiles).atoms.tolist():
        bond = molecule.GetBondBetweenAtoms(four[1], four[2])
        bent = all(_straight(molecule.GetAtomWithIdx(k)) is False for k in four[1:3])
        if bond.IsInRing() or bond.GetBondTypeAsDouble() != 1.0 or not bent:
            continue
        hydrogens = sum(molecule.GetAtomWithIdx(k).GetAtomicNum() == 1 for k in four)
        reach = max(distances[four[1]].max(), distances[four[2]].max())
        forward = tuple(four) if four[0] < four[3] else tuple(four[::-1])
        found.append((hydrogens, reach, forward))
    if not found:
        raise ValueError(
            f"{smiles!r} has no single bond outside rings to turn about; give four atoms of another"
        )
    return min(found)[2]


def scaffold(smiles: str) -> str:
    """Rings and what links them [bemis1996] as SMILES; of a molecule without rings, itself.

    Examples
    --------
    >>> scaffold("CCc1ccccc1"), scaffold("OCC")
    ('c1ccccc1', 'CCO')
    """
    from rdkit import Chem
    from rdkit.Chem.Scaffolds import MurckoScaffold

    molecule = Chem.RemoveHs(molecule_in_order(smiles))
    return Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(molecule)) or Chem.MolToSmiles(molecule)


def _smirks(molecule, four):
    """SMIRKS of four atoms in this order."""
    parts = []
    for place, (k, following) in enumerate(zip(four, [*four[1:], None]), start=1):
        atom = molecule.GetAtomWithIdx(k)
        ring = "a" if atom.GetIsAromatic() else "A"
        parts.append(
            f"[#{atom.GetAtomicNum()}X{atom.GetTotalDegree()}{ring}{atom.GetFormalCharge():+d}:{place}]"
        )
        if following is not None:
            bond = molecule.GetBondBetweenAtoms(k, following)
            parts.append(BONDS.get(bond.GetBondTypeAsDouble(), "~"))
            if place == 2:
                parts.append(";@" if bond.IsInRing() else ";!@")
    return "".join(parts)


def _mmff(molecule):
    from rdkit.Chem import rdForceFieldHelpers

    return rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule)


def _mmff_terms(molecule, fields, four):
    """``V_n / 2`` of MMFF94 for n = 1, 2, 3; zeros where it has none."""
    terms = np.zeros(HIGHEST)
    found = None if fields is None else fields.GetMMFFTorsionParams(molecule, *four)
    if found:
        terms[:3] = 0.5 * KILOCALORIE * np.array(found[1:])
    return terms


def _straight(atom):
    """Whether an atom's two bonds are in line."""
    from rdkit.Chem import HybridizationType

    return atom.GetHybridization() == HybridizationType.SP
