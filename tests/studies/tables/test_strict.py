"""Reading a table keeps every value, its unit and its type, or says which key is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from thalweg.studies.tables.strict import StudyError, as_table, choose, counted, measured, read


@dataclass(frozen=True)
class Run:
    name: str
    length: float = measured("time", "0.5 ns")
    mass: float | None = measured("mass", None)
    window: tuple[float, ...] = measured("angle", (), positive=False)
    copies: int = counted(4)
    engine: Literal["native", "openmm"] = "native"
    files: tuple[str, ...] = ()
    where: Path | None = None


def test_defaults_and_units_come_out_in_internal_units():
    run = read(Run, {"name": "a", "mass": "3 amu", "window": ["0 deg", "180 deg"]}, "run")
    assert (run.length, run.mass, run.copies) == (500.0, 3.0, 4)
    assert run.window == pytest.approx((0.0, 3.14159265))


def test_a_table_written_back_reads_as_the_same_settings():
    given = {
        "name": "a",
        "length": "20 ps",
        "window": ["-10 deg", "3 deg"],
        "files": ["b", "c"],
        "where": "d/e",
    }
    run = read(Run, given, "run")
    assert read(Run, as_table(run), "run") == run


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, 'misses the key "name"'),
        ({"name": "a", "lenght": "1 ns"}, 'did you mean "length"'),
        ({"name": 3}, "name must be a text; got 3"),
        ({"name": "a", "length": "1 nm"}, "cannot read '1 nm'"),
        ({"name": "a", "length": 5}, "has no unit"),
        ({"name": "a", "length": "-1 ps"}, "give a positive time"),
        ({"name": "a", "copies": 0}, "give at least 1"),
        ({"name": "a", "copies": 2.5}, "must be a whole number"),
        ({"name": "a", "copies": True}, "must be a whole number"),
        ({"name": "a", "engine": "natve"}, 'did you mean "native"'),
        ({"name": "a", "files": "b"}, "must be a list"),
        ({"name": "a", "window": "3 deg"}, "must be a list of quantities"),
        ("name", "must be a table"),
    ],
)
def test_every_mistake_names_the_key_and_what_is_accepted(table, message):
    with pytest.raises(StudyError, match=r"\[run\]") as problem:
        read(Run, table, "run")
    assert message in str(problem.value)


def test_a_kind_names_the_class():
    kinds = {"plain": Run}
    assert choose(kinds, {"kind": "plain", "name": "a"}, "run") == Run("a")
    with pytest.raises(StudyError, match=r"has no kind"):
        choose(kinds, {"name": "a"}, "run")
    with pytest.raises(StudyError, match=r'did you mean "plain"'):
        choose(kinds, {"kind": "plian", "name": "a"}, "run")
