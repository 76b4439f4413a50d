"""Campaigns that add up numbers, for tests that run, kill and resume many: ``toy_sums.py STORE``."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from thalweg import registry
from thalweg.sampling.campaign import drive
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store


@dataclass(frozen=True)
class Add:
    """Commits the sum of what was committed before it, plus one; slowly, and in several files.

    If ``log/victim`` in the store names its entry, it kills its own process half way, once.
    """

    kind: ClassVar[str] = "run"
    before: tuple[str, ...]
    seconds: float = 0.0

    def __call__(self, store, entry):
        total = 1 + sum(int(store.file(name, "0.txt").read_text()) for name in self.before)
        victim = store.path / "log" / "victim"

        def write(folder):
            for k in range(3):
                (folder / f"{k}.txt").write_text(str(total + k))
                if victim.exists() and victim.read_text() == entry:
                    victim.unlink()
                    os.kill(os.getpid(), signal.SIGKILL)
                if self.seconds:
                    time.sleep(self.seconds / 3)

        store.commit(entry, write)


@dataclass(frozen=True)
class Sums:
    """Each round, ``width`` tasks add up all of the round before."""

    rounds: int
    width: int = 4
    seconds: float = 0.0

    def plan(self, store, round):
        before = tuple(name for name in store.ids("sums") if name.startswith(f"sums/{round - 1:03d}"))
        return [Task(f"sums/{round:03d}-{i}", Add(before, self.seconds * (1 + i))) for i in range(self.width)]


@dataclass(frozen=True)
class Fail:
    kind: ClassVar[str] = "run"

    def __call__(self, store, entry):
        raise RuntimeError("the integrator lost its way")


@dataclass(frozen=True)
class KillWorker:
    """Kills its own process, the first ``times`` times."""

    kind: ClassVar[str] = "run"
    times: int

    def __call__(self, store, entry):
        log = store.path / "log"
        log.mkdir(exist_ok=True)
        with open(log / "deaths", "a") as deaths:
            deaths.write("x")
        if len((log / "deaths").read_text()) <= self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        store.commit(entry, lambda folder: (folder / "a").write_text("done"))


@dataclass(frozen=True)
class Once:
    """A single round of given work."""

    work: object
    rounds: int = 1

    def plan(self, store, round):
        return [Task("sums/only", self.work)]


if __name__ == "__main__":
    registry.name_files([Path(__file__)])
    policy = registry.plugin("toy_sums").Sums(rounds=12, seconds=0.03)
    print("begun", flush=True)
    drive(Store(sys.argv[1]), policy)
