"""What PLUMED and Colvars wrote about a run while it went: collective variables, frame by frame, as trajectories.

A ``COLVAR`` file names its columns (``#! FIELDS time phi psi``) and the range of those that repeat (``#! SET min_phi
-pi``); a ``.colvars.traj`` file has ``# step phi psi``. A run that was gone on with names them again, and gives the
frames after the last restart twice: the later ones count. One that was killed may end in half a line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.interop.files.evidence_of_files import check_given_once, spacing
from thalweg.machine.reading import UnreadableFile, reading
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import Picoseconds

ADVICE = "write it again, or remove that line"
CLOCKS = ("time", "step")


@dataclass(frozen=True, eq=False)
class Colvar:
    """Columns of a file.

    Attributes
    ----------
    path : where it is
    names : of the columns
    clock : (frames,) times [as written: ps in PLUMED's own units], or steps
    values : (frames, columns)
    periods : of each column, None where it does not repeat
    """

    path: Path
    names: tuple[str, ...]
    clock: np.ndarray
    values: np.ndarray
    periods: tuple[float | None, ...]


def read_colvar(path: str | Path) -> Colvar:
    """The columns of the COLVAR or ``.colvars.traj`` file at ``path``.

    Raises
    ------
    UnreadableFile
        If it names no columns, or other ones after a restart, or a line is damaged; the line is named.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "COLVAR"
    >>> _ = file.write_text("#! FIELDS time phi\\n#! SET min_phi -pi\\n#! SET max_phi pi\\n0.0 1.5\\n0.2 1.6\\n")
    >>> found = read_colvar(file)
    >>> found.names, found.values[:, 0].tolist(), found.periods
    (('phi',), [1.5, 1.6], (6.283185307179586,))
    """
    path = Path(path)
    with reading(path, "a COLVAR file", ADVICE):
        lines = path.read_text("utf-8").split("\n")
        fields, settings, rows = plumed_columns(path, lines)
        ranges = {name: plumed_number(text) for name, text in settings.items() if re.match("min_|max_", name)}
    if fields is None or not rows:
        raise UnreadableFile(
            f"{path} has no frames under a line of FIELDS; give a COLVAR file of PLUMED or Colvars"
        )
    table = np.array(rows)
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = bad[0]
        raise UnreadableFile(
            f"{path}: {fields[column]} is not finite in frame {row}; remove the frames from there on"
        )
    table = table[_last_of_each(table[:, 0])]
    periods = tuple(_period(ranges, name) for name in fields[1:])
    return Colvar(path, fields[1:], table[:, 0], table[:, 1:], periods)


def colvar_trajectories(paths: Sequence[str | Path], dt: Picoseconds | None = None) -> Trajectories:
    """The columns of COLVAR files as `Trajectories`, one file each; a column that repeats becomes its sine and cosine.

    Parameters
    ----------
    paths : files with the same columns
    dt : time between frames [ps]; that of the files if None, which are in ps unless PLUMED was told otherwise

    Raises
    ------
    UnreadableFile
        If a file is damaged or given twice, columns differ, times are not evenly spaced, or not those of ``dt``.
    """
    check_given_once(paths)
    found = [read_colvar(path) for path in paths]
    for one in found:
        if (one.names, one.periods) != (found[0].names, found[0].periods):
            raise UnreadableFile(
                f"{one.path} has the columns {', '.join(one.names)}, {found[0].path} {', '.join(found[0].names)}; give "
                "files with the same"
            )
        steps = np.diff(one.clock)
        usual = spacing(one.clock)
        if usual is None or (np.abs(steps - usual) > 0.01 * usual).any():
            odd = 0 if usual is None else int(np.argmax(np.abs(steps - usual) > 0.01 * usual)) + 1
            raise UnreadableFile(
                f"{one.path}: frames are not evenly spaced at frame {odd}; cut the file there"
            )
        dt = usual if dt is None else dt
        if abs(usual - dt) > 1e-3 * dt:
            raise UnreadableFile(f"{one.path} says that its frames are {usual:g} apart, wanted {dt:g} ps")
    names, blocks = _unrolled(found)
    return Trajectories(blocks, dt=1.0 if dt is None else dt, names=names)


def plumed_columns(
    path: Path, lines: Sequence[str]
) -> tuple[tuple[str, ...] | None, dict[str, str], list[list[float]]]:
    """Names of the columns, what is ``SET`` by name, and rows; an incomplete last line is left out.

    Raises
    ------
    UnreadableFile
        If columns change on the way, or a line is damaged; the line is named.
    """
    fields: tuple[str, ...] | None = None
    settings: dict[str, str] = {}
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if line.startswith("#"):
            named = _fields(words)
            if named is not None and fields not in (None, named):
                raise UnreadableFile(
                    f"{path}, line {number}: other columns than before; split the file there"
                )
            fields = named or fields
            if words[1:2] == ["SET"] and len(words) == 4:
                settings[words[2]] = words[3]
        elif words and fields is not None:
            if len(words) != len(fields) and number == len(lines):
                continue  # killed while it wrote
            if len(words) != len(fields):
                raise UnreadableFile(
                    f"{path}, line {number}: {len(words)} numbers for {len(fields)} columns; {ADVICE}"
                )
            with reading(f"{path}, line {number},", "numbers", ADVICE):
                rows.append([float(word) for word in words])
        elif words:
            raise UnreadableFile(f"{path}, line {number}: numbers before a line of FIELDS; {ADVICE}")
    return fields, settings, rows


def _fields(words: Sequence[str]) -> tuple[str, ...] | None:
    """Names of columns in a line of comment, the clock first; None if it names none."""
    names = tuple(words[2:] if words[:2] == ["#!", "FIELDS"] else words[1:] if words[0] == "#" else ())
    return names if len(names) > 1 and names[0] in CLOCKS else None


def plumed_number(text: str) -> float:
    """A number, or a multiple of pi as PLUMED writes it.

    Examples
    --------
    >>> plumed_number("-pi"), plumed_number("0.5")
    (-3.141592653589793, 0.5)
    """
    if not text.endswith("pi"):
        return float(text)
    factor = text.removesuffix("pi").removesuffix("*")
    return np.pi * (float(factor) if factor.strip("+-") else float(f"{factor}1"))


def _period(ranges: dict[str, float], name: str) -> float | None:
    low, high = ranges.get(f"min_{name}"), ranges.get(f"max_{name}")
    return None if low is None or high is None or not high > low else high - low


def _last_of_each(clock: np.ndarray) -> np.ndarray:
    """Rows in order of time, the last one of those written twice."""
    _, backward = np.unique(clock[::-1], return_index=True)
    return len(clock) - 1 - backward


def _unrolled(found: Sequence[Colvar]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Names and blocks of columns, periodic ones as sine and cosine."""
    names: list[str] = []
    for name, period in zip(found[0].names, found[0].periods):
        names += [name] if period is None else [f"sin {name}", f"cos {name}"]
    blocks = []
    for one in found:
        columns = []
        for values, period in zip(one.values.T, one.periods):
            angle = values if period is None else 2 * np.pi / period * values
            columns += [values] if period is None else [np.sin(angle), np.cos(angle)]
        blocks.append(np.stack(columns, axis=1))
    return tuple(names), blocks
