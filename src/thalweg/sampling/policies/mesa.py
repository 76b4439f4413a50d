r"""Molecular enhanced sampling with autoencoders (MESA) [chen2018].

A network gives features back through a bottleneck :math:`s = E(x)`, trained on all frames so far, those made under a
bias as they are,

.. math::  \min_{E, D} \sum_t |x_t - D(E(x_t))|^2 ,

the bottleneck is driven, and the network trained anew, until its variable is a function of the one before. Features
must be invariant under rotation and translation: those of a study are.

What has the largest variance is what is driven, slow or not: where a large fast motion hides a small slow one, the
`SlowVariableLoop` is the right loop. A variable on a circle or a torus does not fit through a bottleneck of as many
values without a seam; give the bottleneck one value more. Frames under a bias count as often as they occur, so that
the variable spreads over what was explored instead of what is populated.

The paper biases by umbrellas at the border of what was explored; here any bias will do. Weights under the bias that is
held at the end are exact whatever the variable; how soon free energies converge depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from thalweg.collective_variables.neural.autoencoders import Autoencoder
from thalweg.sampling.policies.learn_and_drive import GrowAndHold
from thalweg.sampling.tasks.learned_variable import FrameMethod
from thalweg.units import Count


@dataclass(frozen=True)
class MESA(GrowAndHold):
    """Drive the bottleneck of an autoencoder, train it again, until it stays what it is.

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

    cites: ClassVar[tuple[str, ...]] = ("chen2018", *GrowAndHold.cites)

    cycles: Count = 4
    settled: float | None = 0.95
    learner: FrameMethod = field(default_factory=lambda: Autoencoder(dim=2))

    @property
    def method(self) -> FrameMethod:
        return self.learner
