"""Where to start the next trajectories, from the transition counts of a Markov model.

A rule sees how often each pair of states was seen in succession and a seed, and names one state per new
walker; it is a pure function of both. Only discovered states, those left or entered at least once, can be
named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.shapes import Float, Int


@runtime_checkable
class RestartRule(Protocol):
    """Chooses the states new walkers start from."""

    def choose(self, counts: Float[np.ndarray, "states states"], n: int, seed: int) -> Int[np.ndarray, " n"]:
        """``n`` states to start from, given ``counts[i, j]`` transitions from i to j."""
        ...


@dataclass(frozen=True)
class LeastCounts:
    """The states left least often, ties broken at random [bowman2010].

    With more walkers than states the states take turns. This pushes out a frontier through intermediates; it
    does not carry a walker over one high barrier.

    Examples
    --------
    >>> counts = np.array([[9.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 0.0, 0.0]])
    >>> LeastCounts().choose(counts, n=2, seed=0).tolist()
    [2, 1]
    """

    def choose(self, counts: Float[np.ndarray, "states states"], n: int, seed: int) -> Int[np.ndarray, " n"]:
        states = _discovered(counts)
        order = np.lexsort((np.random.default_rng(seed).random(len(states)), counts[states].sum(1)))
        return np.resize(states[order], n)


@dataclass(frozen=True)
class Uncertainty:
    """The states whose further sampling lowers the variance of the slowest eigenvalue most [hinrichs2007].

    Row i of the transition matrix has a Dirichlet posterior with ``w_i`` counts in all, and contributes

    ``var_i = (phi_i / (phi . psi))^2 (sum_j p_ij psi_j^2 - (sum_j p_ij psi_j)^2) / (w_i + 1)``

    to the variance of the second eigenvalue with left and right eigenvectors ``phi, psi``. Walkers are placed
    one after the other, each where it lowers the sum most if it adds ``transitions`` counts to its state.

    Parameters
    ----------
    transitions : counts that one walker is expected to add to the state it starts from
    prior : pseudocounts of each state, spread over the transitions to all discovered states

    Examples
    --------
    >>> Uncertainty(transitions=50.0).choose(np.array([[90.0, 10.0], [1.0, 4.0]]), n=4, seed=0).tolist()
    [1, 1, 1, 0]
    """

    transitions: float = 10.0
    prior: float = 1.0

    def choose(self, counts: Float[np.ndarray, "states states"], n: int, seed: int) -> Int[np.ndarray, " n"]:
        states = _discovered(counts)
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


def _discovered(counts):
    states = np.flatnonzero(counts.sum(0) + counts.sum(1))
    if len(states) == 0:
        raise ValueError("no transition was counted; use a lag shorter than the trajectories")
    return states
