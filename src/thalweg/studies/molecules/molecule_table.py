"""Tables of molecules and labels as people keep them: CSV, with units in cells, in a column or nowhere."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.machine.reading import reading
from thalweg.shapes import Float
from thalweg.studies.tables.language import StudyError

LABEL = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*")
"""A number, and what stands after it."""

MISSING = {"", "na", "nan", "n/a", "none", "null", "-"}
"""Cells that say that nobody measured."""

FIRST = 2
"""Line of the first row of a table."""

SHOWN = 5
"""Lines that a message names at most."""


@dataclass(frozen=True, eq=False)
class MoleculeTable:
    """Rows of a table.

    Attributes
    ----------
    smiles : of each row
    labels : (rows,) NaN where there is none
    units : of each row, empty where none is said
    """

    smiles: tuple[str, ...]
    labels: Float[np.ndarray, " rows"]
    units: tuple[str, ...]


def read_molecules(
    path: Path, smiles: str, target: str | None = None, unit: str | None = None
) -> MoleculeTable:
    """Molecules of a CSV file.

    Parameters
    ----------
    smiles, target, unit : names of columns; without a ``target`` no row has a label

    Raises
    ------
    StudyError
        If a column is not there, there are no rows, or a label is no number.
    ValueError, OSError
        If the file cannot be read.
    """
    with (
        reading(path, "a table of molecules", "save it as CSV in UTF-8"),
        path.open(newline="", encoding="utf-8-sig") as lines,
    ):
        table = list(csv.reader(lines))
    if len(table) < FIRST:
        raise StudyError(f"{path} has no rows below its header")
    header = [name.strip() for name in table[0]]
    rows = [dict(zip(header, row)) for row in table[1:] if any(cell.strip() for cell in row)]
    for name in filter(None, (smiles, target, unit)):
        if name not in header:
            raise StudyError(f'{path} has no column "{name}"; it has {", ".join(header)}')
    labels, units, strange = [], [], []
    for k, row in enumerate(rows):
        text = row.get(target, "") if target else ""
        found = LABEL.fullmatch(text)
        if text.strip().lower() in MISSING:
            labels.append(np.nan)
        elif found is None:
            strange.append(f'line {k + FIRST} "{text}"')
            labels.append(np.nan)
        else:
            labels.append(float(found[1]))
        after = found[2] if found else ""
        units.append((row.get(unit, "") if unit else after).strip())
    if strange:
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        raise StudyError(
            f"{target} is no number in {', '.join(strange[:SHOWN])}{more}; leave such cells empty: bounds such as >10 "
            "are no measurement"
        )
    return MoleculeTable(tuple(row.get(smiles, "") or "" for row in rows), np.array(labels), tuple(units))


def of_one_unit(table: MoleculeTable, path: Path) -> str:
    """The unit of all labels.

    Raises
    ------
    StudyError
        If there are several.
    """
    counts: dict[str, int] = {}
    for label, unit in zip(table.labels, table.units):
        if not np.isnan(label):
            counts[unit] = counts.get(unit, 0) + 1
    if len(counts) > 1:
        said = ", ".join(f"{count} in {unit or 'no unit'}" for unit, count in counts.items())
        raise StudyError(
            f"labels of {path} are in several units ({said}); bring them to one, of potencies best as -log10 of mol/l"
        )
    return next(iter(counts), "")
