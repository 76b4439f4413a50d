"""A study of a run that learns as it goes: what a file says, and what it is answered where it is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.studies.potential.on_the_fly import carry_out_on_the_fly, load_on_the_fly
from thalweg.studies.tables.language import StudyError
from thalweg.units import unit

PAIR = "2\n\nH 0 0 0\nH 0 0 0.74\n"

STUDY = """
start = "pair.xyz"
level = "teacher.thalweg"

[run]
temperatures = ["300 K", "500 K"]
duration = "0.1 ps"
check_every = "0.05 ps"
save_every = "0.05 ps"
tolerance = "50 meV/Å"
legs = 1

[learner]
kind = "Linear"
representation = { kind = "ACE", cutoff = "5 Å", levels = [8] }
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pair.xyz").write_text(PAIR)
    bond = morse((1,), [400.0], [20.0], [0.074], cutoff=0.5)
    LearnedPotential({1: 0.0}, (bond,)).save(tmp_path / "teacher.thalweg")
    return tmp_path


def loaded(folder, text):
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return load_on_the_fly(folder / "study.toml")


def test_a_study_says_where_to_start_whom_to_ask_and_how(folder):
    study = loaded(folder, STUDY)
    assert study.level.name == "teacher"
    assert study.settings.temperatures == (300.0, 500.0)
    assert study.settings.tolerance == pytest.approx(50 * unit("meV/Å", "force"))
    assert study.settings.recipe.learner.representation.levels == (8,)
    np.testing.assert_allclose(study.start.positions[1], [0, 0, 0.074])
    assert study.table["run"]["legs"] == 1


@pytest.mark.parametrize(
    ("said", "instead", "told"),
    [
        ('start = "pair.xyz"', "", "says no start"),
        ('start = "pair.xyz"', 'start = "other.xyz"', "there is no file"),
        ('start = "pair.xyz"', 'begin = "pair.xyz"', 'key "begin"'),
        ('duration = "0.1 ps"', 'length = "0.1 ps"', 'no key "length"'),
        ('kind = "Linear"', 'kind = "SparseKernel"', "cannot take labels one at a time"),
        ('level = "teacher.thalweg"', 'level = "PBE0"', "no level of theory"),
    ],
)
def test_what_is_wrong_in_a_study_is_told(folder, said, instead, told):
    with pytest.raises((StudyError, ValueError), match=told):
        loaded(folder, STUDY.replace(said, instead, 1))


@pytest.mark.long
def test_a_study_leaves_a_model_its_labels_and_a_page(folder):
    study = loaded(folder, STUDY)
    results = carry_out_on_the_fly(study, folder / "run", lambda name: lambda message, share: None)
    assert len(results.numbers) >= study.settings.first
    page = (folder / "run" / "report.html").read_text()
    assert "The ledger" in page
    assert "could not be made" not in page
    assert LearnedPotential.load(folder / "run" / "model.thalweg").elements == (1,)
    assert (folder / "run" / "labels.xyz").exists()
