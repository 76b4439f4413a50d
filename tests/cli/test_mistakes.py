"""Whatever a user gets wrong is answered with one clear message and a non-zero exit, never a traceback."""

from __future__ import annotations

import errno
import gc
import os
import re
import shutil
import subprocess
import sys
import warnings
from importlib.resources import files
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from typer.testing import CliRunner

from thalweg.cli import mistakes
from thalweg.cli.main import app
from thalweg.cli.mistakes import notes_shown
from thalweg.interop.files.trajectories import read_topology, write_trajectory
from thalweg.sampling.store import Store, write_json
from thalweg.studies.runs.running import begin

PEPTIDE = files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"

STUDY = """
[system]
pdb = "peptide.pdb"
forcefield = ["amber14/protein.ff14SB.xml"]

[dynamics]
temperature = "300 K"
dt = "2 fs"

[campaign]
kind = "MarkovRestarts"
seeds = [1]
walkers = 2
swarms = 1
length = "1 ps"
save_every = "0.1 ps"
lagtime = "0.2 ps"

[execution]
workers = 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a study that is right, a peptide, and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "peptide.pdb").write_text(PEPTIDE.read_text())
    return tmp_path


def refusal(*arguments: object) -> str:
    """What the command line says when it refuses; it must neither succeed nor show a traceback."""
    shown = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert shown.exit_code in (1, 2), shown.output
    assert isinstance(shown.exception, SystemExit), shown.exception
    assert "Traceback" not in shown.output
    assert "This is a bug" not in shown.output
    text = " ".join(re.sub(r"[╭╮╰╯│─]", " ", shown.output).split())
    assert text.count("error:") <= 1
    return text


def replaced(old: str, new: str) -> str:
    assert old in STUDY
    return STUDY.replace(old, new)


STUDIES = {
    "bad TOML": ("[system\n", "study.toml is not TOML: Expected ']'"),
    "empty file": ("", "there is no table [system]"),
    "unknown table": (STUDY + "[dinamics]\n", 'no table or key "dinamics"'),
    "unknown key": (replaced("temperature", "temprature"), 'did you mean "temperature"?'),
    "unknown kind": (replaced("MarkovRestarts", "MarkovRestart"), 'did you mean "MarkovRestarts"?'),
    "no kind": (replaced('kind = "MarkovRestarts"\n', ""), "[campaign] has no kind"),
    "wrong unit": (replaced('"300 K"', '"300 ps"'), "cannot read '300 ps'; give a temperature"),
    "no unit": (replaced('"300 K"', "300"), "has no unit"),
    "negative time step": (replaced('"2 fs"', '"-2 fs"'), "give a positive time"),
    "absolute zero": (replaced('"300 K"', '"0 K"'), "give a positive temperature"),
    "no walkers": (replaced("walkers = 2", "walkers = 0"), "walkers = 0; give at least 1"),
    "no rounds": (replaced("swarms = 1", "swarms = 0"), "swarms = 0; give at least 1"),
    "half a walker": (replaced("walkers = 2", "walkers = 2.5"), "walkers must be a whole number"),
    "no seeds": (replaced("seeds = [1]", "seeds = []"), "0 seeds were given; give at least 1"),
    "repeated seeds": (replaced("seeds = [1]", "seeds = [1, 1]"), "independent seeds must differ"),
    "one seed for two": (
        replaced('"MarkovRestarts"', '"SlowVariableLoop"')
        .replace("swarms = 1\n", "")
        .replace('length = "1 ps"', 'swarm = "1 ps"\ndrive = "1 ps"\nproduce = "1 ps"\nsegment = "1 ps"'),
        "give at least 2, whose agreement can be judged",
    ),
    "crooked frames": (replaced('"2 fs"', '"3 fs"'), "save_every = 0.1 ps is no whole number of 0.003 ps"),
    "lag longer than the data": (replaced('"0.2 ps"', '"5 ps"'), "leaves no pairs in walks of length = 1 ps"),
    "missing structure": (replaced("peptide.pdb", "peptid.pdb"), "there is no file"),
    "unknown force field": (replaced("ff14SB.xml", "ff14BS.xml"), "there is no force field file"),
    "force field as text": (
        replaced('["amber14/protein.ff14SB.xml"]', '"amber14"'),
        "forcefield must be a list",
    ),
    "half a system": (replaced('forcefield = ["amber14/protein.ff14SB.xml"]\n', ""), "forcefield missing"),
    "prmtop without coordinates": (
        replaced('pdb = "peptide.pdb"\nforcefield = ["amber14/protein.ff14SB.xml"]', 'prmtop = "a.prmtop"'),
        "inpcrd missing",
    ),
    "unknown molecule": (
        replaced('pdb = "peptide.pdb"\nforcefield = ["amber14/protein.ff14SB.xml"]', 'molecule = "alanine"'),
        'Known: "alanine_dipeptide"',
    ),
    "platform of another engine": (
        replaced('dt = "2 fs"', 'dt = "2 fs"\nplatform = "CUDA"'),
        'belongs to engine = "openmm"',
    ),
    "unknown torsion": (
        STUDY + '[states.left]\n"phi ALA3" = ["0 deg", "126 deg"]\n',
        '"phi ALA3" is no torsion',
    ),
    "half a range": (STUDY + '[states.left]\n"phi ALA2" = ["0 deg"]\n', "give 2 values"),
    "useless table": (
        STUDY + '[campaign.bias]\nkind = "Metadynamics"\n',
        '[campaign] has no key "bias"',
    ),
}


def test_a_warning_of_the_package_is_a_line_and_one_of_a_library_is_not_shown(capsys):
    with warnings.catch_warnings(), notes_shown():
        warnings.simplefilter("always")
        for _ in range(2):
            warnings.warn_explicit("half of it", UserWarning, str(Path(mistakes.__file__)), 1)
        warnings.warn_explicit("install another library", UserWarning, mdtraj.__file__, 1)
    assert capsys.readouterr().err == "note: half of it\n"


@pytest.mark.parametrize(("text", "expected"), STUDIES.values(), ids=STUDIES.keys())
def test_a_wrong_study_is_refused_before_anything_is_written(folder, text, expected):
    (folder / "study.toml").write_text(text)
    assert expected in refusal("run", "study.toml")
    assert sorted(path.name for path in folder.iterdir()) == ["peptide.pdb", "study.toml"]


STRUCTURES = {
    "unknown residue": (lambda text: text.replace(" ALA ", " XYZ "), "residue XYZ"),
    "missing atom": (lambda text: re.sub(r"(?m)^.* CB  ALA.*\n", "", text, count=1), "ALA"),
    "coordinates that are no numbers": (
        lambda text: re.sub(r"(?m)^(ATOM.{26})", r"\1     nan", text, count=1),
        "",
    ),
    "two atoms in one place": (lambda text: _second_on_first(text), "nm apart"),
    "not a structure": (lambda text: "hello\n", ""),
}


def _second_on_first(text: str) -> str:
    lines = text.splitlines(keepends=True)
    atoms = [i for i, line in enumerate(lines) if line.startswith(("ATOM", "HETATM"))]
    first, second = atoms[0], atoms[1]
    lines[second] = lines[second][:30] + lines[first][30:54] + lines[second][54:]
    return "".join(lines)


@pytest.mark.parametrize(("spoil", "expected"), STRUCTURES.values(), ids=STRUCTURES.keys())
def test_a_wrong_structure_is_refused_and_named(folder, spoil, expected):
    (folder / "peptide.pdb").write_text(spoil(PEPTIDE.read_text()))
    assert expected in refusal("run", "study.toml")
    assert not (folder / "study").exists()


def test_a_study_that_is_not_there_is_missed(folder):
    assert "there is no study studi.toml; there are study.toml" in refusal("run", "studi.toml")


def test_a_folder_is_no_study(folder):
    assert "is a folder" in refusal("run", ".")


def test_a_binary_file_is_no_study(folder):
    (folder / "study.toml").write_bytes(b"\xff\xfe\x00\x80")
    assert "is not text" in refusal("run", "study.toml")


def test_a_run_is_not_begun_twice(folder):
    begin(folder / "study.toml", folder / "study")
    assert "go on with it: thalweg resume study" in refusal("run", "study.toml")


def test_a_folder_with_other_things_in_it_is_left_alone(folder):
    (folder / "study").mkdir()
    (folder / "study" / "thesis.tex").write_text("precious")
    assert "not an empty folder" in refusal("run", "study.toml")
    assert [path.name for path in (folder / "study").iterdir()] == ["thesis.tex"]


def test_two_campaigns_do_not_share_a_folder(folder):
    begin(folder / "study.toml", folder / "study")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, fcntl; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print(); input()",
            "study/.lock",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        holder.stdout.readline()
        assert "is in use by" in refusal("resume", "study")
    finally:
        holder.communicate(b"\n")


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_folder_that_is_no_run_is_refused(folder, command):
    assert "there is no folder elsewhere" in refusal(command, "elsewhere")
    (folder / "empty").mkdir()
    assert "there is no run.toml in empty" in refusal(command, "empty")


def test_a_run_with_nothing_in_it_has_no_report(folder):
    begin(folder / "study.toml", folder / "study")
    assert "thalweg resume study" in refusal("report", "study")


def test_a_damaged_run_file_is_named(folder):
    begin(folder / "study.toml", folder / "study")
    (folder / "study" / "run.toml").write_text("title =")
    assert "run.toml is damaged" in refusal("resume", "study")


def test_an_edited_segment_is_found_out(folder):
    begin(folder / "study.toml", folder / "study")

    def write(place):
        np.savez(place / "frames.npz", features=np.zeros((2, 10, 4)))
        write_json(place / "segment.json", {"diverged": {}})

    store = Store(folder / "study")
    store.commit("segments/s1-swarm-0000", write)
    (store.folder("segments/s1-swarm-0000") / "segment.json").write_text("{}")
    assert "is not what was committed" in refusal("report", "study")


def test_a_full_disk_stops_a_run_with_advice(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    begin(folder / "study.toml", folder / "study")
    monkeypatch.setattr("thalweg.machine.disk.force", full)
    assert "free some space and go on; then: thalweg resume study" in refusal("resume", "study")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_may_not_be_written_is_named(folder):
    (folder / "locked").mkdir(mode=0o555)
    assert "Permission denied" in refusal("run", "study.toml", "--out", "locked/run")


def test_a_file_in_place_of_the_run_folder_is_refused(folder):
    (folder / "taken").write_text("a file")
    assert "not an empty folder" in refusal("run", "study.toml", "--out", "taken")


def test_a_read_only_disk_is_named(folder, monkeypatch):
    def locked(self, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr("thalweg.machine.disk.make_folder", locked)
    assert "Read-only file system" in refusal("run", "study.toml")


def test_an_unknown_command_or_option_is_refused(folder):
    assert "No such command" in refusal("simulate")
    assert "No such option" in refusal("run", "study.toml", "--fast")
    assert "Missing argument" in refusal("run")


def test_an_unknown_benchmark_is_answered_with_the_known_ones(folder):
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "engine.py").write_text("")
    assert "known: engine" in refusal("bench", "engin")
    assert "defines no rows" in refusal("bench", "engine")


@pytest.fixture
def trajectory(folder):
    """Forty frames of the peptide, shaken, as a DCD."""
    shutil.copy(folder / "peptide.pdb", folder / "top.pdb")
    topology = read_topology(folder / "top.pdb")
    rng = np.random.default_rng(0)
    start = 0.1 * rng.random((1, len(topology), 3))
    write_trajectory(folder / "walk.dcd", start + 0.05 * rng.random((40, len(topology), 3)), topology)
    return folder / "walk.dcd"


def analysis(*files: str, lag: str = "2 ps", topology: str = "top.pdb") -> str:
    return refusal("analyze", *files, "--topology", topology, "--dt", "1 ps", "--lag", lag, "--states", "5")


def test_a_trajectory_that_is_not_there_is_missed(trajectory):
    assert "there is no file run.dcd" in analysis("run.dcd")


def test_of_a_truncated_trajectory_the_whole_frames_are_read_and_said(trajectory):
    trajectory.write_bytes(trajectory.read_bytes()[:-1000])
    arguments = ("--topology", "top.pdb", "--dt", "1 ps", "--lag", "2 ps", "--states", "5")
    shown = CliRunner().invoke(app, ["analyze", "walk.dcd", *arguments])
    assert shown.exit_code == 0
    assert "walk.dcd announces 40 frames but holds 36 whole frames" in " ".join(shown.output.split())


def test_the_same_trajectory_twice_is_refused(trajectory, folder):
    shutil.copy(trajectory, folder / "copy.dcd")
    assert "have the same content, which would count twice" in analysis("walk.dcd", "copy.dcd")


def test_coordinates_that_are_no_numbers_are_refused(trajectory):
    data = bytearray(trajectory.read_bytes())
    data[-40:-36] = np.float32(np.nan).tobytes()
    trajectory.write_bytes(data)
    assert "no finite coordinates in frame 39" in analysis("walk.dcd")


def test_atoms_of_another_molecule_are_refused(trajectory, folder):
    other = files("thalweg.testsystems") / "structures" / "alanine_tetrapeptide.pdb"
    (folder / "other.pdb").write_text(other.read_text())
    assert "has 22 atoms and the topology has 42" in analysis("walk.dcd", topology="other.pdb")


def test_a_suffix_no_reader_knows_is_refused(trajectory, folder):
    shutil.copy(trajectory, folder / "walk.abc")
    assert "suffix no reader knows" in analysis("walk.abc")


def test_a_lag_longer_than_the_trajectories_is_refused(trajectory):
    assert "40 frames" in analysis("walk.dcd", lag="50 ps")


def test_a_lag_between_frames_is_refused(trajectory):
    assert "no whole number" in analysis("walk.dcd", lag="1.5 ps")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_topology_that_is_none_is_refused(trajectory, folder):
    (folder / "top.pdb").write_text("hello")
    assert "top.pdb" in analysis("walk.dcd")
    gc.collect()  # MDTraj leaves the file open, which is noticed here and not in the next test


def test_states_never_left_and_entered_are_refused(folder):
    shutil.copy(folder / "peptide.pdb", folder / "top.pdb")
    topology = read_topology(folder / "top.pdb")
    rng = np.random.default_rng(0)
    for name, seed in (("one", 1), ("two", 2)):
        place = np.random.default_rng(seed).random((1, len(topology), 3))
        frames = place + 1e-4 * rng.random((20, len(topology), 3))
        write_trajectory(folder / f"{name}.dcd", frames, topology)
    assert "connected" in analysis("one.dcd", "two.dcd")
