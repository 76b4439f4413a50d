r"""Smooth and nonlinear data-driven collective variables (SandCV) [hashemian2013].

Isomap lays landmarks of all frames out flat, by distances along the sheet that they lie on; a smooth map through the
landmarks makes the coordinates a function of every frame, with derivatives,

.. math::  s(x) = \sum_j \alpha_j\, k(|x - c_j|) + b_0 + b^T x ,

and the mean force along them is averaged and taken away. The paper aligns frames and projects them onto the sheet by
local maximum-entropy functions; here features need no alignment and the map through the landmarks is one of least
left-out error (`Isomap`, `SmoothMap`).

A sheet has to be there: frames that fill as many dimensions as there are features, or lie on a torus, are not laid
flat, which the learner says in its notes. Beyond the landmarks the map goes on along its linear trend, so that the
loop learns again from where a drive led. Isomap knows no time: what is long is driven, slow or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from thalweg.collective_variables.manifold.embeddings.isomap import Isomap
from thalweg.sampling.bias.adaptive_force import AdaptiveBiasingForce
from thalweg.sampling.bias.method import BiasMethod
from thalweg.sampling.policies.learn_and_drive import GrowAndHold
from thalweg.sampling.tasks.learned_variable import FrameMethod
from thalweg.units import Count

LANDMARKS = 300
"""Landmarks of the default map: each step of a driven walker sees all of them."""


@dataclass(frozen=True)
class SandCV(GrowAndHold):
    """Drive the coordinates of the sheet that frames lie on, lay it out again, until it stays what it is.

    Times are those of each walker: ``swarm`` once, ``drive`` in every cycle, ``produce`` once at the end.

    Parameters
    ----------
    recipe : of the apparatus
    seeds : one independent campaign for each; at least two
    walkers : walkers of each seed, advanced together
    cycles : how often a variable is learned and driven, at most
    swarm, drive, produce : length of each stage [ps]
    segment : length of one task [ps]
    save_every : time between frames [ps]
    lagtime : of the transitions that restarts are chosen by [ps]
    states : clusters among which diverse restarts are chosen
    skip : production of every walker left out at the beginning [ps]
    settled : share of the variance of the variable that is a function of the one before, from which on nothing more is
        learned; None to go through all cycles
    learner : of the variable
    bias : drives it

    Raises
    ------
    ValueError
        As of `SlowVariableLoop`.
    """

    cites: ClassVar[tuple[str, ...]] = ("hashemian2013", *GrowAndHold.cites)

    cycles: Count = 4
    settled: float | None = 0.95
    learner: FrameMethod = field(default_factory=lambda: Isomap(dim=2, landmarks=LANDMARKS))
    bias: BiasMethod = field(default_factory=AdaptiveBiasingForce)

    @property
    def method(self) -> FrameMethod:
        return self.learner
