"""Active learning of a potential: teach, walk until unsure, choose, label, and teach again.

A cycle is four rounds of the campaign. The potential is fitted to all labels but every sixth, which say what its
claims are worth and so from where on it is not trusted (`ForceAlarm`); walkers at several temperatures go until there
(`explore`); of the frames they stopped at, and some on the way, a batch is chosen; the level is asked about it. A set
of frames that nothing is taught of measures the error. It is over when forces are as right as wanted and walkers last,
or when labels or cycles run out; which of these it was is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from thalweg.labeling.choice import ChoiceRule, LargestSpread
from thalweg.labeling.level import Level
from thalweg.learned_potentials.recipe import Recipe
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.explore import ChooseFrames, ExploreWith, read_walks
from thalweg.sampling.tasks.label import LabelFrame, commit_set, frames_of_set, label_entry
from thalweg.sampling.tasks.teach import Lesson, TeachPotential, commit_beginning
from thalweg.systems.configuration import Configuration
from thalweg.units import Count, Kelvin, KilojoulesPerMolePerNanometer, Picoseconds, unit

TEST, FIRST = "frames/00000", "frames/00001"
"""Sets of frames to judge by, and to begin with."""

WANTED = unit("kcal/mol/Å", "force")
"""Error of forces that chemists put up with [kJ/mol/nm]."""

PHASES = 4
"""Rounds of a cycle: teach, walk, choose, label."""

StopRule = Literal["aim", "labels", "cycles"]
"""Why a campaign is over: it reached what was wanted, or ran out of labels or cycles."""


@dataclass(frozen=True)
class ActiveLearning:
    """How much to walk, to label, and when to stop.

    Parameters
    ----------
    error : root mean square error of force components on the test frames that is wanted
    lasting : fraction of walkers that must last ``duration`` without an alarm
    temperatures : at which to walk
    walkers : at each temperature
    duration : of a walk
    batch : labels to buy in each cycle
    labels : to buy in all at most, those of the test frames not counted
    cycles : of teaching at most
    rule : by which frames on the way, or too many stops, are chosen
    every, dt : time between looks, and time step
    seed : of all that is drawn
    """

    error: KilojoulesPerMolePerNanometer = WANTED
    lasting: float = 0.75
    temperatures: tuple[Kelvin, ...] = (300.0, 600.0)
    walkers: Count = 6
    duration: Picoseconds = 2.0
    batch: Count = 30
    labels: Count = 300
    cycles: Count = 12
    rule: ChoiceRule = field(default_factory=LargestSpread)
    every: Picoseconds = 0.02
    dt: Picoseconds = 0.0005
    seed: int = 0
    cites: ClassVar[tuple[str, ...]] = ("podryabinkin2017", "zhang2019")

    def __post_init__(self):
        if not 0 <= self.lasting <= 1:
            raise ValueError(f"lasting = {self.lasting:g}; give a fraction of the walkers, from 0 to 1")
        if not self.temperatures:
            raise ValueError("temperatures = []; give at least one to walk at")

    @property
    def rounds(self) -> int:
        """Labels of the first frames, and four for each cycle, the last of which labels nothing."""
        return 1 + PHASES * self.cycles - 2

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        """The tasks of a round; none once a rule has fired."""
        if round == 0:
            return [*_labels(store, TEST), *_labels(store, FIRST)]
        cycle, phase = divmod(round - 1, PHASES)
        if self.over(store, cycle if phase > 1 else cycle - 1):
            return []
        sets = sets_taught(store, cycle)
        lesson = lesson_entry(cycle)
        if phase == 0:
            return [Task(lesson, TeachPotential(sets, TEST, self.error, self.seed))]
        if phase == 1:
            return [
                Task(self._walk_entry(cycle, k), self._walk(lesson, sets, T, cycle, k))
                for k, T in enumerate(self.temperatures)
            ]
        if phase == 2:
            walks = tuple(self._walk_entry(cycle, k) for k in range(len(self.temperatures)))
            count = min(self.batch, self.labels - bought(store, cycle))
            return [Task(_set(cycle), ChooseFrames(lesson, walks, sets, count, self.rule))]
        return _labels(store, _set(cycle))

    def over(self, store: Store, cycle: int) -> StopRule | None:
        """Which rule fired by the end of a cycle's walks; None if none did."""
        last = min(cycle, cycles_done(store) - 1)
        if cycle < 0 or last < 0:
            return None
        if last < cycle:  # nothing was planned there: a rule fired before
            return self.over(store, last)
        told = self.told(store, cycle)
        if told.force_error <= self.error and told.lasted >= self.lasting:
            return "aim"
        if bought(store, cycle) >= self.labels:
            return "labels"
        return "cycles" if cycle == self.cycles - 1 else None

    def told(self, store: Store, cycle: int) -> CycleRecord:
        """What a cycle that has walked has to tell."""
        lesson = Lesson.read(store, lesson_entry(cycle))
        walks = [read_walks(store, self._walk_entry(cycle, k)) for k in range(len(self.temperatures))]
        times = np.concatenate([each.times for each in walks])
        stopped = np.concatenate([np.isin(np.arange(len(w.starts)), list(w.reasons)) for w in walks])
        return CycleRecord(
            lesson.labels,
            lesson.force_error,
            lesson.energy_error,
            lesson.threshold,
            lesson.by_grade,
            float(np.median(times)),
            float(times.min()),
            float(1 - stopped.mean()),
            sum(len(w.reasons) - len(w.stopped()) for w in walks),
        )

    def _walk(self, lesson, sets, temperature, cycle, k) -> ExploreWith:
        seed = self.seed + 1000 * (cycle + 1) + k
        return ExploreWith(lesson, sets, temperature, self.walkers, self.duration, self.every, self.dt, seed)

    def _walk_entry(self, cycle: int, k: int) -> str:
        return f"walks/{cycle:03d}-t{k}"


