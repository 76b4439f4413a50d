"""From a structure file to a report: the whole way through the command line, interrupted and resumed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.machine import disk
from thalweg.sampling.store import Store, StoreError
from thalweg.studies.runs.foretelling import foretell
from thalweg.studies.runs.running import begin, study_of, working_in
from thalweg.studies.runs.status import run_status
from thalweg.studies.tables.study import load

STUDY = """
title = "A short look at alanine dipeptide"

[system]
pdb = "peptide.pdb"
forcefield = ["amber14/protein.ff14SB.xml"]

[dynamics]
engine = "openmm"
platform = "Reference"

[campaign]
kind = "MarkovRestarts"
seeds = [3]
walkers = 4
swarms = 2
length = "20 ps"
save_every = "0.1 ps"
lagtime = "0.5 ps"
states = 10

[report]
clusters = 10

[execution]
workers = 1

[states.extended]
"psi ALA2" = ["90 deg", "-120 deg"]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run; the second swarm was removed once and made again by resuming."""
    folder = tmp_path_factory.mktemp("work")
    peptide = files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"
    (folder / "peptide.pdb").write_text(peptide.read_text())
    (folder / "study.toml").write_text(STUDY)
    shown = CliRunner().invoke(app, ["run", str(folder / "study.toml"), "--out", str(folder / "run")])
    assert shown.exit_code == 0, shown.output
    assert "report:" in shown.stdout
    return folder / "run"


def test_a_run_leaves_its_study_its_frames_and_its_report(run):
    for name in ("run.toml", "topology.pdb", "report.html", "results/report.json"):
        assert (run / name).is_file(), name
    assert len(list(run.glob("segments/*/walker-*.dcd"))) == 8
    assert len(list(run.glob("inputs/peptide-*.pdb"))) == 1


def test_how_far_a_run_is_can_be_asked_while_it_goes_on_and_when_it_is_over(run):
    over = run_status(run)
    assert (over.fraction, over.holder, over.planned, over.failed) == (1.0, None, 3, None)
    with Store(run).locked():
        assert run_status(run).holder == f"process {os.getpid()} on {socket.gethostname()}"
    shown = CliRunner().invoke(app, ["status", str(run), "--watch"])
    assert shown.exit_code == 0, shown.output
    assert "0.16 of 0.16 ns (100 %) in 3 tasks; 3 of 3 rounds are planned." in shown.stdout


def test_what_failed_last_is_told_until_something_is_done_again(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    Store(copy).note(failed="segments/s3-swarm-0001", why="no space left", ended=time.time())
    assert run_status(copy).failed == ("segments/s3-swarm-0001", "no space left")
    assert "segments/s3-swarm-0001 failed: no space left." in list(run_status(copy).in_words())
    Store(copy).note(task="segments/s3-swarm-0001", seconds=1.0, cost=80.0, ended=time.time())
    assert run_status(copy).failed is None


def test_what_a_run_takes_is_foretold_by_a_trial(run):
    study = run.parent / "study.toml"
    found = foretell(load(study), run.parent / "other")
    size, files = disk.size(run / "segments")
    assert found.tasks == {"run": 2, "reduce": 1}
    assert found.simulated == pytest.approx(160.0)
    assert found.size == pytest.approx(size, rel=0.1)
    assert abs(found.files - files) <= 8
    assert found.seconds > 0
    assert not (run.parent / "other").exists()


def test_a_disk_too_small_is_told_before_anything_is_begun(monkeypatch, run, tmp_path):
    monkeypatch.setattr(
        "thalweg.studies.runs.foretelling.shutil.disk_usage", lambda path: SimpleNamespace(free=10_000)
    )
    shown = CliRunner().invoke(
        app, ["run", str(run.parent / "study.toml"), "--dry", "--out", str(tmp_path / "run")]
    )
    assert shown.exit_code == 2
    assert "does not fit: save fewer frames" in shown.stdout
    assert not (tmp_path / "run").exists()


def test_a_limit_of_the_study_is_held_before_it_begins_and_while_it_runs_and_raised_when_going_on(
    run, tmp_path
):
    study = tmp_path / "study.toml"
    shutil.copy(run.parent / "peptide.pdb", tmp_path)
    study.write_text(STUDY.replace("workers = 1", 'workers = 1\ndisk_limit = "0.4 MB"'))
    dry = CliRunner().invoke(app, ["run", str(study), "--dry"])
    assert dry.exit_code == 2
    assert "400 kB allowed (disk_limit)" in dry.stdout
    assert "does not fit: save fewer frames (save_every = " in dry.stdout
    begun = tmp_path / "begun"
    refused = CliRunner().invoke(app, ["run", str(study), "--out", str(begun)])
    assert refused.exit_code == 2
    assert "0.0004 GB; all that is committed is kept" in refused.output
    assert f"allow more (--disk-limit); then: thalweg resume {begun}" in refused.output
    assert CliRunner().invoke(app, ["resume", str(begun), "--disk-limit", "1 GB"]).exit_code == 0
    assert Store(begun).digest() == Store(run).digest()


def test_the_report_counts_what_was_simulated(run):
    report = json.loads((run / "results" / "report.json").read_text())
    assert report["cost"]["steps"] == 2 * 4 * 10_000
    assert report["cost"]["nanoseconds"] == pytest.approx(0.16)
    assert report["provenance"]["data"]["digest"] == Store(run).digest()
    assert report["title"] == "A short look at alanine dipeptide"
    assert any("Eastman" in citation for citation in report["citations"])
    assert sum(
        state["population"]["value"] for state in report["states"] if "set" in state["name"]
    ) == pytest.approx(1, abs=1e-6)


def test_a_run_that_lost_its_end_is_completed_to_the_same_bytes(run):
    before = Store(run).digest()
    shutil.rmtree(run / "segments" / "s3-swarm-0001")
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 2
    assert CliRunner().invoke(app, ["resume", str(run)]).exit_code == 0
    assert Store(run).digest() == before


def test_a_run_that_was_killed_while_it_began_may_be_begun_again(run, tmp_path, monkeypatch):
    study = run.parent / "study.toml"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as at:
        at.setattr("thalweg.studies.runs.running.write_trajectory", killed)
        with pytest.raises(KeyboardInterrupt):
            begin(study, tmp_path / "run")
    assert (tmp_path / "run" / "inputs").is_dir()
    begin(study, tmp_path / "run")
    assert (tmp_path / "run" / "run.toml").read_text() == (run / "run.toml").read_text()
    with pytest.raises(ValueError, match="is a run already"):
        begin(study, tmp_path / "run")


def test_two_runs_begun_at_once_do_not_mix(run, tmp_path):
    child = (
        "import sys; from pathlib import Path; from thalweg.sampling.store import Store\n"
        "with Store(sys.argv[1]).locked(): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", child, str(tmp_path / "other")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="in use by process"):
            begin(run.parent / "study.toml", tmp_path / "other")
        holder.kill()
    begin(run.parent / "study.toml", tmp_path / "other")


@pytest.mark.filterwarnings("default:.*to be made again")
def test_a_damaged_run_has_no_report_and_is_mended_by_resuming(run):
    before = Store(run).digest()
    trajectory = run / "segments/s3-swarm-0000/walker-001.dcd"
    flipped = bytearray(trajectory.read_bytes())
    flipped[-100] ^= 4
    trajectory.write_bytes(flipped)
    shown = CliRunner().invoke(app, ["report", str(run)])
    assert shown.exit_code == 2
    assert "walker-001.dcd is not what was committed" in shown.output
    assert f"thalweg resume {run}" in shown.output
    (run / "segments/notes.txt").write_text("mine")
    shown = CliRunner().invoke(app, ["resume", str(run)])
    assert shown.exit_code == 0, shown.output
    assert "to be made again" in shown.output
    assert Store(run).digest() == before
    told = [one["sentence"] for one in json.loads((run / "results/report.json").read_text())["diagnoses"]]
    assert any("was set aside as segments:s3-swarm-0000-0 and made again" in sentence for sentence in told)
    assert "segments/notes.txt is no part of the store and is ignored." in told
    (run / "segments/notes.txt").unlink()


def test_force_fields_are_kept_with_what_they_include(run, tmp_path):
    shutil.copy(run.parent / "peptide.pdb", tmp_path)
    (tmp_path / "mine.xml").write_text('<ForceField><Include file="more.xml"/></ForceField>')
    (tmp_path / "more.xml").write_text("<ForceField></ForceField>")
    text = STUDY.replace('ff14SB.xml"]', 'ff14SB.xml", "mine.xml"]')
    (tmp_path / "study.toml").write_text(text)
    begin(tmp_path / "study.toml", tmp_path / "run")
    (tmp_path / "mine.xml").unlink()
    (tmp_path / "more.xml").unlink()
    with working_in(tmp_path / "run"):
        assert study_of(Path.cwd()).campaign.recipe.build().kT == pytest.approx(2.494, abs=1e-3)


def test_a_run_is_tied_to_its_study(run):
    """A study edited between stop and resume would put half the frames at another temperature."""
    before = (run / "run.toml").read_text()
    (run / "run.toml").write_text(before.replace('temperature = "300', 'temperature = "600'))
    for command in ("resume", "report", "export"):
        shown = CliRunner().invoke(app, [command, str(run)])
        assert shown.exit_code == 2
        assert "was begun for another run.toml" in shown.output
    (run / "run.toml").write_text(before)
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0


def analyzed(run, folder, *options):
    """The analysis of what the run left, as a user's own trajectories."""
    walks = sorted(map(str, run.glob("segments/*/walker-*.dcd")))
    given = ["--topology", str(run / "topology.pdb"), "--dt", "0.1 ps", "--lag", "0.5 ps", "--sets", "2"]
    return CliRunner().invoke(app, ["analyze", *walks, *given, *options, "--out", str(folder)])


