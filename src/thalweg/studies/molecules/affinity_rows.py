"""Complexes and their measured affinities, out of a table or a folder: what `thalweg affinity fit` learns from.

A table (CSV) has the columns ``protein`` and ``ligand`` (files, relative to the table), ``affinity`` and, unless one
unit holds for all, ``unit``; ``number`` says which molecule of an SDF file is meant, ``set`` which ligands were
measured together. A folder holds pairs ``NAME_protein.pdb`` and ``NAME_ligands.sdf`` (or ``.cif``, compressed or not),
whose affinities are a property of the ligands. A label is kept with its protein and its ligand, never by a name alone.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thalweg.binding.affinity_units import ENERGIES, LOGARITHMS, binding_free_energy
from thalweg.binding.complexes import Complex, Ligand
from thalweg.interop.complexes.ligands import read_ligands
from thalweg.interop.complexes.proteins import ProteinStructure, read_protein
from thalweg.studies.tables.language import StudyError

REACH = 1.2
"""Atoms of the protein that are kept: those this near to the ligand [nm]."""


@dataclass(frozen=True, eq=False)
class MeasuredComplex:
    """One row.

    Attributes
    ----------
    set : ligands measured together in one protein
    ligand : in its pose
    complex : the pocket and the ligand
    sequences : of the protein's chains
    energy : measured free energy of binding [kJ/mol]
    unit : that it was given in
    """

    set: str
    ligand: Ligand
    complex: Complex
    sequences: tuple[str, ...]
    energy: float
    unit: str


def measured_complexes(
    source: Path, unit: str | None = None, label: str | None = None
) -> tuple[list[MeasuredComplex], tuple[str, ...]]:
    """The rows of a table or folder, and what there is to say about them.

    Parameters
    ----------
    unit : of affinities, where the table has no such column
    label : property of ligands that holds the affinity, for a folder

    Raises
    ------
    StudyError
        If the source is neither, a column or file is missing, or an affinity cannot be read.
    """
    rows = _of_folder(source, unit, label) if source.is_dir() else _of_table(source, unit)
    units = list(dict.fromkeys(row.unit for row in rows))
    notes = []
    if len(units) > 1:
        notes.append(f"affinities come in {', '.join(units)}; all were turned into free energies at 298 K")
    if any("IC50" in each for each in units) or (set(units) - set(ENERGIES) - set(LOGARITHMS)):
        notes.append(
            "concentrations count as dissociation constants; if they are half inhibitions (IC50), offsets of sets are "
            "those of their assays"
        )
    for name in dict.fromkeys(row.set for row in rows):
        places: dict[str, list[float]] = {}
        for row in rows:
            if row.set == name:
                places.setdefault(row.ligand.skeleton, []).append(row.energy)
        apart = [own for own in places.values() if max(own) - min(own) > 2.5]
        if apart:
            notes.append(
                f"{name}: ligands whose rows differ by more than 2.5 kJ/mol, and whose mean is taken: {len(apart)}"
            )
    return rows, tuple(notes)


def _of_table(source: Path, unit: str | None) -> list[MeasuredComplex]:
    with open(source, encoding="utf-8-sig", newline="") as lines:
        table = list(csv.DictReader(lines))
    columns = list(table[0]) if table else []
    if missing := [name for name in ("protein", "ligand", "affinity") if name not in columns]:
        raise StudyError(
            f"{source} lacks the column {', '.join(missing)}; it has {', '.join(columns) or 'no rows'}: give protein "
            "and ligand (files), affinity, and unit, number and set where needed"
        )
    if unit is None and "unit" not in columns:
        raise StudyError(f"{source} has no column unit; add it, or say --unit nM (pKd, kcal/mol, ...)")
    proteins: dict[Path, ProteinStructure] = {}
    ligands: dict[Path, list[Ligand]] = {}
    rows = []
    for number, row in enumerate(table, 2):
        where = f"{source}, line {number}"
        files = [_file(source.parent / row[name], where) for name in ("protein", "ligand")]
        if files[0] not in proteins:
            proteins[files[0]] = read_protein(files[0])
        if files[1] not in ligands:
            ligands[files[1]] = read_ligands(files[1])
        own = ligands[files[1]]
        place = int(row.get("number") or 1)
        if not 1 <= place <= len(own) or (len(own) > 1 and not row.get("number")):
            raise StudyError(
                f"{where}: {files[1].name} holds {len(own)} molecules; say which by a column number"
            )
        name = row.get("set") or files[0].name.split(".")[0]
        rows.append(
            _row(name, proteins[files[0]], own[place - 1], row["affinity"], row.get("unit") or unit, where)
        )
    return rows


def _of_folder(source: Path, unit: str | None, label: str | None) -> list[MeasuredComplex]:
    files = sorted(each for each in source.rglob("*_ligands.sdf*"))
    if not files:
        raise StudyError(
            f"{source} holds no NAME_ligands.sdf beside NAME_protein.pdb; give such a folder, or a table"
        )
    rows = []
    for file in files:
        name = file.name.partition("_ligands.sdf")[0]
        candidates = sorted(file.parent.glob(f"{name}_protein.*"))
        if not candidates:
            raise StudyError(f"{file} has no {name}_protein.pdb (or .cif) beside it")
        protein = read_protein(candidates[0])
        for ligand in read_ligands(file):
            if label is None or label not in ligand.properties:
                numbers = [key for key, value in ligand.properties.items() if _is_number(value)]
                raise StudyError(
                    f"{ligand.name} in {file} has no property {label or ''}; --label names the one that holds the "
                    f"affinity; numbers among its properties: {', '.join(numbers) or 'none'}"
                )
            if unit is None:
                raise StudyError(f"{label} has no unit; say --unit nM (pKd, kcal/mol, ...)")
            rows.append(
                _row(name, protein, ligand, ligand.properties[label], unit, f"{ligand.name} in {file}")
            )
    return rows


def _row(name: str, protein: ProteinStructure, ligand: Ligand, value: object, unit: str | None, where: str):
    try:
        energy = binding_free_energy(float(str(value)), unit or "")
        pocket = Complex(protein.atoms, ligand.atoms, ligand.name).pocket(REACH)
    except ValueError as error:
        raise StudyError(
            f"{where}: {error}" if _is_number(value) else f"{where}: affinity {value!r} is no number"
        ) from None
    return MeasuredComplex(
        name,
        ligand,
        Complex(pocket, ligand.atoms, ligand.name),
        tuple(protein.sequences.values()),
        energy,
        unit or "",
    )


def _file(path: Path, where: str) -> Path:
    if not path.is_file():
        raise StudyError(f"{where}: there is no {path}")
    return path


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def by_unit(rows: Sequence[MeasuredComplex]) -> str:
    """How many rows were given in each unit, in words."""
    names = [row.unit for row in rows]
    return ", ".join(f"{names.count(name)} in {name}" for name in dict.fromkeys(names))
