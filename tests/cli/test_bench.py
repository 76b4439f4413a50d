"""Benchmarks are found by name, judged by their own rows, and written with the machine they ran on."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app

BENCHMARK = """
from thalweg.report.benchmark import Row

def rows(data, quick):
    peer = dict(peer="slow 1.0", peer_value=2.0, ratio=4.0)
    yield Row("sum", 0.5, "s", spread=0.1, target="ratio >= 2", met=not quick, **peer)
    if not (data / "set").is_dir():
        yield Row("on real data", None, "s", target="skipped: download set into THALWEG_DATA")
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "adding.py").write_text(BENCHMARK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path / "data"))
    return tmp_path


def test_rows_are_printed_and_written_as_json_and_text(checkout):
    shown = CliRunner().invoke(app, ["bench", "adding", "--json"])
    assert shown.exit_code == 0
    first, second = json.loads(shown.stdout)
    assert (first["test"], first["ratio"], first["met"]) == ("sum", 4.0, True)
    assert second["value"] is None
    written = json.loads((checkout / "benchmarks" / "results" / "adding.json").read_text())
    assert written["rows"] == [first, second]
    assert {"processor", "cores", "python", "date", "numpy"} <= set(written["machines"][""])
    text = (checkout / "benchmarks" / "results" / "adding.md").read_text()
    assert "| sum | 0.500 ± 0.100 | s | ratio >= 2 | yes | slow 1.0 | 2.00 | 4.00x |" in text
    assert "1 of 1 targets met, 1 row skipped." in text


def test_a_quick_run_writes_nothing_and_shows_missed_targets(checkout):
    shown = CliRunner().invoke(app, ["bench", "adding", "--quick"])
    assert shown.exit_code == 0
    assert "NO" in shown.stdout
    assert "0 of 1 targets met" in shown.stdout
    assert not (checkout / "benchmarks" / "results").exists()


PARTS = """
import os
from functools import partial
from thalweg.report.benchmark import Row

def row(name):
    yield Row(name, float(os.environ["MEASURED"]), "s")

def parts(data, quick):
    return {name: partial(row, name) for name in ("one", "two")}

def rows(data, quick):
    for part in parts(data, quick).values():
        yield from part()
"""


def test_a_part_measured_again_takes_the_place_of_its_rows_and_leaves_the_others(checkout, monkeypatch):
    (checkout / "benchmarks" / "parted.py").write_text(PARTS)
    for value, options in (("1", []), ("2", ["--part", "two"])):
        monkeypatch.setenv("MEASURED", value)
        assert CliRunner().invoke(app, ["bench", "parted", *options]).exit_code == 0
    written = json.loads((checkout / "benchmarks" / "results" / "parted.json").read_text())
    assert [(row["part"], row["value"]) for row in written["rows"]] == [("one", 1.0), ("two", 2.0)]
    assert set(written["machines"]) == {"one", "two"}


def test_a_part_that_does_not_exist_is_answered_with_those_that_do(checkout):
    (checkout / "benchmarks" / "parted.py").write_text(PARTS)
    shown = CliRunner().invoke(app, ["bench", "parted", "--part", "three"])
    assert shown.exit_code != 0
    assert "it has: one, two" in shown.output + str(shown.exception)
