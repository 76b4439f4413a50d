"""Campaigns: killed at any moment they go on, nothing is lost or done twice, and the end is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.campaign import CampaignError, drive
from thalweg.sampling.executors import processes
from thalweg.sampling.plans import from_plain, plain
from thalweg.sampling.policy import Planner, Policy, Work
from thalweg.sampling.store import UNFINISHED, Store, StoreError, sha256, write_json

HERE = Path(__file__).parent


def started(path, name):
    """A campaign in a process group of its own, everything imported."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "JAX_COMPILATION_CACHE_DIR": str(path.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, str(HERE / f"{name}.py"), str(path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    campaign = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)
    assert campaign.stdout.readline() == b"begun\n", campaign.stderr.read().decode()
    return campaign


def finished(path, name):
    campaign = started(path, name)
    _, errors = campaign.communicate(timeout=300)
    assert campaign.returncode == 0, errors.decode()
    return Store(path)


def test_every_policy_and_work_obeys_its_protocol_and_survives_json(toy, sums, tmp_path):
    assert isinstance(toy.LOOP, Policy)
    assert isinstance(toy.RESTARTS, Policy)
    for policy in (toy.LOOP, toy.RESTARTS, sums.Sums(rounds=2)):
        assert isinstance(policy, Planner)
        store = Store(tmp_path)
        for k in range(policy.rounds):
            for task in policy.plan(store, k):
                assert isinstance(task.work, Work)
                assert from_plain(json.loads(json.dumps(plain(task.work)))) == task.work


STRANGERS = [
    "os.system",
    "os:system",
    "sampling.drive",
    "sampling.store",
    "sampling.Work",
    "studies.apparatus",
    "",
    None,
]


@pytest.mark.parametrize("name", STRANGERS)
def test_a_plan_cannot_call_anything_but_dataclasses_that_have_a_name(name):
    with pytest.raises(StoreError, match=r"asks for .*(is no name of|is no work)"):
        from_plain({"is": name, "command": "true"})


def test_a_field_of_a_plan_is_told_in_one_line_whatever_its_name():
    with pytest.raises(StoreError, match="of another version") as told:
        from_plain({"is": "sampling.Uncertainty", "prior\nsaid": 1.0})
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["os.system", "os:system", "machine.require_memory", "sampling.drive"])
def test_the_apparatus_of_a_plan_is_made_by_nothing_but_a_factory(name):
    with pytest.raises(ValueError, match=r"is no name of Thalweg|makes no apparatus"):
        ApparatusRecipe(name, {"command": "true"}).build()


def test_a_plan_of_the_first_format_or_that_leads_out_of_the_store_is_refused(sums, tmp_path):
    task = {"id": "sums/000-0", "work": plain(sums.Add(()))}
    cases = {
        "another version of the format": [task],
        "no entry of a store": {"version": 2, "tasks": [task | {"id": "../../elsewhere/a"}]},
    }
    for number, (word, plan) in enumerate(cases.items()):
        store = Store(tmp_path / str(number))
        store.commit("plans/00000", lambda folder, plan=plan: write_json(folder / "plan.json", plan))
        with pytest.raises(StoreError, match=word):
            drive(store, sums.Sums(rounds=1))


def test_running_again_does_nothing_and_more_rounds_go_on(sums, tmp_path):
    store, told = Store(tmp_path), []
    observer = lambda k, task, done, total, seconds: told.append((task.id, done, seconds is None))  # noqa: E731
    drive(store, sums.Sums(rounds=3), observers=[observer])
    assert [done for _, done, _ in told] == 3 * [1, 2, 3, 4]
    digest, notes = store.digest(), len(store.diary())
    drive(store, sums.Sums(rounds=3), observers=[observer])
    assert (store.digest(), len(store.diary())) == (digest, notes)
    assert all(found for _, _, found in told[12:])
    drive(store, sums.Sums(rounds=4))
    assert store.file("sums/003-0", "0.txt").read_text() == "85"


def test_a_plan_is_kept_even_if_the_policy_changes_its_mind(sums, tmp_path):
    store = Store(tmp_path)
    drive(store, sums.Sums(rounds=1, width=2))
    drive(store, sums.Sums(rounds=1, width=3))
    assert store.ids("sums") == ["sums/000-0", "sums/000-1"]


def test_a_task_that_fails_is_named_and_the_rest_is_kept(sums, tmp_path):
    with pytest.raises(
        CampaignError, match="sums/only failed: the integrator lost its way; what is committed"
    ):
        drive(Store(tmp_path), sums.Once(sums.Fail()))


def test_a_killed_worker_is_replaced_and_its_task_done_again(sums, tmp_path):
    store = Store(tmp_path)
    drive(store, sums.Once(sums.KillWorker(times=1)), processes(1))
    assert store.file("sums/only", "a").read_text() == "done"


def test_workers_that_keep_dying_end_the_campaign_with_a_word(sums, tmp_path):
    with pytest.raises(CampaignError, match="killed 3 times in a row while doing sums/only"):
        drive(Store(tmp_path), sums.Once(sums.KillWorker(times=99)), processes(1))
    assert len((tmp_path / "log/deaths").read_text()) == 3


