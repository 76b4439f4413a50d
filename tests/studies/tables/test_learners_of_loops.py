"""What learns in a loop of a run file: the policy's own learner, unless the file names another."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest

from thalweg import registry
from thalweg.studies.tables.doors import POLICIES
from thalweg.studies.tables.study import from_table

SYSTEM = {"system": {"molecule": "alanine_dipeptide"}, "features": {"kind": "TorsionFeatures"}}
OWN = {
    kind: learner.default_factory
    for kind, name in POLICIES.names.items()
    for learner in fields(registry.resolve(name))
    if learner.name == "learner" and learner.default_factory is not MISSING
}


def test_the_loops_of_papers_bring_their_learners():
    assert set(OWN) == {"MESA", "SandCV", "RAVE", "LocalDiffusionMapLoop"}


@pytest.mark.parametrize("kind", OWN)
def test_a_run_file_that_names_no_learner_has_that_of_the_paper_and_is_read_back(kind):
    study = from_table({**SYSTEM, "campaign": {"kind": kind}})
    assert study.campaign.learner == OWN[kind]()
    assert from_table(study.tables).campaign == study.campaign


@pytest.mark.parametrize("kind", ["MESA", "SandCV", "RAVE"])
def test_a_setting_without_a_kind_is_one_of_the_own_learner(kind):
    learner = from_table({**SYSTEM, "campaign": {"kind": kind, "learner": {"dim": 3}}}).campaign.learner
    assert type(learner) is type(OWN[kind]())
    assert learner.dim == 3


def test_the_slow_variable_loop_learns_by_tica_at_its_lag_time():
    campaign = {"kind": "SlowVariableLoop", "lagtime": "20 ps", "save_every": "1 ps"}
    learner = from_table({**SYSTEM, "campaign": campaign}).campaign.learner
    assert (type(learner).__name__, learner.lagtime, learner.dim) == ("TICA", 20, 2)
