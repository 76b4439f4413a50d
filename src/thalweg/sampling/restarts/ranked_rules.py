r"""Several rules at once, ranked each round by what their walkers found.

Two things are found: states that nobody had visited before, and transitions that change the model. The second is the
relative entropy of the Markov chain of all walks and that without the walks of a rule,

.. math::  D = \sum_i \pi_i \sum_j T_{ij} \ln \frac{T_{ij}}{T'_{ij}} .

No single rule is best for every landscape, nor at every time of one campaign [nadeem2024].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import rankdata

from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.estimation.nonreversible import stationary_distribution
from thalweg.sampling.restarts.least_counts import LeastCounts
from thalweg.sampling.restarts.reap import REAP
from thalweg.sampling.restarts.rule import RestartRule, Restarts, SampledFrames
from thalweg.shapes import Float, Int
from thalweg.units import Picoseconds


@dataclass(frozen=True)
class RankedRules:
    """Every rule keeps one walker, the others go to the rule that found most lately [nadeem2024].

    Each round the rules are ranked by new states for each walker and by relative entropy for each walker; their score
    is the mean of both ranks, that of earlier rounds counting ``memory`` times as much with every round. Published, a
    known model was the reference of the entropy; here it is the model of all walks so far.

    Parameters
    ----------
    rules : among which it is chosen
    memory : weight of the scores so far, from zero to one
    prior : pseudocounts of each state in the entropy, spread over all states

    Raises
    ------
    ValueError
        If there are fewer than two rules.
    """

    rules: tuple[RestartRule, ...] = (LeastCounts(), REAP())
    memory: float = 0.5
    prior: float = 1.0

    def __post_init__(self):
        if len(self.rules) < 2:
            raise ValueError(f"{len(self.rules)} rules leave nothing to rank; give two or more")

    @property
    def pull(self) -> Picoseconds:
        """The longest time that one of the rules pulls [ps]; zero where none does."""
        return max(getattr(rule, "pull", 0.0) for rule in self.rules)

    @property
    def cites(self) -> tuple[str, ...]:
        """Works behind the ranking and behind each rule."""
        return ("nadeem2024", *(key for rule in self.rules for key in getattr(rule, "cites", ())))

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        kept = sampled.memory.get("kept", [{}] * len(self.rules))
        scores = self._scores(sampled)
        dealt = self._deal(scores, n, seed)
        answers = [
            rule.choose(replace(sampled, memory=kept[k]), int((dealt == k).sum()), seed)
            if (dealt == k).any()
            else Restarts(np.zeros(0, int), memory=dict(kept[k]))
            for k, rule in enumerate(self.rules)
        ]
        memory = {"scores": scores.tolist(), "dealt": dealt.tolist()}
        return _together(answers, len(sampled.names), memory)

    def _deal(self, scores: Float[np.ndarray, " rules"], n: int, seed: int) -> Int[np.ndarray, " n"]:
        """The rule of each walker, in order of the rules: one for each, best first, and the rest for the best."""
        tie = np.random.default_rng(seed).random(len(scores))
        order = np.lexsort((tie, -scores))
        each = np.concatenate([order[:n], np.full(max(0, n - len(order)), order[0])])
        return np.sort(each)

    def _scores(self, sampled: SampledFrames) -> Float[np.ndarray, " rules"]:
        """Scores after the last round; a rule that had no walker in it keeps its own."""
        before = np.array(sampled.memory.get("scores", np.zeros(len(self.rules))))
        if "dealt" not in sampled.memory:
            return before
        newest = np.flatnonzero(sampled.rounds == sampled.rounds.max())
        dealt = np.array(sampled.memory["dealt"])[sampled.walkers[newest]]
        had = np.array([k for k in range(len(self.rules)) if (dealt == k).any()], int)
        found = np.array([self._found(sampled, newest[dealt == k]) for k in had]).reshape(len(had), 2)
        ranks = rankdata(found, axis=0).mean(axis=1) / len(self.rules)
        after = before.copy()
        after[had] = self.memory * before[had] + (1 - self.memory) * ranks
        return after

    def _found(self, sampled: SampledFrames, walks: Int[np.ndarray, " walks"]) -> tuple[float, float]:
        """New states, and relative entropy, for each of some walks of the last round."""
        old = np.zeros(len(sampled.counts), bool)
        for walk in np.flatnonzero(sampled.rounds < sampled.rounds.max()):
            old[sampled.states[walk]] = True
        seen = np.unique(np.concatenate([sampled.states[walk] for walk in walks]))
        without = sampled.counts - self._counts([sampled.states[walk] for walk in walks], sampled)
        entropy = relative_entropy(sampled.counts, without, self.prior)
        return np.count_nonzero(~old[seen]) / len(walks), entropy / len(walks)

    @staticmethod
    def _counts(walks: Sequence[np.ndarray], sampled: SampledFrames) -> Float[np.ndarray, "states states"]:
        """Transitions of some of the walks."""
        long = [walk for walk in walks if len(walk) > sampled.lagtime]
        counts = np.zeros_like(sampled.counts)
        if long:
            small = transition_counts(long, sampled.lagtime, n_blocks=1).matrix.toarray()
            counts[: len(small), : len(small)] = small
        return counts


def relative_entropy(
    counts: Float[np.ndarray, "states states"],
    reference: Float[np.ndarray, "states states"],
    prior: float = 1.0,
) -> float:
    """Relative entropy of one Markov chain and another for each of its steps, both from counts, in nats.

    Parameters
    ----------
    counts : of the chain whose populations weigh the rows
    reference : of the other
    prior : pseudocounts of each state, spread over all states

    Examples
    --------
    >>> counts = np.array([[9.0, 1.0], [1.0, 9.0]])
    >>> round(relative_entropy(counts, counts), 6), round(relative_entropy(counts, counts.T[::-1], prior=1e-9), 3)
    (0.0, 1.758)
    """
    size = len(counts)
    chain, other = (each + prior / size for each in (counts, reference))
    chain, other = chain / chain.sum(1, keepdims=True), other / other.sum(1, keepdims=True)
    populations = stationary_distribution(csr_array(chain))
    return float(populations @ (chain * np.log(chain / other)).sum(axis=1))


def _together(answers: Sequence[Restarts], width: int, memory: dict[str, Any]) -> Restarts:
    """One answer of several, their memories beside each other."""
    targets = [
        np.full((len(one.frames), width), np.nan) if one.targets is None else one.targets for one in answers
    ]
    beyond = any(one.targets is not None for one in answers)
    frames = np.concatenate([one.frames for one in answers])
    kept = [one.memory for one in answers]
    return Restarts(frames, np.concatenate(targets) if beyond else None, memory | {"kept": kept})