def test_one_process_and_two_make_the_same_store(sums, tmp_path):
    drive(Store(tmp_path / "1"), sums.Sums(rounds=4))
    drive(Store(tmp_path / "2"), sums.Sums(rounds=4), processes(2))
    assert Store(tmp_path / "1").digest() == Store(tmp_path / "2").digest()


def kill_at(path, name, entries, kill):
    """Run a campaign and kill it, or only its first process, as soon as it holds so many entries."""
    campaign = started(path, name)
    while len(Store(path).ids()) < entries and campaign.poll() is None:
        time.sleep(0.002)
    on_its_way = campaign.poll() is None
    if on_its_way:
        kill(campaign.pid, signal.SIGKILL)
    _, errors = campaign.communicate()
    assert on_its_way, errors.decode() or "the campaign ended before it was killed"


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "moments"),
    [("toy_sums", (1, 2, 12, 23)), ("toy_campaign", (2, 15)), ("toy_wells", (2, 9))],
)
def test_kills_lose_nothing_repeat_nothing_and_change_nothing(tmp_path, name, moments):
    undisturbed = finished(tmp_path / "undisturbed", name)
    path = tmp_path / "killed"
    for k, entries in enumerate(moments):
        kill_at(path, name, entries, os.kill if k % 2 else os.killpg)
    store = finished(path, name)
    assert store.digest() == undisturbed.digest()
    assert store.problems() == []
    assert list((path / UNFINISHED).iterdir()) == []
    noted = Counter(note["task"] for note in store.diary())
    assert max(noted.values()) == 1


ORPHANS = """
import sys
from thalweg.sampling.campaign import drive
from thalweg.sampling.executors import processes
from thalweg.sampling.store import Store
from thalweg import registry

if __name__ == "__main__":
    drive(Store(sys.argv[1]), registry.plugin("toy_sums").Sums(rounds=1, width=1, seconds=60.0), processes(1))
"""


def test_workers_of_a_killed_campaign_end_by_themselves(tmp_path, toys):
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(script), str(tmp_path / "store")]
    with subprocess.Popen(command, env=environment, start_new_session=True) as campaign:
        while not list((tmp_path / "store").glob(f"{UNFINISHED}/*/*sums*")):
            time.sleep(0.05)
        campaign.kill()
    deadline = time.monotonic() + 40  # well before their task would end by itself; they need a second or two
    while time.monotonic() < deadline:
        try:
            os.killpg(campaign.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("worker processes outlive the campaign")


def test_a_damaged_segment_is_reported_by_the_task_that_reads_it(sums, tmp_path):
    store = Store(tmp_path)

    def damage(round, task, done, total, seconds):
        if task.id == "sums/000-1":
            (tmp_path / "sums/000-1/0.txt").write_text("7")

    with pytest.raises(StoreError, match=r"sums/000-1/0\.txt is not what was committed"):
        drive(store, sums.Sums(rounds=2), observers=[damage])


def test_a_loop_needs_two_seeds_and_whole_frames(toy):
    loop = toy.LOOP
    with pytest.raises(ValueError, match="give at least 2, whose agreement can be judged"):
        replace(loop, seeds=(0,))
    with pytest.raises(ValueError, match=r"swarm = 0\.4002 ps is no whole number of 0\.004 ps"):
        replace(loop, swarm=0.4002)
    with pytest.raises(ValueError, match="leaves no pairs in walks of swarm"):
        replace(loop, lagtime=0.4)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [flipped, Path.unlink], ids=["a byte", "a file"])
@pytest.mark.parametrize("name", ["plans/000", "sums/000-1", "sums/001-0", "sums/002-3"])
@pytest.mark.parametrize("file", ["of it", "manifest"])
def test_what_is_damaged_is_set_aside_told_and_made_again(sums, tmp_path, name, damage, file):
    store = Store(tmp_path)
    drive(store, sums.Sums(rounds=3))
    before = store.digest()
    entry = next(entry for entry in store.ids() if entry.startswith(name))
    folder = store.folder(entry)
    damage(folder / "manifest.json" if file == "manifest" else max(folder.glob("[!m]*")))
    with pytest.warns(UserWarning, match=f"{entry}.*set aside as .*, to be made again"):
        drive(store, sums.Sums(rounds=3))
    assert (store.digest(), store.problems()) == (before, [])
    assert len(list((tmp_path / ".damaged").iterdir())) == 1
    (note,) = [note for note in store.diary() if "damaged" in note]
    assert note["damaged"] == entry


def test_what_is_made_again_otherwise_than_before_is_told(sums, tmp_path):
    store = Store(tmp_path)
    drive(store, sums.Sums(rounds=2, width=2))
    (store.folder("sums/000-1") / "0.txt").write_text("4")
    manifest = store.folder("sums/000-1") / "manifest.json"
    manifest.write_text(manifest.read_text().replace(sha256(store.folder("sums/000-0") / "0.txt"), "0" * 64))
    with pytest.warns(UserWarning, match="sums/000-1") as told:
        drive(store, sums.Sums(rounds=2, width=2))
    assert "was made again but is not what it was" in str(told[-1].message)
