"""Learn the slow variable, drive it, learn it again from where that led; free energies at the end.

Every cycle begins with a swarm of unbiased walks, from the start structure or from diverse frames of the cycle before:
slowness is a matter of time, and time under a bias is another. The slowest functions of features are learned on all
swarms so far.
"""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.collective_variables.linear.tica import TICA
from thalweg.sampling.policies.learn_and_drive import GrowAndHold
from thalweg.sampling.tasks.learned_variable import FrameMethod


@dataclass(frozen=True)
class SlowVariableLoop(GrowAndHold):
    """The loop of learning and driving what is slow.

    Times are those of each walker: ``swarm`` and ``drive`` in every cycle, ``produce`` once at the end.

    Parameters
    ----------
    recipe : of the apparatus
    seeds : one independent campaign for each; at least two
    walkers : walkers of each seed, advanced together
    cycles : how often a variable is learned and driven
    swarm, drive, produce : length of each stage [ps]
    segment : length of one task [ps]; a longer stage is a sequence of tasks, so that a kill loses little
    save_every : time between frames [ps]
    lagtime : of the transitions that restarts are chosen by, and of the learner if None [ps]
    states : clusters among which diverse restarts are chosen
    skip : production of every walker left out at the beginning [ps]
    settled : share of the variance of a variable that is a function of the one before, from which on nothing more is
        learned; None to go through all cycles
    learner : learns the variable, from frames ``save_every`` apart; TICA of two values at ``lagtime`` if None
    bias : drives it

    Raises
    ------
    ValueError
        If there are fewer than two seeds, a time is no whole number of frames, a swarm is no longer than the lag, or
        ``settled`` is no share.
    """

    learner: FrameMethod | None = None

    @property
    def method(self) -> FrameMethod:
        if self.learner is not None:
            return self.learner
        return TICA(self._frames("lagtime"), 2, scaling="unit")

    @property
    def swarms(self) -> int:
        return self.cycles

    def learned_from(self, seed: int, cycle: int) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(self.entries(seed, "swarm", each)) for each in range(cycle + 1))

    def in_words(self) -> tuple[str, ...]:
        return (
            f"{self.cycles} times: {self.swarm:g} ps a walker without bias, learning a variable by "
            f"{type(self.method).__name__}, {self.drive:g} ps under {type(self.bias).__name__} of it; then "
            f"{self.produce:g} ps under the bias held.",
        )
