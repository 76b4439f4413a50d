"""How strongly a linear fit is held back, and who decides.

With the prior ``c ~ N(0, (lambda Lambda)^-1)`` the coefficients solve

    (G + lambda Lambda) c = m.

`CrossValidated` takes the ``lambda`` that predicts held-out frames best, `Evidence` the one that makes the labels
most likely [mackay1992], `Ridge` the one it is told, and `AutomaticRelevance` gives every coefficient its own, which
switches off those that do not help [mackay1992]. Errors of the forces of one frame are correlated, which the evidence
does not know; cross-validation over frames is the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack

from thalweg.potentials.learned.normal_equations import NormalEquations
from thalweg.potentials.learned.term import Weights
from thalweg.shapes import Float

STRENGTHS = tuple(10.0 ** np.arange(-9, 2))
"""Values of ``lambda`` tried, relative to ``trace(G) / trace(Lambda)``."""


@dataclass(frozen=True)
class Solution:
    """Coefficients and what is known about them.

    Attributes
    ----------
    coefficients : (coefficients,)
    factor : (coefficients, coefficients) upper Cholesky factor ``U`` of ``G + lambda Lambda = U^T U``
    noise : variance of a label in units of its squared weight, from the residuals
    strength : ``lambda``
    held_out : root mean square of held-out residuals by kind of label; empty if not estimated
    """

    coefficients: np.ndarray
    factor: np.ndarray
    noise: float
    strength: float
    held_out: dict[str, float]


@runtime_checkable
class Regularization(Protocol):
    """Chooses a strength and solves."""

    def solve(self, equations: NormalEquations, prior: np.ndarray, weights: Weights) -> Solution:
        """The solution for a ``prior`` ``Lambda``: its diagonal (coefficients,) or all of it."""
        ...


@dataclass(frozen=True)
class Ridge:
    """A given ``strength``, relative to ``trace(G) / trace(Lambda)``."""

    strength: float = 1e-6

    def solve(self, equations: NormalEquations, prior: np.ndarray, weights: Weights) -> Solution:
        gram, moment, square, count = equations.weighted(weights)
        scale = np.trace(gram) / _trace(prior)
        return _solved(gram, moment, square, count, prior, self.strength * scale, {})


@dataclass(frozen=True)
class CrossValidated:
    """The strength with the least weighted squared error on frames left out of the sums, fold by fold."""

    strengths: Sequence[float] = STRENGTHS

    def solve(self, equations: NormalEquations, prior: np.ndarray, weights: Weights) -> Solution:
        gram, moment, square, count = equations.weighted(weights)
        scale = np.trace(gram) / _trace(prior)
        if len(equations.folds) < 2:
            return Ridge().solve(equations, prior, weights)
        losses = np.zeros(len(self.strengths))
        errors = [dict.fromkeys(equations.folds[0], (0.0, 0)) for _ in self.strengths]
        for fold in range(len(equations.folds)):
            rest, against, _, _ = equations.weighted(weights, without=fold)
            for k, strength in enumerate(self.strengths):
                if not np.isfinite(losses[k]):
                    continue
                try:
                    coefficients = cho_solve(_factor(rest, prior, strength * scale), against)
                except np.linalg.LinAlgError:
                    losses[k] = np.inf
                    continue
                for label, (sum_, rows) in equations.residuals(coefficients, fold).items():
                    losses[k] += sum_ / getattr(weights, label) ** 2
                    errors[k][label] = (errors[k][label][0] + sum_, errors[k][label][1] + rows)
        if not np.isfinite(losses).any():
            raise np.linalg.LinAlgError(
                f"no strength up to {max(self.strengths):g} makes the equations positive definite; give larger ones"
            )
        best = int(np.argmin(losses))
        held_out = {
            label: float(np.sqrt(sum_ / max(rows, 1))) for label, (sum_, rows) in errors[best].items()
        }
        return _solved(gram, moment, square, count, prior, self.strengths[best] * scale, held_out)


@dataclass(frozen=True)
class Evidence:
    """The strength of the largest marginal likelihood, the noise integrated out by its best value,

    ``log p = -(n log(s - m.c) + log|G + lambda Lambda| - log|lambda Lambda|) / 2 + const.``
    """

    strengths: Sequence[float] = STRENGTHS

    def solve(self, equations: NormalEquations, prior: np.ndarray, weights: Weights) -> Solution:
        gram, moment, square, count = equations.weighted(weights)
        scale = np.trace(gram) / _trace(prior)
        likelihoods = np.full(len(self.strengths), -np.inf)
        flat = np.log(prior).sum() if prior.ndim == 1 else np.linalg.slogdet(prior)[1]
        for k, strength in enumerate(self.strengths):
            try:
                factor = _factor(gram, prior, strength * scale)
            except np.linalg.LinAlgError:
                continue
            left = max(square - moment @ cho_solve(factor, moment), 1e-300)
            curved = 2 * np.log(np.diagonal(factor[0])).sum()
            likelihoods[k] = -0.5 * (
                count * np.log(left) + curved - flat - len(moment) * np.log(strength * scale)
            )
        best = self.strengths[int(np.argmax(likelihoods))] * scale
        return _solved(gram, moment, square, count, prior, best, {})


@dataclass(frozen=True)
class AutomaticRelevance:
    """A strength for every coefficient, by fixed-point iteration of ``a_i = (1 - a_i S_ii) / c_i^2``.

    Coefficients whose strength grows beyond ``ceiling`` times the largest diagonal entry of ``G`` are switched off.
    """

    rounds: int = 30
    ceiling: float = 1e3

    def solve(self, equations: NormalEquations, prior: np.ndarray, weights: Weights) -> Solution:
        if prior.ndim != 1:
            raise ValueError(
                "automatic relevance needs independent coefficients, which those of a kernel are not; use "
                "CrossValidated or Evidence"
            )
        start = Evidence().solve(equations, prior, weights)
        gram, moment, square, count = equations.weighted(weights)
        strengths, noise = start.strength * prior, start.noise
        found = start
        for _ in range(self.rounds):
            found = _solved(gram, moment, square, count, strengths, 1.0, {}, noise)
            inverse = np.diagonal(lapack.dpotri(found.factor)[0])
            known = np.clip(1 - strengths * inverse, 1e-9, 1)
            noise = max(found.noise * count / max(count - known.sum(), 1.0), 1e-300)
            updated = noise * known / np.maximum(found.coefficients**2, 1e-300)
            updated = np.minimum(updated, self.ceiling * np.diagonal(gram).max())
            if np.abs(np.log(updated / strengths)).max() < 1e-2:
                break
            strengths = updated
        return found


def _factor(gram, prior, strength):
    """Upper Cholesky factor of ``G + strength Lambda``, in the form of scipy's `cho_factor`."""
    matrix = np.array(gram, order="F")
    if prior.ndim == 1:
        matrix[np.diag_indices(len(prior))] += strength * prior
    else:
        matrix += strength * prior
    return cho_factor(matrix, lower=False, overwrite_a=True, check_finite=False)


