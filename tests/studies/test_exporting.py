"""What a run has learned, as input of other programs."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.learned_variable import LearnedVariable, Projection
from thalweg.studies.runs.running import begin

STUDY = """
[system]
molecule = "alanine_dipeptide"

[campaign]
kind = "SlowVariableLoop"
seeds = [1, 2]
cycles = 1
swarm = "10 ps"
drive = "10 ps"
produce = "10 ps"
segment = "10 ps"
save_every = "1 ps"
lagtime = "2 ps"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has learned two variables of the backbone."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "study.toml").write_text(STUDY)
    study = begin(folder / "study.toml", folder / "run")
    entry = study.campaign.entries(1, "learn")[-1]
    two = np.ones(2)
    affine = Projection(
        np.array([0.5, 0.0, 0.25, 0.0]), np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.5], [0.0, 0.0]])
    )
    model = LearnedVariable(affine, Limits(-two, two, 0.1 * two), two, {})
    Store(folder / "run").commit(entry, model.write)
    return folder / "run"


def export(run, *options: str):
    return CliRunner().invoke(app, ["export", str(run), *options])


def test_a_run_writes_its_slow_variables_for_plumed(run):
    shown = export(run)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0] == "# cv1: slow 1"
    assert sum("TORSION" in line for line in lines) == 2
    assert lines[-1].startswith("cv2: ")


def test_a_run_writes_its_slow_variables_for_colvars_and_openmm(run, tmp_path):
    assert export(run, "--to", "colvars", "--name", "slow").stdout.count("name slow") == 2
    assert export(run, "--to", "openmm", "--out", str(tmp_path / "cv.xml")).exit_code == 0
    force = openmm.XmlSerializer.deserialize((tmp_path / "cv.xml").read_text())
    assert force.getNumCollectiveVariables() == 2


def test_what_cannot_be_exported_is_said(run, tmp_path):
    for options, said in (
        (("--to", "namd"), "known are plumed, colvars, openmm"),
        (("--name", "a b"), "letters and digits"),
    ):
        shown = export(run, *options)
        assert shown.exit_code == 2
        assert said in " ".join(shown.output.split())
    assert export(tmp_path).exit_code == 2
