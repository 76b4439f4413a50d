"""Restart where more transitions make the slowest time scale most certain [hinrichs2007]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.sampling.restarts.rule import Restarts, SampledFrames, discovered_states
from thalweg.shapes import Float, Int


@dataclass(frozen=True)
class Uncertainty:
    """The states whose further sampling lowers the variance of the slowest eigenvalue most [hinrichs2007].

    Row i of the transition matrix has a Dirichlet posterior with ``w_i`` counts in all, and contributes

    ``var_i = (phi_i / (phi . psi))^2 (sum_j p_ij psi_j^2 - (sum_j p_ij psi_j)^2) / (w_i + 1)``

    to the variance of the second eigenvalue with left and right eigenvectors ``phi, psi``. Walkers are placed
    one after the other, each where it lowers the sum most if it adds ``transitions`` counts to its state.

    This pins down a process that was seen; it does not look for others.

    Parameters
    ----------
    transitions : counts that one walker is expected to add to the state it starts from
    prior : pseudocounts of each state, spread over the transitions to all discovered states

    Examples
    --------
    >>> Uncertainty(transitions=50.0).states(np.array([[90.0, 10.0], [1.0, 4.0]]), n=4, seed=0).tolist()
    [1, 1, 1, 0]
    """

    cites: ClassVar[tuple[str, ...]] = ("hinrichs2007",)

    transitions: float = 10.0
    prior: float = 1.0

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        return Restarts(sampled.frames_in(self.states(sampled.counts, n, seed), seed))

    def states(self, counts: Float[np.ndarray, "states states"], n: int, seed: int) -> Int[np.ndarray, " n"]:
        """``n`` states to start from, given ``counts[i, j]`` transitions from i to j."""
        states = discovered_states(counts)
        posterior = counts[np.ix_(states, states)] + self.prior / len(states)
        totals = posterior.sum(1)
        spread = _sensitivity(posterior / totals[:, None])
        tie = np.random.default_rng(seed).random(len(states))
        chosen = []
        for _ in range(n):
            gain = spread / (totals + 1) - spread / (totals + self.transitions + 1)
            best = np.lexsort((tie, -gain))[0]
            totals[best] += self.transitions
            chosen.append(states[best])
        return np.array(chosen)


def _sensitivity(transition_matrix):
    """``(w_i + 1) var_i`` of `Uncertainty`, for each row."""
    if len(transition_matrix) == 1:
        return np.ones(1)
    values, right = np.linalg.eig(transition_matrix)
    second = np.argsort(-values.real)[1]
    psi = right[:, second].real
    left_values, left = np.linalg.eig(transition_matrix.T)
    phi = left[:, np.argmin(np.abs(left_values - values[second]))].real
    variance = transition_matrix @ psi**2 - (transition_matrix @ psi) ** 2
    return (phi / (phi @ psi)) ** 2 * np.maximum(variance, 0)
