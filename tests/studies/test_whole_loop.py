"""The whole loop: labels, a potential, the campaign that it drives, its ensemble judged and corrected to the level."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from thalweg.interop.rdkit.conformers import conformers
from thalweg.sampling.store import Store
from thalweg.studies.runs.learned_system import learned_system, topology_of
from thalweg.studies.runs.whole_loop import whole_loop
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.loop_study import loop_study_from_table
from thalweg.systems.configuration import Configuration

pytest.importorskip("tblite")
pytest.importorskip("rdkit")

TORSION = "Cl1-C2-C3-Cl4 MOL1"
STUDY = {
    "title": "1,2-dichloroethane",
    "potential": {"what": ["ClCCCl"], "first": 24, "test": 10, "run": "0.2 ps"},
    "learning": {"labels": 30, "cycles": 1, "walkers": 2, "duration": "0.2 ps"},
    "dynamics": {"dt": "1 fs", "temperature": "600 K"},
    "features": {"kind": "TorsionFeatures", "select": "rotatable"},
    "campaign": {
        "kind": "SlowVariableLoop", "walkers": 8, "cycles": 1, "swarm": "4 ps", "drive": "6 ps", "produce": "8 ps",
        "segment": "8 ps", "save_every": "0.1 ps", "lagtime": "0.2 ps",
        "bias": {"kind": "Metadynamics", "stride": "0.1 ps", "bias_factor": 6.0},
    },
    "execution": {"workers": 1},
    "states": {"trans": {TORSION: ["120 deg", "-120 deg"]}},
    "returns": {"most": 1, "outside": 0.0, "labels": 6, "judged": 60, "checked": 40, "members": 2},
}  # fmt: skip


def quietly(name):
    return lambda message, fraction: None


def stopping_at(name):
    """Stops the loop where it begins to do what is called so."""

    def progress(task):
        if task == name:
            raise KeyboardInterrupt
        return quietly(task)

    return progress


def done(folder, table=STUDY, progress=quietly):
    return whole_loop(loop_study_from_table(table), folder, Console(quiet=True), progress)


@pytest.mark.long
def test_from_a_name_to_a_free_energy_stopped_twice_and_the_same_again_without_a_label(tmp_path):
    for name in ("judging sampling-0", "correcting"):
        with pytest.raises(KeyboardInterrupt):
            done(tmp_path, progress=stopping_at(name))
    results = done(tmp_path)
    (trans,) = results.states
    assert trans.added is not None
    assert np.isfinite([trans.value, trans.error, trans.labels_error]).all()
    assert abs(trans.added.value) < 3.0  # kJ/mol: the potential is that of the level, nearly
    assert trans.value < 0  # at 600 K most molecules are trans
    assert results.returns[0].folder == "sampling-0"
    told = json.loads((tmp_path / "results" / "report.json").read_text())
    assert told["states"][0]["name"] == "trans"
    labels = Store(tmp_path / "labels").ids()
    again = done(tmp_path)
    assert again.states == results.states
    assert Store(tmp_path / "labels").ids() == labels
    with pytest.raises(StudyError, match="was begun with another study"):
        done(tmp_path, STUDY | {"returns": {"most": 0}})


def test_a_campaign_that_leaves_no_weights_is_refused_before_anything_is_paid(tmp_path):
    table = STUDY | {"campaign": {"kind": "MarkovRestarts"}}
    with pytest.raises(StudyError, match="leaves no weighted frames"):
        done(tmp_path / "run", table)
    assert not (tmp_path / "run").exists()


def test_bonds_and_molecules_of_a_structure_are_seen_and_torsions_have_names():
    (frame, *_) = conformers("ClCCCl", 1)
    topology = topology_of(frame)
    assert len(topology.bonds) == 7
    assert topology.label(3) == "MOL1-Cl4"
    apart = np.concatenate([frame.positions, frame.positions + 2.0])
    two = topology_of(Configuration(np.tile(frame.numbers, 2), apart))
    assert two.residue_ids == (1,) * 8 + (2,) * 8


def test_steps_too_long_for_free_hydrogens_are_refused(tmp_path, monkeypatch):
    from thalweg.interop.files.configurations import write_configurations

    write_configurations(tmp_path / "start.xyz", conformers("C", 1))
    monkeypatch.setattr("thalweg.studies.runs.learned_system.load_potential", lambda path: None)
    with pytest.raises(StudyError, match=r'dt = 2 fs, and bonds to hydrogen are free .*at most "1 fs"'):
        learned_system(tmp_path / "model.thalweg", tmp_path / "start.xyz", 0.002)
