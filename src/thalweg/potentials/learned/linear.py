"""Potentials that are linear in their coefficients: ``E = sum_i c_z(i) . phi(f_i)``.

With ``phi`` the features themselves this is linear ACE, SNAP or a moment tensor potential; with ``phi`` the kernels
with some chosen environments it is a sparse Gaussian process (`sparse_kernel`). Both are one least-squares problem, and
both know how unsure they are: with ``A = G + lambda Lambda`` a prediction ``x . c`` has the variance

    noise  x^T A^-1 x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_triangular

from thalweg.potentials.learned.design import SiteBasis, design_rows, feature_count
from thalweg.potentials.learned.local import LocalEnergy, SiteTerm
from thalweg.potentials.learned.normal_equations import NormalEquations
from thalweg.potentials.learned.regularization import (
    CrossValidated,
    FrontPoint,
    Regularization,
    Solution,
    pareto_front,
)
from thalweg.potentials.learned.term import NoUncertainty, Spread, Weights
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
    representation : features of sites
    basis : functions of the features, see `design.SiteBasis`
    coefficients : (coefficients,) [kJ/mol per function], element after element
    factor : upper Cholesky factor of ``A``, or None where the posterior was not kept
    noise : variance of a label in units of its squared weight
    """

    representation: Representation
    basis: eqx.Module
    coefficients: Float[Array, "coefficients"]
    factor: Float[Array, "coefficients coefficients"] | None
    noise: float

    @property
    def elements(self) -> tuple[int, ...]:
        return self.representation.elements

    @property
    def cutoff(self) -> float:
        return self.representation.cutoff

    def site_energies(self, environments: Environments) -> Float[Array, "sites"]:
        features = self.representation(environments)
        energies = self.basis.energies(features, environments.kinds, self.coefficients)
        return jnp.where(environments.kinds >= 0, energies, 0)

    def bind(self, numbers, box=None, periodic=None) -> LocalEnergy:
        return SiteTerm.bind(replace(self, factor=None), numbers, box, periodic)

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

    def rows(self, configurations: Sequence[Configuration]):
        """Rows of the least-squares problem, see `design.design_rows`."""
        return design_rows(self.representation, self.basis, configurations)

    def _deviations(self, rows):
        bent = solve_triangular(np.asarray(self.factor), rows.T, trans="T", lower=False)
        return np.sqrt(self.noise * (bent * bent).sum(0))


@dataclass(frozen=True)
class Linear:
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

    def problem(
        self,
        configurations: Sequence[Configuration],
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> LinearProblem:
        """The whole least-squares problem, to be solved as often as one likes."""
        representation = self.representation
        if representation.elements is None:
            representation = representation.over(elements_of(configurations))
        basis = Features(feature_count(representation), len(representation.elements))
        equations = normal_equations(representation, basis, configurations, self.folds, seed, progress)
        gram, _, _, count = equations.weighted(Weights())
        sizes = np.diagonal(gram) / count
        levels = getattr(getattr(representation, "plan", None), "levels", None)
        rough = (
            1.0
            if levels is None
            else np.tile((levels / levels.mean()) ** (2 * self.smoothness), basis.elements)
        )
        prior = (sizes + 1e-12 * sizes.max()) * rough
        return LinearProblem(representation, basis, equations, prior)

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
class LinearProblem:
    """A least-squares problem in sums, its prior, and what its coefficients mean.

    Attributes
    ----------
    representation, basis : what coefficients multiply
    equations : sums of rows
    prior : ``Lambda``, its diagonal or all of it
    """

    representation: Representation
    basis: eqx.Module
    equations: NormalEquations
    prior: np.ndarray

    def term(self, solution: Solution) -> LinearTerm:
        """The potential of a solution."""
        kept = len(solution.coefficients) <= KEPT
        return LinearTerm(
            self.representation,
            self.basis,
            solution.coefficients,
            solution.factor if kept else None,
            float(solution.noise),
        )

    def front(self, weights: Weights = USUAL) -> list[FrontPoint]:
        """The whole Pareto front of energies against forces; each point's `term` is a potential."""
        return pareto_front(self.equations, self.prior, weights)


def normal_equations(
    representation: Representation,
    basis: SiteBasis,
    configurations: Sequence[Configuration],
    folds: int,
    seed: int,
    progress: Callable[[str, float], None] | None,
) -> NormalEquations:
    """Sums of all rows of ``configurations``."""
    rows = design_rows(representation, basis, configurations)
    return NormalEquations.of(rows, configurations, sum(basis.sizes), folds, seed, progress)
