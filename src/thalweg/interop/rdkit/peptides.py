"""From a sequence to a peptide in space, by RDKit: distance geometry [riniker2015], then the torsions asked for.

Needs the extra ``drug`` (rdkit). RDKit works in Å and degrees; units end here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thalweg.shapes import Float
from thalweg.units import ANGSTROM

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
"""One-letter codes of the twenty amino acids of proteins."""

LONGEST = 30
"""Residues beyond which distance geometry takes minutes."""

TRIES = 10
"""Seeds of distance geometry, which also draws how side chains are turned."""

APART = 0.24
"""Least distance of two heavy atoms with more than three bonds between them [nm]; less is a clash."""

HELD = 1.0
"""A torsion may leave the value asked for by so much while the rest gives way [degrees]."""

NO_BONDS = 2 | 8
"""Flavor of a PDB in which RDKit writes no bonds, which readers know by the names of atoms."""

CAPS = {"ACE": {"CA": "CH3", "C": "C", "O": "O"}, "NME": {"N": "N", "CA": "C"}}
"""What is left of a glycine at either end once it is a cap, and what its atoms are called then."""


class PeptideStructure(NamedTuple):
    """A peptide in space.

    Attributes
    ----------
    pdb : heavy atoms, as the text of a PDB file
    hydrogens : vectors ``(hydrogens, 3)`` [nm] from an atom to those bonded to it, by the number of its residue and its
        name; acids and bases have theirs as if they were not charged
    """

    pdb: str
    hydrogens: dict[tuple[int, str], Float[np.ndarray, "hydrogens 3"]]


def peptide_structure(
    sequence: str,
    phi: float | Sequence[float] | Float[np.ndarray, " residues"] = np.pi,
    psi: float | Sequence[float] | Float[np.ndarray, " residues"] = np.pi,
    capped: bool = True,
) -> PeptideStructure:
    """A peptide of L-amino acids with trans amides.

    Side chains are turned as distance geometry draws them, and all but the backbone's torsions gives way in MMFF94.

    Parameters
    ----------
    sequence : one-letter codes, from the N terminus
    phi, psi : backbone torsions [rad], one for all residues or one for each, met within some degrees; an extended chain
        if left out. The phi of proline is that of its ring, and ends without a cap have one torsion less.
    capped : acetyl (ACE) before and N-methyl amide (NME) after the chain; else its ends are free

    Raises
    ------
    ValueError
        If the sequence is empty, too long or has an unknown letter, there are not as many torsions as residues, or
        atoms overlap whatever the side chains do.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> print(peptide_structure("A").pdb.splitlines()[0][:26])
    ATOM      1  CH3 ACE A   1
    """
    letters = checked_sequence(sequence)
    angles = [np.degrees(_each(name, given, len(letters))) for name, given in (("phi", phi), ("psi", psi))]
    chem, place, field, transforms = _rdkit()
    bare = _with_caps(chem, letters) if capped else _from_sequence(chem, letters)
    molecule = chem.AddHs(bare)
    torsions = _torsions(_atoms(molecule), letters, *angles, capped)
    for seed in range(1, 1 + TRIES):
        settings = place.ETKDGv3()
        settings.randomSeed, settings.useRandomCoords = seed, seed > TRIES // 2
        if place.EmbedMolecule(molecule, settings) < 0:
            continue
        for quad, angle in torsions:
            transforms.SetDihedralDeg(molecule.GetConformer(), *quad, float(angle))
        forces = field.MMFFGetMoleculeForceField(molecule, field.MMFFGetMoleculeProperties(molecule))
        for quad, angle in torsions:
            forces.MMFFAddTorsionConstraint(*quad, False, angle - HELD, angle + HELD, 1000.0)
        forces.Minimize(maxIts=2000)
        if _nearest(chem, molecule) > APART:
            return PeptideStructure(_pdb(chem, bare, molecule), _hydrogens(molecule))
    raise ValueError(
        f"atoms of {sequence} overlap at phi = {angles[0].round().tolist()} and psi = {angles[1].round().tolist()} "
        f"degrees in {TRIES} tries; give torsions of a chain that does not cross itself"
    )


def checked_sequence(sequence: str) -> str:
    """``sequence`` if it is one of amino acids.

    Raises
    ------
    ValueError
        If it is empty, too long, or has an unknown letter.

    Examples
    --------
    >>> checked_sequence("AXA")
    Traceback (most recent call last):
        ...
    ValueError: 'X', residue 2 of the sequence 'AXA', is no amino acid; known: A C D E F G H I K L M N P Q R S T V W Y
    """
    if not sequence:
        raise ValueError("the sequence is empty; give one-letter codes of amino acids, such as AAAAA")
    for place, letter in enumerate(sequence, 1):
        if letter not in AMINO_ACIDS:
            raise ValueError(
                f"{letter!r}, residue {place} of the sequence {sequence!r}, is no amino acid; known: "
                + " ".join(AMINO_ACIDS)
            )
    if len(sequence) > LONGEST:
        raise ValueError(f"the sequence has {len(sequence)} residues; give at most {LONGEST}, or a PDB file")
    return sequence


def _each(name: str, given, residues: int) -> np.ndarray:
    """Angles of all residues."""
    angles = np.asarray(given, float)
    if angles.shape not in ((), (residues,)) or not np.isfinite(angles).all():
        raise ValueError(
            f"{name} has shape {angles.shape} for {residues} residues; give one angle [rad], or one for each residue"
        )
    return np.broadcast_to(angles, residues)


def _atoms(molecule) -> dict[tuple[int, str], int]:
    """Heavy atoms by the number of their residue and their names, CA for the methyl of a cap."""
    found = {}
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() > 1:
            number, name = _label(atom)
            methyl = CAPS.get(atom.GetPDBResidueInfo().GetResidueName(), {}).get("CA")
            found[number, "CA" if name == methyl else name] = atom.GetIdx()
    return found


def _label(atom) -> tuple[int, str]:
    """Number of the residue and name of a heavy atom."""
    info = atom.GetPDBResidueInfo()
    return info.GetResidueNumber(), info.GetName().strip()


def _torsions(atoms, letters, phi, psi, capped) -> list[tuple[list[int], float]]:
    """Four atoms and an angle [degrees] for each of the backbone's torsions that can be turned."""
    shift, found = (2 if capped else 1), []

    def add(quad, angle):
        if all(each in atoms for each in quad):
            found.append(([atoms[each] for each in quad], angle))

    for k in range(1, shift + len(letters) + 1):
        add([(k, "CA"), (k, "C"), (k + 1, "N"), (k + 1, "CA")], 180.0)
    for k, (letter, *angles) in enumerate(zip(letters, phi, psi), shift):
        if letter != "P":
            add([(k - 1, "C"), (k, "N"), (k, "CA"), (k, "C")], angles[0])
        add([(k, "N"), (k, "CA"), (k, "C"), (k + 1, "N")], angles[1])
    return found


