"""From a name to a potential, in one call."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.interop.files.configurations import read_configurations, write_configurations
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.sampling.store import Store
from thalweg.studies.potential.campaign import LABELS, MODEL, potential_study
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.potential_study import potential_study_from_table
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

pytest.importorskip("tblite")
pytest.importorskip("rdkit")

WATER = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])


def quietly(_name):
    return lambda _message, _fraction: None


def study_of(*what, **learning):
    return potential_study_from_table(
        {
            "potential": {"what": list(what), "first": 18, "test": 12, "run": "0.5 ps"},
            "learning": {
                "temperatures": ["300 K"],
                "walkers": 3,
                "duration": "0.2 ps",
                "batch": 6,
                "labels": 36,
                **learning,
            },
        }
    )


@pytest.mark.long
def test_water_by_its_name_becomes_a_potential_as_right_as_wanted_and_a_second_call_pays_nothing(tmp_path):
    study = study_of("O")
    results = potential_study(study, tmp_path, quietly)
    potential = LearnedPotential.load(tmp_path / MODEL)
    frame = Configuration(np.array([8, 1, 1]), WATER)
    off = potential.evaluate([frame]).forces[0] - TightBinding().label(frame).forces
    assert np.sqrt(np.mean(off**2)) < 3 * study.learning.error
    assert results.cycles[-1].force_error <= study.learning.error
    assert "forces are as right as wanted" in results.ended
    assert any("It holds" in sentence for sentence in results.found)
    assert len(read_configurations(tmp_path / LABELS)) == results.cycles[-1].labels
    assert results.ended in (tmp_path / "report.html").read_text("utf-8")
    before = Store(tmp_path / "campaign").digest()
    potential_study(study, tmp_path, quietly)
    assert Store(tmp_path / "campaign").digest() == before
    with pytest.raises(StudyError, match="another study"):
        potential_study(study_of("O", walkers=5), tmp_path, quietly)


def test_labels_of_another_level_and_frames_of_other_atoms_are_refused(tmp_path):
    frame = Configuration(np.array([8, 1, 1]), WATER)
    labeled = TightBinding("GFN1-xTB").label(frame)
    other = write_configurations(tmp_path / "gfn1.xyz", [labeled])
    with pytest.raises(StudyError, match="not by GFN2-xTB"):
        potential_study(study_of(str(other)), tmp_path / "a", quietly)
    peroxide = Configuration(np.array([8, 8, 1, 1]), np.random.default_rng(0).normal(size=(4, 3)))
    mixed = write_configurations(tmp_path / "mixed.xyz", [frame, peroxide])
    with pytest.raises(StudyError, match="frame 1 has other atoms"):
        potential_study(study_of(str(mixed)), tmp_path / "b", quietly)


def test_labels_that_would_take_days_are_refused_with_the_number(tmp_path):
    study = potential_study_from_table(
        {
            "potential": {
                "what": [
                    str(write_configurations(tmp_path / "w.xyz", [Configuration(np.array([8, 1, 1]), WATER)]))
                ],
                "first": 12,
                "test": 2,
                "days": 1e-7,
            },
            "learning": {"temperatures": ["300 K"]},
        }
    )
    with pytest.raises(StudyError, match="days of one core"):
        potential_study(study, tmp_path / "out", quietly)


def test_units_and_unknown_keys_of_a_study_are_read_as_everywhere():
    study = potential_study_from_table({"potential": {"what": ["O"]}, "learning": {"error": "30 meV/Å"}})
    assert study.learning.error == pytest.approx(30 * unit("meV/Å", "force"))
    with pytest.raises(StudyError, match="did you mean"):
        potential_study_from_table({"potential": {"what": ["O"]}, "lerning": {}})
