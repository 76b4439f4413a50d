r"""Parameters of hidden Markov models as one vector, and a faster road to the most likely ones.

Expectation and maximization is a map :math:`\theta \to F(\theta)` that creeps where much is hidden. From two
steps of it, squared extrapolation [varadhan2008] goes on along the way they bend,

.. math::  r = \theta_1 - \theta_0,\quad v = (\theta_2 - \theta_1) - r,\quad a = \max(1, |r| / |v|),\quad
           \theta' = \theta_0 + 2 a\, r + a^2\, v ,

and keeps the result if it is more likely. Probabilities enter by their logarithms, covariances by their
Cholesky factors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.special import softmax

from thalweg.kinetics.estimation.nonreversible import stationary_distribution
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.kinetics.hidden.outputs import DiscreteOutput, GaussianOutput

TINY = 1e-200
"""Stands for probability zero in logarithms."""

FARTHEST = 2.0
"""No parameter is extrapolated by more than this."""


@dataclass(frozen=True, eq=False)
class HiddenParameters:
    """Transition matrix, initial distribution and outputs.

    Attributes
    ----------
    fit : transition matrix between hidden states
    initial : (hidden,), where sequences begin
    output : what hidden states show
    """

    fit: TransitionMatrix
    initial: np.ndarray
    output: DiscreteOutput | GaussianOutput

    def vector(self) -> np.ndarray:
        """All parameters, without bounds."""
        weights = self.fit.matrix.toarray()
        if self.fit.reversible:
            weights = self.fit.stationary_distribution[:, None] * weights
        # reversible: log pi_i p_ij, symmetric; else log p_ij
        parts = [np.log(np.maximum(weights, TINY)), np.log(np.maximum(self.initial, TINY))]
        if isinstance(self.output, DiscreteOutput):
            parts.append(np.log(np.maximum(self.output.probabilities, TINY)))
        else:
            # Sigma = L L^T with a positive diagonal of L, kept positive by its logarithm
            factors = np.linalg.cholesky(self.output.covariances)
            places = np.arange(factors.shape[1])
            factors[:, places, places] = np.log(factors[:, places, places])
            parts += [self.output.means, factors]
        return np.concatenate([part.ravel() for part in parts])

    def at(self, vector: np.ndarray) -> HiddenParameters:
        """The parameters of another vector."""
        hidden = len(self.initial)
        logs, rest = vector[: hidden**2].reshape(hidden, hidden), vector[hidden**2 :]
        if self.fit.reversible:
            # an extrapolated log pi_i p_ij need not be symmetric, its mean with the transpose is
            weights = np.exp((logs + logs.T) / 2 - logs.max())
            fit = TransitionMatrix.from_weights(csr_array(np.maximum(weights, TINY)))
        else:
            matrix = csr_array(np.maximum(softmax(logs, axis=1), TINY))
            fit = TransitionMatrix(matrix, stationary_distribution(matrix), reversible=False)
        initial, rest = softmax(rest[:hidden]), rest[hidden:]
        if isinstance(self.output, DiscreteOutput):
            logs = rest.reshape(self.output.probabilities.shape)
            return HiddenParameters(fit, initial, DiscreteOutput(softmax(logs, axis=1)))
        means = rest[: self.output.means.size].reshape(self.output.means.shape)
        factors = rest[self.output.means.size :].reshape(self.output.covariances.shape).copy()
        places = np.arange(factors.shape[1])
        factors[:, places, places] = np.exp(factors[:, places, places])
        covariances = factors @ factors.transpose(0, 2, 1)
        return HiddenParameters(fit, initial, replace(self.output, means=means, covariances=covariances))


Step = Callable[[HiddenParameters], tuple[float, HiddenParameters]]
"""The log-likelihood of parameters, and those after one expectation and maximization."""


def squared_extrapolation(
    step: Step, begin: HiddenParameters, tolerance: float, most: int
) -> tuple[HiddenParameters, float, int, bool]:
    """Parameters at which three steps gain less than ``tolerance``.

    Returns
    -------
    parameters, their log-likelihood (before the last step), number of steps, whether they converged
    """
    value, steps, longest = -np.inf, 0, 4.0
    while steps < most:
        first_value, first = step(begin)
        steps += 1
        if first_value - value < tolerance:
            return begin, first_value, steps, True
        value = first_value
        second_value, second = step(first)
        steps += 1
        theta_0, theta_1, theta_2 = begin.vector(), first.vector(), second.vector()
        # r and v: the first and second difference of the way, whose ratio is the step length a
        r, v = theta_1 - theta_0, theta_2 - 2 * theta_1 + theta_0
        a = max(1.0, float(np.linalg.norm(r) / max(np.linalg.norm(v), 1e-300)))
        begin = second
        if a > 1.01:
            a = min(a, longest)
            # theta' = theta_0 + 2 a r + a^2 v, by no more than FARTHEST beyond what the two steps have reached
            beyond = theta_0 + 2 * a * r + a**2 * v - theta_2
            third_value, third = step(first.at(theta_2 + np.clip(beyond, -FARTHEST, FARTHEST)))
            steps += 1
            # a step that gained may be longer next time, one that lost is dropped and the next shorter
            if third_value > second_value:
                begin, longest = third, 4 * longest
            else:
                longest = max(longest / 4, 2.0)
    return begin, value, steps, False
