"""Whether replicas climb their ladder: how often neighbors change places, ways from end to end, and weak spots.

Were energies forgotten between two attempts, a ladder whose pairs refuse with probabilities r would see, over all its
replicas, ``1 / (2 + 2 sum r / (1 - r))`` round trips an attempt [syed2022], and a replica's rung would be forgotten at
the rate of the second eigenvalue of one attempt of the even pairs after one of the odd. Fewer round trips than that say
that something slow within the rungs holds replicas where they are: temperature or bias does not carry it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.learning.models import Model
from thalweg.sampling.exchange.ladder import LadderState
from thalweg.shapes import Float, Int

RARE = 0.1
"""Mean probability of changing places below which a pair of rungs is a weak spot."""

COUNTED = 20
"""Round trips to be expected below which their number says little."""


@dataclass(frozen=True)
class LadderMixing(Model):
    """What a run on a ladder tells about itself.

    Attributes
    ----------
    rates : (pairs,) mean probability with which neighbors changed places
    tried : (pairs,) attempts
    round_trips : from the lowest rung to the highest and back, of all replicas
    expected : round trips if energies were forgotten between attempts
    second_eigenvalue : its size, of two attempts, one of the even and one of the odd pairs
    rising : (rungs,) share of the visits that came from the lowest rung rather than the highest; falls evenly from 1 to
        0 on a good ladder, and steeply at a bottleneck
    attempts : how often the ladder was asked
    replicas : how many climb
    """

    rates: Float[np.ndarray, " pairs"]
    tried: Int[np.ndarray, " pairs"]
    round_trips: int
    expected: float
    second_eigenvalue: float
    rising: Float[np.ndarray, " rungs"]
    attempts: int
    replicas: int

    @staticmethod
    def of(state: LadderState) -> LadderMixing:
        """The mixing of the ladder whose state at the end of a run this is."""
        tried = np.asarray(state.tried, int)
        rates = np.divide(
            np.asarray(state.chance, float), tried, out=np.full(len(tried), np.nan), where=tried > 0
        )
        rising, falling = np.asarray(state.rising, float), np.asarray(state.falling, float)
        known = rising + falling
        replicas, rungs = len(state.standing), len(tried) + 1
        refused = np.clip(1 - np.nan_to_num(rates), 0, 1)
        each = 1 / (2 + 2 * np.sum(refused / np.maximum(1 - refused, 1e-300)))
        return LadderMixing(
            rates=rates,
            tried=tried,
            round_trips=int(np.minimum(state.ascents, state.descents).sum()),
            expected=float(each * int(state.attempts) * replicas / rungs),
            second_eigenvalue=second_eigenvalue(rates),
            rising=np.divide(rising, known, out=np.full(rungs, np.nan), where=known > 0),
            attempts=int(state.attempts),
            replicas=replicas,
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """Weak spots, in sentences without a full stop; empty if there are none."""
        found = [
            f"rungs {k} and {k + 1} change places in {100 * rate:.2g} % of their attempts; put another between them"
            for k, rate in enumerate(self.rates)
            if rate < RARE
        ]
        if self.round_trips < self.replicas:
            found.append(
                f"{self.round_trips} round trips of {self.replicas} replicas: not each has been at both ends of the "
                "ladder; sample longer, or put rungs closer"
            )
        elif self.expected >= COUNTED and self.round_trips < self.expected / 3:
            found.append(
                f"{self.round_trips} round trips where {self.expected:.0f} would be expected of these rates: something "
                "slow within the rungs holds replicas; a hotter end, another bias or rarer attempts may help"
            )
        return tuple(found)

    def headline(self) -> Mapping[str, Any]:
        return {
            "rates": np.round(self.rates, 2).tolist(),
            "round trips": self.round_trips,
            "expected": round(self.expected, 1),
            "second eigenvalue": round(self.second_eigenvalue, 4),
        }


def second_eigenvalue(rates: Float[np.ndarray, " pairs"]) -> float:
    """Size of the second eigenvalue of two attempts, one of the even pairs and one of the odd ones.

    Parameters
    ----------
    rates : (pairs,) with which neighbors change places

    Examples
    --------
    >>> second_eigenvalue(np.array([0.25]))        # one pair: [[3/4, 1/4], [1/4, 3/4]]
    0.5
    """
    rungs = len(rates) + 1
    steps = [np.eye(rungs), np.eye(rungs)]
    for k, rate in enumerate(np.nan_to_num(rates)):
        steps[k % 2][k : k + 2, k : k + 2] = [[1 - rate, rate], [rate, 1 - rate]]
    return float(np.sort(np.abs(np.linalg.eigvals(steps[0] @ steps[1])))[-2])
