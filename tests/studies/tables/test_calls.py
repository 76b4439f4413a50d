"""Tables stand for calls: what a file may say is what a signature says."""

from __future__ import annotations

import pytest

from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.term import Learner, Term
from thalweg.representations.expansions.ace import ACE
from thalweg.studies.tables.calls import called, settings
from thalweg.studies.tables.families import (
    BASELINES,
    COMMITTEES,
    FAMILIES,
    LEARNERS,
    REPRESENTATIONS,
    WEIGHTS,
)
from thalweg.studies.tables.strict import StudyError

ALL = [
    (name, kind, key)
    for name, family in {
        "learner": LEARNERS, "baseline": BASELINES, "committee": COMMITTEES, "weights": WEIGHTS, **FAMILIES,
    }.items()
    for key, kind in family.items()
]  # fmt: skip
REQUIRED = {"representation": {"kind": "SOAP"}, "messages": {"kind": "SchNet"}, "cutoff": "5 Å"}
"""What some kinds cannot do without."""


def least(kind):
    """The shortest table of a kind."""
    known = settings(kind, FAMILIES)
    return {key: value for key, value in REQUIRED.items() if key in known}


@pytest.mark.parametrize(("name", "kind", "key"), ALL, ids=[f"{name}-{key}" for name, _, key in ALL])
def test_parameters_with_a_unit_are_parameters(name, kind, key):
    known = settings(kind, FAMILIES)
    assert set(kind.dimensions) <= set(known)


@pytest.mark.parametrize("key", LEARNERS)
def test_a_learner_written_out_in_full_is_the_same_learner(key):
    learner, table = called(LEARNERS, {"kind": key, **least(LEARNERS[key])}, "learner", FAMILIES)
    again, same = called(LEARNERS, table, "learner", FAMILIES)
    assert same == table
    assert again == learner
    assert isinstance(learner.learner if isinstance(learner, Recipe) else learner, Learner)


@pytest.mark.parametrize("key", REPRESENTATIONS)
def test_a_representation_written_out_in_full_is_the_same(key):
    one, table = called(
        REPRESENTATIONS, {"kind": key, **least(REPRESENTATIONS[key])}, "representation", FAMILIES
    )
    assert called(REPRESENTATIONS, table, "representation", FAMILIES)[0] == one


def test_quantities_are_read_with_their_unit():
    table = {"kind": "SOAP", "cutoff": "4.5 Å", "smearing": "0.5 Å"}
    found = called(REPRESENTATIONS, table, "representation", FAMILIES)[0]
    assert (found.cutoff, found.smearing) == (pytest.approx(0.45), pytest.approx(0.05))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "SOAP", "cutof": "5 Å"}, 'did you mean "cutoff"'),
        ({"kind": "SOAP", "cutoff": 5.0}, "has no unit"),
        ({"kind": "SOAP", "cutoff": "5 K"}, "length"),
        ({"kind": "SOAP", "cutoff": "-5 Å"}, "positive"),
        ({"kind": "SOAP", "degree": "six"}, "whole number"),
        ({"kind": "SOPA"}, 'did you mean "SOAP"'),
        ({}, "has no kind"),
        ({"kind": "SymmetryFunctions"}, 'misses the key "cutoff"'),
    ],
)
def test_a_wrong_table_is_answered_with_what_is_known(table, said):
    with pytest.raises(StudyError, match=said):
        called(REPRESENTATIONS, table, "representation", FAMILIES)


def test_a_committee_is_of_the_learner_before_it():
    learner = Linear(ACE())
    committee, table = called(COMMITTEES, {"kind": "full", "members": 3}, "committee", FAMILIES, (learner,))
    assert (committee.learner, committee.members) == (learner, 3)
    assert table == {"kind": "full", "members": 3, "bootstrap": 1.0}


def test_a_baseline_without_settings_is_a_term():
    assert isinstance(called(BASELINES, {"kind": "Silicon"}, "baseline", FAMILIES)[0], Term)
