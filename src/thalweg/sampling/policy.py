"""A policy decides what to do next; a task is a piece of work and the entry it commits.

A policy is a frozen dataclass of settings with the methods below, and nothing else in the package knows one by name:
its parameters are the keys of a study's ``[campaign]``, and the command line, the report and other programs ask it what
they need. One file adds a loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from thalweg.dynamics.engine import Variable
from thalweg.sampling.store import Store
from thalweg.shapes import Float
from thalweg.units import Picoseconds, whole_multiple

WEIGHTS = "results/weights"
"""Entry of the weighted frames of all seeds, in campaigns that leave some."""

MOST_ROUNDS = 100_000
"""Rounds of a campaign at most."""


@runtime_checkable
class Work(Protocol):
    """What a task does: a frozen dataclass of plain data, called in a worker.

    ``kind`` is one of run, train, reduce, label. Work that simulates says how much: ``cost`` [ps], over all walkers.
    """

    kind: str

    def __call__(self, store: Store, entry: str) -> Any:
        """Commit ``entry``, computed from committed entries and nothing else."""
        ...


@dataclass(frozen=True)
class Task:
    """A piece of work and the entry, ``kind/name``, it will commit."""

    id: str
    work: Work

    @property
    def cost(self) -> float:
        """Simulated time [ps], over all walkers; zero where nothing is simulated."""
        return getattr(self.work, "cost", 0.0)


@dataclass(frozen=True)
class Walkers:
    """What the walkers of one seed did in consecutive segments.

    Attributes
    ----------
    seed : number of the independent repeat, from zero
    segments : entries, in order of time
    skip : frames of every walker left out at the beginning
    """

    seed: int
    segments: tuple[str, ...]
    skip: int = 0


@dataclass(frozen=True)
class CampaignRecord:
    """What a campaign has to tell, by the names of its entries.

    Attributes
    ----------
    moving : walkers free of bias, which tell about time
    lagtime : at which a Markov model of the features may be tried [ps]
    weighted : walkers whose frames have weights; empty where only the moving ones tell what is how likely
    weights : entry of the `WeightedFrames` of the ``weighted``, walk by walk in the same order; None without
    """

    moving: tuple[Walkers, ...]
    lagtime: Picoseconds
    weighted: tuple[Walkers, ...] = ()
    weights: str | None = None


@runtime_checkable
class DrivenVariable(Protocol):
    """A variable that a campaign has learned or was given, as functions of its features and of positions."""

    names: tuple[str, ...]

    def values(self, features: Float[Any, "frames features"]) -> Float[Any, "frames values"]:
        """Its values, from those of the features."""
        ...

    def variable(self, features: Variable) -> Variable:
        """The variable of positions; ``features`` are those of the apparatus."""
        ...


@runtime_checkable
class Planner(Protocol):
    """All that it takes to drive a campaign: what to do in each of so many rounds.

    The tasks of one round do not depend on each other. Where plans look at nothing that is stored, the attribute
    ``foreseen`` says so, and a task begins as soon as the entries that it names are there (`Agenda`).
    """

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        ...

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        """The tasks of a round, a pure function of what is committed."""
        ...


@runtime_checkable
class Policy(Planner, Protocol):
    """Decides what to do next, and tells what came of it.

    Its constructor takes the recipe of the apparatus as ``recipe`` and has a default for everything else.

    Attributes
    ----------
    seeds : of the independent repeats
    walkers : in each of them
    save_every : time between frames [ps]
    cites : keys of the works to cite
    """

    seeds: tuple[int, ...]
    walkers: int
    save_every: float
    cites: ClassVar[tuple[str, ...]]

    def needed(self) -> Sequence[str]:
        """Entries that are there when the campaign is done; what is told rests on them."""
        ...

    def evidence(self, store: Store) -> CampaignRecord:
        """Which entries tell what."""
        ...

    def variable(self, store: Store) -> DrivenVariable | None:
        """What was driven last; None where nothing is."""
        ...

    def cost(self) -> float:
        """Simulated time of the whole campaign [ps], over all seeds and walkers."""
        ...

    def in_words(self) -> Sequence[str]:
        """How the campaign goes, as sentences for its report."""
        ...


def check_seeds(seeds: Sequence[int], least: int) -> None:
    """Whether ``seeds`` are at least so many, and independent.

    Raises
    ------
    ValueError
        If they are too few or repeat.
    """
    if len(seeds) < least:
        raise ValueError(
            f"{len(seeds)} seeds were given; give at least {least}, whose agreement can be judged"
        )
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds = {list(seeds)} repeat; independent seeds must differ")


def check_rounds(rounds: int) -> None:
    """Whether so many rounds can be planned and kept: each is a folder.

    Raises
    ------
    ValueError
        If they are more than `MOST_ROUNDS`.
    """
    if rounds > MOST_ROUNDS:
        raise ValueError(
            f"these settings make more than {MOST_ROUNDS} rounds, as many as can be kept; give longer segments, or "
            "fewer cycles or swarms"
        )


def check_times(times: Mapping[str, float], save_every: float) -> None:
    """Whether ``times`` [ps], by their names, are whole numbers of frames.

    Raises
    ------
    ValueError
        If one is not.
    """
    for name, time in times.items():
        whole_multiple(time, save_every, name)


def check_pairs(lagtime: float, length: float, name: str) -> None:
    """Whether walks of ``length`` [ps], a parameter called ``name``, have frames a ``lagtime`` [ps] apart.

    Raises
    ------
    ValueError
        If they have not.
    """
    if lagtime >= length:
        raise ValueError(
            f"lagtime = {lagtime:g} ps leaves no pairs in walks of {name} = {length:g} ps; use a shorter lagtime or "
            "longer walks"
        )
