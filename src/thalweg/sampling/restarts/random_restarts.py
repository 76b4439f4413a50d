"""Restart anywhere: the rule that the others are measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.sampling.restarts.rule import Restarts, SampledFrames


@dataclass(frozen=True)
class RandomRestarts:
    """Frames drawn from all that were seen, each as likely as any other.

    Most frames lie in the wells, and so do most restarts: nothing is gained over walks that simply go on, and nothing
    lost but the correlation of one walk. Not to be used but as a yardstick.

    Parameters
    ----------
    evenly : draw a state first, then a frame in it, so that places visited seldom are chosen as often as others

    Examples
    --------
    >>> from thalweg.sampling.restarts.rule import clustered_frames
    >>> walk = np.array([[0.0], [0.0], [0.0], [1.0]])
    >>> sampled = clustered_frames([walk], [0], [0], states=2, lagtime=1, names=("x",))
    >>> chosen = RandomRestarts(evenly=True).choose(sampled, n=1000, seed=0)
    >>> bool(abs(np.mean(chosen.frames == 3) - 0.5) < 0.05)
    True
    """

    cites: ClassVar[tuple[str, ...]] = ()

    evenly: bool = False

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        random = np.random.default_rng(seed)
        known = np.flatnonzero(np.isin(sampled.state, sampled.discovered))
        if self.evenly:
            return Restarts(sampled.frames_in(random.choice(sampled.discovered, n), seed))
        return Restarts(random.choice(known, n))
