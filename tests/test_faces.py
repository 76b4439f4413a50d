"""Faces: every name on one is there, nothing public is off them and unused, and asking for one loads little."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import thalweg
from thalweg.registry import ROOMS

PACKAGE = Path(thalweg.__file__).parent
HEAVY = ("ase", "jax", "mdtraj", "numpy", "openmm", "pandas", "plotly", "scipy", "sklearn")
"""Libraries that take a tenth of a second and more to load."""


def face(room: str) -> list[tuple[str, str]]:
    """The module and the name of each entry on the face of a room."""
    table = ast.parse((PACKAGE / room / "__init__.pyi").read_text("utf-8"))
    return [
        (f"thalweg.{room}.{entry.module}", one.name)
        for entry in table.body
        if isinstance(entry, ast.ImportFrom)
        for one in entry.names
    ]


@cache
def files() -> dict[str, ast.Module]:
    """Module path -> syntax tree of each file of the rooms; the command line is a shell and has no face, and entries of
    the contest are each a stranger's file with the same two functions."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] in ROOMS and parts[-1] != "__init__" and parts[:2] != ("contest", "entries"):
            found[".".join(("thalweg", *parts))] = ast.parse(path.read_text("utf-8"))
    return found


def public_names(tree: ast.Module) -> list[str]:
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]


def imported(tree: ast.Module) -> set[tuple[str, str]]:
    """Module and name of each object that a file takes from another, also by ``from room import module``."""
    taken = {
        (node.module, one.name, one.asname or one.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for one in node.names
    }
    modules = {here: f"{module}.{name}" for module, name, here in taken if f"{module}.{name}" in files()}
    through = {
        (modules[node.value.id], node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules
    }
    return {(module, name) for module, name, _ in taken} | through


def loaded_after(line: str, *modules: str) -> list[str]:
    """Which of ``modules`` a new process has loaded after one line of Python."""
    code = f"{line}\nimport sys\nprint(*[name for name in {modules!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_face_is_what_its_module_defines(room):
    opened = importlib.import_module(f"thalweg.{room}")
    entries = face(room)
    assert sorted(opened.__all__) == sorted(name for _, name in entries)
    for module, name in entries:
        assert getattr(opened, name) is vars(importlib.import_module(module))[name]
        assert name in public_names(files()[module]), (
            f"{name} is not defined in {module}, only imported there"
        )


def test_what_is_public_is_on_a_face_or_used_by_another_file():
    used = {entry for room in ROOMS for entry in face(room)}
    for path in PACKAGE.rglob("*.py"):
        used |= imported(ast.parse(path.read_text("utf-8")))
    idle = [
        f"{m}.{name}" for m, tree in files().items() for name in public_names(tree) if (m, name) not in used
    ]
    assert not idle, "give it an underscore, put it on the face of its room, or delete it:\n" + "\n".join(
        idle
    )


def test_one_public_name_is_one_thing():
    homes = defaultdict(list)
    for module, tree in files().items():
        for name in public_names(tree):
            homes[name].append(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_opening_a_room_loads_no_library(room):
    assert loaded_after(f"import thalweg.{room}; dir(thalweg.{room})", *HEAVY) == []


@pytest.mark.parametrize("name", ["TICA", "VAMP", "KernelTICA"])
def test_a_slow_variable_loads_jax_and_numpy_only(name):
    heavy = loaded_after(
        f"from thalweg.collective_variables import {name}", *HEAVY, "scipy.linalg", "scipy.special"
    )
    assert heavy == ["jax", "numpy", "scipy"]  # `import scipy` alone opens none of its parts
