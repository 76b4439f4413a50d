"""Potentials that are linear in their coefficients: ``E = sum_i c_z(i) . phi(f_i)``.

With ``phi`` the features themselves this is linear ACE, SNAP or a moment tensor potential; with ``phi`` the kernels
with some chosen environments it is a sparse Gaussian process (`sparse_kernel`). Both are one least-squares problem, and
both know how unsure they are: with ``A = G + lambda Lambda`` a prediction ``x . c`` has the variance

    noise  x^T A^-1 x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.linalg import block_diag, solve_triangular

from thalweg.potentials.learned.design import Part, design_rows, feature_count
from thalweg.potentials.learned.extrapolation import ActiveSet
from thalweg.potentials.learned.local import LocalEnergy, SiteTerm
from thalweg.potentials.learned.normal_equations import NormalEquations
from thalweg.potentials.learned.regularization import (
    CrossValidated,
    FrontPoint,
    Regularization,
    Solution,
    pareto_front,
)
from thalweg.potentials.learned.term import Labels, NoUncertainty, Spread, Weights
from thalweg.representations.environments import Environments
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration, elements_of

USUAL = Weights()

KEPT = 4000
"""Up to this many coefficients the posterior is kept with the model."""


class Features(eqx.Module):
    """``phi(f) = f``: the features themselves."""

    count: int = eqx.field(static=True)
    elements: int = eqx.field(static=True)

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.count,) * self.elements

    def values(self, kind, features):
        return features

    def pushed(self, kind, features, owners, pulls):
        return pulls

    def energies(
        self,
        features: Float[Array, "features sites"],
        kinds: Int[Array, "sites"],
        coefficients: Float[Array, "coefficients"],
    ) -> Float[Array, "sites"]:
        """Energy of each site."""
        rows = jnp.asarray(coefficients, features.dtype).reshape(self.elements, self.count) @ features
        if self.elements == 1:
            return rows[0]
        return sum(jnp.where(kinds == kind, row, 0) for kind, row in enumerate(rows))


class LinearTerm(SiteTerm):
    """A fitted linear potential.

    Attributes
    ----------
    parts : representations and the functions of their features, see `design.SiteBasis`
    coefficients : (coefficients,) [kJ/mol per function], part after part, in each element after element
    factor : upper Cholesky factor of ``A``, or None where the posterior was not kept
    noise : variance of a label in units of its squared weight
    active : the sites that span the training set, or None before `with_active_set`
    """

    parts: tuple[Part, ...]
    coefficients: Float[Array, "coefficients"]
    factor: Float[Array, "coefficients coefficients"] | None
    noise: float
    active: ActiveSet | None = None

    @property
    def elements(self) -> tuple[int, ...]:
        return self.parts[0].representation.elements

    @property
    def cutoff(self) -> float:
        return max(part.representation.cutoff for part in self.parts)

    def site_energies(self, environments: Environments) -> Float[Array, "sites"]:
        ends = np.cumsum([sum(part.basis.sizes) for part in self.parts])
        energies = sum(
            part.basis.energies(part.representation(environments), environments.kinds, coefficients)
            for part, coefficients in zip(self.parts, jnp.split(jnp.asarray(self.coefficients), ends[:-1]))
        )
        return jnp.where(environments.kinds >= 0, energies, 0)

    def bind(self, numbers, box=None, periodic=None) -> LocalEnergy:
        return SiteTerm.bind(self._bare, numbers, box, periodic)

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        return SiteTerm.evaluate(self._bare, configurations)

    @property
    def _bare(self):
        """Without the posterior, whose numbers would make every fit a program of its own to compile."""
        return replace(self, factor=None, noise=1.0, active=None)

    def spread(self, configurations: Sequence[Configuration]) -> Spread:
        """Standard deviations of the posterior.

        Raises
        ------
        NoUncertainty
            If the posterior was not kept, because there are more than `KEPT` coefficients.
        """
        if self.factor is None:
            raise NoUncertainty(
                f"the posterior of these {len(self.coefficients)} coefficients was not kept (the limit is {KEPT}); "
                "fit fewer, or a committee"
            )
        energies, forces = np.zeros(len(configurations)), [np.zeros((0, 3))] * len(configurations)
        for block in self.rows(configurations):
            energies[block.frames] = self._deviations(block.energies)
            for k, rows in zip(block.frames, block.forces):
                forces[k] = self._deviations(rows).reshape(-1, 3)
        return Spread(energies, tuple(forces))

    def with_active_set(self, configurations: Sequence[Configuration]) -> LinearTerm:
        """The same with the active set of training ``configurations``, so that it knows when it extrapolates."""
        return replace(self, active=ActiveSet.of(self.parts, configurations))

    def grades(self, configurations: Sequence[Configuration]) -> tuple[np.ndarray, ...]:
        """D-optimality grade of every atom, ``(atoms,)`` per frame, see `extrapolation`.

        Raises
        ------
        NoUncertainty
            If there is no active set yet.
        """
        if self.active is None:
            raise NoUncertainty(
                "this potential has no active set to extrapolate from; make one by with_active_set(training)"
            )
        return self.active.grades(self.parts, configurations)

    def rows(self, configurations: Sequence[Configuration]):
        """Rows of the least-squares problem, see `design.design_rows`."""
        return design_rows(self.parts, configurations)

    def _deviations(self, rows):
        bent = solve_triangular(np.asarray(self.factor), rows.T, trans="T", lower=False)
        return np.sqrt(self.noise * (bent * bent).sum(0))


class OnePass:
    """What learners of linear potentials share: one pass over the labels, then a solution of the sums.

    Subclasses are final dataclasses with a ``regularization`` and a number of ``folds``.
    """

    @property
    def addends(self) -> tuple[PartLearner, ...]:
        """The learners whose coefficients are fitted together."""
        return (self,)

    def problem(
        self,
        configurations: Sequence[Configuration],
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> LinearProblem:
        """The whole least-squares problem, to be solved as often as one likes."""
        return linear_problem(self.addends, configurations, self.folds, seed, progress)

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = USUAL,
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> LinearTerm:
        """The term; ``validation`` is not used, as folds of the training frames choose the regularization."""
        problem = self.problem(configurations, seed, progress)
        return problem.term(self.regularization.solve(problem.equations, problem.prior, weights))


@dataclass(frozen=True)
class Linear(OnePass):
    """Linear regression on the features of a representation.

    Parameters
    ----------
    representation : what the sites are described by
    regularization : who decides how strongly coefficients are held back
    smoothness : features of level ``v`` (a representation with a ``plan`` has levels) are held back by
        ``(v / mean)^(2 smoothness)`` more than by their size alone
    folds : parts of the frames kept apart for cross-validation

    Examples
    --------
    >>> from thalweg.representations.ace import ACE
    >>> learner = Linear(ACE(cutoff=0.5, levels=(8, 6)))
    """

    representation: Representation
    regularization: Regularization = CrossValidated()  # noqa: RUF009
    smoothness: float = 1.0
    folds: int = 4

    def part(self, configurations: Sequence[Configuration], seed: int = 0) -> Part:
        """The features of all elements that occur."""
        representation = over_elements(self.representation, configurations)
        return Part(representation, Features(feature_count(representation), len(representation.elements)))

    def prior(self, part: Part, sizes: Float[np.ndarray, "coefficients"]) -> np.ndarray:
        """``Lambda``, diagonal: the mean squares ``sizes`` of the columns, and more for rough features."""
        levels = getattr(getattr(part.representation, "plan", None), "levels", None)
        rough = 1.0 if levels is None else (levels / levels.mean()) ** (2 * self.smoothness)
        return (sizes + 1e-12 * sizes.max()) * np.tile(rough * np.ones(part.basis.count), part.basis.elements)


@dataclass(frozen=True)
class LinearProblem:
    """A least-squares problem in sums, its prior, and what its coefficients mean.

    Attributes
    ----------
    parts : what coefficients multiply
    equations : sums of rows
    prior : ``Lambda``, its diagonal or all of it
    """

    parts: tuple[Part, ...]
    equations: NormalEquations
    prior: np.ndarray

    def term(self, solution: Solution) -> LinearTerm:
        """The potential of a solution."""
        kept = len(solution.coefficients) <= KEPT
        return LinearTerm(
            self.parts,
            solution.coefficients,
            solution.factor if kept else None,
            float(solution.noise),
        )

    def front(self, weights: Weights = USUAL) -> list[FrontPoint]:
        """The whole Pareto front of energies against forces; each point's `term` is a potential."""
        return pareto_front(self.equations, self.prior, weights)


