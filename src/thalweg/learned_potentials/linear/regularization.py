"""How strongly a linear fit is held back, and who decides.

With the prior ``c ~ N(0, (lambda Lambda)^-1)`` the coefficients solve

    (G + lambda Lambda) c = m.

`CrossValidated` takes the ``lambda`` that predicts held-out frames best, `Balanced` chooses the weight of energies with
it, `Evidence` takes the one that makes the labels most likely [mackay1992], `Ridge` the one it is told, and
`AutomaticRelevance` gives every coefficient its own, which switches off those that do not help [mackay1996]. Errors of
the forces of one frame are correlated, which the evidence does not know; cross-validation over frames is the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack

from thalweg.learned_potentials.linear.normal_equations import NormalEquations
from thalweg.learned_potentials.terms.term import Weights
from thalweg.shapes import Float

STRENGTHS = tuple(10.0 ** np.arange(-13, 1))
"""Values of ``lambda`` tried, relative to ``trace(G) / trace(Lambda)``."""

WORSE = 3
"""Stronger ones are not tried after so many in a row did worse."""


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
    prior, weights : ``Lambda`` and what labels were divided by
    """

    coefficients: np.ndarray
    factor: np.ndarray
    noise: float
    strength: float
    held_out: dict[str, float]
    prior: np.ndarray | None = None
    weights: Weights = Weights()  # noqa: RUF009

    def without(self, equations: NormalEquations, fold: int) -> Solution:
        """What the same settings make of all but one ``fold`` of the ``equations``."""
        sums = equations.weighted(self.weights, without=fold)
        return _solved(sums, self.weights, self.prior, self.strength)

    def again(self, equations: NormalEquations) -> Solution:
        """What the same settings make of ``equations`` that have grown.

        Raises
        ------
        numpy.linalg.LinAlgError
            If these are not positive definite with them.
        """
        sums = equations.weighted(self.weights)
        return _solved(sums, self.weights, self.prior, self.strength, self.held_out)

    def held_out_of(
        self, equations: NormalEquations, times: Sequence[float] = (1.0, 10.0)
    ) -> dict[str, float]:
        """The least held-out errors of other ``equations`` with its strength and multiples of that; see `held_out`.

        Where those are not positive definite, its own.
        """
        assert self.prior is not None
        strengths = [self.strength * each for each in times]
        try:
            errors = _held_out_errors(equations, self.prior, self.weights, strengths)
        except np.linalg.LinAlgError:
            return self.held_out
        return {label: min(each[label][0] for each in errors if each) for label in self.held_out}


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
        sums = equations.weighted(weights)
        return _solved(sums, weights, prior, self.strength * np.trace(sums[0]) / _trace(prior))


@dataclass(frozen=True)
class CrossValidated:
    """The strength with the least weighted squared error on frames left out of the sums, fold by fold."""

    strengths: Sequence[float] = STRENGTHS

    def solve(self, equations: NormalEquations, prior: np.ndarray, weights: Weights) -> Solution:
        if len(equations.folds) < 2:
            return Ridge().solve(equations, prior, weights)
        sums = equations.weighted(weights)
        scale = np.trace(sums[0]) / _trace(prior)
        errors = _held_out_errors(
            equations, prior, weights, [strength * scale for strength in self.strengths]
        )
        losses = [
            sum(rows * (rms / getattr(weights, label)) ** 2 for label, (rms, rows) in each.items())
            if each
            else np.inf
            for each in errors
        ]
        for best in (k for k in np.argsort(losses) if np.isfinite(losses[k])):
            held_out = {label: rms for label, (rms, _) in errors[best].items()}
            try:
                return _solved(sums, weights, prior, self.strengths[best] * scale, held_out)
            except np.linalg.LinAlgError:  # rounding may hit the whole and spare every fold
                continue
        raise np.linalg.LinAlgError(
            f"no strength up to {max(self.strengths):g} makes the equations positive definite; give larger ones"
        )


