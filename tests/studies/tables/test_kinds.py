"""Kinds of studies of learned potentials: all of them read, written out, and read again, alike."""

from __future__ import annotations

import pytest

from thalweg import registry
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learner import Learner
from thalweg.learned_potentials.terms.term import Term, Weights
from thalweg.representations.expansions.ace import ACE
from thalweg.studies.tables.families import (
    BASELINES,
    COMMITTEES,
    FAMILIES,
    LEARNERS,
    MESSAGES,
    REGULARIZATIONS,
    REPRESENTATIONS,
)
from thalweg.studies.tables.language import NOTHING, StudyError, choose, parameters, read, written

DOORS = {
    "learner": LEARNERS, "baseline": BASELINES, "committee": COMMITTEES, "representation": REPRESENTATIONS,
    "messages": MESSAGES, "regularization": REGULARIZATIONS,
}  # fmt: skip
OFFERED = [(door, kind) for door, family in DOORS.items() for kind in family.names]
REQUIRED = {"representation": {"kind": "SOAP"}, "messages": {"kind": "SchNet"}, "cutoff": "5 Å"}
"""What some kinds cannot do without."""


def least(family, kind):
    """The shortest table of a kind."""
    known = parameters(family.find(kind)[1], FAMILIES, ("learner",))
    return {"kind": kind, **{key: REQUIRED[key] for key, one in known.items() if one.default is NOTHING}}


@pytest.mark.parametrize(("door", "kind"), OFFERED)
def test_every_kind_is_a_public_name(door, kind):
    name = DOORS[door].names[kind]
    assert name in registry.known()
    assert DOORS[door].find(name) == DOORS[door].find(kind)


@pytest.mark.parametrize("kind", LEARNERS.names)
def test_a_learner_written_out_in_full_is_the_same_learner(kind):
    learner, table = choose(LEARNERS, least(LEARNERS, kind), "learner", FAMILIES)
    assert choose(LEARNERS, table, "learner", FAMILIES) == (learner, table)
    assert isinstance(learner.learner if isinstance(learner, Recipe) else learner, Learner)


@pytest.mark.parametrize("kind", REPRESENTATIONS.names)
def test_a_representation_written_out_in_full_is_the_same(kind):
    one, table = choose(REPRESENTATIONS, least(REPRESENTATIONS, kind), "representation", FAMILIES)
    assert choose(REPRESENTATIONS, table, "representation", FAMILIES) == (one, table)
    assert "elements" not in table


def test_quantities_are_read_with_their_unit():
    table = {"kind": "SOAP", "cutoff": "4.5 Å", "smearing": "0.5 Å"}
    found = choose(REPRESENTATIONS, table, "representation", FAMILIES)[0]
    assert (found.cutoff, found.smearing) == (pytest.approx(0.45), pytest.approx(0.05))
    assert read(Weights, {"stress": "1 meV"}, "weights")[1] == {
        "energy": "0.1 kJ/mol", "force": "10.0 kJ/mol/nm", "stress": "1 meV",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("door", "kind", "units"),
    [
        ("learner", "GAP", {"cutoff": "nm", "smearing": "nm"}),
        ("learner", "PIP", {"lengths": "nm"}),
        ("learner", "BehlerParrinello", {"cutoff": "nm", "nearest": "nm"}),
        ("learner", "LocalGradientDomain", {"reaches": "nm"}),
        ("learner", "GradientDomain", {"reaches": "nm"}),
        ("learner", "StillingerWeber", {"cutoff": "nm", "strengths": "kJ/mol"}),
        ("learner", "Morse", {"cutoff": "nm", "depths": "kJ/mol"}),
        ("baseline", "GFN2", {"electronic_temperature": "K"}),
        ("representation", "SymmetryFunctions", {"cutoff": "Å"}),
        ("representation", "FCHL19", {"cutoff": "nm"}),
        ("messages", "EmbeddedDensity", {"cutoff": "nm"}),
    ],
)
def test_quantities_are_written_with_their_unit(door, kind, units):
    table = choose(DOORS[door], least(DOORS[door], kind), door, FAMILIES)[1]
    for key, unit in units.items():
        texts = table[key] if isinstance(table[key], list) else [table[key]]
        assert all(text.endswith(f" {unit}") for text in texts)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "SOAP", "cutof": "5 Å"}, 'did you mean "cutoff"'),
        ({"kind": "SOAP", "cutoff": 5.0}, "has no unit"),
        ({"kind": "SOAP", "cutoff": "5 K"}, "length"),
        ({"kind": "SOAP", "cutoff": "-5 Å"}, "positive"),
        ({"kind": "SOAP", "degree": "six"}, "whole number"),
        ({"kind": "SOAP", "elements": [1, 8]}, 'no key "elements"'),
        ({"kind": "SOPA"}, 'did you mean "SOAP"'),
        ({}, "has no kind"),
        ({"kind": "SymmetryFunctions"}, 'misses the key "cutoff"'),
    ],
)
def test_a_wrong_table_is_answered_with_what_is_known(table, said):
    with pytest.raises(StudyError, match=said):
        choose(REPRESENTATIONS, table, "representation", FAMILIES)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "os:system",
        "studies.begin",
        "machine.require_memory",
        "subprocess.run",
        "registry.resolve",
    ],
)
def test_no_door_opens_for_what_it_does_not_offer(door, name):
    with pytest.raises(StudyError, match="is unknown"):
        choose(DOORS[door], {"kind": name}, door, FAMILIES)


def test_solvers_and_kernels_go_by_the_names_of_their_classes():
    table = {"kind": "GradientDomain", "solver": {"kind": "ProjectedProcess", "count": 7}}
    learner, _ = choose(LEARNERS, table, "learner", FAMILIES)
    assert learner.solver.count == 7
    table = {"kind": "SparseKernel", "representation": {"kind": "SOAP"}, "kernel": {"kind": "GaussianKernel"}}
    learner, written_out = choose(LEARNERS, table, "learner", FAMILIES)
    assert written_out["kernel"] == {"kind": "GaussianKernel", "width": 1.0}
    with pytest.raises(StudyError, match="ProjectedProcess"):
        choose(LEARNERS, {"kind": "FCHL19", "solver": {"kind": "ConjugateGradients"}}, "learner", FAMILIES)


def test_a_committee_is_of_the_learner_before_it():
    learner = Linear(ACE())
    committee, table = choose(COMMITTEES, {"members": 3}, "committee", FAMILIES, {"learner": learner})
    assert (committee.learner, committee.members) == (learner, 3)
    assert table == {"kind": "full", "members": 3, "bootstrap": 1.0}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "shallow"}, "Linear has none"),
        ({"members": 1}, "give at least 2"),
        ({"kind": "deep"}, "unknown"),
    ],
)
def test_a_committee_that_cannot_be_is_refused(table, said):
    with pytest.raises(StudyError, match=said):
        choose(COMMITTEES, table, "committee", FAMILIES, {"learner": Linear(ACE())})


def test_a_baseline_without_settings_is_a_term():
    assert isinstance(choose(BASELINES, {"kind": "Silicon"}, "baseline", FAMILIES)[0], Term)


def test_an_object_is_written_as_the_table_that_makes_it():
    learner = Linear(ACE(cutoff=0.4), smoothness=2.0)
    assert read(Linear, written(learner, FAMILIES), "learner", FAMILIES)[0] == learner
