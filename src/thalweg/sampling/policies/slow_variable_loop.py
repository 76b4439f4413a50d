"""Learn the slow variable, drive it, learn it again from where that led; free energies at the end.

Every round of learning: a swarm of unbiased walks, from the start structure or from diverse frames of the
round before; the slowest combinations of features by TICA on all swarms so far; well-tempered metadynamics on
them, shared by all walkers. At the end the last bias is held, production frames are made under it and
weighed. Each seed is a campaign of its own; that they agree is the first condition for believing any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.choose_starts import ChooseStarts
from thalweg.sampling.tasks.reweigh import Reweigh
from thalweg.sampling.tasks.simulate import GrowingBias, HeldBias, Simulate
from thalweg.sampling.tasks.slow_variable import LearnSlowVariable

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

    Attributes
    ----------
    recipe : of the apparatus
    seeds : one independent campaign for each; at least two
    walkers : walkers of each seed, advanced together
    cycles : how often a variable is learned and driven
    swarm_steps, drive_steps, produce_steps : length of each stage, in steps of every walker
    segment_steps : steps of one task; a longer stage is a sequence of tasks, so that a kill loses little
    save_every : steps between frames
    lagtime : of TICA, in frames
    dim : number of slow combinations
    height, bias_factor, stride : see `WellTemperedMetadynamics`; ``height`` in kJ/mol
    states : clusters among which diverse restarts are chosen
    skip : production frames of every walker left out at the beginning
    """

    recipe: ApparatusRecipe
    seeds: tuple[int, ...]
    walkers: int
    cycles: int
    swarm_steps: int
    drive_steps: int
    produce_steps: int
    segment_steps: int
    save_every: int
    lagtime: int
    height: float
    bias_factor: float
    stride: int
    dim: int = 2
    states: int = 100
    skip: int = 0

    def __post_init__(self):
        if len(self.seeds) < 2:
            raise ValueError(
                f"{len(self.seeds)} seed given; give at least two, whose agreement can be judged"
            )
        for name in ("swarm_steps", "drive_steps", "produce_steps", "segment_steps"):
            if getattr(self, name) < self.save_every or getattr(self, name) % self.save_every:
                raise ValueError(
                    f"{name}={getattr(self, name)} is no multiple of save_every={self.save_every}"
                )

    @property
    def stages(self) -> list[Stage]:
        """What one seed goes through."""
        stages = []
        for cycle in range(self.cycles):
            stages += [Stage("swarm", cycle, part) for part in range(self._parts(self.swarm_steps))]
            stages += [Stage("learn", cycle)]
            stages += [Stage("drive", cycle, part) for part in range(self._parts(self.drive_steps))]
            stages += [Stage("starts", cycle)] if cycle < self.cycles - 1 else []
        return stages + [Stage("produce", cycle, part) for part in range(self._parts(self.produce_steps))]

    @property
    def rounds(self) -> int:
        return len(self.stages) + 1

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        if round < len(self.stages):
            return [self._task(seed, self.stages[round]) for seed in self.seeds]
        runs = tuple(tuple(self.entries(seed, "produce")) for seed in self.seeds)
        held = tuple(HeldBias(self._grown(seed, self.cycles - 1)) for seed in self.seeds)
        return [Task(WEIGHTS, Reweigh(self.recipe, runs, held, self.skip))]

    def entries(self, seed: int, name: str, cycle: int | None = None) -> list[str]:
        """Entries of all stages of this name, of one cycle or of all."""
        return [_entry(seed, s) for s in self.stages if s.name == name and cycle in (None, s.cycle)]

    def _task(self, seed: int, stage: Stage) -> Task:
        entry, cycle = _entry(seed, stage), stage.cycle
        match stage.name:
            case "swarm":
                starts = _entry(seed, Stage("starts", cycle - 1)) if cycle and not stage.part else None
                work = self._simulate(seed, stage, self.swarm_steps, starts=starts)
            case "learn":
                swarms = tuple(tuple(self.entries(seed, "swarm", c)) for c in range(cycle + 1))
                work = LearnSlowVariable(self.recipe, swarms, self.lagtime, self.dim)
            case "drive":
                before = _entry(seed, stage._replace(part=stage.part - 1)) if stage.part else None
                bias = self._bias(seed, cycle, before)
                start = self.entries(seed, "swarm", cycle)[-1]
                work = self._simulate(seed, stage, self.drive_steps, after=start, bias=bias)
            case "starts":
                driven = tuple(self.entries(seed, "drive", cycle))
                work = ChooseStarts(self.recipe, driven, self.walkers, self.states, self.lagtime, seed)
            case "produce":
                grown = self._grown(seed, cycle)
                work = self._simulate(
                    seed, stage, self.produce_steps, after=grown.after, bias=HeldBias(grown)
                )
        return Task(entry, work)

    def _simulate(self, seed, stage, steps, *, after=None, **how) -> Simulate:
        """One part of a stage; parts after the first go on where the one before stopped."""
        if stage.part:
            after = _entry(seed, stage._replace(part=stage.part - 1))
        steps = min(self.segment_steps, steps - stage.part * self.segment_steps)
        return Simulate(self.recipe, self.walkers, steps, self.save_every, seed, after=after, **how)

    def _bias(self, seed: int, cycle: int, after: str | None) -> GrowingBias:
        model = _entry(seed, Stage("learn", cycle))
        return GrowingBias(model, self.height, self.bias_factor, self.stride, after)

    def _grown(self, seed: int, cycle: int) -> GrowingBias:
        return self._bias(seed, cycle, self.entries(seed, "drive", cycle)[-1])

    def _parts(self, steps: int) -> int:
        return -(-steps // self.segment_steps)


def _entry(seed: int, stage: Stage) -> str:
    kind = {"learn": "models", "starts": "starts"}.get(stage.name, "segments")
    return f"{kind}/s{seed}-c{stage.cycle}-{stage.name}-{stage.part:03d}"
