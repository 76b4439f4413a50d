"""Campaigns of many segments: what planning costs as the store grows, and what killed workers and schedulers cost.

Both are swarms on the Müller-Brown landscape. A campaign whose workers are killed ten times and whose scheduler once
has to leave the store of an undisturbed one.
"""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from thalweg import registry
from thalweg.machine import disk
from thalweg.report.benchmark import Row
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.campaign import drive
from thalweg.sampling.executors import Processes
from thalweg.sampling.policies.markov_restarts import MarkovRestarts
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store

SYSTEMS_FILE = Path(__file__).parent / "sampling_systems.py"
RECIPE = ApparatusRecipe("sampling_systems.landscape", {"name": "muller-brown"})

KILLS = 10
"""Workers killed, at random moments."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Planning, and kills; ``quick`` makes a tenth of the segments."""
    del data
    return {"planning": partial(planning, 10 if quick else 100), "kills": partial(kills, 2 if quick else 10)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def swarms(seeds: int, count: int) -> MarkovRestarts:
    """Short swarms of two walkers."""
    return MarkovRestarts(
        RECIPE, seeds=tuple(range(seeds)), walkers=2, swarms=count, length=0.02, save_every=0.002, lagtime=0.002,
        states=10,
    )  # fmt: skip


def planning(seeds: int, count: int = 100) -> Iterator[Row]:
    """Time to plan a round, at the beginning and at the end, and what is on the disk."""
    registry.name_files([SYSTEMS_FILE])
    policy, planned = swarms(seeds, count), []

    class Timed:
        """The same policy, whose plans are timed."""

        rounds = policy.rounds

        def plan(self, store: Store, round: int) -> list[Task]:
            began = time.process_time()
            tasks = policy.plan(store, round)
            planned.append(time.process_time() - began)
            return tasks

    with tempfile.TemporaryDirectory() as folder:
        began, store = time.process_time(), Store(folder)
        drive(store, Timed())
        spent = time.process_time() - began
        segments, (size, files) = len(store.ids("segments")), disk.size(folder)
    # rounds of swarms and of choosing alternate: medians over as many of both
    tenth = max(len(planned) // 10, 2)
    first, last = (1e3 * float(np.median(some)) for some in (planned[:tenth], planned[-tenth:]))
    name = f"{segments} segments"
    yield Row(f"{name}: a plan of {seeds} tasks, first tenth of the rounds", first, "CPU ms")
    flat = last <= 2 * first
    yield Row(
        f"{name}: a plan of {seeds} tasks, last tenth over first", last / first, "", target="<= 2", met=flat
    )
    yield Row(
        f"{name}: files and folders of a segment, its choice and its share of a plan", files / segments, ""
    )
    yield Row(f"{name}: on the disk", size / segments * 1e-3, "kB/segment")
    yield Row(f"{name}: the whole campaign", 1e3 * spent / segments, "CPU ms/segment")


def kills(seeds: int, count: int = 20, seed: int = 0) -> Iterator[Row]:
    """Workers of Dask killed at random, the scheduler once."""
    from thalweg.interop.cluster.dask import Dask

    registry.name_files([SYSTEMS_FILE])
    policy = swarms(seeds, count)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        undisturbed = Store(home / "undisturbed")
        drive(undisturbed, policy, Processes(1).executor)
        cluster = _Cluster(home, seed)
        store = Store(home / "killed")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is told that the scheduler is waited for
                drive(
                    store,
                    policy,
                    Dask(address=cluster.address).executor,
                    observers=[cluster.observer(policy)],
                )
        finally:
            cluster.end()
        done = Counter(note["task"] for note in store.diary() if "task" in note)
        name = f"{len(store.ids('segments'))} segments on two workers"
        yield Row(f"{name}: workers killed", cluster.killed, "")
        yield Row(f"{name}: schedulers killed", cluster.schedulers - 1, "")
        same = store.digest() == undisturbed.digest()
        yield Row(f"{name}: digest of the undisturbed campaign", float(same), "", target="yes", met=same)
        problems = len(store.problems())
        yield Row(f"{name}: problems in the store", problems, "", target="0", met=problems == 0)
        twice = sum(times > 1 for times in done.values())
        yield Row(f"{name}: tasks counted twice", twice, "", target="0", met=twice == 0)


class _Cluster:
    """A scheduler and two workers in processes of their own, some of which are killed as a campaign goes on."""

    def __init__(self, folder: Path, seed: int):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.folder, self.random = folder, random.Random(seed)
        self.log = (folder / "dask.log").open("w")
        self.killed = self.schedulers = 0
        self.processes: list[subprocess.Popen] = []
        self.begin()

    def begin(self) -> None:
        """Start them."""
        here = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"]
        self._start("dask_scheduler", *here)
        self.schedulers += 1
        for _ in range(2):
            self._start("dask_worker", self.address, "--nthreads", "1", "--no-dashboard", "--local-directory",
                        str(self.folder), "--death-timeout", "60")  # fmt: skip
        for _ in range(600):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)

    def observer(self, policy: MarkovRestarts) -> Callable[..., None]:
        """Kills at random numbers of tasks done."""
        total = sum(len(policy.plan(Store(self.folder / "nothing"), k)) for k in range(policy.rounds))
        moments = set(self.random.sample(range(2, total - 2), KILLS + 1))
        scheduler, done = sorted(moments)[len(moments) // 2], 0

        def observe(round: int, task: Task, number: int, of: int, seconds: float | None) -> None:
            nonlocal done
            done += 1
            if done == scheduler:
                self.end(quietly=False)
                self.begin()
            elif done in moments:
                self._kill_worker()

        return observe

    def end(self, quietly: bool = True) -> None:
        """Kill all."""
        for process in self.processes:
            for child in (
                psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            ):
                child.kill()
            process.kill()
            process.wait()
        self.processes = []
        if quietly:
            self.log.close()

    def _kill_worker(self) -> None:
        """Kill a worker; its nanny starts another."""
        nannies = [psutil.Process(process.pid) for process in self.processes[1:] if process.poll() is None]
        children = [child for nanny in nannies for child in nanny.children()]
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        if workers:
            self.random.choice(workers).kill()
            self.killed += 1

    def _start(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        self.processes.append(subprocess.Popen(command, stderr=self.log, stdout=self.log))
