"""The command of binding sites on structures made by hand: files, reports, what is told and what is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.interop.complexes.site_files import read_bound_molecules, site_complexes
from thalweg.studies.molecules.sites import SiteStudy, learn_sites, site_study
from thalweg.studies.tables.language import StudyError
from thalweg.testsystems.hollow_shell import hollow_shell

NAMES = ("N", "CA", "C", "O", "CB")


def line(number, name, residue, chain, index, place, kind="ATOM", location=" ", occupancy=1.0):
    x, y, z = 10 * np.asarray(place)
    element = "O" if residue == "HOH" else name[0]
    return (
        f"{kind:6s}{number % 100000:5d}  {name:<3s}{location}{residue:>3s} {chain}{index:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{0.0:6.2f}          {element:>2s}"
    )


def alanines(places, chain="A", names=NAMES):
    return [
        line(k, names[k % len(names)], "ALA", chain, 1 + k // len(names), place)
        for k, place in enumerate(places)
    ]


def benzene(center=(0.1, 0.0, 0.0), name="BNZ"):
    turns = np.arange(7) * np.pi / 3
    ring = 0.14 * np.stack([np.cos(turns), np.sin(turns), 0 * turns], 1) + np.array(center)
    return [line(900 + k, f"C{k}", name, "L", 1, place, "HETATM") for k, place in enumerate(ring)]


def written(path, *lines):
    path.write_text("\n".join([*(each for own in lines for each in own), "END", ""]), encoding="utf-8")
    return path


@pytest.fixture
def cavity(tmp_path):
    return written(tmp_path / "cavity.pdb", alanines(hollow_shell(0.7)[:195]))


def test_a_cavity_is_found_and_written_as_page_tables_and_atoms(cavity, tmp_path):
    done = CliRunner().invoke(app, ["sites", str(cavity), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "First pocket" in done.output
    (row,) = csv.DictReader((tmp_path / "out/results/pockets.csv").read_text("utf-8").splitlines())
    assert float(row["volume [Å^3]"]) == pytest.approx(1000 * 4 / 3 * np.pi * 0.53**3, rel=0.08)
    assert row["residues"].startswith("A:ALA1 ")
    told = json.loads((tmp_path / "out/results/report.json").read_text("utf-8"))
    assert told["pockets"][0]["rank"] == 1
    atoms = (tmp_path / "out/results/pockets.pdb").read_text("utf-8").splitlines()
    places = np.array(
        [[float(each[k : k + 8]) for k in (30, 38, 46)] for each in atoms if each[:6] == "HETATM"]
    )
    assert np.linalg.norm(places, axis=1).max() < 7.0 - 1.7 - 1.0
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert 'id="viewer"' in page
    assert "could not be made" not in page


def test_waters_and_other_locations_change_nothing_and_a_pocket_between_chains_is_told(cavity, tmp_path):
    plain = site_study(SiteStudy(cavity), tmp_path / "plain")
    places = hollow_shell(0.7)[:195]
    half = 100
    several = [
        *alanines(places[:half]),
        *alanines(places[half:], "B"),
        line(800, "CB", "ALA", "A", 1, places[4], location="A", occupancy=0.6),
        line(801, "CB", "ALA", "A", 1, places[4] * 0.5, location="B", occupancy=0.4),
        line(802, "O", "HOH", "W", 1, (0.0, 0.0, 0.0), "HETATM"),
    ]
    kept = [each for k, each in enumerate(several) if k != 4]
    found = site_study(SiteStudy(written(tmp_path / "two.pdb", kept)), tmp_path / "two")
    assert found.pockets[0].volume == pytest.approx(plain.pockets[0].volume)
    told = " ".join(each.sentence for each in found.diagnoses)
    assert "Pocket 1 lies between chains A, B" in told
    assert "lternate locations" in told
    alone = site_study(SiteStudy(tmp_path / "two.pdb", chains=("A",)), tmp_path / "alone")
    assert {each.partition(":")[0] for own in alone.pockets for each in own.residues} <= {"A"}


def test_no_pocket_is_a_result(tmp_path):
    ball = np.concatenate([hollow_shell(radius) for radius in (0.2, 0.4, 0.6)])
    solid = written(tmp_path / "ball.pdb", alanines(ball[: len(ball) // 5 * 5]))
    done = CliRunner().invoke(app, ["sites", str(solid), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "No pockets" in done.output


def test_what_is_no_whole_protein_is_refused_with_what_to_do(cavity, tmp_path):
    trace = written(tmp_path / "trace.pdb", alanines(hollow_shell(0.7), names=("CA",)))
    with pytest.raises(StudyError, match="CA atoms alone"):
        site_study(SiteStudy(trace), tmp_path / "out")
    water = written(tmp_path / "water.pdb", [line(1, "O", "HOH", "A", 1, (0, 0, 0), "HETATM")])
    with pytest.raises(ValueError, match="no protein"):
        site_study(SiteStudy(water), tmp_path / "out")
    with pytest.raises(ValueError, match="no chain Z"):
        site_study(SiteStudy(cavity, chains=("Z",)), tmp_path / "out")
    with pytest.raises(StudyError, match="one or more"):
        SiteStudy(cavity, first=0)
    bare = written(tmp_path / "bare.pdb", alanines(hollow_shell(0.7)[:196], names=NAMES[:4]))
    found = site_study(SiteStudy(bare), tmp_path / "bare")
    assert any("side chains are missing" in each.sentence for each in found.diagnoses)


def test_a_model_is_learned_from_structures_with_ligands_inside_and_used(cavity, tmp_path):
    folder = tmp_path / "complexes"
    folder.mkdir()
    shell = alanines(hollow_shell(0.7)[:195])
    written(folder / "one.pdb", shell, benzene())
    written(
        folder / "two.pdb", alanines(hollow_shell(0.72)[:205]), benzene(), benzene((0.0, 0.0, 0.3), "GOL")
    )
    written(folder / "empty.pdb", shell)
    assert [each.name for each in read_bound_molecules(folder / "two.pdb")] == ["L:BNZ1"]
    assert [each.name for each in site_complexes(folder)] == ["one.pdb", "two.pdb"]
    model = tmp_path / "sites.thalweg"
    done = CliRunner().invoke(app, ["learn-sites", str(folder), "-o", str(model)])
    assert done.exit_code == 0, done.output
    assert "1 kinds of proteins" in done.output
    found = site_study(SiteStudy(cavity, model), tmp_path / "out")
    assert np.linalg.norm(found.pockets[0].center - [0.1, 0.0, 0.0]) < 0.15
    (folder / "two.pdb").unlink()
    with pytest.raises(StudyError, match="two are needed"):
        learn_sites(folder, model, lambda *_: None)
