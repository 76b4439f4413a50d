"""Pages of landscapes from the command line: a map finds the torsion that moves, a Langevin model its wells."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.geometry.torsions import named_torsions
from thalweg.interop.files.trajectories import read_topology, write_trajectory


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Alanine dipeptide whose psi takes every value while all else trembles: two files of four hundred frames."""
    import mdtraj

    home = tmp_path_factory.mktemp("landscapes")
    shutil.copy(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb", home / "top.pdb")
    topology = read_topology(home / "top.pdb")
    base = mdtraj.load(home / "top.pdb").xyz[0].astype(float)
    generator = np.random.default_rng(0)
    _, i, j, _ = named_torsions(topology)["psi ALA2"]
    beyond = _side(topology.bonds, int(i), int(j))
    for number in range(2):
        frames = np.repeat(base[None], 400, axis=0)
        axis = (base[j] - base[i]) / np.linalg.norm(base[j] - base[i])
        for frame, angle in zip(frames, generator.uniform(-np.pi, np.pi, 400), strict=True):
            frame[beyond] = Rotation.from_rotvec(angle * axis).apply(frame[beyond] - base[j]) + base[j]
        frames += 0.002 * generator.standard_normal(frames.shape)
        write_trajectory(home / f"walk-{number}.dcd", frames, topology)
    return home


def _side(bonds: np.ndarray, i: int, j: int) -> list[int]:
    """Atoms on the side of ``j`` of the bond ``i``-``j``."""
    seen, waiting = {i, j}, [j]
    while waiting:
        atom = waiting.pop()
        for a, b in bonds.tolist():
            other = b if a == atom else a if b == atom else None
            if other is not None and other not in seen:
                seen.add(other)
                waiting.append(other)
    return sorted(seen - {i})


def shown(folder, *arguments):
    """What a command prints, which must not fail."""
    found = CliRunner().invoke(app, [str(each) for each in arguments])
    assert found.exit_code == 0, found.output
    return " ".join(found.output.split())


def test_a_map_is_made_of_the_torsion_that_moves(folder, tmp_path):
    walks = folder / "walk-0.dcd", folder / "walk-1.dcd"
    settings = ("--method", "isomap", "--features", "backbone", "--landmarks", "150", "--out", tmp_path)
    printed = shown(folder, "map", *walks, "--topology", folder / "top.pdb", *settings)
    assert "follows psi ALA2 most" in printed
    numbers = json.loads((tmp_path / "results" / "report.json").read_text())
    assert numbers["ranking"][0]["name"] == "psi ALA2"
    assert numbers["scores"]["frames left out"]
    page = (tmp_path / "report.html").read_text("utf-8")
    for heading in ("The map", "The structures", "What it means", "How many coordinates"):
        assert f"<h2>{heading}</h2>" in page
    assert len((tmp_path / "results" / "map.csv").read_text().splitlines()) == 801


def test_weights_of_the_frames_are_taken_and_must_fit(folder, tmp_path):
    np.save(folder / "weights.npy", np.ones(799))
    settings = (
        "--topology",
        folder / "top.pdb",
        "--method",
        "pca",
        "--features",
        "backbone",
        "--out",
        tmp_path,
    )
    arguments = [str(each) for each in ("map", folder / "walk-0.dcd", folder / "walk-1.dcd", *settings)]
    refused = CliRunner().invoke(app, [*arguments, "--weights", str(folder / "weights.npy")])
    assert refused.exit_code == 2
    assert "for 800 frames" in " ".join(refused.output.split())


def test_settings_that_are_not_there_are_refused_with_those_that_are(folder):
    for given, told in (
        (("--method", "magic"), "use one of diffusion-map"),
        (("--features", "magic"), "use one of backbone"),
        (("--method", "pca", "--neighbors", "5"), "pca has no neighbors"),
    ):
        out = ("--out", str(folder / "refused"))
        arguments = ("map", str(folder / "walk-0.dcd"), "--topology", str(folder / "top.pdb"), *given, *out)
        refused = CliRunner().invoke(app, list(arguments))
        assert refused.exit_code == 2
        assert told in " ".join(refused.output.split())


@pytest.mark.long
def test_motion_along_a_column_has_its_wells_and_rates(tmp_path):
    """A double well of 8 kJ/mol at 300 K, D = 1: the slowest time is 4.764 ps."""
    from thalweg.testsystems.generator import Generator
    from thalweg.testsystems.wells import DoubleWell

    generator = Generator(DoubleWell(8.0), ((-2.0, 2.0),), 200, kT=2.4943)
    for number, run in enumerate(generator.sample(4, 4000, lag=0.02)):
        np.save(tmp_path / f"run-{number}.npy", run)
    printed = shown(
        tmp_path, "langevin", *sorted(tmp_path.glob("*.npy")), "--dt", "0.02 ps", "--out", tmp_path / "out"
    )
    assert "may be right" in printed
    numbers = json.loads((tmp_path / "out" / "results" / "report.json").read_text())
    exact = next(each for each in numbers["rates"] if each["route"] == "exact generator")
    known = 0.5 / generator.timescales(1)[0]
    assert abs(exact["forward"] - known) < 3 * exact["error"]
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    for heading in ("Along the variable", "Rates", "Is the model right?"):
        assert f"<h2>{heading}</h2>" in page


def test_columns_and_times_that_are_not_there_are_refused(tmp_path):
    np.save(tmp_path / "run.npy", np.random.default_rng(0).standard_normal((100, 2)))
    for given, told in (
        ((), "--dt"),
        (("--dt", "1 ps", "--column", "phi"), "the files have column 0, column 1"),
        (("--dt", "1 ps", "--kind", "magic"), "use one of auto"),
        (("--dt", "1 ps", "--period", "-1"), "give a positive number"),
    ):
        out = ("--out", str(tmp_path / "refused"))
        refused = CliRunner().invoke(app, ["langevin", str(tmp_path / "run.npy"), *given, *out])
        assert refused.exit_code == 2
        assert told in " ".join(refused.output.split())
