"""Swarms of short walks, each started where a rule says, from all walks before, that it helps most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.policy import (
    CampaignRecord,
    Task,
    Walkers,
    check_pairs,
    check_rounds,
    check_seeds,
    check_times,
)
from thalweg.sampling.restarts.least_counts import LeastCounts
from thalweg.sampling.restarts.rule import RestartRule
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.choose_starts import ChooseStarts
from thalweg.sampling.tasks.pull_to_targets import PullToTargets
from thalweg.sampling.tasks.shoot import TakeStarts
from thalweg.sampling.tasks.simulate import Simulate
from thalweg.units import Count, Picoseconds, whole_multiple


@dataclass(frozen=True)
class MarkovRestarts:
    """Adaptive sampling: swarm, cluster, count, restart.

    Walks are free of bias and a Markov model of them has the right populations and times, though frames as they lie
    have not. A rule that names targets has its walkers pulled there first; those ways are not among the walks.

    Parameters
    ----------
    recipe : of the apparatus
    seeds : one independent campaign for each
    walkers : walkers in a swarm
    swarms : number of swarms
    length : of every walker in a swarm [ps]
    save_every : time between frames [ps]
    lagtime : of the transitions counted [ps]
    states : number of clusters
    rule : any `RestartRule`: `LeastCounts` to explore, `Uncertainty` to pin down the slowest time scale
    frames : file with the positions ``(frames, atoms, dims)`` [nm] where the walkers of the first swarm begin, evenly
        spread, ``.npy``: as many as walkers at least, such as `chimeras`; empty for the start of the apparatus

    Raises
    ------
    ValueError
        If seeds are missing or repeat, a time is no whole number of frames, or a walk is no longer than the lag.
    """

    cites: ClassVar[tuple[str, ...]] = ("bowman2010",)
    foreseen: ClassVar[bool] = True

    recipe: ApparatusRecipe
    seeds: tuple[int, ...] = (1, 2)
    walkers: Count = 32
    swarms: Count = 4
    length: Picoseconds = 100.0
    save_every: Picoseconds = 1.0
    lagtime: Picoseconds = 10.0
    states: Count = 100
    rule: RestartRule = field(default_factory=LeastCounts)
    frames: str = ""

    def __post_init__(self):
        check_seeds(self.seeds, least=1)
        check_times({"length": self.length, "lagtime": self.lagtime}, self.save_every)
        check_pairs(self.lagtime, self.length, "length")
        check_rounds(self.rounds)

    @property
    def rounds(self) -> int:
        return len(self._stages) * (self.swarms - 1) + 1 + self._given

    @property
    def pull(self) -> Picoseconds:
        """How long walkers are pulled to the targets of the rule before a swarm [ps]; zero where it names none."""
        return float(getattr(self.rule, "pull", 0.0))

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        if round < self._given:
            work = TakeStarts(self.recipe, self.frames, self.walkers)
            return [Task(self._starts(seed, -1), work) for seed in self.seeds]
        swarm, stage = divmod(round - self._given, len(self._stages))
        return [self._stages[stage](seed, swarm) for seed in self.seeds]

    @property
    def _stages(self) -> list[Callable[[int, int], Task]]:
        """What is done between one swarm and the next."""
        return [self._swarm, self._choose, *([self._pull] if self.pull else [])]

    def needed(self) -> Sequence[str]:
        return [entry for seed in self.seeds for entry in self.entries(seed)]

    def evidence(self, store: Store) -> CampaignRecord:
        walks = [
            Walkers(k, (entry,)) for k, seed in enumerate(self.seeds) for entry in self.entries(seed)
        ]  # a walk ends with its swarm
        return CampaignRecord(tuple(walks), self.lagtime)

    def variable(self, store: Store) -> None:
        return None

    def cost(self) -> float:
        return len(self.seeds) * self.walkers * (self.swarms * self.length + (self.swarms - 1) * self.pull)

    def in_words(self) -> Sequence[str]:
        rule = type(self.rule).__name__
        if self.frames:
            rule += f", the first from frames of {Path(self.frames).name}"
        return (f"{self.swarms} swarms of {self.length:g} ps a walker, restarted by {rule}.",)

    def entries(self, seed: int, swarms: int | None = None) -> list[str]:
        """Entries of the first swarms of a seed, or of all."""
        return [f"segments/s{seed}-swarm-{k:04d}" for k in range(self.swarms if swarms is None else swarms)]

    def _swarm(self, seed: int, swarm: int) -> Task:
        starts = self._starts(seed, swarm - 1, reached=bool(self.pull)) if swarm else self._first(seed)
        frames = whole_multiple(self.length, self.save_every, "length")
        work = Simulate(self.recipe, self.walkers, frames, self.save_every, seed, starts=starts)
        return Task(self.entries(seed)[swarm], work)

    def _choose(self, seed: int, swarm: int) -> Task:
        work = ChooseStarts(
            self.recipe,
            tuple(self.entries(seed, swarm + 1)),
            self.walkers,
            self.states,
            whole_multiple(self.lagtime, self.save_every, "lagtime"),
            seed * self.swarms + swarm,
            self.rule,
            self._starts(seed, swarm - 1) if swarm else None,
        )
        return Task(self._starts(seed, swarm), work)

    def _pull(self, seed: int, swarm: int) -> Task:
        work = PullToTargets(self.recipe, self._starts(seed, swarm), self.walkers, self.pull, seed)
        return Task(self._starts(seed, swarm, reached=True), work)

    @property
    def _given(self) -> int:
        """Rounds before the first swarm: one where structures are given."""
        return int(bool(self.frames))

    def _first(self, seed: int) -> str | None:
        """Entry of the places where the first swarm begins."""
        return self._starts(seed, -1) if self.frames else None

    @staticmethod
    def _starts(seed: int, swarm: int, reached: bool = False) -> str:
        """Entry of the starts chosen after a swarm, or of the places reached from there; -1 for those given."""
        name = "given" if swarm < 0 else f"{swarm:04d}"
        return f"starts/s{seed}-{name}" + ("-reached" if reached else "")
