r"""Reweighted autoencoded variational Bayes for enhanced sampling (RAVE) [ribeiro2018].

A variational autoencoder finds a latent coordinate of weighted frames. Not the network is driven but the physical
variable :math:`\chi`, a feature or a direction between two, whose distribution is most like that of the coordinate
(`Surrogate`, `ByDistribution`),

.. math::  \chi = \arg\min_\chi D(P_z \| P_\chi), \qquad V(\chi) = -\min\bigl(-kT \ln P(\chi),\, F_{max}\bigr),

under the static bias that makes it flat as far as frames are known (`FlatteningBias`). The frames of that run and of
those before, by their weights ``exp(V / kT)`` and each run by its effective frames, are what the next cycle learns
from: what an earlier variable had led to is not forgotten when another one is chosen. In the end the last variable is
made flat by what all drives have found of it, and production is weighed.

A static bias exerts the forces of equilibrium: weights need no time to settle, and each cycle reaches a few kT beyond
the one before. A drive must be long enough for walkers to cross what was made flat, there and back: one that has
crossed only once says too little of the other side, and the next variable is learned from weights in which that side
hardly counts. Variables may be distributed
alike and not be related (a note of the learned variable says so), and one of two features may not tell three states
apart: give the autoencoder a second value then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from thalweg.collective_variables.interpretation.surrogate import ByDistribution, Likeness, Surrogate
from thalweg.collective_variables.neural.autoencoders import VariationalAutoencoder
from thalweg.sampling.policies.learn_and_drive import LearnAndDrive
from thalweg.sampling.tasks.flatten import FlatteningBias
from thalweg.sampling.tasks.learned_variable import FrameMethod
from thalweg.units import Count


@dataclass(frozen=True)
class RAVE(LearnAndDrive):
    """Make the physical variable flat that is distributed as a learned one, and learn again.

    Times are those of each walker: ``swarm`` once, ``drive`` in every cycle, ``produce`` once at the end.

    Parameters
    ----------
    recipe : of the apparatus
    seeds : one independent campaign for each; at least two
    walkers : walkers of each seed, advanced together
    cycles : how often a variable is learned and driven
    swarm, drive, produce : length of each stage [ps]
    segment : length of one task [ps]
    save_every : time between frames [ps]
    lagtime : of the transitions that restarts are chosen by [ps]
    states : clusters among which diverse restarts are chosen
    skip : production of every walker left out at the beginning [ps]
    settled : share of the variance of the variable that is a function of the one before, from which on nothing more is
        learned; None to go through all cycles, each of which also knows more of the free energy
    learner : of the latent coordinates
    likeness : of a candidate and a coordinate
    directions : of half a turn between two features; two for the features alone
    highest : free energy [kT] up to which the variable is made flat

    Raises
    ------
    ValueError
        As of `SlowVariableLoop`, and if ``highest`` is not positive.
    """

    cites: ClassVar[tuple[str, ...]] = ("ribeiro2018", *LearnAndDrive.cites)

    cycles: Count = 5
    learner: FrameMethod = field(default_factory=lambda: VariationalAutoencoder(dim=1))
    likeness: Likeness = field(default_factory=ByDistribution)
    directions: Count = 8
    highest: float = 30.0

    def __post_init__(self):
        super().__post_init__()
        if not self.highest > 0:
            raise ValueError(f"highest = {self.highest:g}; give a free energy above zero, in kT")

    @property
    def method(self) -> Surrogate:
        return Surrogate(self.learner, self.likeness, self.directions)

    @property
    def weighted(self) -> bool:
        return True

    def driving(self, seed: int, cycle: int, after: str | None) -> FlatteningBias:
        return FlatteningBias(self.model(seed, cycle), self.learned_from(seed, cycle), self.highest)

    def held(self, seed: int, cycle: int) -> FlatteningBias:
        """By what all drives have found, that of the cycle as well."""
        return FlatteningBias(self.model(seed, cycle), self.learned_from(seed, cycle + 1), self.highest)
