"""A table is the call it stands for: what a file may say is what a signature says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
import pytest

from thalweg.learned_potentials.linear.regularization import Regularization
from thalweg.studies.tables.language import (
    Family,
    StudyError,
    choose,
    parameters,
    read,
    value,
    written,
    written_kind,
)
from thalweg.units import AnySign, AtLeast, Count, InCode, Nanometers, Picoseconds, Radians


@runtime_checkable
class Shape(Protocol):
    def area(self) -> float: ...


@dataclass(frozen=True)
class Disk:
    radius: Nanometers = 1.0

    def area(self) -> float:
        return 3.0 * self.radius**2


@dataclass(frozen=True)
class Square:
    side: Nanometers = 2.0

    def area(self) -> float:
        return self.side**2


@dataclass(frozen=True)
class Walk:
    name: str
    length: Picoseconds = 500.0
    skip: Annotated[Picoseconds, AtLeast(0)] = 0.0
    turn: AnySign[Radians] = 0.0
    cutoff: Nanometers | None = None
    patience: int | None = 5
    window: tuple[AnySign[Radians], AnySign[Radians]] = (-1.0, 1.0)
    lengths: tuple[Nanometers, ...] = ()
    copies: Count = 4
    engine: Literal["native", "openmm"] = "native"
    points: int | tuple[int, ...] = 3
    where: Path | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    shape: Disk | Square = Disk()
    shapes: tuple[Disk, ...] = ()
    start: InCode[int] = 0
    weights: np.ndarray | None = None
    report: Callable[[str], None] | None = None


FULL = {
    "name": "a",
    "length": "20 ps",
    "skip": "0 ps",
    "turn": "-3 deg",
    "cutoff": "5 Å",
    "patience": "none",
    "window": ["-10 deg", "3 deg"],
    "lengths": ["1 nm", "2 Å"],
    "copies": 2,
    "engine": "openmm",
    "points": [1, 2],
    "where": "d/e",
    "ranges": {"phi ALA2": [0.0, 1.0]},
    "shape": {"kind": "Square", "side": "3 nm"},
    "shapes": [{"radius": "1 nm"}, {}],
}


def test_keys_are_the_parameters_that_a_file_can_give():
    assert set(parameters(Walk)) == set(FULL)


def test_values_come_out_in_internal_units_and_their_types():
    walk, _ = read(Walk, FULL, "walk")
    assert (walk.length, walk.cutoff, walk.turn) == (20.0, pytest.approx(0.5), pytest.approx(-0.0523598776))
    assert (walk.patience, walk.points, walk.where) == (None, (1, 2), Path("d/e"))
    assert (walk.shape, walk.shapes) == (Square(3.0), (Disk(1.0), Disk(1.0)))
    assert walk.ranges == {"phi ALA2": (0.0, 1.0)}


@pytest.mark.parametrize("table", [FULL, {"name": "b"}], ids=["full", "short"])
def test_a_resolved_table_and_a_written_object_read_as_the_same_object(table):
    walk, resolved = read(Walk, table, "walk")
    assert read(Walk, resolved, "walk") == (walk, resolved)
    assert read(Walk, written(walk), "walk")[0] == walk


def test_every_default_is_written_out():
    _, resolved = read(Walk, {"name": "a"}, "walk")
    assert resolved["length"] == "500.0 ps"
    assert resolved["shape"] == {"kind": "Disk", "radius": "1.0 nm"}
    assert set(parameters(Walk)) - set(resolved) == {"cutoff", "where"}  # what is none by default


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, 'misses the key "name"'),
        ({"name": "a", "lenght": "1 ns"}, 'did you mean "length"'),
        ({"name": "a", "start": 1}, 'has no key "start"'),
        ({"name": 3}, "name must be a text; got 3"),
        ({"name": "a", "length": "1 nm"}, "cannot read '1 nm'"),
        ({"name": "a", "length": 5}, "has no unit"),
        ({"name": "a", "length": "-1 ps"}, "give a positive time"),
        ({"name": "a", "skip": "-1 ps"}, "give at least 0 ps"),
        ({"name": "a", "copies": 0}, "give at least 1"),
        ({"name": "a", "copies": 2.5}, "must be a whole number"),
        ({"name": "a", "copies": True}, "must be a whole number"),
        ({"name": "a", "engine": "natve"}, 'did you mean "native"'),
        ({"name": "a", "window": ["3 deg"]}, "give 2 values"),
        ({"name": "a", "lengths": "3 nm"}, "must be a list of quantities"),
        ({"name": "a", "lengths": ["3 nm", "1 ps"]}, "entry 2"),
        ({"name": "a", "shape": {"kind": "Dsik"}}, 'did you mean "Disk"'),
        ({"name": "a", "shape": {}}, "has no kind"),
        ({"name": "a", "shape": {"kind": "Disk", "side": "1 nm"}}, 'Known: "kind", "radius"'),
        ({"name": "a", "shape": "Disk"}, "[walk.shape] must be a table"),
        ({"name": "a", "shapes": [{"radius": 1.0}]}, "[walk.shapes, entry 1] radius = 1.0 has no unit"),
        ("name", "must be a table"),
    ],
)
def test_every_mistake_names_the_table_the_key_and_what_is_accepted(table, message):
    with pytest.raises(StudyError, match=r"\[walk") as problem:
        read(Walk, table, "walk")
    assert message in str(problem.value)


def test_what_code_gives_is_no_key():
    walk, resolved = read(Walk, {}, "walk", given={"name": "a", "start": 3})
    assert (walk.name, walk.start) == ("a", 3)
    assert "name" not in resolved


def test_what_no_file_can_give_must_be_given_by_code():
    def sized(points: np.ndarray, count: int = 1) -> int:
        return count * len(points)

    with pytest.raises(StudyError, match="sized asks for points"):
        read(sized, {}, "sized")
    assert read(sized, {"count": 2}, "sized", given={"points": np.zeros(3)})[0] == 6


def test_refusals_of_the_call_are_told_with_the_table():
    def refusing(count: int = 1) -> None:
        raise ValueError(f"count={count}; give none")

    with pytest.raises(StudyError, match=r"\[refusing\] count=1; give none"):
        read(refusing, {}, "refusing")


FAMILY = Family(
    Regularization, {"Ridge": "learned_potentials.Ridge", "GCV": "learned_potentials.CrossValidated"}
)


def test_a_family_is_found_by_the_type_of_a_parameter():
    def fit(regularization: Regularization, strength: float = 1.0) -> Regularization:
        return regularization

    made, table = read(fit, {"regularization": {"kind": "GCV"}}, "fit", (FAMILY,))
    assert written_kind(FAMILY, made)["kind"] == table["regularization"]["kind"] == "GCV"
    assert read(fit, table, "fit", (FAMILY,)) == (made, table)
    with pytest.raises(StudyError, match="which no file can give"):
        read(fit, {}, "fit")


@pytest.mark.parametrize(
    "kind",
    ["os.system", "os:system", "studies.begin", "machine.require_memory", "learned_potentials.Linear", "Linear",
     "Ridge.__init__", "thalweg.registry", "builtins.eval", "", 3, ["Ridge"]],
)  # fmt: skip
def test_nothing_but_what_a_family_offers_is_called(kind):
    with pytest.raises(StudyError, match="is unknown"):
        choose(FAMILY, {"kind": kind}, "regularization")


def test_full_names_of_what_is_offered_are_understood():
    full, table = choose(FAMILY, {"kind": "learned_potentials.Ridge"}, "regularization")
    assert (full, table) == choose(FAMILY, {"kind": "Ridge"}, "regularization")


@dataclass(frozen=True)
class Tree:
    height: int = 1
    branches: tuple[Tree, ...] = ()


def test_tables_nest_in_tables_of_their_own_kind():
    tree, table = read(Tree, {"branches": [{"height": 2}, {"branches": [{}]}]}, "tree")
    assert tree == Tree(1, (Tree(2), Tree(1, (Tree(),))))
    assert read(Tree, table, "tree") == (tree, table)


def test_parameters_without_types_have_those_of_their_defaults():
    def fit(length=1.0, name="a", frames=None):
        return length, name, frames

    assert read(fit, {"length": 2}, "fit")[0] == (2.0, "a", None)


def test_none_is_none_unless_it_is_a_word():
    assert value("none", Literal["none", "all"] | None, "constraints") == ("none", "none")
    assert value("none", str | None, "format") == (None, "none")
