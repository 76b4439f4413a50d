"""``thalweg pathway``: a peptide two of whose residues switch, one after the other, while others fluctuate."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.studies.molecules.pathways import PathwayStudy
from thalweg.studies.tables.language import StudyError

PEPTIDE = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"


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
