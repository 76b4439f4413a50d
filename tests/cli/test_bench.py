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
    assert {"processor", "cores", "python", "date", "numpy"} <= set(written["machine"])
    text = (checkout / "benchmarks" / "results" / "adding.md").read_text()
    assert "| sum | 0.500 ± 0.100 | s | ratio >= 2 | yes | slow 1.0 | 2.00 | 4.00x |" in text
    assert "1 of 1 targets met, 1 row skipped." in text


def test_a_quick_run_writes_nothing_and_shows_missed_targets(checkout):
    shown = CliRunner().invoke(app, ["bench", "adding", "--quick"])
    assert shown.exit_code == 0
    assert "NO" in shown.stdout
    assert "0 of 1 targets met" in shown.stdout
    assert not (checkout / "benchmarks" / "results").exists()
