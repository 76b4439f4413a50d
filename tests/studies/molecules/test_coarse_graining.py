"""A coarse model from one run file: goes on where it was stopped, ends at the same bytes, and answers bad input."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from thalweg.coarse_graining.fitting.force_matching import forces_of
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.interop.files.trajectories import write_trajectory
from thalweg.learning.storage import load_tree
from thalweg.studies.molecules.coarse_frames import mapped_study
from thalweg.studies.molecules.coarse_graining import coarse_study
from thalweg.studies.tables.coarse_study import coarse_study_from_table
from thalweg.studies.tables.language import StudyError
from thalweg.systems.topology import Topology, molecules_of
from thalweg.units import thermal_energy

SPRING = 20000.0
KT = thermal_energy(300.0)
QUICK = {"simulation": {"length": "1 ps", "replicas": 4, "save_every": "0.05 ps"}}


def chain(frames=400, seed=0):
    """Four carbons on springs of 20,000 kJ/mol/nm^2 and their forces; angles and the torsion are free."""
    rng = np.random.default_rng(seed)
    x = np.zeros((frames, 4, 3))
    for k in range(1, 4):
        step = 0.25 * rng.normal(size=(frames, 3)) + [1, 0.8 * (-1) ** k, 0.5 * (k == 3)]
        step /= np.linalg.norm(step, axis=1, keepdims=True)
        x[:, k] = x[:, k - 1] + step * rng.normal(0.15, np.sqrt(KT / SPRING), (frames, 1))
    arms = np.diff(x, axis=1)
    length = np.linalg.norm(arms, axis=2, keepdims=True)
    pull = -SPRING * (length - 0.15) * arms / length
    forces = np.zeros_like(x)
    forces[:, 1:] += pull
    forces[:, :-1] -= pull
    return x, forces


def beads(folder: Path, with_forces=True, name="run.npz", **more) -> dict:
    x, forces = chain()
    np.savez(folder / name, positions=x, **({"forces": forces} if with_forces else {}), **more)
    return {
        "title": "four beads",
        "trajectories": {"files": [name], "temperature": "300 K", "dt": "1 ps"},
        "mapping": {"kind": "GivenBeads", "masses": [12.0] * 4},
        "interactions": {"coupled": 0},
        "forces": {"copies": 0},
        **QUICK,
    }


def atoms(folder: Path) -> dict:
    x, _ = chain()
    topology = molecules_of(("C",) * 4, np.array([[0, 1], [1, 2], [2, 3]]))
    write_trajectory(folder / "atoms.pdb", x[:1], topology)
    write_trajectory(folder / "run.dcd", x, topology)
    return {
        "trajectories": {"files": ["run.dcd"], "topology": "atoms.pdb", "temperature": "300 K"},
        "mapping": {"kind": "GroupBeads", "groups": [[0, 1], [2, 3]]},
    }


def run(table, folder, out="out", progress=lambda name: lambda text, share: None):
    return coarse_study(coarse_study_from_table(table, folder), folder / out, progress)


def digests(folder: Path) -> dict[str, str]:
    kept = (
        "frames.thalweg",
        "model.thalweg",
        "simulated.thalweg",
        "comparison.thalweg",
        "card.json",
        "report.html",
    )
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in kept}


def test_springs_are_found_and_the_model_is_loaded_with_the_same_forces(tmp_path):
    results = run(beads(tmp_path) | {"export": ["openmm", "lammps"]}, tmp_path)
    model = LinearCoarseModel.load(tmp_path / "out" / "model.thalweg")
    frames = load_tree(tmp_path / "out" / "frames.thalweg")["frames"]
    assert (
        np.abs(forces_of(model.energy(), frames) - frames.forces).max() < 1e-2 * np.abs(frames.forces).max()
    )
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["valid at [K]"] == pytest.approx(300)
    assert card["digest"] == digests(tmp_path / "out")["model.thalweg"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<h2>Distributions</h2>" in page
    assert "could not be made" not in page
    assert (tmp_path / "out" / "exports" / "openmm" / "system.xml").is_file()
    assert (tmp_path / "out" / "exports" / "lammps" / "tables.txt").is_file()
    assert results.card["method"] == "ForceMatching"


def test_a_study_that_was_stopped_goes_on_to_the_same_bytes(tmp_path):
    class Stopped(Exception):
        pass

    def stopping_at(step):
        def progress(name):
            if name == step:
                raise Stopped
            return lambda text, share: None

        return progress

    table = beads(tmp_path)
    run(table, tmp_path, "whole")
    for step in ("fitting", "simulating the model", "judging"):
        with pytest.raises(Stopped):
            run(table, tmp_path, "stopped", stopping_at(step))
    run(table, tmp_path, "stopped")
    assert digests(tmp_path / "stopped") == digests(tmp_path / "whole")
    with pytest.raises(StudyError, match="holds another study: seed changed"):
        run(table | {"seed": 1}, tmp_path, "whole")


def test_without_forces_positions_are_learned_from_and_it_is_said(tmp_path):
    table = beads(tmp_path, with_forces=False) | {
        "interactions": {"coupled": 0, "waves": 1},
        "model": {"kind": "RelativeEntropy", "rounds": 3, "dynamics": {"length": "8 ps", "replicas": 32}},
    }
    results = run(table, tmp_path)
    told = " ".join(each.sentence for each in results.diagnoses)
    assert "ForceMatching and NetworkForceMatching need forces" in told
    with pytest.raises(ValueError, match=r"RelativeEntropy.*learn from positions alone"):
        run(table | {"model": {"kind": "ForceMatching"}}, tmp_path, "other")


def test_frames_of_two_temperatures_are_never_one_set(tmp_path):
    table = beads(tmp_path, temperature=300.0)
    x, forces = chain(seed=1)
    np.savez(tmp_path / "hot.npz", positions=x, forces=forces, temperature=400.0)
    table["trajectories"]["files"] = ["run.npz", "hot.npz"]
    del table["trajectories"]["temperature"]
    with pytest.raises(StudyError, match=r"several temperatures .*hot\.npz: 400 K"):
        run(table, tmp_path)
    hot = beads(tmp_path, temperature=300.0)
    hot["transfer"] = [{"files": ["hot.npz"], "temperature": "400 K"}]
    found = run(hot, tmp_path, "transferred")
    assert list(found.transferred) == ["400 K"]


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    table = beads(tmp_path)
    beads(tmp_path, with_forces=False, name="bare.npz")
    table["trajectories"]["files"] = ["run.npz", "bare.npz"]
    with pytest.raises(StudyError, match=r"bare\.npz has no forces, other files have"):
        run(table, tmp_path)
    np.savez(tmp_path / "odd.npz", coordinates=np.zeros((3, 4, 3)))
    table["trajectories"]["files"] = ["odd.npz"]
    with pytest.raises(ValueError, match=r"odd\.npz holds coordinates; it needs positions"):
        run(table, tmp_path)


def test_a_mapping_that_cannot_be_right_is_answered(tmp_path):
    table = atoms(tmp_path)
    study = coarse_study_from_table(table, tmp_path)
    assert mapped_study(study, study.trajectories).notes == ()
    lost = coarse_study_from_table(
        {**table, "mapping": {"kind": "GroupBeads", "groups": [[0, 1], [2]]}}, tmp_path
    )
    assert "beads hold 75 % of the mass" in mapped_study(lost, lost.trajectories).notes[0]

    def refused(mapping, match):
        bad = coarse_study_from_table({**table, "mapping": mapping}, tmp_path)
        with pytest.raises(ValueError, match=match):
            mapped_study(bad, bad.trajectories)

    refused({"kind": "GroupBeads", "groups": [[0, 1], [1, 2]]}, "atoms 1 are in two beads")
    refused({"kind": "AtomBeads", "names": ["CA"]}, "no atom is called CA")
    refused({"kind": "ResidueBeads"}, "no residue has an atom 'CA'")
    with pytest.raises(StudyError, match='misses the key "topology"'):
        coarse_study_from_table({"trajectories": {"files": []}, "mapping": {"kind": "MoleculeBeads"}})


def test_more_functions_than_can_be_fitted_are_refused(tmp_path):
    table = beads(tmp_path) | {"interactions": {"coupled": 0, "waves": 3000}}
    with pytest.raises(StudyError, match="functions of beads of 4 kinds"):
        run(table, tmp_path)


def test_residues_share_functions_where_they_are_alike(tmp_path):
    x, _ = chain()
    residues, bonds = ("ALA", "GLY", "ALA", "SER"), np.array([[0, 1], [1, 2], [2, 3]])
    topology = Topology(("CA",) * 4, ("C",) * 4, residues, (1, 2, 3, 4), (0,) * 4, bonds)
    write_trajectory(tmp_path / "run.pdb", x, topology)
    given = {"files": ["run.pdb"], "topology": "run.pdb", "temperature": "300 K", "dt": "1 ps"}
    for alike, kinds in ((False, [1, 2, 1, 3]), (True, [1, 1, 1, 1])):
        mapping = {"kind": "ResidueBeads", "alike": alike}
        asked = coarse_study_from_table(
            {"title": "residues", "trajectories": given, "mapping": mapping}, tmp_path
        )
        assert mapped_study(asked, asked.trajectories).frames.kinds.tolist() == kinds


def test_beads_on_top_of_each_other_and_a_liquid_without_a_box_are_refused(tmp_path):
    table = beads(tmp_path)
    x, forces = chain()
    x[8, 3] = x[8, 0] + 1e-4
    np.savez(tmp_path / "run.npz", positions=x, forces=forces)
    with pytest.raises(StudyError, match="B1 and B4 lie on top of each other"):
        run(table, tmp_path)
    loose = beads(tmp_path)
    loose["mapping"]["bonds"] = []
    with pytest.raises(ValueError, match="without a box they are no liquid"):
        run(loose, tmp_path, "loose")


def test_constraints_that_a_force_map_ignores_are_found(tmp_path):
    """Two carbons at a fixed distance in two beads: the basic map would be biased, the best one is not."""
    table = atoms(tmp_path)
    x, forces = chain()
    arm = x[:, 2] - x[:, 1]
    x[:, 2:] += (0.15 * arm / np.linalg.norm(arm, axis=1, keepdims=True) - arm)[:, None]
    np.savez(tmp_path / "held.npz", positions=x, forces=forces)
    table["trajectories"]["files"] = ["held.npz"]
    basic = coarse_study_from_table({**table, "forces": {"map": "basic"}}, tmp_path)
    with pytest.raises(ValueError, match=r"held at a fixed distance; use ForceMap\.optimal"):
        mapped_study(basic, basic.trajectories)
    best = coarse_study_from_table(table, tmp_path)
    assert mapped_study(best, best.trajectories).frames.needed_forces().shape == (400, 2, 3)
