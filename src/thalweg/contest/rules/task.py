"""What a task is: problems made from a seed, of which an entry gets the data and never the answers.

An entry is one file with two functions::

    def fit(given): ...            # given: arrays by name; returns anything, which stays in the entry's process
    def answer(model, asked): ...  # asked: arrays by name; returns arrays by name

A *problem* is one draw of what the task is about (a molecule, a landscape, a set of ligands). Public problems come from
small seeds that everybody knows; those of a judgment from a secret seed. So there is no file of answers to be read: the
judge makes them in its memory, from the seed, and gives the entry's process what is asked and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

Arrays = Mapping[str, np.ndarray]
"""Arrays by name, all that judge and entry exchange."""

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each array by name."""

Ask = Callable[[Arrays, Shapes], Arrays]
"""Gives an entry what is asked and returns its arrays, which are finite and have the shapes demanded."""


@dataclass(frozen=True)
class EntryLimits:
    """What an entry may take for one problem.

    Attributes
    ----------
    cpu : processor time of all its processes [s]
    wall : time by the clock [s]
    memory : of all its processes together [bytes]
    processes : how many at once, threads not counted
    files : size of all its files together [bytes]
    answer : size of one answer [bytes]
    printed : what it may print [bytes]
    """

    cpu: float = 40.0
    wall: float = 120.0
    memory: int = 2_000_000_000
    processes: int = 16
    files: int = 64_000_000
    answer: int = 16_000_000
    printed: int = 1_000_000

    def in_words(self) -> str:
        """The limits in a sentence.

        Examples
        --------
        >>> EntryLimits().in_words()[:73]
        '40 s of processor time, 120 s by the clock, 2 GB of memory, 16 processes,'
        """
        return (
            f"{self.cpu:g} s of processor time, {self.wall:g} s by the clock, {self.memory / 1e9:g} GB of memory, "
            f"{self.processes} processes, {self.files / 1e6:g} MB of files, {self.answer / 1e6:g} MB an answer, "
            f"{self.printed / 1e6:g} MB printed"
        )


@dataclass(frozen=True)
class Score:
    """A value and its standard error over withheld blocks (runs, ligands, points) of one problem, or of several."""

    value: float
    error: float


@runtime_checkable
class Problem(Protocol):
    """One draw of a task: what the entry learns from, and the withheld part that decides."""

    @property
    def given(self) -> Arrays:
        """What ``fit`` of the entry gets."""
        ...

    def play(self, ask: Ask) -> Score:
        """Ask the entry, once or round by round, and score what it answers."""
        ...


@runtime_checkable
class ContestTask(Protocol):
    """A kind of problem with its rules.

    Attributes
    ----------
    name : as it is called on the command line
    title : what is to be done, in one sentence
    gets : array name -> what ``fit`` and ``answer`` of an entry get, in words
    gives : array name -> what ``answer`` has to return, in words
    scored : what the score is, in words
    unit : of the score
    larger_is_better : whether a larger score is the better one
    problems : how many problems a judgment has
    limits : of one problem
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def gets(self) -> Mapping[str, str]: ...
    @property
    def gives(self) -> Mapping[str, str]: ...
    @property
    def scored(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def larger_is_better(self) -> bool: ...
    @property
    def problems(self) -> int: ...
    @property
    def limits(self) -> EntryLimits: ...

    def problem(self, seed: np.random.SeedSequence) -> Problem:
        """The problem that ``seed`` makes, the same one every time."""
        ...


def over_problems(scores: tuple[Score, ...]) -> Score:
    """Mean over problems; its error is that of the withheld blocks, the problems being the same for all entries.

    Examples
    --------
    >>> over_problems((Score(1.0, 0.3), Score(2.0, 0.4)))
    Score(value=1.5, error=0.25)
    """
    errors = np.array([score.error for score in scores])
    return Score(
        float(np.mean([score.value for score in scores])), float(np.sqrt((errors**2).sum()) / len(scores))
    )


def bootstrapped(
    statistic: Callable[[np.ndarray], float], blocks: int, samples: int = 200, seed: int = 0
) -> Score:
    """``statistic`` of all blocks and its standard error by a bootstrap over blocks [efron1994].

    Parameters
    ----------
    statistic : takes the places of blocks ``(blocks,)``, some of them several times
    blocks : how many there are
    samples : number of replicates
    seed : of the replicates

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=400)
    >>> score = bootstrapped(lambda places: float(x[places].mean()), 400)
    >>> bool(abs(score.error - 0.05) < 0.01)
    True
    """
    random = np.random.default_rng(seed)
    replicates = [statistic(random.integers(blocks, size=blocks)) for _ in range(samples)]
    return Score(statistic(np.arange(blocks)), float(np.std(replicates, ddof=1)))
