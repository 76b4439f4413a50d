"""From labeled frames to a potential, its report and its dynamics, through the command line."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.interop.files.configurations import read_configurations, write_configurations
from thalweg.interop.files.trajectories import read_topology, read_trajectory
from thalweg.learned_potentials.frames.errors import errors
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learning.trainer import history_of
from thalweg.studies.frames import frames_of
from thalweg.studies.tables.fit_study import fit_from_table, usual_learner
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

SITES = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
STUDY = """
title = "Silicon"

[data]
train = ["silicon.xyz"]
validation = 0.2
test = ["other.xyz"]

[representation]
kind = "ACE"
cutoff = "3.9 Å"
levels = [6, 3]

[weights]
energy = "1 meV"
force = "10 meV/Å"

[learning_curve]
sizes = [8, 12]
splits = 2
"""


def silicon(count, seed, displacement=0.01):
    """Frames labeled by Stillinger and Weber's potential."""
    random = np.random.default_rng(seed)
    lengths = 0.5431 * (1 + 0.01 * random.normal(size=count))
    frames = [
        Configuration(
            np.full(8, 14), a * SITES + displacement * random.normal(size=(8, 3)), a * np.eye(3), (True,) * 3
        )
        for a in lengths
    ]
    labels = stillinger_weber_silicon().evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=forces)
        for frame, energy, forces in zip(frames, labels.energies, labels.forces)
    ]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with frames, a study and its fit."""
    folder = tmp_path_factory.mktemp("fit")
    write_configurations(folder / "silicon.xyz", silicon(20, 0))
    write_configurations(folder / "other.xyz", silicon(6, 1))
    write_configurations(folder / "start.xyz", [silicon(1, 2, 0.0)[0]])
    (folder / "study.toml").write_text(STUDY, "utf-8")
    shown = run("fit", folder / "study.toml", "--out", folder / "fit")
    assert shown.exit_code == 0, shown.output
    return folder


def test_a_fit_leaves_its_study_its_model_and_its_report(work):
    fit = work / "fit"
    for name in ("run.toml", "model.thalweg", "report.html", "results/report.json", "results/errors.csv"):
        assert (fit / name).is_file(), name
    table = tomllib.loads((fit / "run.toml").read_text("utf-8"))
    assert table["learner"]["representation"]["radial_scale"] == {"kind": "Exponential", "stretch": 2.0}
    assert table["versions"]["thalweg"]
    page = (fit / "report.html").read_text("utf-8")
    for section in (
        "Predictions against labels",
        "Learning curve",
        "Uncertainty",
        "Energies against forces",
        "Drautz",
    ):
        assert section in page, section


def test_the_reported_errors_are_those_of_the_model_on_the_files(work):
    found = errors(
        LearnedPotential.load(work / "fit" / "model.thalweg"), read_configurations(work / "other.xyz")
    )
    with open(work / "fit" / "results" / "errors.csv", encoding="utf-8") as file:
        rows = {(row["set"], row["label"]): row for row in csv.DictReader(file)}
    assert float(rows["test", "forces"]["MAE"]) == pytest.approx(
        found.forces.mae / unit("meV/Å", "force"), rel=1e-5
    )
    shown = run("evaluate", work / "fit", work / "other.xyz", "--out", work / "evaluation")
    assert shown.exit_code == 0, shown.output
    report = json.loads((work / "evaluation" / "results" / "report.json").read_text("utf-8"))
    assert float(rows["test", "energy"]["RMSE"]) == pytest.approx(report["sets"][0]["rows"][1][3], rel=1e-5)


def test_frames_to_distrust_are_told_without_their_labels(work):
    bare = [replace(frame, energy=None, forces=None) for frame in (*silicon(3, 11), *silicon(2, 12, 0.05))]
    broken = replace(bare[0], positions=np.zeros((8, 3)))
    write_configurations(work / "unlabeled.xyz", [*bare[:2], broken, *bare[2:]])
    shown = run("evaluate", work / "fit", work / "unlabeled.xyz", "--out", work / "doubts")
    assert shown.exit_code == 0, shown.output
    assert "Extrapolation: 2 of 5 frames have a grade above 2" in shown.output
    with open(work / "doubts" / "results" / "frames.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] == "do not trust" for row in rows] == [False] * 3 + [True] * 2
    assert rows[0]["force RMSE [meV/Å]"] == ""
    assert [row["frame"] for row in rows] == ["0", "1", "3", "4", "5"]
    assert "problem: atoms on top of each other (frame 2 of unlabeled.xyz)" in shown.output
    assert "Frames to distrust" in (work / "doubts" / "report.html").read_text("utf-8")
    assert "held_out_largest" in (work / "fit" / "report.html").read_text("utf-8")


def test_a_finished_fit_is_not_done_again(work):
    before = (work / "fit" / "model.thalweg").stat().st_mtime_ns
    shown = run("fit", work / "study.toml", "--out", work / "fit")
    assert shown.exit_code == 0
    assert "is finished" in shown.output
    assert (work / "fit" / "model.thalweg").stat().st_mtime_ns == before


def test_another_study_is_refused_in_the_folder_of_a_fit(work):
    (work / "other.toml").write_text(STUDY.replace("3.9", "4.1"), "utf-8")
    (work / "begun").mkdir(exist_ok=True)
    (work / "begun" / "run.toml").write_bytes((work / "fit" / "run.toml").read_bytes())
    shown = run("fit", work / "other.toml", "--out", work / "begun")
    assert shown.exit_code == 2
    assert "differs in learner" in shown.output


def test_dynamics_leave_trajectories_that_open_and_say_whether_they_held_up(work):
    arguments = ("--temperature", "300 K", "--time", "0.04 ps", "--dt", "1 fs", "--save-every", "10 fs")
    shown = run(
        "md", work / "fit", work / "start.xyz", *arguments, "--replicas", 2, "--nve", "--out", work / "md"
    )
    assert shown.exit_code == 0, shown.output
    assert "2 of 2 replicas lasted" in shown.output
    assert "Extrapolation grade along the run: up to" in shown.output
    assert json.loads((work / "md" / "stability.json").read_text("utf-8"))["beyond_10"] == 0
    frames = read_trajectory(work / "md" / "replica-1.dcd", read_topology(work / "md" / "topology.pdb"))
    assert frames.positions.shape == (4, 8, 3)
    with open(work / "md" / "energies.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["replica"] == "0"]
    total = [float(row["potential [kJ/mol]"]) + float(row["kinetic [kJ/mol]"]) for row in rows]
    assert np.ptp(total) < 0.01 * float(rows[0]["kinetic [kJ/mol]"])
    again = run("md", work / "fit", work / "start.xyz", *arguments, "--out", work / "md")
    assert (again.exit_code, "not an empty folder" in again.output) == (2, True)


def test_what_is_wrong_is_said_without_a_traceback(work):
    for arguments, said in (
        (("fit", work / "nothing.toml"), "there is no study"),
        (("evaluate", work / "nothing.thalweg", work / "other.xyz"), "there is no model"),
        (("evaluate", work / "study.toml", work / "other.xyz"), "study.toml"),
        (("md", work / "fit", work / "start.xyz", "--time", "10", "--out", work / "no"), "unit"),
    ):
        shown = run(*arguments)
        assert (shown.exit_code, said in shown.output) == (2, True), shown.output


def test_frames_of_the_test_are_never_trained_on(tmp_path):
    frames = silicon(12, 3)
    write_configurations(tmp_path / "all.xyz", frames)
    write_configurations(tmp_path / "test.xyz", frames[:4])
    table = {"data": {"train": ["all.xyz"], "validation": 0.0, "test": ["test.xyz"]}}
    dealt = frames_of(fit_from_table(table, "study", tmp_path))
    assert (len(dealt.training), len(dealt.test)) == (8, 4)
    energies = {round(frame.energy, 6) for frame in dealt.training}
    assert not energies & {round(frame.energy, 6) for frame in dealt.test}


def test_blocks_of_a_trajectory_stay_together(tmp_path):
    frames = silicon(40, 4)
    write_configurations(tmp_path / "all.xyz", [replace(f, info={"step": k}) for k, f in enumerate(frames)])
    table = {"data": {"train": ["all.xyz"], "validation": 0.25, "test": 0.25, "split": "blocks"}}
    dealt = frames_of(fit_from_table(table, "study", tmp_path))
    for part in (dealt.training, dealt.validation, dealt.test):
        steps = {int(frame.info["step"]) for frame in part}
        assert all(step ^ 1 in steps for step in steps)
    assert [len(dealt.training), len(dealt.validation), len(dealt.test)] == [20, 10, 10]


def test_isolated_atoms_in_the_data_are_the_zero_of_the_energy(tmp_path):
    atom = Configuration(np.array([14]), np.zeros((1, 3)), energy=-5.0)
    write_configurations(tmp_path / "all.xyz", [atom, *silicon(10, 5)])
    dealt = frames_of(fit_from_table({"data": {"train": ["all.xyz"]}}, "study", tmp_path))
    assert dealt.references == {14: pytest.approx(-5.0)}
    assert min(len(frame) for frame in dealt.training) == 8


def test_forces_in_other_units_stop_a_fit_before_it_starts(tmp_path):
    first, second = silicon(2, 6)
    path = [
        replace(first, positions=first.positions + 0.05 * k * (second.positions - first.positions))
        for k in range(20)
    ]
    labels = stillinger_weber_silicon().evaluate(path)
    frames = [
        replace(frame, energy=float(energy), forces=51.4221 * forces)
        for frame, energy, forces in zip(path, labels.energies, labels.forces)
    ]
    write_configurations(tmp_path / "all.xyz", frames)
    with pytest.raises(StudyError, match="forces"):
        frames_of(fit_from_table({"data": {"train": ["all.xyz"]}}, "study", tmp_path))


def test_files_without_frames_or_labels_are_told_from_small_ones(tmp_path):
    write_configurations(
        tmp_path / "bare.xyz", [replace(f, energy=None, forces=None) for f in silicon(12, 13)]
    )
    (tmp_path / "empty.xyz").write_text("", "utf-8")
    (tmp_path / "notes.xyz").write_text("no\nframes\n", "utf-8")
    for name, said in (
        ("bare", "to learn from"),
        ("empty", "no frames"),
        ("notes", "notes.xyz: line 1 .* where the number of atoms should be"),
    ):
        with pytest.raises(ValueError, match=said):
            frames_of(fit_from_table({"data": {"train": [f"{name}.xyz"]}}, "study", tmp_path))


def test_the_usual_learner_has_no_more_coefficients_than_half_the_labels():
    few, many = (usual_learner(silicon(count, 7)) for count in (4, 60))
    assert sum(few.representation.levels) < sum(many.representation.levels)


@pytest.mark.long
def test_relaxing_first_starts_dynamics_at_a_minimum(work):
    write_configurations(work / "shaken.xyz", silicon(1, 10, 0.02))
    times = ("--time", "2 fs", "--dt", "1 fs", "--relax", "--out", work / "relaxed")
    shown = run("md", work / "fit", work / "shaken.xyz", *times)
    assert shown.exit_code == 0, shown.output
    assert "Relaxed: no force component is above" in shown.output
    frame = read_configurations(work / "relaxed" / "topology.pdb")[0].positions
    near = np.linalg.norm(frame[1:] - frame[0], axis=1).min()
    assert near == pytest.approx(np.sqrt(3) / 4 * 0.5431, rel=0.02)


FIT_AND_DIE = """
import os, signal, sys

