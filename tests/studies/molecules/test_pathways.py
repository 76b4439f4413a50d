"""``thalweg pathway``: a peptide two of whose residues switch, one after the other, while others fluctuate."""

from __future__ import annotations

import json
from importlib.resources import files

import mdtraj
import numpy as np
import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.interop.files.trajectories import read_topology
from thalweg.studies.molecules.pathways import PathwayStudy
from thalweg.studies.tables.language import StudyError
from thalweg.testsystems.activation import ActivationSwitch

PEPTIDE = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
TURNING = {"psi GLY2": -0.4, "phi PHE4": 0.4}
"""Where along the progress each turns."""


def turned(positions, atoms, angles):
    """Positions ``(frames, atoms, 3)`` with what lies beyond the bond in the middle turned about it by angles."""
    i, j = atoms[1], atoms[2]
    axis = positions[:, j] - positions[:, i]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    arms = positions[:, j + 1 :] - positions[:, j : j + 1]
    cosine, sine = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    along = (arms @ axis[:, :, None]) * axis[:, None]
    positions[:, j + 1 :] = (
        positions[:, j : j + 1] + along + cosine * (arms - along) + sine * np.cross(axis[:, None], arms)
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    structure = mdtraj.load(str(PEPTIDE))
    topology = read_topology(PEPTIDE)
    torsions = {
        f"{kind} {topology.residue(int(atoms[1]))}": [int(k) for k in atoms]
        for kind in ("phi", "psi")
        for atoms in backbone_dihedrals(topology)[kind]
    }
    assert set(TURNING) < set(torsions)
    random = np.random.default_rng(0)
    progress = ActivationSwitch(residues=1, switches=(0,), loops=(), slow=()).sample(3, 1500, seed=0).progress
    paths = []
    for number, q in enumerate(progress):
        positions = np.repeat(structure.xyz.astype(float), len(q), axis=0)
        for name, atoms in sorted(torsions.items(), key=lambda one: one[1][1]):
            angles = 0.25 * random.standard_normal(len(q))
            if name in TURNING:
                angles += 1.2 / (1 + np.exp(-(q - TURNING[name]) / 0.1))
            turned(positions, atoms, angles)
        path = folder / f"run{number}.dcd"
        mdtraj.Trajectory(positions.astype(np.float32), structure.topology).save(str(path))
        paths.append(path)
    return paths


def test_the_residues_of_the_switch_come_first_and_turn_in_their_order(runs, tmp_path):
    command = ["pathway", *map(str, runs), "--topology", str(PEPTIDE), "--dt", "1 ps", "--lag", "20 ps",
               "--features", "backbone", "--halves", "2", "--out", str(tmp_path)]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "results" / "report.json").read_text())
    assert set(told["ranking"]["names"][:2]) == {"GLY2", "PHE4"}
    # both forms have as many frames: either may be the first
    assert told["order"]["sure"] in ([["GLY2"], ["PHE4"]], [["PHE4"], ["GLY2"]])
    assert "Those that turn do so in this order" in done.output
    page = (tmp_path / "report.html").read_text()
    assert 'id="viewer"' in page
    assert (tmp_path / "results" / "residues.csv").read_text().startswith("residue,")


def test_what_is_not_known_is_refused():
    with pytest.raises(StudyError, match=r"--method \"pca\" is unknown; use one of tica"):
        PathwayStudy((PEPTIDE,), PEPTIDE, method="pca")
    with pytest.raises(StudyError, match="--halves 0"):
        PathwayStudy((PEPTIDE,), PEPTIDE, halves=0)
