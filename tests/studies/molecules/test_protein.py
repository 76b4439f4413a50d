"""``thalweg protein``: a run file's model by score, sets, places to begin anew, a function's motion, pockets."""

from __future__ import annotations

import csv
import json
from importlib.resources import files

import numpy as np
import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.protein_study import protein_study_from_table

PEPTIDE = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"

STUDY = """
title = "A peptide that switches"

[trajectories]
files = ["{folder}/run*.dcd"]
topology = "{peptide}"
dt = "1 ps"

[model]
lag = "20 ps"
features = ["backbone", "alpha-carbons"]
dims = [1, 2]
states = [12]
splits = 2
sets = 2

[starts]
count = 5
fragments = ["1", "5"]

[function]
values = "{folder}/function.txt"

[pockets]
frames = 12
volume = 10.0
"""


@pytest.fixture(scope="module")
def done(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("protein")
    topology = read_topology(PEPTIDE)
    ends = [[k for k, name in enumerate(topology.names) if name == "CA"][place] for place in (0, 4)]
    lengths = []
    for run in runs:
        positions = np.concatenate([chunk.positions for chunk in TrajectoryFile(run, topology)])
        lengths.append(np.linalg.norm(positions[:, ends[0]] - positions[:, ends[1]], axis=1))
    np.savetxt(runs[0].parent / "function.txt", np.concatenate(lengths))
    study = folder / "study.toml"
    study.write_text(STUDY.format(folder=runs[0].parent, peptide=PEPTIDE))
    said = CliRunner().invoke(app, ["protein", str(study), "--out", str(folder / "out")])
    assert said.exit_code == 0, said.output
    told = json.loads((folder / "out" / "results" / "report.json").read_text())
    assert not [each for each in told["diagnoses"] if "could not" in each["sentence"]], told["diagnoses"]
    return folder / "out", told, said.output


def test_the_model_in_use_is_as_good_as_the_best_and_no_larger(done):
    _, told, _ = done
    candidates, chosen = told["choice"]["candidates"], told["choice"]["candidates"][told["choice"]["chosen"]]
    assert len(candidates) == 8  # two feature sets, two numbers of coordinates, two ways to cluster
    assert chosen["score"] >= candidates[0]["score"] - candidates[0]["error"]


def test_both_forms_of_the_switch_are_long_lived_sets_of_like_population(done):
    _, told, _ = done
    populations = [each["population"] for each in told["sets"]]
    assert sum(populations) == pytest.approx(1.0)
    assert min(populations) > 0.2


def test_places_to_begin_anew_are_of_both_sets_and_far_apart(done):
    folder, told, _ = done
    assert {own for *_, own in told["starts"]["frames"][:2]} == {1, 2}
    assert len({tuple(each[:2]) for each in told["starts"]["frames"]}) == 5
    written = TrajectoryFile(folder / "results" / "starts.pdb", read_topology(PEPTIDE))
    assert sum(len(chunk.positions) for chunk in written) == 5
    assert told["starts"]["tried"] == 6  # each of two structures with parts of the other


def test_the_distance_of_the_ends_goes_with_a_motion_of_the_ends(done):
    _, told, _ = done
    assert told["function"]["predictable"]
    assert told["function"]["correlation"] > 0.9
    assert set(told["function"]["ranking"]["names"][:2]) & {"TYR1", "MET5"}


def test_the_page_has_all_parts_and_the_table_of_pockets_a_column_for_each_set(done):
    folder, told, said = done
    page = (folder / "report.html").read_text()
    for part in ("Models", "Landscape", "Long-lived sets", "Places to begin anew", "Motion of a function"):
        assert f"<h2>{part}</h2>" in page
    assert "could not be made" not in page
    with open(folder / "results" / "pockets.csv", encoding="utf-8") as lines:
        head, *rows = list(csv.reader(lines))
    assert head[1:3] == ["set 1", "set 2"]
    assert len(rows) == len(told["pockets"])
    assert "results/starts.pdb" in said


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ({"model": {"features": ["torsion"]}}, 'did you mean "torsions"'),
        ({"model": {"clusterings": ["k-mean"]}}, 'did you mean "k-means"'),
        ({"model": {"states": [2], "sets": 3}}, "give more states"),
        ({"function": {}}, "give between = "),
        ({"trajectories": {"files": ["nothing-*.xtc"], "topology": "a.pdb"}}, "fits no file"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(table, wanted, tmp_path):
    given = {"trajectories": {"files": ["a.xtc"], "topology": "a.pdb"}} | table
    with pytest.raises(StudyError, match=wanted):
        assert protein_study_from_table(given, tmp_path).files