@dataclass(frozen=True)
class Balanced:
    """The strength and the weight of energies with the least product of held-out errors of energies and forces.

    In logarithms of the errors this is the point where the Pareto front has a slope of minus one: to make one error a
    per cent less would make the other more than a per cent more. It does not depend on units or on what one would be
    content with. Without both kinds of labels it is `CrossValidated`.

    Parameters
    ----------
    ratios : multiples of the error of energies that one would be content with
    strengths : see `STRENGTHS`
    """

    ratios: Sequence[float] = (0.1, 0.3, 1.0, 3.0)
    strengths: Sequence[float] = STRENGTHS

    def solve(self, equations: NormalEquations, prior: np.ndarray, weights: Weights) -> Solution:
        if not {"energy", "force"} <= set(equations.folds[0]):
            return CrossValidated(self.strengths).solve(equations, prior, weights)
        solutions = [
            CrossValidated(self.strengths).solve(
                equations, prior, replace(weights, energy=weights.energy * ratio)
            )
            for ratio in self.ratios
        ]
        return min(
            solutions,
            key=lambda solution: solution.held_out.get("energy", 1.0) * solution.held_out.get("force", 1.0),
        )


def _held_out_errors(
    equations: NormalEquations, prior: np.ndarray, weights: Weights, strengths: Sequence[float]
) -> list[dict[str, tuple[float, int]]]:
    """For each ``lambda`` and label, root mean square of residuals of frames left out, fold by fold, and their number.

    Empty where the equations are not positive definite, and beyond `WORSE` strengths in a row that did worse than a
    weaker one.

    Raises
    ------
    numpy.linalg.LinAlgError
        If they are so nowhere.
    """
    sums: list[dict[str, tuple[float, int]]] = [{} for _ in strengths]
    folds = range(len(equations.folds))
    without = [equations.weighted(weights, without=fold)[:2] for fold in folds]
    losses: list[float] = []
    for k in np.argsort(strengths):
        totals = dict.fromkeys(equations.folds[0], (0.0, 0))
        try:
            for fold, (gram, moment) in zip(folds, without):
                coefficients = cho_solve(_factor(gram, prior, strengths[k]), moment)
                for label, (square, rows) in equations.residuals(coefficients, fold).items():
                    totals[label] = (totals[label][0] + square, totals[label][1] + rows)
        except np.linalg.LinAlgError:
            continue
        sums[k] = totals
        losses.append(sum(square / getattr(weights, label) ** 2 for label, (square, _) in totals.items()))
        if len(losses) > WORSE and min(losses[-WORSE:]) > losses[-WORSE - 1]:
            break
    if not any(sums):
        raise np.linalg.LinAlgError(
            f"no strength up to {max(strengths):g} makes the equations positive definite; give larger ones"
        )
    return [
        {label: (float(np.sqrt(square / max(rows, 1))), rows) for label, (square, rows) in each.items()}
        for each in sums
    ]


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
        log_prior = np.log(prior).sum() if prior.ndim == 1 else np.linalg.slogdet(prior)[1]
        for k, strength in enumerate(self.strengths):
            try:
                factor = _factor(gram, prior, strength * scale)
            except np.linalg.LinAlgError:
                continue
            # s - m.c, log|G + lambda Lambda| = 2 sum log U_ii, log|lambda Lambda|
            misfit = max(square - moment @ cho_solve(factor, moment), 1e-300)
            log_posterior = 2 * np.log(np.diagonal(factor[0])).sum()
            likelihoods[k] = -0.5 * (
                count * np.log(misfit) + log_posterior - log_prior - len(moment) * np.log(strength * scale)
            )
        best = self.strengths[int(np.argmax(likelihoods))] * scale
        return _solved((gram, moment, square, count), weights, prior, best)


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
        strengths, solution = start.strength * prior, start
        for _ in range(self.rounds):
            solution = _solved((gram, moment, square, count), weights, strengths, 1.0)
            # strengths here are a_i times the noise: g_i = 1 - a_i S_ii says how well labels decide c_i, their sum
            # how many coefficients they decide, so that noise = |y - X c|^2 / (n - sum g)
            inverse = np.diagonal(lapack.dpotri(solution.factor)[0])
            decided = np.clip(1 - strengths * inverse, 1e-9, 1)
            noise = max(solution.noise * count / max(count - decided.sum(), 1.0), 1e-300)
            updated = noise * decided / np.maximum(solution.coefficients**2, 1e-300)
            updated = np.minimum(updated, self.ceiling * np.diagonal(gram).max())
            if np.abs(np.log(updated / strengths)).max() < 1e-2:
                break
            strengths = updated
        return solution


