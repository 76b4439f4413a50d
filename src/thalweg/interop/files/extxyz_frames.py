"""Where an extended XYZ file is broken: the frame, the line, and what stands there.

A frame is a line with the number of atoms, a line of ``key=value`` (``Lattice="..." Properties=species:S:1:pos:R:3``)
and a line per atom. A file that cannot be read is gone through line by line.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator, Sequence

import ase.io
from ase.data import atomic_numbers

from thalweg.machine.reading import what_is_wrong

PLAIN = "species:S:1:pos:R:3"
"""Columns of a file that does not say them."""

PROPERTIES = re.compile(r"""\bProperties\s*=\s*["']?([\w:.-]+)""", re.IGNORECASE)
COUNTS = re.compile(r":\s*\+?(\d+)")
LATTICE = re.compile(r"""\bLattice\s*=\s*["'{\[]([^"'}\]]*)""", re.IGNORECASE)


def trouble_in(text: str) -> str | None:
    """What is wrong with the first frame that is broken, and where; None if every frame can be read.

    Examples
    --------
    >>> trouble_in("2\\n\\nH 0 0 0\\n")
    'frame 0 (from line 1) has 1 of 2 atoms; it is cut off'
    >>> trouble_in("1\\n\\nH 0 0 ****\\n")
    "line 3 (frame 0): '****' is no number"
    """
    lines = text.splitlines()
    for number, start, count in _frames(lines):
        if isinstance(count, str):
            return count
        if said := _trouble(lines[start : start + count + 2], number, start + 1):
            return said
    return None


def too_wide(text: str) -> str | None:
    """Which line announces more atoms than there are lines, or more columns than any has characters; None if none does.

    A reader would make room for all of them.

    Examples
    --------
    >>> too_wide("1\\nProperties=species:S:1:pos:R:3000000000\\nH 0 0 0\\n")
    'line 2 announces 3000000000 columns; wanted name:type:number of columns, ...'
    """
    lines = text.splitlines()
    for number, start, _ in _frames(lines):
        if (count := _whole_number(lines[start])) is not None and count > len(lines):
            announced = lines[start].strip()[:12]
            return f"line {start + 1} (frame {number}) announces {announced} atoms, in {len(lines)} lines"
    widest = max(map(len, lines), default=0)
    for number, line in enumerate(lines, start=1):
        for count in COUNTS.findall(line) if "Properties" in line else ():
            if len(count) > 9 or int(count) > widest:
                return (
                    f"line {number} announces {count[:12]} columns; wanted name:type:number of columns, ..."
                )
    return None


def frame_count(text: str) -> int | None:
    """Number of frames of a file, by its lines with numbers of atoms; None where these are not where they should be."""
    counts = [count for _, _, count in _frames(text.splitlines())]
    return None if any(isinstance(count, str) for count in counts) else len(counts)


def _frames(lines: Sequence[str]) -> Iterator[tuple[int, int, int | str]]:
    """Number, first line and number of atoms of each frame; what is wrong with the number in place of it."""
    start, number = 0, 0
    while start < len(lines) and (lines[start].strip() or any(map(str.strip, lines[start:]))):
        first = lines[start].strip()
        if not first.isdigit():
            yield (
                number,
                start,
                f"line {start + 1} (frame {number}): {_short(first)} where the number of atoms should be",
            )
            return
        yield number, start, int(first)
        start, number = start + int(first) + 2, number + 1


def _trouble(lines: Sequence[str], number: int, line: int) -> str | None:
    """What is wrong with one frame, whose first line is number ``line`` of the file."""
    count = int(lines[0])
    if len(lines) < count + 2:
        return (
            f"frame {number} (from line {line}) has {max(len(lines) - 2, 0)} of {count} atoms; it is cut off"
        )
    where = f"line {line + 1} (frame {number})"
    lattice = LATTICE.search(lines[1])
    if lattice and len(lattice[1].split()) != 9:
        return f"{where}: the lattice has {len(lattice[1].split())} numbers; wanted 9"
    if lines[1].count('"') % 2:
        return f"{where}: a quotation mark is not closed"
    named = PROPERTIES.search(lines[1])
    try:
        kinds = _columns(named[1] if named else PLAIN)
    except ValueError:
        return f"{where}: Properties={_short(named[1] if named else '')}; wanted name:type:number of columns, ..."
    for k, row in enumerate(lines[2:], start=2):
        if said := _trouble_of_row(row, kinds, bool(named)):
            return f"line {line + k} (frame {number}): {said}"
    try:
        ase.io.read(io.StringIO("\n".join(lines) + "\n"), 0, format="extxyz")
    except Exception as error:
        return f"frame {number} (from line {line}): {what_is_wrong(error)}"
    return None


def _whole_number(text: str) -> int | None:
    """What a reader takes the text for, if that is a whole number."""
    try:
        return int(text[:1000])
    except ValueError:
        return None


def _columns(properties: str) -> list[str]:
    """The type of each column: S, R, I or L; ``species`` of the column with the elements."""
    parts = properties.split(":")
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    kinds = []
    for name, kind, count in triples:
        if kind not in tuple("SRIL"):
            raise ValueError(kind)
        kinds += ["species" if name == "species" else kind] * int(count)
    return kinds


def _trouble_of_row(row: str, kinds: Sequence[str], exact: bool) -> str | None:
    try:
        cells = shlex.split(row) if '"' in row else row.split()
    except ValueError:
        return "a quotation mark is not closed"
    if len(cells) < len(kinds) or (exact and len(cells) > len(kinds)):
        counted = (
            "; is the number of atoms before it right?" if len(cells) == 1 and cells[0].isdigit() else ""
        )
        return f"{len(cells)} columns; wanted {len(kinds)}{counted}"
    for cell, kind in zip(cells, kinds):
        if kind == "species" and not _is_element(cell):
            heavy = "H" if cell in ("D", "T") else "its symbol"
            return f"{_short(cell)} is no element; write {heavy}"
        if kind in "RI" and not _is_number(cell):
            return f"{_short(cell)} is no number"
    return None


def _is_element(cell):
    return cell.capitalize() in atomic_numbers and cell.upper() != "X"


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _short(text):
    return repr(text if len(text) < 30 else f"{text[:27]}...")
