"""Of atoms that a structure gives in several places, one of each: those of the likeliest conformer of their residue.

PDB and PDBx/mmCIF files name conformers by a letter and give the fraction of molecules in each, the occupancy. Readers
take the first; here a residue is in the conformer with the highest mean occupancy, all its atoms in the same one.
"""

from __future__ import annotations

import shlex
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ATOM = ("ATOM  ", "HETATM")
ABOUT_ATOMS = (*ATOM, "ANISOU", "SIGATM", "SIGUIJ")
SHOWN = 3
"""Residues that are named in a note."""


@dataclass(frozen=True)
class _Site:
    """One place of an atom: its line, residue, name, the letter of its conformer and its occupancy."""

    line: int
    residue: tuple[str, ...]
    kind: str
    name: str
    letter: str
    occupancy: float


def likeliest_locations(text: str, path: str | Path) -> str:
    """``text`` of the structure at ``path`` without the atoms of less likely conformers; a warning says what was taken.

    Examples
    --------
    >>> lines = (
    ...     "ATOM      1  O  AALA A   2       0.000   0.000   0.000  0.30",
    ...     "ATOM      2  O  BALA A   2       1.000   0.000   0.000  0.70",
    ... )
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     print(likeliest_locations("\\n".join(lines), "a.pdb"))
    ATOM      2  O   ALA A   2       1.000   0.000   0.000  0.70
    """
    lines = text.splitlines()
    in_columns = Path(path).suffix.lower() in (".pdb", ".ent")
    sites, letter_column = _pdb_sites(lines) if in_columns else (_cif_sites(lines), None)
    if not any(site.letter for site in sites):
        return text
    dropped, taken = _less_likely(sites)
    named = "; ".join(taken[:SHOWN])
    more = f" and {len(taken) - SHOWN} more" if len(taken) > SHOWN else ""
    warnings.warn(
        f"{path}: {len(taken)} residue{'s have' if len(taken) > 1 else ' has'} alternate locations; the likeliest "
        f"conformer is taken ({named}{more})",
        stacklevel=2,
    )
    if letter_column is not None:
        for site in sites:
            line = lines[site.line]
            lines[site.line] = f"{line[:letter_column]} {line[letter_column + 1 :]}"
    return "\n".join(line for number, line in enumerate(lines) if number not in dropped)


def _less_likely(sites: Sequence[_Site]) -> tuple[set[int], list[str]]:
    """Lines to leave out, and the conformer taken of each residue that has some."""
    residues: dict[tuple[str, ...], list[_Site]] = defaultdict(list)
    for site in sites:
        residues[site.residue].append(site)
    dropped, taken = set(), []
    for residue, members in residues.items():
        found: dict[str, list[float]] = defaultdict(list)
        for site in members:
            if site.letter:
                found[site.letter].append(site.occupancy)
        if not found:
            continue
        letter = max(found, key=lambda one: sum(found[one]) / len(found[one]))
        kind = next(site.kind for site in members if site.letter == letter)
        taken.append(f"{' '.join(filter(None, (kind, *residue)))}: {letter}")
        there = {site.name for site in members if site.letter in ("", letter)}
        # an atom that this conformer does not list is where it is most often
        best: dict[str, _Site] = {}
        for site in members:
            if site.name not in there and site.kind == kind:
                best[site.name] = max(best.get(site.name, site), site, key=lambda one: one.occupancy)
        dropped |= {
            site.line
            for site in members
            if site.letter not in ("", letter) and best.get(site.name) is not site
        }
    return dropped, taken


def _pdb_sites(lines: Sequence[str]) -> tuple[list[_Site], int]:
    """Sites of a PDB file, and the column of the letter."""
    sites, model = [], 0
    for number, line in enumerate(lines):
        model += line.startswith("MODEL")
        if line.startswith(ABOUT_ATOMS) and len(line) > 27:
            name = line[12:16].strip() if line.startswith(ATOM) else f"{line[:6]}{line[12:16]}"
            residue = (str(model) if model > 1 else "", line[21].strip(), line[22:27].strip())
            sites.append(
                _Site(number, residue, line[17:20].strip(), name, line[16].strip(), _number(line[54:60]))
            )
    return sites, 16


def _cif_sites(lines: Sequence[str]) -> list[_Site]:
    """Sites of an mmCIF file whose atoms have a line each; none where they have not."""
    columns: list[str] = []
    sites: list[_Site] = []
    for number, line in enumerate(lines):
        if line.startswith("_atom_site."):
            columns.append(line.split()[0].removeprefix("_atom_site."))
        elif columns and line.startswith(("ATOM", "HETATM")):
            try:
                cells = dict(zip(columns, shlex.split(line), strict=True))
            except ValueError:
                return []
            chain = cells.get("auth_asym_id", cells.get("label_asym_id", ""))
            place = cells.get("auth_seq_id", cells.get("label_seq_id", "")) + cells.get(
                "pdbx_PDB_ins_code", ""
            ).strip("?.")
            model = cells.get("pdbx_PDB_model_num", "1")
            sites.append(
                _Site(
                    number,
                    (model if model != "1" else "", chain, place),
                    cells.get("label_comp_id", ""),
                    cells.get("label_atom_id", ""),
                    cells.get("label_alt_id", "").strip("?."),
                    _number(cells.get("occupancy", "")),
                )
            )
        elif columns and sites:
            break
    return sites


def _number(text: str) -> float:
    """An occupancy; zero where none is said."""
    try:
        return float(text)
    except ValueError:
        return 0.0