def _factor(gram, prior, strength):
    """Upper Cholesky factor of ``G + strength Lambda``, in the form of scipy's `cho_factor`."""
    matrix = np.array(gram, order="F")
    if prior.ndim == 1:
        matrix[np.diag_indices(len(prior))] += strength * prior
    else:
        matrix += strength * prior
    return cho_factor(matrix, lower=False, overwrite_a=True, check_finite=False)


def _solved(sums, weights, prior, strength, held_out=None):
    """The solution at one ``lambda``, its noise the mean squared residual, of ``sums`` `NormalEquations.weighted`."""
    gram, moment, square, count = sums
    factor = _factor(gram, prior, strength)
    coefficients = cho_solve(factor, moment)
    # |y - X c|^2 = s - 2 m.c + c.G c; of G there is only the upper triangle
    gram_coefficients = np.triu(gram) @ coefficients + np.triu(gram, 1).T @ coefficients
    misfit = max(0.0, square - 2 * moment @ coefficients + coefficients @ gram_coefficients)
    noise = misfit / max(count, 1)
    return Solution(coefficients, np.triu(factor[0]), noise, strength, held_out or {}, prior, weights)


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
    solution : coefficients and posterior, or the term where these are not of least squares
    """

    weights: Weights
    held_out: dict[str, float]
    solution: Any


RATIOS = tuple(10.0 ** np.linspace(-1.5, 1.5, 13))
"""Energies weigh from much to little, in multiples of the error that one would be content with."""

STRESS_RATIOS = (0.1, 1.0, 10.0)
"""The same of stresses, where there are any."""


def pareto_front(
    equations: NormalEquations,
    prior: Float[np.ndarray, "..."],
    weights: Weights,
    ratios: Sequence[float] = RATIOS,
    stress_ratios: Sequence[float] = STRESS_RATIOS,
) -> list[FrontPoint]:
    """Held-out errors and solutions that no other weights beat in every label, from the same sums.

    ``ratios`` multiply the energy error that one would be content with, ``stress_ratios`` that of stresses; each of the
    one is tried with each of the other. With stresses the front is one of a surface. Strengths are looked for beside
    the best ones of the weights before.
    """
    points, strengths = [], STRENGTHS
    for stress_ratio in stress_ratios if "stress" in equations.folds[0] else (1.0,):
        for ratio in ratios:
            tilted = replace(weights, energy=weights.energy * ratio, stress=weights.stress * stress_ratio)
            solution = CrossValidated(strengths).solve(equations, prior, tilted)
            points.append(FrontPoint(tilted, solution.held_out, solution))
            gram = equations.weighted(tilted)[0]
            best = np.abs(
                np.log(np.array(STRENGTHS) * np.trace(gram) / _trace(prior) / solution.strength)
            ).argmin()
            strengths = STRENGTHS[max(0, best - 1) : best + 2]
    return undominated(points)


def undominated(points: Sequence[FrontPoint]) -> list[FrontPoint]:
    """Those ``points`` that no other one beats in every label; all where there are no errors to compare."""
    if not points or not all(point.held_out for point in points):
        return list(points)
    errors = np.array([[point.held_out[label] for label in points[0].held_out] for point in points])
    at_least = (errors[:, None] >= errors[None]).all(2) & (errors[:, None] > errors[None]).any(2)
    return [point for point, beaten in zip(points, at_least.any(1)) if not beaten]
