r"""Samples of reversible transition matrices with a given stationary distribution [trendelkampschroer2013].

In the flows :math:`x_{ij} = \pi_i\, p_{ij} = x_{ji}`, which sum to :math:`\pi_i` over every row, with the
scale-free prior :math:`1/x_{ij}` on every pair seen and an even one on what stays, the posterior is

.. math::  \prod_{i<j} x_{ij}^{s_{ij} - 1} \prod_i x_{ii}^{c_{ii}},\qquad
           x_{ii} = \pi_i - \sum_{j \ne i} x_{ij} \ge 0 ,\qquad s_{ij} = c_{ij} + c_{ji} .

One flow changes at the cost of what stays in its two states. Given the other flows, with
:math:`a = x_{ii} + x_{ij}` and :math:`b = x_{jj} + x_{ij}`, its logarithm :math:`u` has the log-concave density

.. math::  e^{s u}\, (a - e^u)^{c_{ii}}\, (b - e^u)^{c_{jj}},\qquad e^u < \min(a, b) ,

sampled by slice steps [neal2003]. Pairs without a state in common do not feel each other: all edges are sorted
into matchings, the edges of one matching move together, and a sweep through all matchings gives one sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thalweg.kinetics.counts.edges import Edges
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.shapes import Shaped

WIDTH = 4.0
"""First width of a slice in standard deviations of a gamma density with as many counts."""

MOST_STEPS = 60
"""Steps outward and inward of a slice; after so many inward the point stays."""


@dataclass(frozen=True, eq=False)
class Exchange:
    """Edges without a state in common, and what the density of their flows depends on.

    Attributes
    ----------
    first, second : (edges,), states
    counted : (edges,), transitions in both directions
    first_stays, second_stays : (edges,), self-transitions of the states
    """

    first: Shaped[np.ndarray, " edges"]
    second: Shaped[np.ndarray, " edges"]
    counted: Shaped[np.ndarray, " edges"]
    first_stays: Shaped[np.ndarray, " edges"]
    second_stays: Shaped[np.ndarray, " edges"]

    def log_density(self, logs: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Log of the density of logarithms of flows ``(edges,)``; ``most`` ``(2, edges)`` are ``a`` and ``b``."""
        flow = np.exp(logs)
        left = most - flow
        inside = (left > 0).all(axis=0)
        first, second = np.log(np.where(inside, left, 1.0))
        value = self.counted * logs + self.first_stays * first + self.second_stays * second
        return np.where(inside, value, -np.inf)

    def sampled(self, flow: np.ndarray, most: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Flows ``(edges,)`` after one slice step each."""
        here, width = np.log(flow), WIDTH / np.sqrt(self.counted)
        # a level below the density here, and a bracket of one width about it [neal2003], stepped out until both ends
        # lie below the level; edges of a matching have no state in common and move side by side
        level = self.log_density(here, most) - random.standard_exponential(len(here))
        low = here - width * random.random(len(here))
        high = low + width
        for _ in range(MOST_STEPS):
            below, above = self.log_density(low, most) > level, self.log_density(high, most) > level
            if not (below | above).any():
                break
            low, high = np.where(below, low - width, low), np.where(above, high + width, high)
        # shrink the bracket toward the present point until a point inside the slice is drawn
        logs, open_ = here.copy(), np.ones(len(here), bool)
        for _ in range(MOST_STEPS):
            trial = low + (high - low) * random.random(len(here))
            taken = open_ & (self.log_density(trial, most) > level)
            logs = np.where(taken, trial, logs)
            open_ &= ~taken
            if not open_.any():
                break
            low, high = np.where(trial < here, trial, low), np.where(trial < here, high, trial)
        return np.exp(logs)


def _matchings(edges: Edges) -> list[np.ndarray]:
    """All edges in as few groups as a greedy choice finds, no two of a group with a state in common.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> ring = Edges.of(csr_array(np.array([[1.0, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]])))
    >>> [group.tolist() for group in _matchings(ring)]
    [[0, 3], [1, 2]]
    """
    groups: list[list[int]] = []
    taken: list[set[int]] = [set() for _ in range(edges.n_states)]
    for edge, (i, j) in enumerate(zip(edges.first.tolist(), edges.second.tolist())):
        color = next(c for c in range(len(groups) + 1) if c not in taken[i] and c not in taken[j])
        if color == len(groups):
            groups.append([])
        groups[color].append(edge)
        taken[i].add(color)
        taken[j].add(color)
    return [np.array(group) for group in groups]


def fixed_stationary_samples(
    edges: Edges, fit: TransitionMatrix, random: np.random.Generator, warmup: int = 20
) -> Iterator[TransitionMatrix]:
    """Transition matrices from the posterior, without end.

    Parameters
    ----------
    edges : connected counts
    fit : the maximum-likelihood matrix with this stationary distribution, from which to start
    warmup : sweeps before the first sample
    """
    stationary = fit.stationary_distribution
    flow = np.asarray(fit.matrix[edges.first, edges.second]).ravel() * stationary[edges.first]
    # the start must lie inside: flows positive, and something left to stay in every state
    flow = np.maximum(flow, 1e-12 * np.minimum(stationary[edges.first], stationary[edges.second])) * (
        1 - 1e-9
    )
    flow *= np.minimum(1, 0.999 / (edges.at_states(flow, flow) / stationary).max())
    stays = stationary - edges.at_states(flow, flow)
    groups = []
    for chosen in _matchings(edges):
        first, second = edges.first[chosen], edges.second[chosen]
        staying = edges.staying[first], edges.staying[second]
        groups.append((chosen, Exchange(first, second, edges.weight[chosen], *staying)))
    for sweep in range(warmup + 10**18):
        for chosen, exchange in groups:
            # a = x_ii + x_ij and b = x_jj + x_ij are what the two states have to give
            now, ends = flow[chosen], np.stack([exchange.first, exchange.second])
            flow[chosen] = exchange.sampled(now, stays[ends] + now, random)
            stays[ends] += now - flow[chosen]
        if sweep >= warmup:
            # what rounding adds up to is taken out
            stays = np.maximum(stationary - edges.at_states(flow, flow), 0.0)
            yield TransitionMatrix.from_weights(edges.matrix(flow, stays))
