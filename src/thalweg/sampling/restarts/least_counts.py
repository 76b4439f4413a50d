"""Restart from the states left least often [bowman2010]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.sampling.restarts.rule import Restarts, SampledFrames, discovered_states
from thalweg.shapes import Float, Int


@dataclass(frozen=True)
class LeastCounts:
    """The states left least often, ties broken at random [bowman2010].

    With more walkers than states the states take turns. This pushes out a frontier through intermediates; it
    does not carry a walker over one high barrier.

    Examples
    --------
    >>> counts = np.array([[9.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 0.0, 0.0]])
    >>> LeastCounts().states(counts, n=2, seed=0).tolist()
    [2, 1]
    """

    cites: ClassVar[tuple[str, ...]] = ("bowman2010",)

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        return Restarts(sampled.frames_in(self.states(sampled.counts, n, seed), seed))

    def states(self, counts: Float[np.ndarray, "states states"], n: int, seed: int) -> Int[np.ndarray, " n"]:
        """``n`` states to start from, given ``counts[i, j]`` transitions from i to j."""
        states = discovered_states(counts)
        order = np.lexsort((np.random.default_rng(seed).random(len(states)), counts[states].sum(1)))
        return np.resize(states[order], n)
