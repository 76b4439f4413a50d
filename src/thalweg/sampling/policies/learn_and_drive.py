r"""What loops of learning and driving share: walk, learn a variable, drive it, learn it again from where that led.

Of each seed the first stage is a swarm of unbiased walks. A cycle then learns a variable and drives it by a bias that
all walkers share; the next one begins from diverse frames that were reached, until the cycles are over or the
variable has settled. At the end the last bias is held, production frames are made under it and weighed. Each seed is
a campaign of its own; that they agree is the first condition for believing any of them.

A variable has *settled* when it is a function of that of the cycle before,

.. math::  R^2 = 1 - \frac{\langle |s' - f(s)|^2 \rangle}{\langle |s' - \bar s'|^2 \rangle} \ge R^2_{settled}

for the best cubic polynomial f, in the least well explained of its values, over the frames of the last drive, and
none of these lie beyond the limits that were set for it. What is left of the cycles is then left out.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, NamedTuple

from thalweg.machine.reading import read_json
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.bias.metadynamics import Metadynamics
from thalweg.sampling.bias.method import BiasMethod
from thalweg.sampling.policy import (
    WEIGHTS,
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
from thalweg.sampling.tasks.flatten import FlatteningBias
from thalweg.sampling.tasks.learned_variable import FrameMethod, LearnedVariable, LearnVariable
from thalweg.sampling.tasks.reweigh import Reweigh
from thalweg.sampling.tasks.simulate import GrowingBias, HeldBias, PlannedBias, Simulate
from thalweg.units import AtLeast, Count, Picoseconds, whole_multiple

ASTRAY = 1e-3
"""Share of the frames of a drive beyond the limits of its variable, above which there is more to be found."""


class Stage(NamedTuple):
    """One step of the loop: its name, the cycle it belongs to, and its part among consecutive ones."""

    name: str
    cycle: int
    part: int = 0


@dataclass(frozen=True)
class LearnAndDrive(abc.ABC):
    """The loop without what learns and what drives; times are those of each walker.

    Parameters
    ----------
    recipe : of the apparatus
    seeds : one independent campaign for each; at least two
    walkers : walkers of each seed, advanced together
    cycles : how often a variable is learned and driven, at most
    swarm, drive, produce : length of each stage [ps]
    segment : length of one task [ps]; a longer stage is a sequence of tasks, so that a kill loses little
    save_every : time between frames [ps]
    lagtime : of the transitions that restarts are chosen by [ps]
    states : clusters among which diverse restarts are chosen
    skip : production of every walker left out at the beginning [ps]
    settled : share of the variance of a variable that is a function of the one before, from which on nothing more is
        learned; None to go through all cycles

    Raises
    ------
    ValueError
        If there are fewer than two seeds, a time is no whole number of frames, a swarm is no longer than the lag, or
        ``settled`` is no share.
    """

    cites: ClassVar[tuple[str, ...]] = ("shirts2008", "chodera2007")

    recipe: ApparatusRecipe
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
    settled: float | None = None

    def __post_init__(self):
        check_seeds(self.seeds, least=2)
        times = ("swarm", "drive", "produce", "segment", "lagtime", *(("skip",) if self.skip else ()))
        check_times({name: getattr(self, name) for name in times}, self.save_every)
        check_pairs(self.lagtime, self.swarm, "swarm")
        check_rounds(self.rounds)
        if self.settled is not None and not 0 < self.settled <= 1:
            raise ValueError(
                f"settled = {self.settled:g}; give a share of the variance, above 0 and at most 1"
            )

    @property
    @abc.abstractmethod
    def method(self) -> FrameMethod:
        """What learns the variable."""

    @abc.abstractmethod
    def driving(self, seed: int, cycle: int, after: str | None) -> PlannedBias:
        """What drives the variable of a cycle, going on from what the segment ``after`` left."""

    @abc.abstractmethod
    def held(self, seed: int, cycle: int) -> HeldBias | FlatteningBias:
        """What production is made under, if ``cycle`` is the last that drove."""

    @property
    def swarms(self) -> int:
        """How many cycles, from the first, begin with a swarm free of bias."""
        return 1

    def learned_from(self, seed: int, cycle: int) -> tuple[tuple[str, ...], ...]:
        """The runs that the variable of a cycle is learned from: all before, biased ones as well."""
        driven = tuple(tuple(self.entries(seed, "drive", before)) for before in range(cycle))
        return (tuple(self.entries(seed, "swarm")), *driven)

    @property
    def weighted(self) -> bool:
        """Whether the learner sees frames by their weights without bias."""
        return False

    @property
    def foreseen(self) -> bool:
        """Whether all cycles are gone through, whatever is learned."""
        return self.settled is None

    @property
    def stages(self) -> list[Stage]:
        """What one seed goes through if nothing is left out."""
        stages = []
        for cycle in range(self.cycles):
            if cycle < self.swarms:
                stages += [Stage("swarm", cycle, part) for part in range(self._parts("swarm"))]
            stages += [Stage("learn", cycle)]
            stages += [Stage("drive", cycle, part) for part in range(self._parts("drive"))]
            stages += [Stage("starts", cycle)] if cycle < self.cycles - 1 else []
        return stages + [Stage("produce", cycle, part) for part in range(self._parts("produce"))]

    @property
    def rounds(self) -> int:
        cycles = self.cycles * (2 + self._parts("drive")) - 1
        return self.swarms * self._parts("swarm") + cycles + self._parts("produce") + 1

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        if round < len(self.stages):
            stage = self.stages[round]
            return [self._task(store, seed, stage) for seed in self.seeds if self._has(store, seed, stage)]
        runs = tuple(tuple(self.entries(seed, "produce")) for seed in self.seeds)
        held = tuple(self.held(seed, self._last(store, seed)) for seed in self.seeds)
        return [Task(WEIGHTS, Reweigh(self.recipe, runs, held, self._skipped))]

    def needed(self) -> Sequence[str]:
        return [WEIGHTS]

    def evidence(self, store: Store) -> CampaignRecord:
        """Swarms move, production is weighted."""
        moving = tuple(
            Walkers(k, tuple(self.entries(seed, "swarm", cycle)))
            for k, seed in enumerate(self.seeds)
            for cycle in range(min(self.swarms, self._last(store, seed) + 1))
        )
        weighted = tuple(
            Walkers(k, tuple(self.entries(seed, "produce")), self._skipped)
            for k, seed in enumerate(self.seeds)
        )
        return CampaignRecord(moving, self.lagtime, weighted, WEIGHTS)

    def variable(self, store: Store) -> LearnedVariable | None:
        """The last one that the first seed was driven by."""
        seed = self.seeds[0]
        learned = [self.model(seed, cycle) for cycle in range(self._last(store, seed) + 1)]
        there = [entry for entry in learned if store.has(entry)]
        return LearnedVariable.read(store, there[-1]) if there else None

    def cost(self) -> float:
        """If nothing is left out."""
        each = self.swarms * self.swarm + self.cycles * self.drive + self.produce
        return len(self.seeds) * self.walkers * each

    def in_words(self) -> Sequence[str]:
        until = "" if self.settled is None else ", until it is settled,"
        return (
            f"After {self.swarm:g} ps a walker without bias, {self.cycles} times{until} learning a variable by "
            f"{type(self.method).__name__} and {self.drive:g} ps under a bias of it; then {self.produce:g} ps under "
            "the bias held.",
        )

    def entries(self, seed: int, name: str, cycle: int | None = None) -> list[str]:
        """Entries of all stages of this name, of one cycle or of all."""
        return [_entry(seed, s) for s in self.stages if s.name == name and cycle in (None, s.cycle)]

    def model(self, seed: int, cycle: int) -> str:
        """Entry of the variable of a cycle."""
        return _entry(seed, Stage("learn", cycle))

    def _task(self, store: Store, seed: int, stage: Stage) -> Task:
        cycle = stage.cycle
        before = _entry(seed, stage._replace(part=stage.part - 1)) if stage.part else None
        match stage.name:
            case "swarm":
                work = self._simulate(seed, stage, before, self._begin(seed, cycle))
            case "learn":
                first = cycle == 0 or self.settled is None
                runs, earlier = self.learned_from(seed, cycle), None if first else self.model(seed, cycle - 1)
                work = LearnVariable(self.recipe, runs, self.method, self.weighted, earlier)
            case "drive":
                bias, swarms = self.driving(seed, cycle, before), self.entries(seed, "swarm", cycle)
                after = before or (swarms[-1] if swarms else None)
                work = self._simulate(seed, stage, after, self._begin(seed, cycle), bias)
            case "starts":
                driven = tuple(self.entries(seed, "drive", cycle))
                lag = self._frames("lagtime")
                work = ChooseStarts(self.recipe, driven, self.walkers, self.states, lag, seed)
            case "produce":
                last = self._last(store, seed)
                after = before or self.entries(seed, "drive", last)[-1]
                work = self._simulate(seed, stage, after, None, self.held(seed, last))
        return Task(_entry(seed, stage), work)

    def _begin(self, seed: int, cycle: int) -> str | None:
        """Entry of the places where the walkers of a cycle begin."""
        return _entry(seed, Stage("starts", cycle - 1)) if cycle else None

    def _simulate(self, seed, stage, after, starts, bias=None) -> Simulate:
        """One part of a stage, which goes on ``after`` a segment or else begins at ``starts``."""
        rest = self._frames(stage.name) - stage.part * self._frames("segment")
        frames = min(self._frames("segment"), rest)
        starts = None if after is not None else starts
        return Simulate(
            self.recipe, self.walkers, frames, self.save_every, seed, after=after, starts=starts, bias=bias
        )

    def _settling(self, store: Store, seed: int) -> int | None:
        """The cycle whose variable is a function of the one before; None where there is none yet."""
        for cycle in range(1, self.cycles if self.settled is not None else 0):
            if not store.has(entry := self.model(seed, cycle)):
                return None
            card = read_json(store.file(entry, "card.json"), "what a variable says of itself")
            if card["explained"] >= self.settled and card["beyond"] <= ASTRAY:
                return cycle
        return None

    def _last(self, store: Store, seed: int) -> int:
        """The last cycle that drives."""
        settled = self._settling(store, seed)
        return self.cycles - 1 if settled is None else settled - 1

    def _has(self, store: Store, seed: int, stage: Stage) -> bool:
        """Whether a seed goes through a stage."""
        settled = None if stage.name == "produce" else self._settling(store, seed)
        if settled is None or stage.cycle < settled:
            return True
        return stage.cycle == settled and stage.name in ("swarm", "learn")

    def _frames(self, name: str) -> int:
        """A time as a number of frames."""
        return whole_multiple(getattr(self, name), self.save_every, name)

    @property
    def _skipped(self) -> int:
        return self._frames("skip") if self.skip else 0

    def _parts(self, name: str) -> int:
        return -(-self._frames(name) // self._frames("segment"))


@dataclass(frozen=True)
class GrowAndHold(LearnAndDrive):
    """The loop whose bias grows as it drives and is held in production.

    Parameters
    ----------
    bias : drives the variable
    """

    bias: BiasMethod = field(default_factory=Metadynamics)

    def driving(self, seed: int, cycle: int, after: str | None) -> GrowingBias:
        return GrowingBias(self.model(seed, cycle), self.bias, after)

    def held(self, seed: int, cycle: int) -> HeldBias:
        return HeldBias(self.driving(seed, cycle, self.entries(seed, "drive", cycle)[-1]))


def _entry(seed: int, stage: Stage) -> str:
    kind = {"learn": "models", "starts": "starts"}.get(stage.name, "segments")
    return f"{kind}/s{seed}-c{stage.cycle}-{stage.name}-{stage.part:03d}"
