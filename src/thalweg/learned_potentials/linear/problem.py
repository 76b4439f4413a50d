"""The least-squares problem of linear potentials: one pass over the labels, solved as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from thalweg.learned_potentials.linear.design import Part, Rows, design_rows
from thalweg.learned_potentials.linear.linear_term import KEPT, LinearTerm
from thalweg.learned_potentials.linear.normal_equations import NormalEquations
from thalweg.learned_potentials.linear.off_points import Sparse
from thalweg.learned_potentials.linear.regularization import (
    FrontPoint,
    Solution,
    pareto_front,
)
from thalweg.learned_potentials.terms.term import Weights
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration

USUAL = Weights()


@runtime_checkable
class PartLearner(Protocol):
    """A learner whose energies are linear in coefficients: `Linear`, `SparseKernel`."""

    def part(self, configurations: Sequence[Configuration], seed: int = 0) -> Part:
        """What coefficients multiply."""
        ...

    def prior(self, part: Part, sizes: Float[np.ndarray, " coefficients"]) -> np.ndarray:
        """Diagonal of ``Lambda`` of these coefficients, given mean squares of their columns.

        Coefficients of a `Sparse` basis are here those of independent combinations of its kernels.
        """
        ...


@dataclass(frozen=True)
class LinearProblem:
    """A least-squares problem in sums, its prior, and what its coefficients mean.

    Attributes
    ----------
    parts : what coefficients multiply
    equations : sums of rows, in coordinates in which functions of a part are independent a priori
    prior : ``Lambda`` in these coordinates, its diagonal or all of it
    scales : what each part's own ``Lambda`` was multiplied with
    coordinates : for each part the upper triangular ``R`` of the coordinates ``u = R c``; None where they are ``c``
    """

    parts: tuple[Part, ...]
    equations: NormalEquations
    prior: np.ndarray
    scales: tuple[float, ...]
    coordinates: tuple[np.ndarray | None, ...]

    def term(self, solution: Solution) -> LinearTerm:
        """The potential of a solution."""
        kept = len(solution.coefficients) <= KEPT
        coefficients, factor = np.array(solution.coefficients), np.array(solution.factor)
        for columns, turned in _columns(self.parts, self.coordinates):
            coefficients[columns] = solve_triangular(turned, coefficients[columns])
            factor[:, columns] = factor[:, columns] @ turned
        return LinearTerm(
            self.parts,
            coefficients,
            factor if kept else None,
            float(solution.noise),
            priors=tuple(float(solution.noise / (solution.strength * scale)) for scale in self.scales),
        )

    def front(self, weights: Weights = USUAL, stress_ratios: Sequence[float] = (1.0,)) -> list[FrontPoint]:
        """The whole Pareto front of energies against forces, and stresses; each point's `term` is a potential."""
        return pareto_front(self.equations, self.prior, weights, stress_ratios=stress_ratios)


def linear_problem(
    learners: Sequence[PartLearner],
    configurations: Sequence[Configuration],
    folds: int,
    seed: int,
    progress: Callable[[str, float], None] | None,
    divisors: np.ndarray | None = None,
) -> LinearProblem:
    """One pass over ``configurations`` for all ``learners`` together."""
    parts = tuple(learner.part(configurations, seed) for learner in learners)
    counts = [sum(part.basis.sizes) for part in parts]
    coordinates = tuple(
        cholesky(part.basis.prior(), lower=False) if isinstance(part.basis, Sparse) else None
        for part in parts
    )
    alone = [k for k, one in enumerate(configurations) if one.forces is None and one.stress is None]
    rows = _independent(design_rows(parts, configurations, alone), _columns(parts, coordinates))
    equations = NormalEquations.of(rows, configurations, sum(counts), folds, seed, progress, divisors)
    gram, _, _, count = equations.weighted(USUAL)
    columns = np.split(np.diagonal(gram) / count, np.cumsum(counts)[:-1])
    priors = [learner.prior(part, sizes) for learner, part, sizes in zip(learners, parts, columns)]
    scales = (1.0,)
    if len(priors) > 1:
        scales = tuple(
            _trace(gram[some, some], turned) / count / (prior.sum() if turned is None else np.sum(turned**2))
            for some, turned, prior in zip(_ranges(parts), coordinates, priors)
        )
    prior = np.concatenate([prior * scale for prior, scale in zip(priors, scales)])
    return LinearProblem(parts, equations, prior, scales, coordinates)


def _independent(
    rows: Iterator[Rows], columns: Sequence[tuple[slice, Float[np.ndarray, "functions functions"]]]
) -> Iterator[Rows]:
    """Rows in coordinates ``u = R c``: ``x R^-1`` in some columns.

    Sums of products of kernels are too large and too alike to be solved with a weak prior in finite precision; those of
    rows turned beforehand are not.
    """
    for block in rows:

        def turned(one):
            found = np.array(one)
            for some, factor in columns:
                found[:, some] = solve_triangular(factor, one[:, some].T, trans="T", lower=False).T
            return found

        strained = all(one.shape[1] for one in block.virials)
        yield (
            replace(
                block,
                energies=turned(block.energies),
                forces=tuple(map(turned, block.forces)),
                virials=tuple(map(turned, block.virials)) if strained else block.virials,
            )
            if columns
            else block
        )


def _ranges(parts):
    """Columns of each part."""
    ends = np.cumsum([0, *(sum(part.basis.sizes) for part in parts)])
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _columns(parts, coordinates):
    """Columns of those parts that have coordinates of their own, and these."""
    return [(some, turned) for some, turned in zip(_ranges(parts), coordinates) if turned is not None]


def _trace(gram, turned):
    """Trace of ``G``, whose upper triangle is given in coordinates ``u = R c``, in coordinates ``c``."""
    if turned is None:
        return float(np.trace(gram))
    whole = np.triu(gram) + np.triu(gram, 1).T
    return float(np.sum((whole @ turned) * turned))
