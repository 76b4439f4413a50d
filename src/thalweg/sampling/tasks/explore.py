"""Run and reduce tasks of active learning: walkers up to where a potential is unsure, and which frames to label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from thalweg.labeling.choice import ChoiceRule, LargestSpread, choose_frames
from thalweg.labeling.geometries.exploration import Exploration, explore
from thalweg.learning.storage import load_tree, save_tree
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.label import commit_set, frames_of_set
from thalweg.sampling.tasks.teach import Lesson, beginning, labels_of
from thalweg.systems.configuration import Configuration
from thalweg.units import Kelvin, Picoseconds

WALKS = "walks.tree"

MOST_LOOKED_AT = 60
"""Frames on the way among which a batch is filled up, at most."""


@dataclass(frozen=True)
class ExploreWith:
    """Walk with a potential at one temperature, each walker up to where the potential is no longer sure.

    Attributes
    ----------
    lesson : entry of the potential
    sets : entries of labeled frames, at random ones of which walkers start
    temperature : of the walk [K]
    walkers, duration : how many, and how long each at most [ps]
    every : time between looks [ps]
    dt : time step [ps]
    seed : of starts, momenta and noise
    """

    kind: ClassVar[str] = "run"

    lesson: str
    sets: tuple[str, ...]
    temperature: Kelvin
    walkers: int
    duration: Picoseconds
    every: Picoseconds = 0.02
    dt: Picoseconds = 0.0005
    seed: int = 0

    @property
    def cost(self) -> float:
        """Time walked at most [ps]."""
        return self.walkers * self.duration

    def __call__(self, store: Store, entry: str) -> None:
        lesson = Lesson.read(store, self.lesson)
        starts = _starts([*beginning(store)[1], *labels_of(store, self.sets)], self.walkers, self.seed)
        walks = explore(
            lesson.potential,
            starts,
            lesson.alarm,
            self.temperature,
            self.duration,
            self.every,
            self.dt,
            seed=self.seed,
        )
        store.commit(entry, lambda folder: save_tree(folder / WALKS, walks))


@dataclass(frozen=True)
class ChooseFrames:
    """A set of frames to label: those at which walkers stopped, then the best of those on the way.

    Attributes
    ----------
    lesson : entry of the potential that walked
    walks : entries of the walks
    sets : entries of frames that have labels
    count : frames to choose
    rule : what they are chosen by
    """

    kind: ClassVar[str] = "reduce"

    lesson: str
    walks: tuple[str, ...]
    sets: tuple[str, ...]
    count: int
    rule: ChoiceRule = field(default_factory=LargestSpread)

    def __call__(self, store: Store, entry: str) -> None:
        walks = [read_walks(store, name) for name in self.walks]
        potential = Lesson.read(store, self.lesson).potential
        known = [*beginning(store)[1], *labels_of(store, self.sets)]
        stopped = [frame for each in walks for frame in each.stopped()]
        chosen = _best(stopped, self.count, known, potential, self.rule)
        visited = [frame for each in walks for frame in each.visited()]
        some = visited[:: -(-len(visited) // MOST_LOOKED_AT) or 1]
        chosen += _best(some, self.count - len(chosen), [*known, *chosen], potential, self.rule)
        if not chosen:
            raise ValueError(
                "every walker broke before it was looked at: the potential holds nowhere; begin with more frames, or "
                "with ones displaced farther"
            )
        commit_set(store, entry, chosen, frames_of_set(store, self.sets[0])[1])


def read_walks(store: Store, entry: str) -> Exploration:
    """Committed walks, checked against their digest."""
    return load_tree(store.file(entry, WALKS))


def _starts(known: Sequence[Configuration], count: int, seed: int) -> list[Configuration]:
    """Frames at which walkers start, of the atoms of the first: random ones, each once before one comes again."""
    alike = [frame for frame in known if np.array_equal(frame.numbers, known[0].numbers)]
    order = np.random.default_rng(seed).permutation(len(alike))
    return [alike[order[k % len(order)]].unlabeled for k in range(count)]


def _best(frames, count, known, potential, rule) -> list[Configuration]:
    """The ``count`` frames that are worth most, or all where they are fewer."""
    if not frames or count < 1:
        return []
    picked = choose_frames(frames, min(count, len(frames)), known, potential, rule)
    return [frames[k] for k in picked]
