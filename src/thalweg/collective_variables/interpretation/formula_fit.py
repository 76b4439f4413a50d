r"""Constants of a formula by least squares, and the gain that a further term promises.

A term that is to join is judged in the linearized problem: with the working response :math:`z = r + g'\,\eta`, where
:math:`\eta` is the sum inside the link and :math:`r` the residual, and columns times :math:`g'`, the sum of squares
falls by :math:`(b_\perp \cdot z)^2 / |b_\perp|^2` when a column :math:`b` joins, of which :math:`b_\perp` is what the
other columns cannot say. Thousands of candidates cost one matrix product so. Those taken are then fitted truly, by the
method of Levenberg and Marquardt where constants do not enter linearly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import lstsq, qr
from scipy.optimize import least_squares

from thalweg.collective_variables.interpretation.formula import KINDS, LINKS, Factor, Formula, factor_values
from thalweg.shapes import Shaped

ROUNDING = 1e-24
"""Share of the variance below which a squared error is rounding: of values, twelve digits."""

STEPS = 40
"""Evaluations at most when constants of a formula are fitted."""


class Fitted(NamedTuple):
    """A formula and its mean squared error.

    Attributes
    ----------
    formula : with its constants
    error : mean squared
    """

    formula: Formula
    error: float


@dataclass(frozen=True, eq=False)
class FormulaFit:
    """The problem that formulas are fitted to.

    Parameters
    ----------
    frames : (frames, features)
    values : (frames,), wanted
    weights : (frames,), not negative
    """

    frames: Shaped[np.ndarray, "frames features"]
    values: Shaped[np.ndarray, " frames"]
    weights: Shaped[np.ndarray, " frames"]

    @cached_property
    def roots(self) -> np.ndarray:
        """Square roots of the shares of weight."""
        return np.sqrt(self.weights / self.weights.sum())

    def columns(self, terms: Sequence[tuple[Factor, ...]]) -> np.ndarray:
        """Values ``(frames, 1 + terms)`` of the constant and of products."""
        columns = [np.ones(len(self.frames))]
        for factors in terms:
            product = np.ones(len(self.frames))
            for factor in factors:
                product = product * factor_values(np, factor, self.frames)
            columns.append(product)
        return np.stack(columns, axis=1)

    def error(self, formula: Formula) -> float:
        """Mean squared error."""
        residual = self.roots * (self.values - formula(self.frames)[:, 0])
        return float(residual @ residual)

    def fitted(self, formula: Formula) -> Fitted:
        """The formula with the best constants near those it has; error infinite where that fails."""
        inner = [c for _, factors in formula.terms for factor in factors for c in factor.constants]
        start = np.array([formula.constant, *(c for c, _ in formula.terms), *inner])
        linear = 1 + len(formula.terms)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if formula.link == "identity":
                start[:linear] = self._solved(self.columns([factors for _, factors in formula.terms]))
            if inner or formula.link != "identity":
                start = self._descended(formula, start, linear)
            best = _with(formula, start)
            error = self.error(best) if np.isfinite(start).all() else np.inf
        return Fitted(best, self.told_apart(error) if np.isfinite(error) else np.inf)

    def told_apart(self, error: float) -> float:
        """A mean squared error as far as rounding lets it be told from zero."""
        return error if error > ROUNDING * self.variance else 0.0

    @cached_property
    def variance(self) -> float:
        """Of the values."""
        mean = float(self.roots**2 @ self.values)
        return float(self.roots**2 @ (self.values - mean) ** 2)

    def working(self, formula: Formula) -> tuple[np.ndarray, np.ndarray]:
        """Working response and weight ``g'`` of every frame, both times the root of its weight."""
        inside = replace(formula, link="identity")(self.frames)[:, 0]
        slope = _slope(formula.link, inside)
        residual = self.values - LINKS[formula.link].values(np, inside)
        return self.roots * (residual + slope * inside), self.roots * slope

    def left(
        self, formula: Formula, kept: Sequence[tuple[Factor, ...]], candidates: np.ndarray
    ) -> np.ndarray:
        """Sum of squares ``(candidates,)`` that would be left with ``kept`` terms and one of ``candidates``."""
        response, slope = self.working(formula)
        # b_perp of every candidate: what the columns of the formula cannot say, times g'
        basis = qr(slope[:, None] * self.columns(kept), mode="economic")[0]
        rest = response - basis @ (basis.T @ response)
        joined = slope[:, None] * candidates
        before = (joined * joined).sum(axis=0)
        joined -= basis @ (basis.T @ joined)
        squares = (joined * joined).sum(axis=0)
        # a candidate within the span of the others would divide by rounding
        new = squares > 1e-8 * np.maximum(before, 1e-300)
        return rest @ rest - np.where(new, (rest @ joined) ** 2 / np.where(new, squares, 1.0), 0.0)

    def _solved(self, columns: np.ndarray) -> np.ndarray:
        if not np.isfinite(columns).all():
            return np.full(columns.shape[1], np.nan)
        scale = np.maximum(np.abs(columns).max(axis=0), 1e-300)
        return lstsq(self.roots[:, None] * columns / scale, self.roots * self.values, cond=1e-12)[0] / scale

    def _descended(self, formula: Formula, start: np.ndarray, linear: int) -> np.ndarray:
        """Constants after Levenberg-Marquardt steps."""
        if not np.isfinite(start).all() or len(start) > len(self.values):
            return np.full(len(start), np.nan)
        columns, link = self._moving(formula), LINKS[formula.link].values

        def residual(parameters: np.ndarray) -> np.ndarray:
            inside = columns(parameters[linear:]) @ parameters[:linear]
            return np.nan_to_num(self.roots * (link(np, inside) - self.values), nan=1e10)

        def jacobian(parameters: np.ndarray) -> np.ndarray:
            coefficients, inner = parameters[:linear], parameters[linear:]
            here = columns(inner)
            inside = here @ coefficients
            # d eta / d coefficients are the columns; inner constants by differences of one step forward
            derivatives = [here]
            for k, value in enumerate(inner):
                step = np.zeros(len(inner))
                step[k] = 1e-6 * max(abs(value), 1e-3)
                derivatives.append(((columns(inner + step) @ coefficients - inside) / step[k])[:, None])
            slope = self.roots * _slope(formula.link, inside)
            return np.nan_to_num(slope[:, None] * np.concatenate(derivatives, axis=1))

        if not np.isfinite(residual(start)).all():
            return np.full(len(start), np.nan)
        return least_squares(residual, start, jacobian, method="lm", x_scale="jac", max_nfev=STEPS).x

    def _moving(self, formula: Formula) -> Callable[[np.ndarray], np.ndarray]:
        """Values of the constant and of all products as a function of the constants inside."""
        factors = [each for _, each in formula.terms]
        # factors without constants are evaluated once, the others are multiplied in at every step
        fixed = self.columns([tuple(factor for factor in each if not factor.constants) for each in factors])
        moving, at = [], 0
        for k, each in enumerate(factors):
            for factor in each:
                if factor.constants:
                    own = slice(at, at + len(factor.constants))
                    moving.append((k + 1, KINDS[factor.kind].values, self.frames[:, factor.feature], own))
                    at = own.stop

        def columns(inner: np.ndarray) -> np.ndarray:
            product = fixed.copy()
            for k, values, x, own in moving:
                product[:, k] *= values(np, x, *inner[own])
            return product

        return columns


def _with(formula: Formula, parameters: np.ndarray) -> Formula:
    """The formula with other constants: c_0, the coefficients, then those inside."""
    values = [float(value) for value in parameters]
    inner, terms = iter(values[1 + len(formula.terms) :]), []
    for coefficient, (_, factors) in zip(values[1:], formula.terms):
        new = tuple(
            factor._replace(constants=tuple(next(inner) for _ in factor.constants)) for factor in factors
        )
        terms.append((coefficient, new))
    return replace(formula, constant=values[0], terms=tuple(terms))


def _slope(link: str, inside: np.ndarray) -> np.ndarray:
    """Derivative of the link."""
    if link == "identity":
        return np.ones_like(inside)
    if link == "probit":
        return np.exp(-np.minimum(inside * inside, 700.0)) / np.sqrt(np.pi)
    value = LINKS[link].values(np, inside)
    return value * (1 - value)
