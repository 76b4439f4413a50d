"""Shooting: the committor of some frames by fans of trajectories, volley after volley [bolhuis2002]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from thalweg.kinetics.reactions.regions import Region
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.policy import CampaignRecord, Task, Walkers, check_rounds, check_seeds, check_times
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.shoot import Shoot, TakeStarts
from thalweg.units import Count, Picoseconds, whole_multiple


@dataclass(frozen=True)
class Shooting:
    """Shots from frames, with velocities drawn anew, until each is in A or in B or its time is over.

    What comes of it is read by `shot_outcomes`.

    Parameters
    ----------
    recipe : of the apparatus, whose features the sets are about
    a, b : the sets; needed
    frames : file with the positions ``(frames, atoms, dims)`` [nm] to shoot from, ``.npy``; empty for the start of the
        apparatus
    points : frames taken of it, evenly spread
    shots : from each point and for each seed
    volley : shots from each point in one task, that is lost as a whole if the campaign is killed
    seeds : of independent repeats
    longest : time after which a shot is given up [ps]
    save_every : time between frames, in each of which the sets are looked for [ps]

    Raises
    ------
    ValueError
        If seeds are missing or repeat, times are no whole numbers of frames, or shots no whole number of volleys.
    """

    cites: ClassVar[tuple[str, ...]] = ("bolhuis2002", "wilson1927")
    rounds: ClassVar[int] = 2

    recipe: ApparatusRecipe
    a: Region | None = None
    b: Region | None = None
    frames: str = ""
    points: Count = 1
    shots: Count = 100
    volley: Count = 10
    seeds: tuple[int, ...] = (1,)
    longest: Picoseconds = 10.0
    save_every: Picoseconds = 0.02

    def __post_init__(self):
        check_seeds(self.seeds, least=1)
        check_times({"longest": self.longest}, self.save_every)
        whole_multiple(self.shots, self.volley, "shots")
        check_rounds(self.rounds)

    @property
    def walkers(self) -> int:
        """Shots in a task."""
        return self.points * self.volley

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        if round == 0:
            self._sets()
            return [Task("starts/points", TakeStarts(self.recipe, self.frames, self.points))]
        return [self._volley(seed, entry) for seed in self.seeds for entry in self.entries(seed)]

    def needed(self) -> Sequence[str]:
        return [entry for seed in self.seeds for entry in self.entries(seed)]

    def evidence(self, store: Store) -> CampaignRecord:
        walks = [Walkers(k, (entry,)) for k, seed in enumerate(self.seeds) for entry in self.entries(seed)]
        return CampaignRecord(tuple(walks), self.save_every)

    def variable(self, store: Store) -> None:
        return None

    def cost(self) -> float:
        return len(self.seeds) * self.points * self.shots * self.longest

    def in_words(self) -> Sequence[str]:
        return (
            f"{self.shots} shots from each of {self.points} frames, each until it enters A or B or for "
            f"{self.longest:g} ps, looked at every {self.save_every:g} ps.",
        )

    def entries(self, seed: int) -> list[str]:
        """Entries of the volleys of a seed."""
        return [f"segments/s{seed}-volley-{k:04d}" for k in range(self.shots // self.volley)]

    def _sets(self) -> tuple[Region, Region]:
        if self.a is None or self.b is None:
            missing = " and ".join(name for name in ("a", "b") if getattr(self, name) is None)
            raise ValueError(
                f"shots need to know where they end: {missing} missing; give regions of the features, such as "
                "Ellipsoid or Intervals"
            )
        return self.a, self.b

    def _volley(self, seed: int, entry: str) -> Task:
        sets = self._sets()
        work = Shoot(
            self.recipe, "starts/points", self.points, self.volley, *sets, self.longest, self.save_every, seed
        )
        return Task(entry, work)
