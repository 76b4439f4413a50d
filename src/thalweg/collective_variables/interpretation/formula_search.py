"""The search over formulas: from the simplest on, the best of each complexity are extended.

A formula grows by a term of one factor, by a term of two at once (whose parts may say nothing alone), or by a further
factor in one of its terms. Which candidates are worth a fit is told by `FormulaFit.left`; for every cost the best few
are fitted. At the end each formula is tried without each of its terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from thalweg.collective_variables.interpretation.formula import KINDS, Factor, Formula, Link
from thalweg.collective_variables.interpretation.formula_fit import Fitted, FormulaFit

SEARCHED = 1500
"""Frames at most that candidates are judged on."""

PER_COST = 2
"""Candidates of each cost that are fitted."""

ANGULAR = ("sine", "cosine", "sine of twice", "cosine of twice")


def kinds_of(frames: np.ndarray, periods: Sequence[float | None] | None) -> tuple[tuple[str, ...], ...]:
    """For each feature the functions that are safe on its values: no pole, root or logarithm out of range.

    Parameters
    ----------
    frames : (frames, features)
    periods : of the features, None where one is not periodic

    Raises
    ------
    ValueError
        If there is not one period per feature, or one is not that of an angle in radians.

    Examples
    --------
    >>> kinds_of(np.array([[-1.0], [1.0]]), None)[0]
    ('linear', 'square', 'cube', 'exponential', 'step', 'bump')
    """
    periods = [None] * frames.shape[1] if periods is None else list(periods)
    if len(periods) != frames.shape[1]:
        raise ValueError(f"got {len(periods)} periods for {frames.shape[1]} features; give one each, or None")
    if any(period is not None and abs(period - 2 * np.pi) > 1e-6 for period in periods):
        raise ValueError(
            f"periods {periods}: give angles in radians, of period 2 pi, and None for the others"
        )
    kinds: list[tuple[str, ...]] = []
    for column, period in zip(frames.T, periods):
        low, high = column.min(), column.max()
        if high - low <= 1e-9 * max(abs(low), abs(high), 1e-30):
            kinds.append(())
        elif period is not None:
            kinds.append(ANGULAR)
        else:
            apart = low > 0.05 * (high - low)
            positive = ("root", "logarithm") if apart else ()
            pole = ("inverse",) if apart or high < -0.05 * (high - low) else ()
            kinds.append(("linear", "square", "cube", *pole, *positive, "exponential", "step", "bump"))
    return tuple(kinds)


@dataclass(frozen=True, eq=False)
class Search:
    """A search for formulas.

    Parameters
    ----------
    fit : the problem
    kinds : for each feature the functions that may be used
    names : of the features
    complexity, width, factors : as for `SymbolicRegression`
    """

    fit: FormulaFit
    kinds: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    complexity: int
    width: int
    factors: int

    def front(self, links: Sequence[Link]) -> list[Fitted]:
        """The best formula of each complexity that improves on all simpler ones, fitted to all frames."""
        bins: dict[int, list[Fitted]] = {}
        for link in links:
            self._kept(bins, [self._sample.fitted(Formula(link, _inverse(link, self.fit), (), self.names))])
        # from the simplest on: what is extended lands in a bin that is yet to come
        for complexity in range(1, self.complexity + 1):
            for each in list(bins.get(complexity, ())):
                self._kept(bins, [self._sample.fitted(formula) for formula in self._extended(each.formula)])
        for complexity in sorted(bins, reverse=True):
            for each in list(bins[complexity]):
                self._kept(bins, [self._sample.fitted(formula) for formula in _shortened(each.formula)])
        front: list[Fitted] = []
        for complexity in sorted(bins):
            best = min((self.fit.fitted(each.formula) for each in bins[complexity]), key=_rank)
            # a formula with more symbols has to be better, not equal
            if not front or best.error < front[-1].error * (1 - 1e-6):
                front.append(best)
        return front

    @cached_property
    def _sample(self) -> FormulaFit:
        """The problem on fewer frames."""
        stride = -(-len(self.fit.values) // SEARCHED)
        return FormulaFit(
            *(array[::stride] for array in (self.fit.frames, self.fit.values, self.fit.weights))
        )

    @cached_property
    def _library(self) -> tuple[list[tuple[Factor, ...]], list[tuple[Factor, ...]], np.ndarray]:
        """Single factors, products of two without inner constants, and the values of all."""
        singles: list[tuple[Factor, ...]] = [
            (Factor(kind, k, constants),)
            for k, kinds in enumerate(self.kinds)
            for kind in kinds
            for constants in _grid(kind, self._sample.frames[:, k])
        ]
        plain = [factors for factors in singles if not factors[0].constants]
        pairs = [a + b for i, a in enumerate(plain) for b in plain[i + 1 :] if a[0].feature != b[0].feature]
        pairs = pairs if self.factors > 1 else []
        return singles, pairs, self._sample.columns([*singles, *pairs])[:, 1:]

    def _kept(self, bins: dict[int, list[Fitted]], found: Sequence[Fitted]) -> None:
        """Sort formulas into the bins of their complexities, the best ``width`` of different ones each."""
        for each in found:
            complexity = each.formula.complexity
            if complexity > self.complexity or not np.isfinite(each.error):
                continue
            # of formulas that differ in their constants alone the best one stays
            known = {_structure(other.formula): other for other in bins.get(complexity, ())}
            mine = _structure(each.formula)
            if mine not in known or each.error < known[mine].error:
                known[mine] = each
            bins[complexity] = sorted(known.values(), key=_rank)[: self.width]

    def _extended(self, formula: Formula) -> Iterator[Formula]:
        """Formulas with one term or factor more that promise most, for every cost."""
        singles, pairs, columns = self._library
        allowed = self.complexity - formula.complexity
        terms = [factors for _, factors in formula.terms]
        left = self._sample.left(formula, terms, columns)
        # a further term, single or of two factors, with the sum of squares it would leave
        candidates = [(1 + _cost(new), squares, new, None) for new, squares in zip([*singles, *pairs], left)]
        for k, factors in enumerate(terms):
            if len(factors) >= self.factors:
                continue
            # a further factor in the k-th term, whose present column leaves the basis
            own = self._sample.columns([factors])[:, 1:]
            rest = terms[:k] + terms[k + 1 :]
            left = self._sample.left(formula, rest, own * columns[:, : len(singles)])
            candidates += [
                (_cost(new), squares, new, k)
                for new, squares in zip(singles, left)
                if new[0].feature not in {factor.feature for factor in factors} or new[0].constants
            ]
        # of every cost the best few, no two that differ in their constants alone
        taken: dict[int, set] = {}
        for cost, _, new, place in sorted(candidates, key=lambda each: each[1]):
            known = taken.setdefault(cost, set())
            signature = (place, tuple(factor[:2] for factor in new))
            if cost > allowed or len(known) >= PER_COST or signature in known:
                continue
            known.add(signature)
            yield self._joined(formula, new, place)

    def _joined(self, formula: Formula, new: tuple[Factor, ...], place: int | None) -> Formula:
        """The formula with a new term, or new factors in one it has, with coefficients to start from."""
        terms = [factors for _, factors in formula.terms]
        if place is None:
            terms.append(new)
        else:
            terms[place] = terms[place] + new
        # coefficients of the linearized problem are close enough for the fit to start from
        response, slope = self._sample.working(formula)
        columns = slope[:, None] * self._sample.columns(terms)
        start = np.linalg.lstsq(columns, response, rcond=1e-10)[0]
        return replace(
            formula, constant=float(start[0]), terms=tuple(zip(map(float, start[1:]), map(tuple, terms)))
        )


def _rank(fitted: Fitted) -> tuple[float, int, str]:
    """By error to eight digits; of equal formulas fewer terms, then the alphabet, so that rounding decides nothing."""
    return float(f"{fitted.error:.8g}"), len(fitted.formula.terms), repr(_structure(fitted.formula))


def _cost(factors: tuple[Factor, ...]) -> int:
    """Symbols that factors add to a formula, each with its sign of multiplication."""
    return sum(KINDS[factor.kind].cost + 1 for factor in factors)


def _structure(formula: Formula) -> tuple:
    """What a formula is apart from its constants."""
    return formula.link, tuple(
        sorted(tuple(sorted(factor[:2] for factor in factors)) for _, factors in formula.terms)
    )


def _shortened(formula: Formula) -> Iterator[Formula]:
    """The formula without each of its terms, and without each factor of products."""
    for k, (coefficient, factors) in enumerate(formula.terms):
        rest = formula.terms[:k], formula.terms[k + 1 :]
        yield replace(formula, terms=rest[0] + rest[1])
        for j in range(len(factors) if len(factors) > 1 else 0):
            fewer = (coefficient, factors[:j] + factors[j + 1 :])
            yield replace(formula, terms=(*rest[0], fewer, *rest[1]))


def _grid(kind: str, column: np.ndarray) -> list[tuple[float, ...]]:
    """Constants inside a function that its fit is started from."""
    spread = column.std()
    if kind == "exponential":
        return [(a / spread,) for a in (-2.0, -0.7, 0.7, 2.0)]
    if kind in ("step", "bump"):
        places = np.quantile(column, [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
        widths = (1.5, 5.0) if kind == "step" else (0.7, 2.0)
        return [(a / spread, float(b)) for a in widths for b in places]
    return [()]


def _inverse(link: str, fit: FormulaFit) -> float:
    """The constant inside a link that gives the mean."""
    mean = float(fit.weights @ fit.values / fit.weights.sum())
    return mean if link == "identity" else 0.0
