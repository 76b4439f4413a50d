"""Proteins out of PDB and mmCIF files: typed heavy atoms, and all that had to be decided on the way.

The same entry gives the same atoms from either format. Waters and small molecules are left out unless asked for,
metals stay. Of alternate locations a residue keeps the one with the largest occupancy. What was chosen, left out or is
missing is told in `ProteinStructure.notes`. Needs the extra ``drug`` (gemmi, pdbfixer).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.binding.complexes import TypedAtoms
from thalweg.interop.complexes.residue_channels import PARENTS, expected_atoms, residue_channels
from thalweg.machine.reading import reading
from thalweg.machine.whole_files import write_whole
from thalweg.units import ANGSTROM

WATERS = ("HOH", "WAT", "DOD", "TIP", "TIP3", "H2O", "SOL")


@dataclass(frozen=True, eq=False)
class ProteinStructure:
    """What a structure file holds of proteins.

    Attributes
    ----------
    atoms : heavy atoms of chains of amino acids and metals, of what was asked to be kept, too
    sequences : by chain, in one-letter codes, X for what has none
    others : what was left out: ``"A:HEM501"`` and the like, no waters
    notes : what was decided, left out or is missing, a sentence each
    """

    atoms: TypedAtoms
    sequences: Mapping[str, str]
    others: tuple[str, ...]
    notes: tuple[str, ...]


def read_protein(
    path: str | Path,
    chains: Sequence[str] | None = None,
    model: int | None = None,
    waters: bool = False,
    keep: Sequence[str] = (),
) -> ProteinStructure:
    """The protein in a PDB or mmCIF file, which may be compressed (``.gz``).

    Parameters
    ----------
    chains : names of those wanted; all unless given
    model : number of the model, counted from one; the first unless given, which is told where there are several
    waters : whether they are kept
    keep : names of residues such as ``"HEM"`` that count as part of the protein, typed by their elements

    Raises
    ------
    UnreadableFile
        If the file is no structure.
    ValueError
        If there is no protein in it, or no such chain or model.
    ImportError
        If gemmi is not installed.
    """
    structure = open_structure(path)
    chosen, notes = chosen_model(structure, model, path)
    known = [chain.name for chain in chosen]
    if missing := sorted(set(chains or ()) - set(known)):
        raise ValueError(
            f"{path} has no chain {', '.join(missing)}; it has {', '.join(dict.fromkeys(known))}"
        )
    rows: list[tuple] = []
    sequences: dict[str, str] = {}
    others, incomplete, unknown, alternatives, odd_numbers = [], [], [], [], []
    for chain in chosen:
        if chains is not None and chain.name not in chains:
            continue
        for residue in chain:
            label = residue_label(chain, residue)
            kind = _kind(residue)
            if kind == "water" and not waters:
                continue
            if kind == "other" and residue.name not in keep:
                others.append(label)
                continue
            atoms, several = single_location(residue)
            alternatives += [label] * several
            if residue.seqid.icode.strip():
                odd_numbers.append(label)
            if kind == "amino acid":
                sequences[chain.name] = sequences.get(chain.name, "") + _letter(residue.name)
                if lacking := expected_atoms(residue.name) - {atom.name for atom in atoms}:
                    incomplete.append(f"{label} ({' '.join(sorted(lacking))})")
                if residue.name not in PARENTS and not expected_atoms(residue.name):
                    unknown.append(label)
            rows += [(atom, residue, label) for atom in atoms]
    if not sequences:
        raise ValueError(f"{path} holds no protein: no residue of it is an amino acid")
    notes += _told("alternate locations, of which the most occupied one is taken, in", alternatives)
    notes += _told("insertion codes at", odd_numbers)
    notes += _told("missing heavy atoms in", incomplete)
    notes += _told("typed by their elements alone:", unknown)
    notes += _told("left out:", others)
    return ProteinStructure(_typed(rows), sequences, tuple(others), tuple(notes))


def open_structure(path: str | Path) -> Any:
    """The structure of gemmi in a PDB or mmCIF file.

    Raises
    ------
    UnreadableFile
        If it is none.
    ImportError
        If gemmi is not installed.
    """
    try:
        import gemmi
    except ImportError as error:
        raise ImportError(
            "structures of proteins need gemmi, which is not installed; pip install 'thalweg[drug]'"
        ) from error
    with reading(path, "a structure (PDB or mmCIF)"):
        structure = gemmi.read_structure(str(path))
        if not len(structure) or not sum(model.count_atom_sites() for model in structure):
            raise ValueError("there are no atoms in it")
    structure.setup_entities()
    # in mmCIF files a chain may come in pieces; in PDB files, ligands stand at the end
    structure.merge_chain_parts()
    return structure


def chosen_model(structure: Any, model: int | None, path: str | Path) -> tuple[Any, list[str]]:
    """The model of that number, counted from one, and what there is to say about it.

    Raises
    ------
    ValueError
        If there is none.
    """
    count = len(structure)
    if model is not None and not 1 <= model <= count:
        raise ValueError(f"{path} has {count} models; model {model} is none of them")
    told = count > 1 and model is None
    return structure[(model or 1) - 1], [f"{count} models, of which the first is taken"] * told


def residue_label(chain: Any, residue: Any) -> str:
    """What people call a residue: ``"A:SER52B"``, its insertion code included."""
    return f"{chain.name}:{residue.name}{residue.seqid.num}{residue.seqid.icode.strip()}"


def single_location(residue: Any) -> tuple[list, bool]:
    """Heavy atoms of a residue in one location, and whether there are several."""
    heavy = [atom for atom in residue if not atom.element.is_hydrogen]
    occupied: dict[str, float] = {}
    for atom in heavy:
        if atom.altloc != "\0":
            occupied[atom.altloc] = occupied.get(atom.altloc, 0.0) + atom.occ
    if not occupied:
        return heavy, False
    best = max(sorted(occupied), key=lambda letter: occupied[letter])
    taken: dict[str, Any] = {}
    for atom in heavy:  # an atom that has no such location is taken where it is first given
        if atom.name not in taken or (atom.altloc == best and taken[atom.name].altloc != best):
            taken[atom.name] = atom
    return list(taken.values()), len(occupied) > 1


def repaired_protein(path: str | Path, target: str | Path, ph: float = 7.0) -> Path:
    """A copy in PDB format with missing heavy atoms and the hydrogens of a ``ph`` added by PDBFixer.

    Missing residues stay missing: loops that are guessed would be atoms like the others.

    Raises
    ------
    ImportError
        If PDBFixer is not installed.
    """
    try:
        from openmm.app import PDBFile
        from pdbfixer import PDBFixer
    except ImportError as error:
        raise ImportError(
            "repairs need PDBFixer, which is not installed; pip install 'thalweg[drug]'"
        ) from error
    fixer = PDBFixer(filename=str(path))
    fixer.missingResidues = {}
    fixer.findMissingAtoms()
    fixer.addMissingAtoms()
    fixer.addMissingHydrogens(ph)
    text = io.StringIO()
    PDBFile.writeFile(fixer.topology, fixer.positions, text, keepIds=True)
    write_whole(target, text.getvalue())
    return Path(target)


def _kind(residue):
    import gemmi

    if residue.name in WATERS or residue.is_water():
        return "water"
    known = gemmi.find_tabulated_residue(residue.name)
    names = {atom.name for atom in residue}
    if known.is_amino_acid() or residue.name in PARENTS or {"N", "CA", "C"} <= names:
        return "amino acid"
    return "metal" if len(residue) and all(atom.element.is_metal for atom in residue) else "other"


def _letter(name):
    import gemmi

    known = gemmi.find_tabulated_residue(PARENTS.get(name, name))
    return known.one_letter_code.upper() if known.is_amino_acid() else "X"


def _typed(rows):
    positions = np.array([atom.pos.tolist() for atom, _, _ in rows], float).reshape(-1, 3) * ANGSTROM
    channels = [
        residue_channels(_protonated(residue), atom.name, atom.element.name, atom.element.is_metal)
        for atom, residue, _ in rows
    ]
    numbers = np.array([atom.element.atomic_number for atom, _, _ in rows], int)
    labels = tuple(label for _, _, label in rows)
    return TypedAtoms(positions, numbers, np.array(channels, bool).reshape(-1, 8), labels)


def _protonated(residue):
    """The name that tells the protonation of a histidine whose hydrogens are given."""
    if residue.name != "HIS":
        return residue.name
    names = {atom.name for atom in residue}
    return {(True, True): "HIP", (True, False): "HID", (False, True): "HIE"}.get(
        ("HD1" in names, "HE2" in names), "HIS"
    )


def _told(words, labels):
    if not labels:
        return []
    some = ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
    return [f"{words} {some}"]
