r"""Compute the committor with the committor: learn it, bias along it and its gradient, learn it again [kang2024].

Between two sets A and B that are known, the committor is the one function that is least in

.. math::  K[q] = \langle |\nabla q|^2 \rangle, \qquad q = 0 \text{ on } A, \quad q = 1 \text{ on } B,

with the mean over the distribution without bias, and its least value is the rate of the reaction. The first committor
is a guess by the distances from the sets. A bias that raises what is often visited along its logit and lowers places of
large gradient leads through the transition states [trizio2025]; the frames of all drives, weighted, are what a network
is trained for the functional on, which is driven next, until the committor is what it was. At the end the
last bias is held and production is weighed: free energies, the transition state ensemble (production frames near
``q = 1/2``), and the rate, by `gradient_rates`, from the same frames.

Walks have to begin in both sets: a file gives structures of both. A third state on the way is found, as reactive paths
go through it; one beside the way is not. The committor is that of overdamped dynamics of the features that are given:
where these do not tell reactive places from others, the functional is too large, and so is the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.kinetics.committors.losses import DirichletLoss
from thalweg.kinetics.committors.network_committor import NetworkCommittor
from thalweg.kinetics.reactions.regions import Region
from thalweg.sampling.bias.committor_bias import CommittorBias
from thalweg.sampling.bias.method import BiasMethod
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.policies.learn_and_drive import GrowAndHold, Stage
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.learn_committor import LearnCommittor
from thalweg.sampling.tasks.shoot import TakeStarts
from thalweg.sampling.tasks.simulate import GrowingBias
from thalweg.units import Count

GROWING = 4
"""One part in so many of a drive, at its beginning, is not learned from: the bias still grows fast."""


@dataclass(frozen=True)
class CommittorLoop(GrowAndHold):
    """Learn the committor between two sets and drive it until it stays what it is.

    Times are those of each walker: ``swarm`` once, ``drive`` in every cycle, ``produce`` once at the end.

    Parameters
    ----------
    recipe : of the apparatus
    seeds : one independent campaign for each; at least two
    walkers : walkers of each seed, advanced together
    cycles : how often a committor is learned and driven, at most
    swarm, drive, produce : length of each stage [ps]
    segment : length of one task [ps]
    save_every : time between frames [ps]
    lagtime : of the transitions that restarts are chosen by [ps]
    states : clusters among which diverse restarts are chosen
    skip : production of every walker left out at the beginning [ps]
    settled : share of the variance of the committor, where it is undecided, that is a function of the one before, from
        which on nothing more is learned; None to go through all cycles
    bias : drives the logit
    a, b : the sets, of the features of the apparatus; needed
    frames : file with the positions ``(frames, atoms, dims)`` [nm] where walkers begin, evenly spread, ``.npy``: as
        many as walkers at least, some in A and some in B; empty for the start of the apparatus, near both
    training : of the networks
    strength : ``lambda`` of Kolmogorov's bias; zero for none
    floor : ``epsilon``, see `CommittorCoordinates`; the smaller, the deeper the bias at the transition state

    Raises
    ------
    ValueError
        As of `SlowVariableLoop`; when the campaign begins, if there are no sets; when a committor is learned, if frames
        lie in one of the sets only, or few are between them.
    """

    cites: ClassVar[tuple[str, ...]] = ("kang2024", "trizio2025", *GrowAndHold.cites)

    cycles: Count = 5
    settled: float | None = 0.95
    bias: BiasMethod = field(default_factory=OPES)
    a: Region | None = None
    b: Region | None = None
    frames: str = ""
    training: Training = field(default_factory=lambda: Training(hidden=(32, 32), steps=2000, restarts=2))
    strength: float = 1.0
    floor: float = 1e-4

    def __post_init__(self):
        super().__post_init__()
        if not (self.strength >= 0 and self.floor > 0):
            raise ValueError(
                f"strength = {self.strength:g}, floor = {self.floor:g}; give a strength of zero or more and a floor "
                "above zero"
            )

    @property
    def method(self) -> NetworkCommittor:
        return NetworkCommittor(*self._sets(), DirichletLoss(), self.training)

    @property
    def stages(self) -> list[Stage]:
        return [Stage("starts", -1), *super().stages]

    @property
    def rounds(self) -> int:
        return 1 + super().rounds

    def driving(self, seed: int, cycle: int, after: str | None) -> GrowingBias:
        return GrowingBias(self.model(seed, cycle), CommittorBias(self.bias, self.strength), after)

    def in_words(self) -> Sequence[str]:
        until = "" if self.settled is None else ", until it is settled,"
        return (
            f"After {self.swarm:g} ps a walker without bias, {self.cycles} times{until} learning the committor by "
            f"networks and {self.drive:g} ps under {type(self.bias).__name__} of its logit and a bias of its gradient; "
            f"then {self.produce:g} ps under both held.",
        )

    def _task(self, store: Store, seed: int, stage: Stage) -> Task:
        if stage.name == "starts" and stage.cycle < 0:
            self._sets()
            return Task(self._begin(seed, 0), TakeStarts(self.recipe, self.frames, self.walkers))
        if stage.name != "learn":
            return super()._task(store, seed, stage)
        swarm, *drives = self.learned_from(seed, stage.cycle)
        before = self.model(seed, stage.cycle - 1) if stage.cycle > 1 else None
        skip = self._frames("drive") // GROWING
        work = LearnCommittor(
            self.recipe, *self._sets(), self.training, self.floor, swarm, tuple(drives), skip, before
        )
        return Task(self.model(seed, stage.cycle), work)

    def _begin(self, seed: int, cycle: int) -> str:
        """Entry of the places where the walkers of a cycle begin."""
        (entry,) = self.entries(seed, "starts", cycle - 1)
        return entry

    def _sets(self) -> tuple[Region, Region]:
        if self.a is None or self.b is None:
            missing = " and ".join(name for name in ("a", "b") if getattr(self, name) is None)
            raise ValueError(
                f"a committor is that between two sets: {missing} missing; give regions of the features, such as "
                "Ellipsoid or Intervals"
            )
        return self.a, self.b
