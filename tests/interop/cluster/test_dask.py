"""Campaigns on the workers of Dask end like those in one process, whoever is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from concurrent.futures import BrokenExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from distributed import Client

from thalweg import registry
from thalweg.interop.cluster.dask import Dask, DaskExecutor, dask_executor
from thalweg.interop.cluster.queues import JobQueue
from thalweg.sampling.campaign import CampaignError, drive
from thalweg.sampling.executors import processes, serial
from thalweg.sampling.store import UNFINISHED, Store
from thalweg.time_series import HistogramPass, Trajectories, gathered, shares

TOYS = Path(__file__).parents[2] / "sampling" / "toy_sums.py"


@pytest.fixture
def sums(monkeypatch):
    """Campaigns that add up numbers."""
    monkeypatch.setenv(registry.WITH, "")
    registry.name_files([TOYS])
    return registry.plugin("toy_sums")


@pytest.mark.parametrize("executor", [processes(2), dask_executor(2)], ids=["processes", "Dask"])
def test_a_campaign_whose_worker_is_killed_ends_like_one_in_this_process(sums, tmp_path, executor):
    policy = sums.Sums(rounds=2, width=2)
    drive(Store(tmp_path / "here"), policy, serial)
    victim = tmp_path / "there/log/victim"
    victim.parent.mkdir(parents=True)
    victim.write_text("sums/000-1")
    drive(Store(tmp_path / "there"), policy, executor)
    assert not victim.exists()
    there, here = Store(tmp_path / "there"), Store(tmp_path / "here")
    assert (there.digest(), there.problems()) == (here.digest(), [])
    assert list((tmp_path / "there" / UNFINISHED).iterdir()) == []


def test_a_task_that_fails_on_a_worker_of_dask_is_named(sums, tmp_path):
    with pytest.raises(CampaignError, match="sums/only failed: the integrator lost its way"):
        drive(Store(tmp_path), sums.Once(sums.Fail()), dask_executor(1))


@pytest.mark.long
def test_workers_of_dask_that_keep_dying_end_the_campaign_with_a_word(sums, tmp_path):
    with pytest.raises(CampaignError, match="killed 3 times in a row while doing sums/only"):
        drive(Store(tmp_path), sums.Once(sums.KillWorker(times=99)), dask_executor(1))


def test_what_was_done_when_the_scheduler_went_away_counts_as_broken_and_is_not_waited_for():
    class Gone:
        """Of a task that was done, a result that nobody can fetch any more."""

        status = "finished"

        def result(self):
            raise OSError("connection closed")

        def add_done_callback(self, settle):
            settle(self)

    client = Mock(spec=Client)
    client.submit.return_value = Gone()
    promised = DaskExecutor(client).submit(len, ())
    with pytest.raises(BrokenExecutor, match="scheduler is gone"):
        promised.result(timeout=1.0)


def test_a_scheduler_that_is_not_there_is_told_with_the_commands_that_start_one(monkeypatch):
    monkeypatch.setattr("thalweg.interop.cluster.dask.ANSWER", 0.5)
    with pytest.raises(
        OSError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9 .*start one there: dask scheduler"
    ):
        Dask(address="tcp://127.0.0.1:9").executor()


@pytest.mark.parametrize(
    ("scheduler", "lines"), [("slurm", ["-p short", "-A me", "-t 1:00:00"]), ("pbs", ["-q short"])]
)
def test_jobs_of_a_queue_ask_for_one_core_and_keep_to_one_thread(scheduler, lines):
    cluster = JobQueue(scheduler, queue="short", account="me", memory="3 GB", walltime="1:00:00").cluster()
    try:
        script = cluster.job_script()
    finally:
        cluster.close()
    assert all(line in script for line in [*lines, "export OMP_NUM_THREADS=1", "--nthreads 1"])


@pytest.mark.parametrize("name", ["queue", "account", "memory", "walltime"])
def test_nothing_of_a_run_file_becomes_a_line_of_a_job_script(name):
    with pytest.raises(ValueError, match="would become a line of a job script"):
        JobQueue(**{name: "short\nrm -r /"})


def serve(port, log):
    command = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
    ]
    return subprocess.Popen([*command, "--no-dashboard", "--no-show"], stderr=log)


def work_for(address, log, folder):
    command = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-dashboard",
    ]
    return subprocess.Popen([*command, "--death-timeout", "60", "--local-directory", str(folder)], stderr=log)


@pytest.mark.long
def test_a_campaign_outlives_its_scheduler(sums, tmp_path):
    drive(Store(tmp_path / "here"), sums.Sums(rounds=4, seconds=0.3), serial)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, log = f"tcp://127.0.0.1:{port}", (tmp_path / "log").open("w")
    begun = [serve(port, log), work_for(address, log, tmp_path)]

    def kill_once(round, task, done, total, seconds):
        if task.id == "sums/001-1" and len(begun) == 2:
            begun[0].kill()
            begun[0].wait()
            begun.extend([serve(port, log), work_for(address, log, tmp_path)])

    try:
        wait_for(port)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is told that the scheduler is waited for
            drive(
                Store(tmp_path / "there"),
                sums.Sums(rounds=4, seconds=0.3),
                dask_executor(address),
                observers=[kill_once],
            )
    finally:
        for process in begun:
            process.kill()
            process.wait()
        log.close()
    assert len(begun) == 4
    assert Store(tmp_path / "there").digest() == Store(tmp_path / "here").digest()


GRID = HistogramPass((np.linspace(0, 1, 8),))


def weighed(count=24):
    """Shares of frames whose sums of weights are not the same in every order, and what was seen of them."""
    random = np.random.default_rng(0)
    weights = random.lognormal(0, 4, count * 100)
    return shares(Trajectories([random.random((count * 100, 1))], weights=[weights]), frames=100)


def slow_histogram(victim=None):
    """A pass over `weighed` that takes its time, as workers can be sent; the first who meets ``victim`` is killed."""

    class SlowHistogram(HistogramPass):
        def of(self, share):
            time.sleep(0.1)
            if share.number == 9 and victim is not None and victim.exists():
                victim.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            return HistogramPass.of(self, share)

    return SlowHistogram(GRID.edges)


def test_sums_gathered_by_two_workers_one_of_whom_is_killed_are_the_same_to_the_last_bit(tmp_path):
    victim, parts = tmp_path / "victim", weighed()
    victim.touch()
    found = gathered(slow_histogram(victim=victim), parts, Dask(2).executor, in_work=4)
    assert not victim.exists()
    np.testing.assert_array_equal(found, gathered(GRID, parts))


@pytest.mark.long
def test_sums_are_gathered_though_the_scheduler_is_killed(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, log, parts = f"tcp://127.0.0.1:{port}", (tmp_path / "log").open("w"), weighed(60)
    begun = [serve(port, log), work_for(address, log, tmp_path)]
    merged = []

    class Killing(HistogramPass):
        """Kills the scheduler when some shares have been merged here."""

        def of(self, share):
            time.sleep(0.1)
            return HistogramPass.of(self, share)

        def merged(self, first, second):
            merged.append(1)
            if len(merged) == 15:
                begun[0].kill()
                begun[0].wait()
                begun.extend([serve(port, log), work_for(address, log, tmp_path)])
            return HistogramPass.merged(self, first, second)

        def __reduce__(self):
            return slow_histogram, ()

    try:
        wait_for(port)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is told that the scheduler is waited for
            found = gathered(Killing(GRID.edges), parts, Dask(address=address).executor, in_work=4)
    finally:
        for process in begun:
            process.kill()
            process.wait()
        log.close()
    assert len(begun) == 4
    np.testing.assert_array_equal(found, gathered(GRID, parts))


def wait_for(port):
    for _ in range(300):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the scheduler does not come up")
