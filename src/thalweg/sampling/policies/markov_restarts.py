"""Swarms of short walks, each started where a Markov model of all walks before says that it helps most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
from thalweg.sampling.restart import LeastCounts, RestartRule
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.choose_starts import ChooseStarts
from thalweg.sampling.tasks.simulate import Simulate
from thalweg.units import Count, Picoseconds, whole_multiple


@dataclass(frozen=True)
class MarkovRestarts:
    """Adaptive sampling: swarm, cluster, count, restart.

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
    rule : `LeastCounts` to explore, `Uncertainty` to pin down the slowest time scale

    Raises
    ------
    ValueError
        If seeds are missing or repeat, a time is no whole number of frames, or a walk is no longer than the lag.
    """

    cites: ClassVar[tuple[str, ...]] = ("bowman2010", "hinrichs2007")

    recipe: ApparatusRecipe
    seeds: tuple[int, ...] = (1, 2)
    walkers: Count = 32
    swarms: Count = 4
    length: Picoseconds = 100.0
    save_every: Picoseconds = 1.0
    lagtime: Picoseconds = 10.0
    states: Count = 100
    rule: RestartRule = field(default_factory=LeastCounts)

    def __post_init__(self):
        check_seeds(self.seeds, least=1)
        check_times({"length": self.length, "lagtime": self.lagtime}, self.save_every)
        check_pairs(self.lagtime, self.length, "length")
        check_rounds(self.rounds)

    @property
    def rounds(self) -> int:
        return 2 * self.swarms - 1

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        swarm, choosing = divmod(round, 2)
        return [self._choose(seed, swarm) if choosing else self._swarm(seed, swarm) for seed in self.seeds]

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
        return len(self.seeds) * self.walkers * self.swarms * self.length

    def in_words(self) -> Sequence[str]:
        rule = type(self.rule).__name__
        return (f"{self.swarms} swarms of {self.length:g} ps a walker, restarted by {rule}.",)

    def entries(self, seed: int, swarms: int | None = None) -> list[str]:
        """Entries of the first swarms of a seed, or of all."""
        return [f"segments/s{seed}-swarm-{k:04d}" for k in range(self.swarms if swarms is None else swarms)]

    def _swarm(self, seed: int, swarm: int) -> Task:
        starts = f"starts/s{seed}-{swarm - 1:04d}" if swarm else None
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
        )
        return Task(f"starts/s{seed}-{swarm:04d}", work)
