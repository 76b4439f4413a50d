r"""Leave one state after the other along what is slow inside each, by local diffusion maps [trstanova2020].

Walks that stay in a state have its quasi-stationary distribution. The diffusion map of their frames gives the slowest
function inside, :math:`-\mathcal L \psi = \kappa \psi`, which grows towards the way out; the physical variable that
correlates most with it (`Surrogate`, `ByCorrelation`) is driven by metadynamics that begins from nothing in every
state. From time to time walkers are freed of the bias: those whose frames then stay apart from all frames of the state
(`LocalState`) have left it, and the next visit begins where they are.

This finds states and what leads out of each; it does not weigh them: every state has a bias of its own, and no walker
has to come back. For free energies, drive the variables found here with another loop. The slowest function inside need
not lead out over the lowest barrier, and a state that the swarm has not filled gives a map of a part of it: a swarm
should be several relaxation times long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from thalweg.collective_variables.interpretation.surrogate import ByCorrelation, Surrogate
from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.bias.metadynamics import Metadynamics
from thalweg.sampling.bias.method import BiasMethod
from thalweg.sampling.policies.learn_and_drive import Stage
from thalweg.sampling.policy import (
    CampaignRecord,
    Task,
    Walkers,
    check_pairs,
    check_rounds,
    check_seeds,
    check_times,
)
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.find_exits import FindExits
from thalweg.sampling.tasks.learned_variable import FrameMethod, LearnedVariable, LearnVariable
from thalweg.sampling.tasks.simulate import GrowingBias, Simulate
from thalweg.units import Count, Picoseconds, whole_multiple


@dataclass(frozen=True)
class LocalDiffusionMapLoop:
    """Visit states, each left along the variable that is slowest inside.

    Parameters
    ----------
    recipe : of the apparatus
    seeds : of the independent repeats
    walkers : walkers of each seed, advanced together
    visits : states at most
    swarm : without bias, from which the variable of a state is learned [ps]
    drive : under the growing bias before it is asked who has left [ps]
    free : without bias, by which that is decided [ps]
    tries : drives in a state, at most; where nobody has left by then, the seed is at its end
    save_every : time between frames [ps]
    lagtime : at which a Markov model of the swarms may be tried [ps]
    learner : of the variable of a state
    bias : drives it

    Raises
    ------
    ValueError
        If a time is no whole number of frames, seeds repeat, or a swarm is no longer than the lag.
    """

    cites: ClassVar[tuple[str, ...]] = ("trstanova2020",)

    recipe: ApparatusRecipe
    seeds: tuple[int, ...] = (1, 2)
    walkers: Count = 16
    visits: Count = 4
    swarm: Picoseconds = 100.0
    drive: Picoseconds = 50.0
    free: Picoseconds = 10.0
    tries: Count = 10
    save_every: Picoseconds = 1.0
    lagtime: Picoseconds = 10.0
    learner: FrameMethod = field(default_factory=lambda: Surrogate(DiffusionMap(dim=1), ByCorrelation()))
    bias: BiasMethod = field(default_factory=Metadynamics)

    def __post_init__(self):
        check_seeds(self.seeds, least=1)
        names = ("swarm", "drive", "free", "lagtime")
        check_times({name: getattr(self, name) for name in names}, self.save_every)
        check_pairs(self.lagtime, self.swarm, "swarm")
        check_rounds(self.rounds)

    @property
    def stages(self) -> list[Stage]:
        """What one seed goes through at most."""
        stages = []
        for visit in range(self.visits):
            stages += [Stage("swarm", visit), Stage("learn", visit)]
            stages += [
                Stage(name, visit, k) for k in range(self.tries) for name in ("drive", "free", "exits")
            ]
        return stages

    @property
    def rounds(self) -> int:
        return self.visits * (2 + 3 * self.tries)

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        stage = self.stages[round]
        return [self._task(store, seed, stage) for seed in self.seeds if self._has(store, seed, stage)]

    def needed(self) -> Sequence[str]:
        return [_entry(seed, Stage("exits", 0)) for seed in self.seeds]

    def evidence(self, store: Store) -> CampaignRecord:
        """Swarms move; nothing is weighted."""
        moving = tuple(
            Walkers(k, (_entry(seed, stage),))
            for k, seed in enumerate(self.seeds)
            for stage in self.stages
            if stage.name == "swarm" and self._has(store, seed, stage)
        )
        return CampaignRecord(moving, self.lagtime)

    def variable(self, store: Store) -> LearnedVariable | None:
        """The last one of the first seed."""
        learned = [_entry(self.seeds[0], Stage("learn", visit)) for visit in range(self.visits)]
        there = [entry for entry in learned if store.has(entry)]
        return LearnedVariable.read(store, there[-1]) if there else None

    def cost(self) -> float:
        """If every state takes all tries."""
        each = self.swarm + self.tries * (self.drive + self.free)
        return len(self.seeds) * self.walkers * self.visits * each

    def in_words(self) -> Sequence[str]:
        return (
            f"{self.visits} states at most: {self.swarm:g} ps a walker without bias, learning the variable of the "
            f"state by {type(self.learner).__name__}, then up to {self.tries} times {self.drive:g} ps under "
            f"{type(self.bias).__name__} of it and {self.free:g} ps free of bias, until walkers stay outside.",
        )

    def exits(self, store: Store, seed: int, visit: int) -> str | None:
        """The entry of the walkers that left a state; None where none has."""
        for k in range(self.tries):
            entry = _entry(seed, Stage("exits", visit, k))
            if store.has(entry) and FindExits.left(store, entry):
                return entry
        return None

    def _has(self, store: Store, seed: int, stage: Stage) -> bool:
        """Whether a seed comes to a stage: the state before was left, this one not by an earlier try."""
        if stage.cycle and self.exits(store, seed, stage.cycle - 1) is None:
            return False
        earlier = (_entry(seed, Stage("exits", stage.cycle, k)) for k in range(stage.part))
        return all(store.has(entry) and not FindExits.left(store, entry) for entry in earlier)

    def _task(self, store: Store, seed: int, stage: Stage) -> Task:
        visit, part = stage.cycle, stage.part
        swarm, model = _entry(seed, Stage("swarm", visit)), _entry(seed, Stage("learn", visit))
        drive, free = (_entry(seed, Stage(name, visit, part)) for name in ("drive", "free"))
        match stage.name:
            case "swarm":
                starts = self.exits(store, seed, visit - 1) if visit else None
                work = self._simulate(seed, "swarm", starts=starts)
            case "learn":
                work = LearnVariable(self.recipe, ((swarm,),), self.learner)
            case "drive":
                before = _entry(seed, Stage("drive", visit, part - 1)) if part else None
                bias = GrowingBias(model, self.bias, before)
                work = self._simulate(seed, "drive", after=before or swarm, bias=bias)
            case "free":
                work = self._simulate(seed, "free", after=drive)
            case "exits":
                work = FindExits(self.recipe, (swarm,), free, self.walkers)
        return Task(_entry(seed, stage), work)

    def _simulate(self, seed, name, *, after=None, starts=None, bias=None) -> Simulate:
        frames = whole_multiple(getattr(self, name), self.save_every, name)
        return Simulate(
            self.recipe, self.walkers, frames, self.save_every, seed, after=after, starts=starts, bias=bias
        )


def _entry(seed: int, stage: Stage) -> str:
    kind = {"learn": "models", "exits": "starts"}.get(stage.name, "segments")
    return f"{kind}/s{seed}-v{stage.cycle}-{stage.name}-{stage.part:03d}"
