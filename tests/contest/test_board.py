"""From a file to a row to a page, by the commands that a newcomer and a judge type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.contest import Board, BoardRow, Entry, board_page, commitment, judge, standings, task_named
from thalweg.contest.jail.protection import LIMITS_ONLY
from thalweg.machine.reading import UnreadableFile

MEAN = Path(__file__).parents[2] / "src/thalweg/contest/entries/affinities_mean.py"
ROW = BoardRow(
    "affinities", "mine", "ab" * 32, "words", "2026-01-01T00:00:00", "0", "c", "walls", (1.0, 3.0), 2.0, 0.1
)


def told(*words: str, code: int = 0, given: str | None = None) -> str:
    result = CliRunner().invoke(app, ["contest", *words], input=given)
    assert result.exit_code == code, result.output
    return result.output


def test_a_strangers_file_is_tried_judged_and_shown_by_three_commands(tmp_path):
    mine, seed, board = tmp_path / "mine.py", tmp_path / "seed", tmp_path / "board"
    mine.write_bytes(MEAN.read_bytes())
    assert "pK units" in told("try", "affinities", str(mine))
    seed.write_text("0123456789abcdef0123")
    told("judge", "affinities", str(mine), "--board", str(board), "--seed-file", "-", given=seed.read_text())
    (row,) = Board(board).rows()
    assert row.value is not None
    assert row.commitment == commitment(b"0123456789abcdef0123")
    mine.write_text("raise SystemExit('<script>')")
    told(
        "judge",
        "affinities",
        str(mine),
        "--board",
        str(board),
        "--seed-file",
        "-",
        code=1,
        given=seed.read_text(),
    )
    told("board", str(board))
    page = (board / "board.html").read_text("utf-8")
    assert "&lt;script&gt;" in page
    assert "<script>'" not in page
    assert page.count("No entry yet") == 4


def test_a_judgment_is_the_same_again_and_another_with_another_seed():
    task, entry = task_named("affinities"), Entry.read(MEAN)
    first, again, other = (judge(task, entry, secret) for secret in (b"s" * 20, b"s" * 20, b"t" * 20))
    assert first.values == again.values
    assert first.values != other.values


def test_a_short_secret_is_refused():
    with pytest.raises(ValueError, match="can be guessed"):
        judge(task_named("affinities"), Entry.read(MEAN), b"1234")


def test_a_secret_on_disk_is_refused_where_entries_could_read_it(tmp_path, monkeypatch):
    monkeypatch.setattr("thalweg.contest.jail.protection.strongest", lambda: LIMITS_ONLY)
    seed = tmp_path / "seed"
    seed.write_text("0123456789abcdef0123")
    said = told(
        "judge", "affinities", str(MEAN), "--board", str(tmp_path / "b"), "--seed-file", str(seed), code=2
    )
    assert "standard input" in said or not said


def test_rows_are_added_and_never_replaced(tmp_path):
    board = Board(tmp_path)
    path = board.add(ROW)
    with pytest.raises(FileExistsError, match="never replaced"):
        board.add(ROW)
    assert board.rows() == (ROW,)
    path.write_text(json.dumps({"task": "affinities"}))
    with pytest.raises(UnreadableFile, match="row of a board"):
        board.rows()


def test_the_best_is_first_in_the_direction_of_the_task():
    other = BoardRow(
        "affinities", "other", "cd" * 32, "", "2026-01-02T00:00:00", "0", "c", "walls", (1.0,), 1.0, 0.1
    )
    refused = BoardRow(
        "affinities", "none", "ef" * 32, "", "2026-01-02T00:00:00", "0", "c", "walls", cause="no"
    )
    assert [row.entry for row in standings([ROW, other, refused], larger_is_better=False)] == [
        "other",
        "mine",
    ]
    assert [row.entry for row in standings([ROW, other, refused], larger_is_better=True)] == ["mine", "other"]


def test_weak_walls_and_public_problems_are_told_on_the_page():
    weak = BoardRow(
        "affinities", "weak", "ab" * 32, "", "w", "0", "public", LIMITS_ONLY.in_words(), (1.0,), 1.0, 0.1
    )
    page = board_page([weak])
    assert "behind weak walls" in page
    assert "public problems" in page


def test_what_cannot_be_an_entry_is_said(tmp_path):
    (tmp_path / "large.py").write_bytes(b"#" * 1_000_001)
    for name, said in (("large.py", "at most 1,000,000"), ("mine.txt", "one Python file")):
        with pytest.raises(ValueError, match=said):
            Entry.read(tmp_path / name)
