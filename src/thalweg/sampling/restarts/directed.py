r"""Restart towards a goal, and where little is known: directed and undirected terms of one reward.

.. math::  r_i = \bar\phi_i + \alpha\, \bar\psi_i, \qquad
    \bar\phi_i = \frac{\phi_i - \phi_{min}}{\phi_{max} - \phi_{min}}, \qquad
    \bar\psi_i = \frac{c_{max} - c_i}{c_{max} - c_{min}}

for states i with mean progress :math:`\phi_i` and :math:`c_i` transitions out of them [zimmerman2015].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.sampling.restarts.rule import Restarts, SampledFrames
from thalweg.shapes import Float


@dataclass(frozen=True)
class Directed:
    """The states farthest along a feature, those left seldom preferred (FAST) [zimmerman2015].

    A goal in the wrong direction costs time: what lies behind a detour is found late, since states on the detour have a
    low reward. One high barrier without states on its slope is not crossed.

    Parameters
    ----------
    feature : name of the feature that measures progress; the first one if None
    larger : whether larger values are nearer to the goal
    exploration : weight of the undirected term, ``alpha``

    Examples
    --------
    >>> from thalweg.sampling.restarts.rule import clustered_frames
    >>> walk = np.array([[0.0], [0.0], [1.0], [2.0], [2.0], [2.0]])
    >>> sampled = clustered_frames([walk], [0], [0], states=3, lagtime=1, names=("x",))
    >>> chosen = Directed("x", exploration=0.1).choose(sampled, n=2, seed=0).frames
    >>> sampled.features[chosen, 0].tolist()
    [2.0, 1.0]
    """

    cites: ClassVar[tuple[str, ...]] = ("zimmerman2015",)

    feature: str | None = None
    larger: bool = True
    exploration: float = 1.0

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        progress = sampled.mean_of_states(sampled.features[:, self._column(sampled)])
        left = sampled.counts[sampled.discovered].sum(axis=1)
        reward = _scaled(progress if self.larger else -progress) + self.exploration * _scaled(-left)
        tie = np.random.default_rng(seed).random(len(reward))
        best = sampled.discovered[np.lexsort((tie, -reward))]
        return Restarts(sampled.frames_in(np.resize(best, n), seed))

    def _column(self, sampled: SampledFrames) -> int:
        if self.feature is None:
            return 0
        if self.feature not in sampled.names:
            raise ValueError(
                f'feature = "{self.feature}" is none of those measured on frames: {", ".join(sampled.names)}'
            )
        return sampled.names.index(self.feature)


def _scaled(values: Float[np.ndarray, " states"]) -> Float[np.ndarray, " states"]:
    """``values`` between zero and one; zero where all are the same."""
    return (values - values.min()) / (np.ptp(values) or 1.0)