@runtime_checkable
class PartLearner(Protocol):
    """A learner whose energies are linear in coefficients: `Linear`, `SparseKernel`."""

    def part(self, configurations: Sequence[Configuration], seed: int = 0) -> Part:
        """What coefficients multiply."""
        ...

    def prior(self, part: Part, sizes: Float[np.ndarray, "coefficients"]) -> np.ndarray:
        """``Lambda`` of these coefficients, its diagonal or all of it, given mean squares of their columns."""
        ...


@dataclass(frozen=True)
class Together(OnePass):
    """Several linear learners fitted at once, such as an expansion of high order and a kernel of sharp sight.

    Their priors are scaled alike: ``trace(Lambda) = trace(G)`` for each, before the common strength.
    """

    learners: tuple[PartLearner, ...]
    regularization: Regularization = CrossValidated()  # noqa: RUF009
    folds: int = 4

    @property
    def addends(self) -> tuple[PartLearner, ...]:
        return self.learners


def linear_problem(
    learners: Sequence[PartLearner],
    configurations: Sequence[Configuration],
    folds: int,
    seed: int,
    progress: Callable[[str, float], None] | None,
) -> LinearProblem:
    """One pass over ``configurations`` for all ``learners`` together."""
    parts = tuple(learner.part(configurations, seed) for learner in learners)
    counts = [sum(part.basis.sizes) for part in parts]
    rows = design_rows(parts, configurations)
    equations = NormalEquations.of(rows, configurations, sum(counts), folds, seed, progress)
    gram, _, _, count = equations.weighted(USUAL)
    columns = np.split(np.diagonal(gram) / count, np.cumsum(counts)[:-1])
    priors = [learner.prior(part, sizes) for learner, part, sizes in zip(learners, parts, columns)]
    if len(priors) == 1:
        return LinearProblem(parts, equations, priors[0])
    scaled = [prior * (sizes.sum() / _trace(prior)) for prior, sizes in zip(priors, columns)]
    if all(prior.ndim == 1 for prior in scaled):
        return LinearProblem(parts, equations, np.concatenate(scaled))
    blocks = [np.diag(prior) if prior.ndim == 1 else prior for prior in scaled]
    return LinearProblem(parts, equations, block_diag(*blocks))


def over_elements(representation: Representation, configurations: Sequence[Configuration]) -> Representation:
    """The representation for the elements of ``configurations``, unless it has its own."""
    if representation.elements is None:
        return representation.over(elements_of(configurations))
    return representation


def _trace(prior):
    return prior.sum() if prior.ndim == 1 else np.trace(prior)