def test_models_of_trajectories_are_chosen_by_score_and_a_second_call_measures_nothing_again(run, tmp_path):
    offered = ["--features", "backbone", "--features", "heavy-atoms", "--dim", "2", "--states", "10"]
    shown = analyzed(run, tmp_path, *offered)
    assert shown.exit_code == 0, shown.output
    assert "Of 2 models the simplest of the best" in shown.stdout
    report = json.loads((tmp_path / "results" / "report.json").read_text())
    names = {one["features"] for one in report["choice"]["candidates"]}
    assert names == {"backbone", "heavy-atoms"}
    assert report["provenance"]["settings"]["slow coordinates"] == "2 by TICA at 0.5 ps"
    assert (tmp_path / "results" / "models.csv").read_text().count("\n") == 3
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*.[nj][ps][yo]*")}
    assert len(kept) == 16 + 2 + 1
    assert analyzed(run, tmp_path, *offered).exit_code == 0
    same = {path: path.stat().st_mtime_ns for path in kept}
    assert [path.name for path in kept if kept[path] != same[path]] == ["report.json"]


def test_features_and_numbers_that_cannot_be_are_refused(run, tmp_path):
    for options, message in (
        (("--features", "contacts"), '--features "contacts" is unknown'),
        (("--states", "1"), "give at least 2 sets"),
        (("--dim", "0"), "give at least 1"),
        (("--features", "alpha-carbons"), "have no pair 3 apart"),
    ):
        shown = analyzed(run, tmp_path, *options)
        assert shown.exit_code == 2
        assert message in shown.output