def _nearest(chem, molecule) -> float:
    """Least distance of heavy atoms with more than three bonds between them [nm]."""
    heavy = [atom.GetIdx() for atom in molecule.GetAtoms() if atom.GetAtomicNum() > 1]
    bonds = chem.GetDistanceMatrix(molecule)[np.ix_(heavy, heavy)]
    x = molecule.GetConformer().GetPositions()[heavy] * ANGSTROM
    apart = np.linalg.norm(x[:, None] - x, axis=-1)
    return float(np.min(apart[bonds > 3], initial=np.inf))


def _from_sequence(chem, letters: str):
    """RDKit's peptide, where the methyl of isoleucine at CB is CG2 as elsewhere: some versions call it CG1."""
    molecule = chem.MolFromSequence(letters)
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtom(), bond.GetEndAtom()
        names = {_label(atom)[1]: atom for atom in ends}
        if names.keys() == {"CG2", "CD1"}:
            [beta] = (atom for atom in names["CG2"].GetNeighbors() if _label(atom)[1] == "CB")
            [methyl] = (atom for atom in beta.GetNeighbors() if _label(atom)[1] == "CG1")
            names["CG2"].GetPDBResidueInfo().SetName(" CG1")
            methyl.GetPDBResidueInfo().SetName(" CG2")
    return molecule


def _with_caps(chem, letters: str):
    """The peptide between two glycines that are cut down to what a cap has of them, and called so."""
    edited = chem.RWMol(_from_sequence(chem, f"G{letters}G"))
    ends, surplus = {1: "ACE", len(letters) + 2: "NME"}, []
    for atom in edited.GetAtoms():
        number, old = _label(atom)
        if (cap := ends.get(number)) is None:
            continue
        if (name := CAPS[cap].get(old)) is None:
            surplus.append(atom.GetIdx())
        else:
            atom.GetPDBResidueInfo().SetResidueName(cap)
            atom.GetPDBResidueInfo().SetName(f" {name:<3}")
    for index in reversed(surplus):
        edited.RemoveAtom(index)
    chem.SanitizeMol(edited)
    return edited.GetMol()


def _pdb(chem, bare, molecule) -> str:
    """The heavy atoms where they are in ``molecule``, whose hydrogens come last."""
    conformer = chem.Conformer(bare.GetNumAtoms())
    conformer.SetPositions(np.ascontiguousarray(molecule.GetConformer().GetPositions()[: bare.GetNumAtoms()]))
    placed = chem.Mol(bare)
    placed.AddConformer(conformer)
    return chem.MolToPDBBlock(placed, flavor=NO_BONDS)


def _hydrogens(molecule) -> dict[tuple[int, str], np.ndarray]:
    """Vectors to hydrogens [nm] from what they are bonded to."""
    x = molecule.GetConformer().GetPositions() * ANGSTROM
    found = {}
    for atom in molecule.GetAtoms():
        bonded = [other.GetIdx() for other in atom.GetNeighbors() if other.GetAtomicNum() == 1]
        if atom.GetAtomicNum() > 1 and bonded:
            found[_label(atom)] = x[bonded] - x[atom.GetIdx()]
    return found


def _rdkit():
    try:
        from rdkit import Chem
        from rdkit.Chem import rdDistGeom, rdForceFieldHelpers, rdMolTransforms
    except ImportError as error:
        raise ImportError(
            "peptides by their sequence need RDKit, which is not installed; pip install 'thalweg[drug]'"
        ) from error
    return Chem, rdDistGeom, rdForceFieldHelpers, rdMolTransforms
