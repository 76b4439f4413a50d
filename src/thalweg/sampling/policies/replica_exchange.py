"""Replicas on a ladder of temperatures or of windows that change places, weighed together, then let go unbiased.

A first short run tells how energies are distributed from one temperature to another, and where rungs are to be. After
the walkers have climbed for ``length``, the frames of all rungs are weighed together by MBAR. What climbs has the right
populations and no time of its own: so walks of the dynamics alone, from frames drawn by their weights, tell about time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from thalweg.sampling.apparatus import ApparatusRecipe
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
from thalweg.sampling.tasks.climb import DrawStarts, OnLadder, PlaceTemperatures, UmbrellaWindows, WeighRungs
from thalweg.sampling.tasks.simulate import Simulate
from thalweg.units import AtLeast, Kelvin, Picoseconds, whole_multiple

LADDER = "ladders/temperatures"
"""Entry of the temperatures that were placed, for all seeds."""


@dataclass(frozen=True)
class ReplicaExchange:
    """Replica exchange in temperature [sugita1999], or between umbrella windows [sugita2000].

    Times are those of each walker.

    Parameters
    ----------
    recipe : of the apparatus, whose temperature is the lowest
    seeds : one independent campaign for each; at least two
    walkers : of each seed, advanced together; they make as many ladders as there is room for
    hottest : temperature at the upper end
    acceptance : how often neighbors are to change places, at least, where temperatures are placed
    temperatures : of the rungs, ascending from that of the dynamics; placed by a short run if none are given
    windows : restraints that replicas change instead of temperatures
    pilot : length of the short run that temperatures are placed by [ps]
    length : of the climbing [ps]
    segment : length of one task [ps], so that a kill loses little
    exchange_every : time between attempts to change places [ps]
    save_every : time between frames [ps]
    skip : climbing of every walker left out at the beginning [ps]
    swarm : length of the unbiased walks at the end [ps]
    lagtime : of the transitions in them [ps]

    Raises
    ------
    ValueError
        If there are fewer than two seeds, a time is no whole number of frames, nothing is left of the climbing, a swarm
        is no longer than the lag, temperatures do not ascend or are given beside windows, or the walkers are no
        multiple of the rungs.
    """

    cites: ClassVar[tuple[str, ...]] = ("sugita1999", "sugita2000", "rathore2005", "syed2022", "shirts2008")

    recipe: ApparatusRecipe
    seeds: tuple[int, ...] = (1, 2)
    walkers: Annotated[int, AtLeast(2)] = 24
    hottest: Kelvin = 600.0
    acceptance: float = 0.3
    temperatures: tuple[Kelvin, ...] = ()
    windows: UmbrellaWindows | None = None
    pilot: Picoseconds = 20.0
    length: Picoseconds = 1000.0
    segment: Picoseconds = 100.0
    exchange_every: Picoseconds = 1.0
    save_every: Picoseconds = 1.0
    skip: Annotated[Picoseconds, AtLeast(0)] = 50.0
    swarm: Picoseconds = 100.0
    lagtime: Picoseconds = 10.0

    def __post_init__(self):
        check_seeds(self.seeds, least=2)
        times = ("pilot", "length", "segment", "swarm", "lagtime", *(("skip",) if self.skip else ()))
        check_times({name: getattr(self, name) for name in times}, self.save_every)
        check_pairs(self.lagtime, self.swarm, "swarm")
        check_rounds(self.rounds)
        if self.skip >= self.length:
            raise ValueError(f"skip = {self.skip:g} ps leaves nothing of length = {self.length:g} ps")
        if not 0 < self.acceptance < 1:
            raise ValueError(f"acceptance = {self.acceptance:g}; give a share between 0 and 1, such as 0.3")
        if self.windows is not None and self.temperatures:
            raise ValueError("temperatures are given beside windows; give a ladder of one kind")
        if any(high <= low for low, high in zip(self.temperatures, self.temperatures[1:])):
            raise ValueError(f"temperatures = {list(self.temperatures)} K do not ascend")
        rungs = len(self.temperatures) or (0 if self.windows is None else len(self.windows.centers))
        if rungs == 1 or (rungs and self.walkers % rungs):
            raise ValueError(
                f"{self.walkers} walkers for {rungs} rungs; give at least two rungs, and a multiple of them of walkers"
            )

    @property
    def rounds(self) -> int:
        return self._places + self._parts + 3

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        part = round - self._places
        if part < 0:
            return [Task(LADDER, self._pilot())]
        if part < self._parts:
            return [Task(self.entries(seed)[part], self._climb(seed, part)) for seed in self.seeds]
        if part == self._parts:
            runs = tuple(tuple(self.entries(seed)) for seed in self.seeds)
            ladders = tuple(self._ladder(seed, None) for seed in self.seeds)
            return [Task(WEIGHTS, WeighRungs(self.recipe, runs, ladders, self._skipped))]
        if part == self._parts + 1:
            return [Task(_starts(seed), self._draw(k, seed)) for k, seed in enumerate(self.seeds)]
        return [Task(_swarm(seed), self._let_go(seed)) for seed in self.seeds]

    def needed(self) -> Sequence[str]:
        return [WEIGHTS, *map(_swarm, self.seeds)]

    def evidence(self, store: Store) -> CampaignRecord:
        """The swarm moves, the climbing is weighted."""
        moving = tuple(Walkers(k, (_swarm(seed),)) for k, seed in enumerate(self.seeds))
        weighted = tuple(
            Walkers(k, tuple(self.entries(seed)), self._skipped) for k, seed in enumerate(self.seeds)
        )
        return CampaignRecord(moving, self.lagtime, weighted, WEIGHTS)

    def variable(self, store: Store) -> None:
        return None

    def cost(self) -> float:
        climbing = len(self.seeds) * self.walkers * (self.length + self.swarm)
        return climbing + self._places * self.walkers * self.pilot

    def in_words(self) -> Sequence[str]:
        if self.windows is not None:
            rungs = f"{len(self.windows.centers)} windows"
        elif self.temperatures:
            rungs = f"{len(self.temperatures)} temperatures up to {self.temperatures[-1]:g} K"
        else:
            rungs = f"temperatures up to {self.hottest:g} K, placed by a run of {self.pilot:g} ps"
        return (
            f"{self.length:g} ps a walker on {rungs}, neighbors trying to change places every "
            f"{self.exchange_every:g} ps; then {self.swarm:g} ps of the dynamics alone from frames drawn by weight.",
        )

    def entries(self, seed: int) -> list[str]:
        """Entries of the climbing of a seed, in order."""
        return [f"segments/s{seed}-climb-{k:04d}" for k in range(self._parts)]

    def _pilot(self) -> PlaceTemperatures:
        return PlaceTemperatures(
            self.recipe, self.walkers, self.hottest, self.acceptance, self.pilot, self.save_every,
            self.exchange_every, self.seeds[0],
        )  # fmt: skip

    def _climb(self, seed: int, part: int) -> Simulate:
        before = self.entries(seed)[part - 1] if part else None
        rest = self._frames("length") - part * self._frames("segment")
        frames = min(self._frames("segment"), rest)
        ladder = self._ladder(seed, before)
        return Simulate(self.recipe, self.walkers, frames, self.save_every, seed, after=before, bias=ladder)

    def _ladder(self, seed: int, after: str | None) -> OnLadder:
        placed = LADDER if self._places else None
        return OnLadder(
            self.walkers, self.exchange_every, seed, placed, self.temperatures, self.windows, after
        )

    def _draw(self, number: int, seed: int) -> DrawStarts:
        segments = tuple(self.entries(seed))
        return DrawStarts(self.recipe, WEIGHTS, number, segments, self.walkers, seed, self._skipped)

    def _let_go(self, seed: int) -> Simulate:
        frames = self._frames("swarm")
        return Simulate(self.recipe, self.walkers, frames, self.save_every, seed, starts=_starts(seed))

    @property
    def _places(self) -> int:
        """How many rounds it takes to place temperatures."""
        return 0 if self.temperatures or self.windows is not None else 1

    @property
    def _parts(self) -> int:
        return -(-self._frames("length") // self._frames("segment"))

    @property
    def _skipped(self) -> int:
        return self._frames("skip") if self.skip else 0

    def _frames(self, name: str) -> int:
        """A time as a number of frames."""
        return whole_multiple(getattr(self, name), self.save_every, name)


def _starts(seed: int) -> str:
    return f"starts/s{seed}-weighted"


def _swarm(seed: int) -> str:
    return f"segments/s{seed}-swarm"
