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

from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped

FLOOR = 1e-60
"""Smallest likelihood in a hidden state, relative to the most likely one."""

FEWEST_FRAMES = 1e-3
"""A hidden state with fewer expected frames keeps the distribution it had: nothing is known of a new one."""


@runtime_checkable
class Output(Protocol):
    """Distributions of what is observed, one per hidden state: `DiscreteOutput`, `GaussianOutput`."""

    def relative(self, observed: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Likelihoods ``(hidden, frames)`` over the largest of each frame, and logarithms of those ``(frames,)``.

        They are not below `FLOOR`. An array of their shape may be given as ``out`` to hold them.
        """
        ...

    def tally(self, observed: np.ndarray, memberships: np.ndarray) -> np.ndarray:
        """Sums over frames with memberships ``(hidden, frames)``, of which `refitted` makes distributions."""
        ...

    def refitted(self, tally: np.ndarray) -> Any:
        """The most likely distributions of all frames that went into a tally."""
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

    probabilities: Shaped[np.ndarray, "hidden n_states"]

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

    def tally(self, observed: np.ndarray, memberships: np.ndarray) -> np.ndarray:
        """Histograms ``(hidden, n_states)`` of observed states ``(frames,)``."""
        size = self.probabilities.shape[1]
        return np.stack([np.bincount(observed, row, size) for row in memberships])

    def refitted(self, tally: np.ndarray) -> DiscreteOutput:
        """Histograms over their sums; those without frames stay as they were."""
        frames = tally.sum(axis=1, keepdims=True)
        filled = frames > FEWEST_FRAMES
        return DiscreteOutput(np.where(filled, tally / np.where(filled, frames, 1.0), self.probabilities))

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
    floor : (features,), above zero: variance that no hidden state may fall below in any direction, each feature in
        its own unit, against collapse onto single frames or onto planes, where features repeat each other

    Examples
    --------
    >>> output = GaussianOutput(np.array([[0.0], [2.0]]), np.ones((2, 1, 1)), np.full(1, 1e-6))
    >>> output.relative(np.array([[1.0, 2.0]]))[0].round(3).tolist()
    [[1.0, 0.135], [1.0, 1.0]]
    """

    means: Shaped[np.ndarray, "hidden features"]
    covariances: Shaped[np.ndarray, "hidden features features"]
    floor: Shaped[np.ndarray, " features"]

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
            # log b_i = -(|L^-1 (x - mu)|^2 + 2 log det L + F log 2 pi) / 2 with Sigma = L L^T
            np.einsum("fn,fn->n", apart, apart, out=row)
            row += 2 * np.log(np.diag(factor)).sum() + len(mean) * np.log(2 * np.pi)
            row *= -0.5
        top = logs.max(axis=0)
        logs -= top
        np.exp(logs, out=logs)
        return np.maximum(logs, FLOOR, out=logs), top

    @on_one_thread
    def tally(self, observed: np.ndarray, memberships: np.ndarray) -> np.ndarray:
        """Sums ``(hidden, 1 + features, 1 + features)`` of ones, features, and their products.

        Features ``(features, frames)`` are counted from the middle of the present means.
        """
        shifted = observed - self.means.mean(axis=0)[:, None]
        sums = np.empty((len(memberships), *2 * (1 + len(shifted),)))
        # moments of (1, x) weighted by gamma: N, N mu and N (Sigma + mu mu^T), one triangle worked out, both written
        sums[:, 0, 0] = memberships.sum(axis=1)
        sums[:, 0, 1:] = sums[:, 1:, 0] = memberships @ shifted.T
        for k, feature in enumerate(shifted):
            sums[:, k + 1, k + 1 :] = sums[:, k + 1 :, k + 1] = memberships @ (feature * shifted[k:]).T
        return sums

    def refitted(self, tally: np.ndarray) -> GaussianOutput:
        """Means and covariances, no direction below `floor`; states without frames stay as they were."""
        filled = tally[:, 0, 0] > FEWEST_FRAMES
        frames = np.where(filled, tally[:, 0, 0], 1.0)[:, None]
        # mu = <x> and Sigma = <x x^T> - mu mu^T, about the present mean of means, which keeps the difference exact
        means = tally[:, 0, 1:] / frames
        covariances = tally[:, 1:, 1:] / frames[:, :, None] - means[:, :, None] * means[:, None]
        means, filled = means + self.means.mean(axis=0), filled[:, None]
        return GaussianOutput(
            np.where(filled, means, self.means),
            np.where(filled[:, :, None], self._floored(covariances), self.covariances),
            self.floor,
        )

    @on_one_thread
    def _floored(self, covariances: np.ndarray) -> np.ndarray:
        """Covariances ``(hidden, features, features)`` whose variance is not below `floor` in any direction."""
        # f^-1/2 Sigma f^-1/2 with the floor f of each feature: eigenvalues below one are set to one
        unit = np.sqrt(self.floor)
        values, directions = np.linalg.eigh(covariances / (unit[:, None] * unit))
        raised = (directions * np.maximum(values, 1.0)[:, None]) @ directions.transpose(0, 2, 1)
        low = (values < 1.0).any(axis=1)[:, None, None]
        return np.where(low, raised * (unit[:, None] * unit), covariances)

    def permuted(self, order: np.ndarray) -> GaussianOutput:
        """The same with hidden states in another order."""
        return GaussianOutput(self.means[order], self.covariances[order], self.floor)

    def log_density(self, points: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Log of the mixture with these ``shares`` ``(hidden,)`` at points ``(features, frames)``."""
        relative, top = self.relative(points)
        return logsumexp(np.log(relative) + np.log(shares)[:, None], axis=0) + top