@dataclass(frozen=True)
class CycleRecord:
    """A cycle in numbers.

    Attributes
    ----------
    labels : that the potential was made of
    force_error : root mean square on the test frames [kJ/mol/nm]
    energy_error : for each atom, the mean taken out [kJ/mol]
    threshold : force error of a frame about which walkers stop [kJ/mol/nm], or the grade where ``by_grade``
    by_grade : whether extrapolation grades stop walkers
    typical_time, shortest_time : until walkers stopped, median and least [ps]; lower bounds where they did not
    lasted : fraction of walkers that did not stop
    broken : walkers that broke before the alarm was raised
    """

    labels: int
    force_error: float
    energy_error: float
    threshold: float
    by_grade: bool
    typical_time: float
    shortest_time: float
    lasted: float
    broken: int

    def __str__(self) -> str:
        one = unit("meV/Å", "force")
        alarm = f"grade {self.threshold:.2g}" if self.by_grade else f"{self.threshold / one:.0f} meV/Å"
        stops = (
            f"no walker stopped within {self.shortest_time:g} ps"
            if self.lasted == 1
            else f"first stop after {self.shortest_time:g} ps, {100 * self.lasted:.0f} % of walkers lasted"
        )
        return f"{self.labels} labels, {self.force_error / one:.1f} meV/Å on the test frames, alarm at {alarm}, {stops}"


def begin_learning(
    store: Store,
    first: Sequence[Configuration],
    test: Sequence[Configuration],
    level: Level,
    recipe: Recipe,
    given: Sequence[Configuration] = (),
) -> None:
    """Commit what a campaign begins with, once; a store that was begun stays as it is.

    Parameters
    ----------
    first : frames to label and to learn from at first
    test : frames to label and to judge by
    given : frames with labels of the same level that are there already
    """
    commit_beginning(store, recipe, given)
    commit_set(store, TEST, list(test), level)
    commit_set(store, FIRST, list(first), level)


def sets_taught(store: Store, cycle: int) -> tuple[str, ...]:
    """Entries of the sets of frames that are taught in a cycle, in their order."""
    return tuple(name for name in store.ids("frames") if TEST < name < _set(cycle))


def lesson_entry(cycle: int) -> str:
    """Entry of the potential of a cycle."""
    return f"lessons/{cycle:03d}"


def cycles_done(store: Store) -> int:
    """Cycles that have taught a potential."""
    return len(store.ids("lessons"))


def bought(store: Store, cycle: int) -> int:
    """Frames that the level was asked about for a cycle's lesson, also those for which it failed."""
    return sum(len(frames_of_set(store, name)[0]) for name in sets_taught(store, cycle))


def _set(cycle: int) -> str:
    return f"frames/{cycle + 2:05d}"


def _labels(store: Store, name: str) -> list[Task]:
    """The tasks that label a set, each frame once."""
    frames, level = frames_of_set(store, name)
    tasks = {label_entry(level, frame): LabelFrame(name, k) for k, frame in enumerate(frames)}
    return [Task(entry, work) for entry, work in tasks.items()]
