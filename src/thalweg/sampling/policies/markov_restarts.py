"""Swarms of short walks, each started where a Markov model of all walks before says that it helps most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.policy import Task
from thalweg.sampling.restart import LeastCounts, RestartRule
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.choose_starts import ChooseStarts
from thalweg.sampling.tasks.simulate import Simulate


@dataclass(frozen=True)
class MarkovRestarts:
    """Adaptive sampling: swarm, cluster, count, restart.

    Attributes
    ----------
    recipe : of the apparatus
    seeds : one independent campaign for each
    walkers : walkers in a swarm
    swarms : number of swarms
    steps : steps of every walker in a swarm
    save_every : steps between frames
    lagtime : of the transitions counted, in frames
    states : number of clusters
    rule : `LeastCounts` to explore, `Uncertainty` to pin down the slowest time scale
    """

    recipe: ApparatusRecipe
    seeds: tuple[int, ...]
    walkers: int
    swarms: int
    steps: int
    save_every: int
    lagtime: int
    states: int = 100
    rule: RestartRule = field(default_factory=LeastCounts)

    @property
    def rounds(self) -> int:
        return 2 * self.swarms - 1

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        swarm, choosing = divmod(round, 2)
        return [self._choose(seed, swarm) if choosing else self._swarm(seed, swarm) for seed in self.seeds]

    def entries(self, seed: int, swarms: int | None = None) -> list[str]:
        """Entries of the first swarms of a seed, or of all."""
        return [f"segments/s{seed}-swarm-{k:04d}" for k in range(self.swarms if swarms is None else swarms)]

    def _swarm(self, seed: int, swarm: int) -> Task:
        starts = f"starts/s{seed}-{swarm - 1:04d}" if swarm else None
        work = Simulate(self.recipe, self.walkers, self.steps, self.save_every, seed, starts=starts)
        return Task(self.entries(seed)[swarm], work)

    def _choose(self, seed: int, swarm: int) -> Task:
        seen = tuple(self.entries(seed, swarm + 1))
        work = ChooseStarts(
            self.recipe, seen, self.walkers, self.states, self.lagtime, seed * self.swarms + swarm, self.rule
        )
        return Task(f"starts/s{seed}-{swarm:04d}", work)