def _solved(gram, moment, square, count, prior, strength, held_out, noise=None):
    factor = _factor(gram, prior, strength)
    coefficients = cho_solve(factor, moment)
    full = np.triu(gram) @ coefficients + np.triu(gram, 1).T @ coefficients
    left = max(0.0, square - 2 * moment @ coefficients + coefficients @ full)
    return Solution(coefficients, np.triu(factor[0]), left / max(count, 1), strength, held_out)


def _trace(prior):
    return prior.sum() if prior.ndim == 1 else np.trace(prior)


@dataclass(frozen=True)
class FrontPoint:
    """One compromise between labels.

    Attributes
    ----------
    weights : what the labels were divided by
    held_out : root mean square of held-out residuals: energy and stress per square root of atoms [kJ/mol], force
        [kJ/mol/nm]
    solution : coefficients and posterior
    """

    weights: Weights
    held_out: dict[str, float]
    solution: Solution


def pareto_front(
    equations: NormalEquations,
    prior: Float[np.ndarray, "..."],
    weights: Weights,
    ratios: Sequence[float] = tuple(10.0 ** np.linspace(-1.5, 1.5, 13)),
) -> list[FrontPoint]:
    """Held-out errors and solutions as the weight of energies goes from little to much, from the same sums.

    ``ratios`` multiply the energy error that one would be content with.
    """
    front = []
    for ratio in ratios:
        tilted = replace(weights, energy=weights.energy * ratio)
        solution = CrossValidated().solve(equations, prior, tilted)
        front.append(FrontPoint(tilted, solution.held_out, solution))
    return front
