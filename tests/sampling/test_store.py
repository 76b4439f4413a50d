"""The store: whole entries or none, one campaign at a time, every byte accounted for."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from thalweg.sampling import store as store_module
from thalweg.sampling.store import UNFINISHED, Store, StoreError


def text(content):
    return lambda folder: (folder / "a.txt").write_text(content)


def test_the_digest_depends_on_content_and_not_on_order_or_diary(tmp_path):
    first, second = Store(tmp_path / "1"), Store(tmp_path / "2")
    for store, names in ((first, "ab"), (second, "ba")):
        for name in names:
            store.commit(f"segments/{name}", text(name))
        store.note(wall=np.random.default_rng().random())
    assert first.digest() == second.digest()
    second.commit("segments/c", text("c"))
    assert first.digest() != second.digest()


def test_an_entry_is_never_written_twice(tmp_path):
    store = Store(tmp_path)
    store.commit("models/m", text("first"))
    store.commit("models/m", text("second"))
    assert store.file("models/m", "a.txt").read_text() == "first"


def test_arrays_give_the_same_bytes_every_time(tmp_path):
    store = Store(tmp_path)
    for name in "ab":
        store.commit(f"m/{name}", lambda folder: np.savez(folder / "x.npz", x=np.arange(9), y=np.ones(3)))
    assert store._manifest("m/a") == store._manifest("m/b")


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.commit("segments/0", text("kept"))
    before = store.digest()

    def full(folder):
        (folder / "a.txt").write_text("part of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match=r"disk is full; 1 entries committed before are kept"):
        store.commit("segments/1", full)
    monkeypatch.setattr(os, "fsync", lambda handle: full(tmp_path))
    with pytest.raises(StoreError, match="disk is full"):
        store.commit("segments/1", text("whole"))
    monkeypatch.undo()
    (tmp_path / "a.txt").unlink()
    assert (store.digest(), store.problems(), list((tmp_path / UNFINISHED).iterdir())) == (before, [], [])


def test_a_folder_that_cannot_be_written_is_answered(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(StoreError, match="give a folder you may write to"):
        Store(tmp_path / "new")


def test_a_changed_missing_or_added_file_is_reported(tmp_path):
    store = Store(tmp_path)
    for name in "abc":
        store.commit(f"segments/{name}", text("x" * 100))
    (tmp_path / "segments/a/a.txt").write_text("x" * 99 + "y")
    (tmp_path / "segments/b/a.txt").unlink()
    (tmp_path / "segments/c/b.txt").write_text("")
    assert store.problems() == [
        "segments/a/a.txt is not what was committed (its SHA-256 differs)",
        "segments/b/a.txt is missing",
        "segments/c/b.txt is no part of the store and is ignored",
    ]
    with pytest.raises(StoreError, match="it is set aside and made anew"):
        store.file("segments/a", "a.txt")


def test_an_unknown_entry_is_answered_with_the_known_ones(tmp_path):
    store = Store(tmp_path)
    store.commit("models/m", text("1"))
    with pytest.raises(StoreError, match="it has models/m"):
        store.file("models/n", "a.txt")


HOLD = """
import sys
from thalweg.sampling.store import Store
with Store(sys.argv[1]).campaign():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_campaigns_on_one_folder_are_refused_until_the_first_is_dead(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(Path(store_module.__file__).parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(StoreError, match=f"in use by process {holder.pid} on"),
            Store(tmp_path).campaign(),
        ):
            pass
        holder.kill()
    with Store(tmp_path).campaign():
        pass


def test_what_a_dead_writer_left_is_removed_and_a_living_one_is_not_disturbed(tmp_path):
    store = Store(tmp_path)
    store.commit("m/a", text("1"))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = os.uname().nodename
    for pid in (dead.pid, os.getppid()):
        (tmp_path / UNFINISHED / f"{host}:{pid}:m:b").mkdir(parents=True)
    (tmp_path / UNFINISHED / "lease-1/draft").mkdir(parents=True)
    with store.campaign() as held:
        left = {found.name for found in (tmp_path / UNFINISHED).iterdir()}
        assert left == {f"{host}:{os.getppid()}:m:b", held.lease}


def test_a_worker_of_an_earlier_campaign_cannot_add_an_entry(tmp_path):
    with Store(tmp_path).campaign() as first:
        late = Store(tmp_path, first.lease)
        late.commit("m/a", text("in time"))
    with Store(tmp_path).campaign() as second:
        with pytest.raises(StoreError, match="comes too late; 1 entries committed before are kept"):
            late.commit("m/b", text("late"))
        assert second.commit("m/b", text("of the second")).is_dir()
        assert late.commit("m/b", text("late")) == second.folder("m/b")
    assert Store(tmp_path).file("m/b", "a.txt").read_text() == "of the second"


def test_a_worker_that_is_overtaken_while_it_writes_cannot_add_its_entry(tmp_path):
    def overtaken(folder):
        (folder / "a.txt").write_text("late")
        with Store(tmp_path).campaign() as second:
            second.commit("m/other", text("1"))

    with Store(tmp_path).campaign() as first:
        (tmp_path / ".lock").unlink()
        late = Store(tmp_path, first.lease)
        with pytest.raises(StoreError, match="replaced by another"):
            late.commit("m/a", overtaken)
    assert Store(tmp_path).ids() == ["m/other"]
    assert list((tmp_path / UNFINISHED).iterdir()) == []


def test_a_reader_sees_nothing_of_an_entry_before_its_last_rename(failing_disk, tmp_path):
    seen = []

    class Watched(failing_disk.FailingDisk):
        def replace(self, path, target):
            reader = Store(tmp_path)
            seen.append((reader.has("m/b"), reader.ids(), reader.problems()))
            super().replace(path, target)

    Store(tmp_path).commit("m/a", text("1"))
    with Watched(tmp_path).installed():
        Store(tmp_path).commit("m/b", text("2"))
    assert seen == [(False, ["m/a"], [])]
    assert Store(tmp_path).ids() == ["m/a", "m/b"]


def test_a_folder_without_manifest_in_the_way_of_an_entry_is_named(tmp_path):
    (tmp_path / "m/a").mkdir(parents=True)
    (tmp_path / "m/a/stray.txt").write_text("1")
    with pytest.raises(StoreError, match=r"m/a is there without a manifest\.json.*remove it and run again"):
        Store(tmp_path).commit("m/a", text("1"))


def test_what_file_managers_and_editors_leave_changes_nothing_and_is_named_apart(tmp_path):
    store = Store(tmp_path)
    for name in "ab":
        store.commit(f"m/{name}", text(name))
    before = store.digest()
    strangers = [
        ".DS_Store",
        f"{UNFINISHED}/.DS_Store",
        "m/Thumbs.db",
        "m/a/.DS_Store",
        "m/a/a.txt~",
        "m/b/.a.txt.swp",
    ]
    for name in strangers:
        (tmp_path / name).write_text("?")
    with store.campaign():
        assert (store.digest(), store.ids()) == (before, ["m/a", "m/b"])
    assert store.problems() == [f"{name} is no part of the store and is ignored" for name in strangers]


def test_a_store_begun_for_one_study_refuses_another(tmp_path):
    store = Store(tmp_path)
    empty = store.digest()
    store.bind("study", "a" * 64)
    Store(tmp_path).bind("study", "a" * 64)
    store.bind("plug-ins", "c" * 64)
    with pytest.raises(StoreError, match=r"begun for another study \(aaaaaaaaaaaa, not bbbbbbbbbbbb\)"):
        Store(tmp_path).bind("study", "b" * 64)
    assert store.digest() == empty


def test_a_diary_line_cut_short_is_left_out(tmp_path):
    store = Store(tmp_path)
    store.note(task="a")
    with open(tmp_path / "log/diary.jsonl", "a") as diary:
        diary.write('{"task": "b')
    assert store.diary() == [{"task": "a"}]
    store.note(task="c")
    assert store.diary() == [{"task": "a"}, {"task": "c"}]
