r"""Restarts as pulls of a many-armed bandit: the reward that a state's walks brought, and a bonus for trying others.

.. math::  a = \arg\max_i \Big[ Q_i + c \sqrt{\frac{\ln N}{N_i}} \Big]

for :math:`N_i` of :math:`N` walks begun in state i [auer2002]. Its reward is the mean over the frames of these walks of
minus the free energy, :math:`\ln \pi`, of the states they visited [perez2020], scaled to lie between zero and one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from thalweg.kinetics.estimation.nonreversible import stationary_distribution
from thalweg.sampling.restarts.rule import Restarts, SampledFrames
from thalweg.shapes import Float


@dataclass(frozen=True)
class Bandit:
    """States by the upper confidence bound of their reward (UCB1) [auer2002, perez2020].

    A state in which no walk began counts as one begun there that stayed. Populations are those of the Markov chain
    counted so far, each count raised by ``prior`` spread over all states. The rule returns to what is stable: it
    refines basins that were found, and looks for others only by its bonus.

    Parameters
    ----------
    exploration : weight of the bonus, ``c``; rewards are between zero and one
    prior : pseudocounts of each state

    Examples
    --------
    >>> bandit = Bandit(exploration=1.0)
    >>> bandit.bounds(np.array([0.9, 0.5]), np.array([9.0, 1.0])).round(3).tolist()      # ln 10 = 2.303
    [1.406, 2.017]
    """

    cites: ClassVar[tuple[str, ...]] = ("auer2002", "perez2020")

    exploration: float = 1.0
    prior: float = 1.0

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        pulls, means = self._experience(sampled)
        tie = np.random.default_rng(seed).random(len(pulls))
        chosen = []
        for _ in range(n):
            best = np.lexsort((tie, -self.bounds(means, pulls)))[0]
            pulls[best] += 1
            chosen.append(sampled.discovered[best])
        return Restarts(sampled.frames_in(np.array(chosen), seed))

    def bounds(
        self, means: Float[np.ndarray, " states"], pulls: Float[np.ndarray, " states"]
    ) -> Float[np.ndarray, " states"]:
        """Upper confidence bound of the reward of each state, from its mean in so many pulls."""
        return means + self.exploration * np.sqrt(np.log(pulls.sum()) / pulls)

    def _experience(self, sampled: SampledFrames) -> tuple[np.ndarray, np.ndarray]:
        """How often walks began in each discovered state, at least one, and the mean reward they brought."""
        reward = np.full(len(sampled.counts), np.nan)
        reward[sampled.discovered] = self._rewards(sampled)
        brought: dict[int, list[float]] = {}
        for walk in sampled.states:
            gains = reward[walk][~np.isnan(reward[walk])]
            if len(gains):
                brought.setdefault(int(walk[0]), []).append(float(gains.mean()))
        each = [brought.get(int(state), [reward[state]]) for state in sampled.discovered]
        return np.array([len(gains) for gains in each], float), np.array([np.mean(gains) for gains in each])

    def _rewards(self, sampled: SampledFrames) -> np.ndarray:
        """Logarithms of the populations of the discovered states, scaled to lie between zero and one."""
        states = sampled.discovered
        counts = sampled.counts[np.ix_(states, states)] + self.prior / len(states)
        populations = stationary_distribution(csr_array(counts / counts.sum(1, keepdims=True)))
        logs = np.log(np.maximum(populations, np.finfo(float).tiny))
        return (logs - logs.min()) / (np.ptp(logs) or 1.0)
