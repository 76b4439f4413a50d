r"""The reversible maximum-likelihood transition matrix, as a convex problem with one unknown per state.

Maximizing :math:`\sum_{ij} c_{ij}\ln p_{ij}` under detailed balance leads to

.. math::  x_{ij} = \pi_i\, p_{ij} = \frac{c_{ij} + c_{ji}}{e^{u_i} + e^{u_j}},\qquad
           \sum_j x_{ij} = c_i\, e^{-u_i}

[bowman2009] [trendelkampschroer2015]. These are the conditions for a minimum of

.. math::  F(u) = \sum_{i<j} s_{ij} \ln(e^{u_i} + e^{u_j}) - \sum_i (c_i - c_{ii})\, u_i,\qquad
           s_{ij} = c_{ij} + c_{ji},

the convex negative log-likelihood of paired comparisons [bradley1952], whose Hessian is a graph Laplacian:
Newton's method needs a handful of sparse solves where fixed-point iterations need thousands of sweeps.
Self-transitions drop out.

========  =====================================================
symbol    meaning
========  =====================================================
``c``     counts, ``c_i`` their row sums
``s``     ``edges.weight``
``u``     ``ln(c_i / pi_i)`` up to a constant
========  =====================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from thalweg.kinetics.counts.active_set import Connectivity
from thalweg.kinetics.counts.edges import Edges
from thalweg.kinetics.estimation.newton import GraphFunction, Newton, NewtonResult
from thalweg.kinetics.estimation.posterior_reversible import reversible_samples
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class PairedComparisons:
    """The function ``F`` of the module's docstring, as a `GraphFunction`.

    Attributes
    ----------
    edges : counts as a graph, with ``s_ij`` along the edges
    """

    edges: Edges

    @property
    def scale(self) -> np.ndarray:
        """Transitions leaving each state."""
        return np.maximum(self.edges.leaving, 1e-3 * self.edges.leaving.mean())

    def value(self, point: np.ndarray) -> float:
        """``F(u)``."""
        edges = self.edges
        # ln(e^a + e^b) = max(a, b) + ln(1 + e^-|a - b|)
        apart = np.abs(point[edges.first] - point[edges.second])
        larger = np.maximum(point[edges.first], point[edges.second])
        return float(edges.weight @ (larger + np.log1p(np.exp(-apart))) - edges.leaving @ point)

    def slope(self, point: np.ndarray) -> tuple[np.ndarray, csr_array]:
        """Gradient and the Laplacian that is the Hessian."""
        edges = self.edges
        # dF/du_i = sum_j s_ij e^{u_i} / (e^{u_i} + e^{u_j}) - (c_i - c_ii)
        share = expit(point[edges.first] - point[edges.second])
        gradient = edges.at_states(edges.weight * share, edges.weight * (1 - share)) - edges.leaving
        curvature = edges.weight * share * (1 - share)
        return gradient, edges.matrix(-curvature, edges.at_states(curvature, curvature))

    def moved(self, point: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The point after a step, with mean zero."""
        return _moved(point, step)


def _moved(point: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The point after a step, each ``u`` by no more than three, with mean zero."""
    # beyond, the curvature that the step was made of is no longer there
    moved = point + np.clip(step, -3, 3)
    return moved - moved.mean()


FEW = 32
"""Up to so many states, dense matrices are faster than sparse ones."""


@dataclass(frozen=True, eq=False)
class FewComparisons:
    """The same function of few states, whose matrices are dense.

    Attributes
    ----------
    weight : (states, states), transitions in both directions, zero on the diagonal
    leaving : (states,), transitions from each state to others
    """

    weight: Shaped[np.ndarray, "states states"]
    leaving: Shaped[np.ndarray, " states"]

    @property
    def scale(self) -> np.ndarray:
        """Transitions leaving each state."""
        return np.maximum(self.leaving, 1e-3 * self.leaving.mean())

    def value(self, point: np.ndarray) -> float:
        """``F(u)``."""
        return float((self.weight * np.logaddexp(point[:, None], point)).sum() / 2 - self.leaving @ point)

    def slope(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian."""
        share = expit(point[:, None] - point)
        curvature = self.weight * share * (1 - share)
        return (self.weight * share).sum(axis=1) - self.leaving, np.diag(curvature.sum(axis=1)) - curvature

    def moved(self, point: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The point after a step, with mean zero."""
        return _moved(point, step)


@dataclass(frozen=True)
class Reversible:
    """Maximum-likelihood transition matrix under detailed balance.

    Right for data of any starting distribution, as long as every state is left and entered.

    Parameters
    ----------
    newton : the minimization of ``F``

    Examples
    --------
    >>> counts = csr_array(np.array([[90.0, 10, 0], [10, 80, 10], [0, 20, 80]]))
    >>> Reversible().fit(counts).stationary_distribution.round(4).tolist()
    [0.4, 0.4, 0.2]
    """

    connectivity: Connectivity = field(default="strong", init=False)
    newton: Newton = field(default_factory=Newton)

    def among(self, states: np.ndarray) -> Reversible:
        """The same for any states: it knows nothing of single ones."""
        return self

    def fit(self, counts: csr_array, start: Shaped[np.ndarray, " states"] | None = None) -> TransitionMatrix:
        """The transition matrix of strongly connected ``counts`` ``(states, states)``.

        Parameters
        ----------
        start : (states,), optional
            The stationary distribution for counts that are nearly the same; others begin better without.
        """
        if counts.shape[0] <= FEW:
            return self._fit_few(counts.toarray(), start)
        edges = Edges.of(counts)
        total = edges.leaving + edges.staying
        optimum = self._minimized(PairedComparisons(edges), total, start)
        # pi_i ~ c_i e^{-u_i}, x_ij = s_ij / (e^{u_i} + e^{u_j}), and x_ii = c_ii e^{-u_i}
        rate = np.exp(optimum.point)
        stationary = total / rate
        norm = stationary.sum()
        between = edges.weight / (rate[edges.first] + rate[edges.second]) / norm
        flow = edges.matrix(between, edges.staying / rate / norm)
        return TransitionMatrix.from_flow(flow, optimum)

    def _minimized(
        self, function: GraphFunction, total: np.ndarray, start: np.ndarray | None
    ) -> NewtonResult:
        """The minimum from a guess of populations, from counts in proportion to them if that leads nowhere."""
        if start is not None and (start > 0).all():
            guess = np.log(total / start)
            found = self.newton.minimize(function, guess - guess.mean())
            if found.converged:
                return found
        return self.newton.minimize(function, np.zeros(len(total)))

    def _fit_few(self, counts: np.ndarray, start: np.ndarray | None) -> TransitionMatrix:
        """The same with dense matrices."""
        total, staying = counts.sum(axis=1), np.diag(counts)
        weight = counts + counts.T
        np.fill_diagonal(weight, 0.0)
        optimum = self._minimized(FewComparisons(weight, total - staying), total, start)
        # as in `fit`
        rate = np.exp(optimum.point)
        flow = weight / (rate[:, None] + rate) + np.diag(staying / rate)
        return TransitionMatrix.from_flow(csr_array(flow / (total / rate).sum()), optimum)

    def samples(
        self, counts: csr_array, fit: TransitionMatrix, random: np.random.Generator
    ) -> Iterator[TransitionMatrix]:
        """Matrices from the posterior, without end; see `reversible_samples`."""
        return reversible_samples(Edges.of(counts), fit.stationary_distribution, random)
