"""What can be wrong with a structure or a setting, and how to say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import openmm.app as app
from openmm import unit
from scipy.spatial import KDTree

LARGEST_COORDINATE = 1e4
"""Beyond this [nm] a coordinate is a mistake: ten micrometers."""

SMALLEST_DISTANCE = 0.03
"""Closer than this [nm] two atoms are one on top of the other; the shortest bond, H-H, has 0.074 nm."""


class BuildError(ValueError):
    """The given files or settings do not make a system; the message says what to do."""


def checked_file(path: str | Path, suffixes: Sequence[str]) -> Path:
    """``path`` if it is a file of one of the kinds ``suffixes``."""
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise BuildError(f"{path} is no {', '.join(suffixes)} file; convert it to one of these")
    if not file.is_file():
        near = sorted(p.name for p in file.parent.glob(f"*{file.suffix}")) if file.parent.is_dir() else []
        raise BuildError(
            f"there is no file {path}; " + (f"there are {', '.join(near[:8])}" if near else "check the path")
        )
    return file


def chosen(name: str, options: Mapping, setting: str):
    """``options[name]``."""
    if name not in options:
        raise BuildError(f'{setting} = "{name}" is unknown; use one of {", ".join(options)}')
    return options[name]


def checked_cutoff(cutoff: float | None, box) -> tuple[object, float]:
    """OpenMM's nonbonded method and distance [nm]; reaction field with a cutoff, all pairs without."""
    if cutoff is None:
        return app.NoCutoff, 1.0
    if not 0.0 < cutoff < np.inf:
        raise BuildError(
            f"cutoff = {cutoff} nm; give a positive distance such as 1.0, or leave it out for all pairs"
        )
    if box is None:
        return app.CutoffNonPeriodic, cutoff
    width = min(np.diag(np.array(box.value_in_unit(unit.nanometer))))
    if 2.0 * cutoff > width:
        raise BuildError(
            f"cutoff = {cutoff} nm is more than half the box ({width:.3f} nm); use at most {width / 2:.3f}"
        )
    return app.CutoffPeriodic, cutoff


def checked_positions(positions) -> np.ndarray:
    """Positions ``(atoms, 3)`` [nm] of an OpenMM quantity, finite, of this world and no two in one place."""
    x = np.array(positions.value_in_unit(unit.nanometer), float).reshape(-1, 3)
    strange = np.flatnonzero(~(np.abs(x) < LARGEST_COORDINATE).all(1))
    if len(strange):
        raise BuildError(
            f"atom {strange[0] + 1} has coordinates {x[strange[0]]} nm ({len(strange)} such atoms); "
            "coordinates must be finite and in the unit of the file format, Å for PDB"
        )
    if len(close := KDTree(x).query_pairs(SMALLEST_DISTANCE, output_type="ndarray")):
        i, j = min(map(tuple, close))
        raise BuildError(
            f"atoms {i + 1} and {j + 1} are {np.linalg.norm(x[i] - x[j]):.4f} nm apart ({len(close)} such "
            "pairs); remove duplicate atoms or build the structure anew"
        )
    return x
