"""The catalog lists every system of the two papers, and claims nothing that is not there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.cli.methods import STATUSES, CatalogRow, catalog
from thalweg.registry import known

CHECKOUT = Path(__file__).parents[2]
COUNTS = {"A": 23, "B": 7, "C": 18, "D": 12, "E": 7, "F": 14, "G": 12, "H": 6}
METHODS = catalog()


def test_every_row_of_both_papers_is_listed_once_and_in_order():
    expected = [f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)]
    assert [method.id for method in METHODS] == expected
    assert all(method.title for method in METHODS)


@pytest.mark.parametrize("method", [m for m in METHODS if m.classes], ids=lambda m: m.id)
def test_what_a_row_names_is_there(method):
    assert [name for name in method.classes if name not in known()] == []
    named = [path for path in (method.example, method.benchmark, method.test) if path]
    assert [path for path in named if not (CHECKOUT / path).is_file()] == []


def test_what_a_row_names_is_in_a_module_of_the_room_that_the_name_says():
    """One guess: a name is ``room.Name``, and its module is below that room."""
    for method in METHODS:
        for name, module in zip(method.classes, method.modules, strict=True):
            assert module.split(".")[1] == name.partition(".")[0], f"{name} is in {module}"


@pytest.mark.parametrize("method", [m for m in METHODS if m.classes], ids=lambda m: m.id)
def test_a_row_short_of_working_says_what_remains(method):
    assert method.status == "works" or method.remaining


def test_a_row_without_classes_claims_nothing():
    for method in METHODS:
        if not method.classes:
            assert method.status == "not yet"
            assert (method.example, method.benchmark, method.test) == ("", "", "")


def test_a_row_works_only_if_everything_it_names_is_there():
    there = ("collective_variables.TICA",)
    complete = CatalogRow("X", "x", "x", there, "pyproject.toml", "pyproject.toml", "pyproject.toml")
    assert complete.status == "works"
    assert CatalogRow("X", "x", "x", there, "pyproject.toml", "", "pyproject.toml").status == "partial"
    assert CatalogRow("X", "x", "x", there, "pyproject.toml", "no.py", "pyproject.toml").status == "partial"
    assert CatalogRow("X", "x", "x", (*there, "nothing.Here")).status == "not yet"


def test_the_command_prints_the_same_statuses_as_json():
    shown = CliRunner().invoke(app, ["methods", "--json"])
    assert shown.exit_code == 0
    rows = json.loads(shown.stdout)
    assert Counter(row["status"] for row in rows) == Counter(method.status for method in METHODS)
    assert {row["status"] for row in rows} <= set(STATUSES)
