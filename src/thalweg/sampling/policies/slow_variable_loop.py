"""Learn the slow variable, drive it, learn it again from where that led; free energies at the end.

Every round of learning: a swarm of unbiased walks, from the start structure or from diverse frames of the
round before; the slowest functions of features, learned on all swarms so far; a bias that grows on
them, shared by all walkers. At the end the last bias is held, production frames are made under it and
weighed. Each seed is a campaign of its own; that they agree is the first condition for believing any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, NamedTuple

from thalweg.collective_variables.linear.tica import TICA
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.bias.metadynamics import Metadynamics
from thalweg.sampling.bias.method import BiasMethod
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
from thalweg.sampling.tasks.choose_starts import ChooseStarts
from thalweg.sampling.tasks.learned_variable import FrameMethod, LearnedVariable, LearnVariable
from thalweg.sampling.tasks.reweigh import Reweigh
from thalweg.sampling.tasks.simulate import GrowingBias, HeldBias, Simulate
from thalweg.units import AtLeast, Count, Picoseconds, whole_multiple

WEIGHTS = "results/weights"
"""Entry of the weighted production frames of all seeds."""


class Stage(NamedTuple):
    """One step of the loop: its name, the cycle it belongs to, and its part among consecutive ones."""

    name: str
    cycle: int
    part: int = 0


@dataclass(frozen=True)
class SlowVariableLoop:
    """The loop of learning and driving.

    Times are those of each walker: ``swarm`` and ``drive`` in every cycle, ``produce`` once at the end.

    Parameters
    ----------
    recipe : of the apparatus
    learner : learns the variable, from frames ``save_every`` apart; TICA of two values at ``lagtime`` if None
    bias : drives it
    seeds : one independent campaign for each; at least two
    walkers : walkers of each seed, advanced together
    cycles : how often a variable is learned and driven
    swarm, drive, produce : length of each stage [ps]
    segment : length of one task [ps]; a longer stage is a sequence of tasks, so that a kill loses little
    save_every : time between frames [ps]
    lagtime : of the transitions that restarts are chosen by, and of the learner if None [ps]
    states : clusters among which diverse restarts are chosen
    skip : production of every walker left out at the beginning [ps]

    Raises
    ------
    ValueError
        If there are fewer than two seeds, a time is no whole number of frames, or a swarm is no longer than the lag.
    """

    cites: ClassVar[tuple[str, ...]] = ("shirts2008", "chodera2007")
    foreseen: ClassVar[bool] = True

    recipe: ApparatusRecipe
    learner: FrameMethod | None = None
    bias: BiasMethod = field(default_factory=Metadynamics)
    seeds: tuple[int, ...] = (1, 2)
    walkers: Count = 32
    cycles: Count = 2
    swarm: Picoseconds = 100.0
    drive: Picoseconds = 500.0
    produce: Picoseconds = 500.0
    segment: Picoseconds = 100.0
    save_every: Picoseconds = 1.0
    lagtime: Picoseconds = 10.0
    states: Count = 100
    skip: Annotated[Picoseconds, AtLeast(0)] = 0.0

    def __post_init__(self):
        check_seeds(self.seeds, least=2)
        times = ("swarm", "drive", "produce", "segment", "lagtime", *(("skip",) if self.skip else ()))
        check_times({name: getattr(self, name) for name in times}, self.save_every)
        check_pairs(self.lagtime, self.swarm, "swarm")
        check_rounds(self.rounds)

    @property
    def method(self) -> FrameMethod:
        """What learns the variable."""
        if self.learner is not None:
            return self.learner
        return TICA(self._frames("lagtime"), 2, scaling="unit")

    @property
    def stages(self) -> list[Stage]:
        """What one seed goes through."""
        stages = []
        for cycle in range(self.cycles):
            stages += [Stage("swarm", cycle, part) for part in range(self._parts("swarm"))]
            stages += [Stage("learn", cycle)]
            stages += [Stage("drive", cycle, part) for part in range(self._parts("drive"))]
            stages += [Stage("starts", cycle)] if cycle < self.cycles - 1 else []
        return stages + [Stage("produce", cycle, part) for part in range(self._parts("produce"))]

    @property
    def rounds(self) -> int:
        cycle = self._parts("swarm") + 1 + self._parts("drive")
        return self.cycles * cycle + self.cycles - 1 + self._parts("produce") + 1

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        if round < len(self.stages):
            return [self._task(seed, self.stages[round]) for seed in self.seeds]
        runs = tuple(tuple(self.entries(seed, "produce")) for seed in self.seeds)
        held = tuple(HeldBias(self._grown(seed, self.cycles - 1)) for seed in self.seeds)
        return [Task(WEIGHTS, Reweigh(self.recipe, runs, held, self._skipped))]

    def needed(self) -> Sequence[str]:
        return [WEIGHTS]

    def evidence(self, store: Store) -> CampaignRecord:
        """Swarms move, production is weighted."""
        moving = tuple(
            Walkers(k, tuple(self.entries(seed, "swarm", cycle)))
            for k, seed in enumerate(self.seeds)
            for cycle in range(self.cycles)
        )
        weighted = tuple(
            Walkers(k, tuple(self.entries(seed, "produce")), self._skipped)
            for k, seed in enumerate(self.seeds)
        )
        return CampaignRecord(moving, self.lagtime, weighted, WEIGHTS)

    def variable(self, store: Store) -> LearnedVariable | None:
        """The last one of the first seed."""
        learned = [entry for entry in self.entries(self.seeds[0], "learn") if store.has(entry)]
        return LearnedVariable.read(store, learned[-1]) if learned else None

    def cost(self) -> float:
        each = self.cycles * (self.swarm + self.drive) + self.produce
        return len(self.seeds) * self.walkers * each

    def in_words(self) -> Sequence[str]:
        return (
            f"{self.cycles} times: {self.swarm:g} ps a walker without bias, learning a variable by "
            f"{type(self.method).__name__}, {self.drive:g} ps under {type(self.bias).__name__} of it; then "
            f"{self.produce:g} ps under the bias held.",
        )

    def entries(self, seed: int, name: str, cycle: int | None = None) -> list[str]:
        """Entries of all stages of this name, of one cycle or of all."""
        return [_entry(seed, s) for s in self.stages if s.name == name and cycle in (None, s.cycle)]

    def _task(self, seed: int, stage: Stage) -> Task:
        entry, cycle = _entry(seed, stage), stage.cycle
        match stage.name:
            case "swarm":
                starts = _entry(seed, Stage("starts", cycle - 1)) if cycle and not stage.part else None
                work = self._simulate(seed, stage, starts=starts)
            case "learn":
                swarms = tuple(tuple(self.entries(seed, "swarm", c)) for c in range(cycle + 1))
                work = LearnVariable(self.recipe, swarms, self.method)
            case "drive":
                before = _entry(seed, stage._replace(part=stage.part - 1)) if stage.part else None
                start = self.entries(seed, "swarm", cycle)[-1]
                work = self._simulate(seed, stage, after=start, bias=self._bias(seed, cycle, before))
            case "starts":
                driven = tuple(self.entries(seed, "drive", cycle))
                lag = self._frames("lagtime")
                work = ChooseStarts(self.recipe, driven, self.walkers, self.states, lag, seed)
            case "produce":
                grown = self._grown(seed, cycle)
                work = self._simulate(seed, stage, after=grown.after, bias=HeldBias(grown))
        return Task(entry, work)

    def _simulate(self, seed, stage, *, after=None, starts=None, bias=None) -> Simulate:
        """One part of a stage; parts after the first go on where the one before stopped."""
        if stage.part:
            after = _entry(seed, stage._replace(part=stage.part - 1))
        rest = self._frames(stage.name) - stage.part * self._frames("segment")
        frames = min(self._frames("segment"), rest)
        return Simulate(
            self.recipe, self.walkers, frames, self.save_every, seed, after=after, starts=starts, bias=bias
        )

    def _bias(self, seed: int, cycle: int, after: str | None) -> GrowingBias:
        return GrowingBias(_entry(seed, Stage("learn", cycle)), self.bias, after)

    def _grown(self, seed: int, cycle: int) -> GrowingBias:
        return self._bias(seed, cycle, self.entries(seed, "drive", cycle)[-1])

    def _frames(self, name: str) -> int:
        """A time as a number of frames."""
        return whole_multiple(getattr(self, name), self.save_every, name)

    @property
    def _skipped(self) -> int:
        return self._frames("skip") if self.skip else 0

    def _parts(self, name: str) -> int:
        return -(-self._frames(name) // self._frames("segment"))


def _entry(seed: int, stage: Stage) -> str:
    kind = {"learn": "models", "starts": "starts"}.get(stage.name, "segments")
    return f"{kind}/s{seed}-c{stage.cycle}-{stage.name}-{stage.part:03d}"
