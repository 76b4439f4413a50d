r"""What hidden states show: distributions over discrete states, or Gaussians over features.

.. math::  b_i(o) = B_{io},\qquad
           b_i(x) = \frac{\exp\bigl(-\tfrac12 (x - \mu_i)^T \Sigma_i^{-1} (x - \mu_i)\bigr)}
                         {\sqrt{\det 2\pi\Sigma_i}}

Refitting to frames weighted by their hidden memberships is the maximization step [rabiner1989].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy.linalg import cho_factor, solve_triangular
from scipy.special import logsumexp

from thalweg.collective_variables.threads import on_one_thread

FLOOR = 1e-60
"""Smallest likelihood in a hidden state, relative to the most likely one."""


@runtime_checkable
class Output(Protocol):
    """Distributions of what is observed, one per hidden state: `DiscreteOutput`, `GaussianOutput`."""

    def relative(self, observed: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Likelihoods ``(hidden, frames)`` over the largest of each frame, and logarithms of those ``(frames,)``.

        They are not below `FLOOR`. An array of their shape may be given as ``out`` to hold them.
        """
        ...

    def refitted(self, observed: np.ndarray, memberships: np.ndarray) -> Any:
        """The most likely distributions of frames with memberships ``(hidden, frames)``."""
        ...

    def permuted(self, order: np.ndarray) -> Any:
        """The same with hidden states in another order."""
        ...


def fitting(out: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    """The array given, if it has the shape, or a new one."""
    return np.empty(shape) if out is None or out.shape != shape else out


@dataclass(frozen=True, eq=False)
class DiscreteOutput:
    """Probabilities of discrete states in every hidden state.

    Attributes
    ----------
    probabilities : (hidden, n_states), rows sum to one

    Examples
    --------
    >>> output = DiscreteOutput(np.array([[0.9, 0.1], [0.3, 0.7]]))
    >>> output.relative(np.array([0, 1]))[0].round(3).tolist()
    [[1.0, 0.143], [0.333, 1.0]]
    """

    probabilities: np.ndarray

    def relative(self, observed: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Likelihoods of observed states ``(frames,)``; a state that is never shown tells nothing."""
        largest = self.probabilities.max(axis=0)
        known = largest > 0
        scale = np.where(known, largest, 1.0)
        table = np.where(known, np.maximum(self.probabilities / scale, FLOOR), 1.0)
        logs = np.log(np.where(known, largest, FLOOR))
        relative = fitting(out, (len(table), len(observed)))
        for row, likelihoods in zip(relative, table):
            np.take(likelihoods, observed, out=row, mode="clip")
        return relative, logs.take(observed, mode="clip")

    def refitted(self, observed: np.ndarray, memberships: np.ndarray) -> DiscreteOutput:
        """Weighted histograms."""
        size = self.probabilities.shape[1]
        counts = np.stack([np.bincount(observed, row, size) for row in memberships])
        return DiscreteOutput(counts / counts.sum(axis=1, keepdims=True))

    def shows(self, states: np.ndarray) -> np.ndarray:
        """Whether any hidden state ever shows these states."""
        shown = self.probabilities.max(axis=0) > 0
        return (states < len(shown)) & shown[np.minimum(states, len(shown) - 1)]

    def permuted(self, order: np.ndarray) -> DiscreteOutput:
        """The same with hidden states in another order."""
        return DiscreteOutput(self.probabilities[order])


@dataclass(frozen=True, eq=False)
class GaussianOutput:
    """A Gaussian over features in every hidden state.

    Attributes
    ----------
    means : (hidden, features)
    covariances : (hidden, features, features)
    floor : (features,), variance that no hidden state may fall below, against collapse onto single frames

    Examples
    --------
    >>> output = GaussianOutput(np.array([[0.0], [2.0]]), np.ones((2, 1, 1)), np.zeros(1))
    >>> output.relative(np.array([[1.0, 2.0]]))[0].round(3).tolist()
    [[1.0, 0.135], [1.0, 1.0]]
    """

    means: np.ndarray
    covariances: np.ndarray
    floor: np.ndarray

    @cached_property
    def _factors(self) -> list[np.ndarray]:
        """Lower Cholesky factors of the covariances."""
        return [cho_factor(covariance, lower=True)[0] for covariance in self.covariances]

    @on_one_thread
    def relative(self, observed: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Likelihoods of features ``(features, frames)``."""
        logs = fitting(out, (len(self.means), observed.shape[1]))
        for row, mean, factor in zip(logs, self.means, self._factors):
            apart = observed - mean[:, None]
            if len(mean) == 1:
                apart /= factor[0, 0]
            else:
                inverse = solve_triangular(factor, np.eye(len(mean)), lower=True)
                apart = inverse @ apart
            np.einsum("fn,fn->n", apart, apart, out=row)
            row += 2 * np.log(np.diag(factor)).sum() + len(mean) * np.log(2 * np.pi)
            row *= -0.5
        top = logs.max(axis=0)
        logs -= top
        np.exp(logs, out=logs)
        return np.maximum(logs, FLOOR, out=logs), top

    @on_one_thread
    def refitted(self, observed: np.ndarray, memberships: np.ndarray) -> GaussianOutput:
        """Weighted means and covariances."""
        mass = memberships.sum(axis=1)
        center = self.means.mean(axis=0)
        shifted = observed - center[:, None]
        means = memberships @ shifted.T / mass[:, None]
        covariances = np.empty((len(mass), *2 * (len(center),)))
        for k, row in enumerate(memberships):
            covariances[k] = (shifted * row) @ shifted.T / mass[k] - np.outer(means[k], means[k])
            covariances[k] += np.diag(np.maximum(self.floor - np.diag(covariances[k]), 0))
        return GaussianOutput(means + center, covariances, self.floor)

    def permuted(self, order: np.ndarray) -> GaussianOutput:
        """The same with hidden states in another order."""
        return GaussianOutput(self.means[order], self.covariances[order], self.floor)

    def log_density(self, points: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Log of the mixture with these ``shares`` ``(hidden,)`` at points ``(features, frames)``."""
        relative, top = self.relative(points)
        return logsumexp(np.log(relative) + np.log(shares)[:, None], axis=0) + top
