r"""Restart at the extremes of those variables along which extremes are found: weights learned by reward.

.. math::  r_j = \sum_i w_i \frac{|\theta_i(j) - \langle\theta_i\rangle|}{\sigma_i}, \qquad
    \max_w \sum_{j \in S} r_j \quad\text{with}\quad \sum_i w_i = 1,\; w_i \ge 0,\; |w_i - w_i^{before}| \le \delta

over the least counted states S; means and standard deviations are those of all frames [shamsi2018].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import linprog

from thalweg.sampling.restarts.rule import Restarts, SampledFrames
from thalweg.shapes import Float


@dataclass(frozen=True)
class REAP:
    """The candidates of highest reward, in variables weighed by the reward they brought (REAP) [shamsi2018].

    Candidates are the states left least often; the variables are the features, periodic ones as places on circles. What
    the weights have become is kept with every choice. Variables that are all slow or all fast teach nothing: the rule
    then is one of least counts. Needs intermediates, as every restart does.

    Parameters
    ----------
    step : most that a weight changes in one round, ``delta``
    candidates : least counted states among which it is chosen, for each walker

    Examples
    --------
    >>> from thalweg.sampling.restarts.rule import clustered_frames
    >>> random = np.random.default_rng(0)
    >>> walk = random.standard_normal((500, 2)) + np.outer(np.linspace(0, 1, 500) ** 8 * 9, [1, 0])
    >>> sampled = clustered_frames([walk], [0], [0], states=30, lagtime=1, names=("x", "y"))
    >>> REAP(step=0.1).choose(sampled, n=4, seed=0).memory
    {'weights': [0.6, 0.4]}
    """

    cites: ClassVar[tuple[str, ...]] = ("shamsi2018",)

    step: float = 0.02
    candidates: float = 4.0

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        tie = np.random.default_rng(seed).random(len(sampled.discovered))
        rare = np.lexsort((tie, sampled.counts[sampled.discovered].sum(axis=1)))
        rare = rare[: max(1, round(self.candidates * n))]
        extremes = self._extremes(sampled)[rare]
        weights = self._weights(sampled, extremes.sum(axis=0))
        best = sampled.discovered[rare[np.argsort(-(extremes @ weights), kind="stable")]]
        frames = sampled.frames_in(np.resize(best, n), seed)
        return Restarts(frames, memory={"weights": weights.round(12).tolist()})

    @staticmethod
    def _extremes(sampled: SampledFrames) -> Float[np.ndarray, "discovered variables"]:
        """How many standard deviations each state is from the mean of all frames, variable by variable."""
        points = sampled.points
        spread = points.std(axis=0)
        away = np.abs(sampled.mean_of_states(points) - points.mean(axis=0))
        return away / np.where(spread > 0, spread, np.inf)

    def _weights(self, sampled: SampledFrames, reward: Float[np.ndarray, " variables"]) -> np.ndarray:
        """The weights of highest reward within a step of those before, a linear program."""
        before = np.array(sampled.memory.get("weights", np.full(len(reward), 1 / len(reward))))
        bounds = np.stack([np.maximum(before - self.step, 0.0), np.minimum(before + self.step, 1.0)], axis=1)
        return linprog(-reward, A_eq=np.ones((1, len(reward))), b_eq=[1.0], bounds=bounds).x
