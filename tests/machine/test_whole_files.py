"""Whatever fails while a file is written, the old one stays."""

from __future__ import annotations

import pytest

from thalweg.machine.whole_files import whole, write_whole


def test_a_failing_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    target = tmp_path / "report.json"
    write_whole(target, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_writer_that_fails_half_way_leaves_nothing(tmp_path):
    def begin():
        with whole(tmp_path / "new.txt") as draft:
            draft.write_text("begun")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half"):
        begin()
    assert not list(tmp_path.iterdir())
