r"""The reversible maximum-likelihood transition matrix for a given stationary distribution.

Biased simulations give populations long before unbiased ones do; short unbiased runs then only have to give
the rates [trendelkampschroer2016]. With multipliers :math:`q` of the row sums the optimum is

.. math::  x_{ij} = \pi_i\, p_{ij} = \frac{c_{ij} + c_{ji}}{q_i + q_j},\qquad \sum_j x_{ij} = \pi_i ,

the minimum over :math:`q > 0` of the convex, self-concordant

.. math::  G(q) = \sum_i (\pi_i\, q_i - c_{ii} \ln q_i) - \sum_{i<j} s_{ij} \ln(q_i + q_j) .

A state without a self-transition gets a tiny one, the barrier that keeps its multiplier positive. Steps are
relative, :math:`q_i \to q_i e^{\delta_i}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array

from thalweg.kinetics.counts.active_set import Connectivity
from thalweg.kinetics.counts.edges import Edges
from thalweg.kinetics.estimation.newton import Newton
from thalweg.kinetics.estimation.posterior_fixed_stationary import fixed_stationary_samples
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.shapes import Shaped

BARRIER = 1e-8
"""Self-transitions given to a state without any, relative to those leaving it."""


@dataclass(frozen=True, eq=False)
class RowSums:
    """The function ``G`` of the module's docstring, as a `GraphFunction` of ``q``.

    Attributes
    ----------
    edges : counts as a graph, with ``s_ij`` along the edges
    stationary : (states,), ``pi``
    staying : (states,), ``c_ii``, with the barrier
    """

    edges: Edges
    stationary: np.ndarray
    staying: np.ndarray

    @property
    def scale(self) -> np.ndarray:
        """Transitions from each state."""
        return self.edges.leaving + self.staying + self.edges.at_states(self.edges.weight, self.edges.weight)

    def value(self, point: np.ndarray) -> float:
        """``G(q)``."""
        edges = self.edges
        single = self.stationary @ point - self.staying @ np.log(point)
        return float(single - edges.weight @ np.log(point[edges.first] + point[edges.second]))

    def slope(self, point: np.ndarray) -> tuple[np.ndarray, csr_array]:
        """Gradient and Hessian for relative steps, without the part that vanishes at the optimum."""
        edges = self.edges
        share = point[edges.first] / (point[edges.first] + point[edges.second])
        # dG/d ln q_i = pi_i q_i - c_ii - sum_j s_ij q_i / (q_i + q_j)
        gradient = self.stationary * point - self.staying
        gradient = gradient - edges.at_states(edges.weight * share, edges.weight * (1 - share))
        # d2G / d ln q_i d ln q_j, less the gradient on the diagonal: positive wherever it is asked for
        squares = edges.at_states(edges.weight * share**2, edges.weight * (1 - share) ** 2)
        return gradient, edges.matrix(edges.weight * share * (1 - share), squares + self.staying)

    def moved(self, point: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The point after a relative step."""
        # multipliers stay positive; far from the optimum a step is no more than a factor of twenty
        return point * np.exp(np.clip(step, -3, 3))


@dataclass(frozen=True, eq=False)
class FixedStationary:
    """Maximum-likelihood transition matrix under detailed balance with a given stationary distribution.

    Parameters
    ----------
    stationary_distribution : (states,)
        In original numbering, positive for every active state; it is normalized over them.

    Examples
    --------
    >>> counts = csr_array(np.array([[90.0, 10], [0, 100]]))
    >>> fit = FixedStationary(np.array([0.25, 0.75])).fit(counts)
    >>> fit.matrix.toarray().round(4).tolist()
    [[0.924, 0.076], [0.0253, 0.9747]]
    """

    stationary_distribution: Shaped[np.ndarray, " states"]
    connectivity: Connectivity = field(default="weak", init=False)
    newton: Newton = field(default_factory=Newton)

    def among(self, states: np.ndarray) -> FixedStationary:
        """The estimator for some of the states."""
        return replace(self, stationary_distribution=np.asarray(self.stationary_distribution)[states])

    def fit(self, counts: csr_array, start: np.ndarray | None = None) -> TransitionMatrix:
        """The transition matrix of connected ``counts`` between as many states as the distribution has.

        Raises
        ------
        ValueError
            If the distribution does not fit the states or is not positive.
        """
        stationary = np.asarray(self.stationary_distribution, float)
        if stationary.shape != (counts.shape[0],):
            raise ValueError(
                f"the stationary distribution has shape {stationary.shape}, "
                f"there are {counts.shape[0]} states"
            )
        if not (np.isfinite(stationary).all() and (stationary > 0).all()):
            raise ValueError(
                "the stationary distribution must be positive for every state seen; states "
                f"{np.flatnonzero(~(stationary > 0))[:10].tolist()} are not"
            )
        stationary = stationary / stationary.sum()
        edges = Edges.of(counts)
        through = edges.at_states(edges.weight, edges.weight)
        staying = np.where(edges.staying > 0, edges.staying, BARRIER * through)
        # the first guess solves the row sums for q_j = q_i: s_i / (2 q_i) = pi_i
        begin = (edges.leaving + staying + through) / (2 * stationary)
        optimum = self.newton.minimize(RowSums(edges, stationary, staying), begin)
        # x_ij = s_ij / (q_i + q_j), and x_ii is what is left of pi_i
        between = edges.weight / (optimum.point[edges.first] + optimum.point[edges.second])
        rest = np.maximum(stationary - edges.at_states(between, between), 0)
        return TransitionMatrix.from_flow(edges.matrix(between, rest), optimum)

    def samples(
        self, counts: csr_array, fit: TransitionMatrix, random: np.random.Generator
    ) -> Iterator[TransitionMatrix]:
        """Matrices from the posterior, without end; see `fixed_stationary_samples`."""
        return fixed_stationary_samples(Edges.of(counts), fit, random)
