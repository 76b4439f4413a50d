"""Small campaigns that tests run in processes of their own and kill: ``toy_campaign.py STORE NAME N``."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.dynamics.engine import Overdamped
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.geometry.variables import Coordinates
from thalweg.sampling.apparatus import Apparatus, Recipe
from thalweg.sampling.campaign import Task, drive
from thalweg.sampling.executors import processes, serial
from thalweg.sampling.policies.markov_restarts import MarkovRestarts
from thalweg.sampling.policies.slow_variable_loop import SlowVariableLoop
from thalweg.sampling.store import Store
from thalweg.testsystems.muller_brown import MullerBrown


def muller_brown(scale=10.0, dt=2e-4):
    """A particle on the Müller-Brown surface at kT = 1, started in the upper left well."""
    engine = NativeEngine.for_potential(MullerBrown(scale), np.ones(1), Overdamped(kT=1.0, dt=dt))
    return Apparatus(
        engine=engine,
        features=Coordinates([0], dims=2),
        positions=np.array([[-0.558, 1.442]]),
        masses=np.ones(1),
        kT=1.0,
        bounds=(np.array([-1.8, -0.6]), np.array([1.4, 2.4])),
        card={"engine": "native"},
    )


RECIPE = Recipe("toy_campaign:muller_brown")


@dataclass(frozen=True)
class Add:
    """Commits the sum of what was committed before it, plus one; slowly, and in several files."""

    kind: ClassVar[str] = "run"
    before: tuple[str, ...]
    seconds: float = 0.0

    def __call__(self, store, entry):
        total = 1 + sum(int(store.file(name, "0.txt").read_text()) for name in self.before)

        def write(folder):
            for k in range(3):
                (folder / f"{k}.txt").write_text(str(total + k))
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


POLICIES = {
    "sums": Sums(rounds=12, seconds=0.03),
    "loop": SlowVariableLoop(
        RECIPE, seeds=(0, 1), walkers=8, cycles=2, swarm_steps=2000, drive_steps=6000, produce_steps=6000,
        segment_steps=3000, save_every=20, lagtime=5, height=0.5, bias_factor=8.0, stride=50, states=30,
    ),
    "restarts": MarkovRestarts(
        RECIPE, seeds=(0,), walkers=8, swarms=4, steps=1000, save_every=20, lagtime=1, states=40
    ),
}  # fmt: skip

if __name__ == "__main__":
    print("begun", flush=True)
    drive(
        Store(sys.argv[1]),
        POLICIES[sys.argv[2]],
        serial if sys.argv[3] == "1" else processes(int(sys.argv[3])),
    )