def die(event, values):
    if event == "os.rename" and str(values[1]).endswith("checkpoint-0.npz") and os.path.exists(values[1]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
from thalweg.cli.main import main

main()
"""
"""By a signal that no program can catch, as the second checkpoint is about to take the place of the first."""


@pytest.mark.long
def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path):
    write_configurations(tmp_path / "silicon.xyz", silicon(6, 8))
    (tmp_path / "study.toml").write_text(
        """
        [data]
        train = ["silicon.xyz"]
        validation = 0.34
        test = 0.0
        [representation]
        kind = "ACE"
        cutoff = "3 Å"
        levels = [4]
        [learner]
        kind = "Network"
        widths = [3]
        training = {trainer = {epochs = 60}}
        """,
        "utf-8",
    )
    one, two = tmp_path / "one", tmp_path / "two"
    command = [sys.executable, "-c", FIT_AND_DIE, "fit", str(tmp_path / "study.toml"), "--out", str(two)]
    died = subprocess.run(command, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert 1 <= len(history_of(two / "checkpoint-0.npz").training) < 60
    for out in (one, two):
        shown = run("fit", tmp_path / "study.toml", "--out", out)
        assert shown.exit_code == 0, shown.output
    histories = [history_of(out / "checkpoint-0.npz") for out in (one, two)]
    np.testing.assert_array_equal(histories[0].held_out, histories[1].held_out)
    readouts = [LearnedPotential.load(out / "model.thalweg").terms[-1].readout for out in (one, two)]
    for a, b in zip(*map(jax.tree.leaves, readouts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_atoms_without_a_neighbor_are_judged_as_all_others(work):
    alone = Configuration(np.array([14]), np.zeros((1, 3)), energy=3.5, forces=np.zeros((1, 3)))
    apart = Configuration(
        np.array([14, 14]), np.array([[0, 0, 0], [0, 0, 0.9]]), energy=7.0, forces=np.zeros((2, 3))
    )
    for name, frame in (("alone", alone), ("apart", apart), ("bare", replace(alone, forces=None))):
        write_configurations(work / f"{name}.xyz", [frame])
        shown = run("evaluate", work / "fit", work / f"{name}.xyz", "--out", work / f"on-{name}")
        assert shown.exit_code == 0, shown.output
        assert (work / f"on-{name}" / "report.html").is_file()
        assert "could not be looked at" not in shown.output


def test_the_folder_of_an_evaluation_is_not_overwritten(work):
    (work / "used").mkdir(exist_ok=True)
    (work / "used" / "mine.txt").write_text("precious", "utf-8")
    shown = run("evaluate", work / "fit", work / "other.xyz", "--out", work / "used")
    assert (shown.exit_code, "not an empty folder; give another --out" in shown.output) == (2, True)
    assert [path.name for path in (work / "used").iterdir()] == ["mine.txt"]


@pytest.mark.long
def test_an_analysis_that_fails_is_told_and_the_fit_and_its_report_are_there(work, monkeypatch):
    from thalweg.studies import fitting

    def failing(*_, **__):
        raise RuntimeError("no such luck")

    for name in ("courses", "uncertainty_on", "graded", "front", "learning_curve"):
        monkeypatch.setattr(fitting, name, failing)
    shown = run("fit", work / "study.toml", "--out", work / "unlucky")
    assert shown.exit_code == 0, shown.output
    looked_at = ("where errors are", "the uncertainty", "extrapolation", "energies against forces")
    for what in (*looked_at, "the learning curve"):
        assert f"{what} could not be looked at: no such luck" in shown.output
    assert LearnedPotential.load(work / "unlucky" / "model.thalweg").elements == (14,)
    assert (work / "unlucky" / "report.html").is_file()


@pytest.mark.long
def test_what_ends_the_work_after_a_fit_leaves_its_model(work, monkeypatch):
    from thalweg.studies import fitting

    def broken(*_):
        raise MemoryError("the page is too large")

    monkeypatch.setattr(fitting, "write_potential_report", broken)
    assert run("fit", work / "study.toml", "--out", work / "pageless").exit_code != 0
    assert LearnedPotential.load(work / "pageless" / "model.thalweg").elements == (14,)


def test_options_of_a_fit_are_keys_of_its_study(tmp_path, monkeypatch):
    from thalweg.studies import fitting

    seen = []

    def caught(study, folder, console):
        seen.append(study)
        raise StudyError("enough")

    monkeypatch.setattr(fitting, "carry_out_fit", caught)
    write_configurations(tmp_path / "a.xyz", silicon(3, 1))
    write_configurations(tmp_path / "b.xyz", silicon(3, 2))
    options = ("--test", tmp_path / "b.xyz", "--validation", "0.2", "--index", "::2", "--test-index", ":1")
    names = ("--energy-key", "E", "--forces-key", "F", "--stress-key", "S", "--energy-unit", "Ha")
    more = (
        "--learner",
        "GradientDomain",
        "--keep",
        "repeated",
        "--keep",
        "outliers",
        "--out",
        tmp_path / "o",
    )
    shown = run("fit", "--train", tmp_path / "a.xyz", *options, *names, *more)
    assert "enough" in shown.output
    (study,) = seen
    assert study.data.test == (str(tmp_path / "b.xyz"),)
    assert (study.data.validation, study.data.index, study.data.test_index) == (0.2, "::2", ":1")
    assert (study.data.energy_key, study.data.forces_key, study.data.stress_key) == ("E", "F", "S")
    assert (study.units.energy, study.data.keep) == ("Ha", ("repeated", "outliers"))
    assert type(study.learner).__name__ == "GradientDomain"
    (tmp_path / "s.toml").write_text('[data]\ntrain = ["a.xyz"]\n', "utf-8")
    shown = run("fit", tmp_path / "s.toml", "--energy-key", "E", "--learner", "PIP")
    assert shown.exit_code == 2
    assert "--energy-key, --learner go with --train" in " ".join(shown.output.replace("│", " ").split())


def test_findings_name_the_frame_in_its_file_and_outliers_are_left_out_of_all_sets(tmp_path):
    frames = silicon(40, 5)
    wrong = replace(frames[7], energy=frames[7].energy + 2000.0)
    held = replace(frames[35], energy=frames[35].energy - 2000.0)
    for folder, some in (("train", [*frames[:7], wrong, *frames[8:30]]), ("test", [*frames[30:35], held])):
        (tmp_path / folder).mkdir()
        write_configurations(tmp_path / folder / "a.xyz", [*some, some[0]])
    table = {"train": ["train/a.xyz"], "test": ["test/a.xyz"], "validation": 0.1}
    dealt = frames_of(fit_from_table({"data": table}, "study", tmp_path))
    said = str(dealt.findings)
    assert "frame 5 of test/a.xyz; frame 7 of train/a.xyz" in said or "frame 7 of train/a.xyz" in said
    assert (len(dealt.training) + len(dealt.validation), len(dealt.test)) == (29, 5)
    assert "2 frames whose labels contradict those of frames alike are left out" in " ".join(dealt.said)
    assert 'keep = ["repeated"] in [data] (--keep repeated)' in " ".join(dealt.said)
    dealt = frames_of(fit_from_table({"data": table | {"keep": ["outliers", "repeated"]}}, "study", tmp_path))
    assert (len(dealt.training) + len(dealt.validation), len(dealt.test)) == (31, 7)


def test_each_set_has_an_index_of_its_own(tmp_path):
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        write_configurations(tmp_path / f"{name}.xyz", silicon(8, seed))
    files = {"train": ["a.xyz"], "validation": ["b.xyz"], "test": ["c.xyz"]}
    indices = {"index": "::2", "validation_index": ":3"}
    dealt = frames_of(fit_from_table({"data": files | indices}, "study", tmp_path))
    assert (len(dealt.training), len(dealt.validation), len(dealt.test)) == (4, 3, 8)


def test_isolated_atoms_of_another_method_and_files_in_other_units_are_told(tmp_path):
    frames = silicon(14, 6)
    foreign = Configuration(np.array([14]), np.zeros((1, 3)), 2 * np.eye(3), (True,) * 3, energy=-2e5)
    write_configurations(tmp_path / "a.xyz", [*frames, foreign])
    dealt = frames_of(fit_from_table({"data": {"train": ["a.xyz"]}}, "study", tmp_path))
    assert dealt.references is None
    assert "of another method than the frames, it is not used" in " ".join(dealt.said)
    grown = [replace(f, positions=f.positions / 0.529177, box=f.box / 0.529177, energy=None) for f in frames]
    write_configurations(tmp_path / "b.xyz", grown)
    with pytest.raises(StudyError, match=r"as if bohr were read as Å; say so by \[data.units\]"):
        frames_of(fit_from_table({"data": {"train": ["b.xyz"]}}, "study", tmp_path))
    kept = {"data": {"train": ["b.xyz"], "keep": ["units"]}}
    assert len(frames_of(fit_from_table(kept, "study", tmp_path)).training) > 8


def test_a_stress_of_the_wrong_sign_is_put_right_before_it_is_learned(tmp_path):
    labels = stillinger_weber_silicon().evaluate(frames := silicon(16, 9, 0.015))
    wrong = [replace(frame, stress=-stress) for frame, stress in zip(frames, labels.stresses)]
    write_configurations(tmp_path / "a.xyz", wrong)
    data = {"train": ["a.xyz"], "validation": 0.0, "test": 0.0}
    dealt = frames_of(fit_from_table({"data": data}, "study", tmp_path))
    np.testing.assert_allclose(dealt.training[3].stress, labels.stresses[3], atol=1e-6)
    assert "they have the wrong sign; they are multiplied by it" in str(dealt.findings)
    dealt = frames_of(fit_from_table({"data": data | {"keep": ["stress"]}}, "study", tmp_path))
    np.testing.assert_allclose(dealt.training[3].stress, -labels.stresses[3], atol=1e-6)
