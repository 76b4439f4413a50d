"""Potentials that are linear in their coefficients: ``E = sum_i c_z(i) . phi(f_i)``.

With ``phi`` the features themselves this is linear ACE, SNAP or a moment tensor potential; with ``phi`` the kernels
with some chosen environments it is a sparse Gaussian process (`sparse_kernel`). Both are one least-squares problem, and
both know how unsure they are: with ``A = G + lambda Lambda`` a prediction ``x . c`` has the variance

    noise  x^T A^-1 x,

to which a sparse kernel adds what it cannot express (`off_points`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.linalg import cholesky, solve_triangular

from thalweg.learned_potentials.frames.forgiving import Forgiving
from thalweg.learned_potentials.frames.typical_cutoff import with_neighbors
from thalweg.learned_potentials.linear.design import Part, Rows, design_rows, feature_count
from thalweg.learned_potentials.linear.extrapolation import ActiveSet, required
from thalweg.learned_potentials.linear.normal_equations import NormalEquations
from thalweg.learned_potentials.linear.off_points import Sparse, off_points
from thalweg.learned_potentials.linear.regularization import (
    CrossValidated,
    FrontPoint,
    Regularization,
    Solution,
    pareto_front,
)
from thalweg.learned_potentials.terms.local import SiteTerm
from thalweg.learned_potentials.terms.term import Labels, NoUncertainty, Spread, Weights
from thalweg.potentials.energy import Energy, Sum
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
    priors : prior variance of each part in units of its own ``Lambda^-1``; empty where it is not known
    """

    parts: tuple[Part, ...]
    coefficients: Float[Array, "coefficients"]
    factor: Float[Array, "coefficients coefficients"] | None
    noise: float
    active: ActiveSet | None = None
    priors: tuple[float, ...] = ()

    @property
    def elements(self) -> tuple[int, ...]:
        return self.parts[0].representation.elements

    @property
    def cutoff(self) -> float:
        return max(part.representation.cutoff for part in self.parts)

    def site_energies(self, environments: Environments) -> Float[Array, "sites"]:
        energies = sum(
            part.basis.energies(part.representation(environments), environments.kinds, coefficients)
            for part, coefficients in zip(self.parts, self._shares(self.coefficients))
        )
        return jnp.where(environments.kinds >= 0, energies, 0)

    def bind(self, numbers, box=None, periodic=None) -> Energy:
        bound = tuple(SiteTerm.bind(part, numbers, box, periodic) for part in self._apart)
        return Sum(bound) if len(bound) > 1 else bound[0]

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        return reduce(add, (SiteTerm.evaluate(part, configurations) for part in self._apart))

    def _shares(self, coefficients):
        """Those of each part."""
        ends = np.cumsum([sum(part.basis.sizes) for part in self.parts])
        return [coefficients[start:stop] for start, stop in pairwise([0, *ends])]

    @property
    def _apart(self):
        """Each part alone, which looks no further than it sees.

        Without the posterior, whose numbers would make every fit a program of its own to compile.
        """
        return tuple(
            LinearTerm((part,), share, None, 1.0)
            for part, share in zip(self.parts, self._shares(self.coefficients))
        )

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
            energies[block.frames] = self._variances(block.energies)
            for k, rows in zip(block.frames, block.forces):
                forces[k] = self._variances(rows).reshape(-1, 3)
        for part, prior in zip(self.parts, self.priors):
            if isinstance(part.basis, Sparse):
                unknown = off_points(part, configurations)
                energies += prior * unknown[0]
                forces = [known + prior * more for known, more in zip(forces, unknown[1])]
        return Spread(np.sqrt(energies), tuple(np.sqrt(each) for each in forces))

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
        return required(self.active).grades(self.parts, configurations)

    def rows(self, configurations: Sequence[Configuration]):
        """Rows of the least-squares problem, see `design.design_rows`."""
        return design_rows(self.parts, configurations)

    def _variances(self, rows):
        bent = solve_triangular(np.asarray(self.factor), rows.T, trans="T", lower=False)
        return self.noise * (bent * bent).sum(0)


class OnePass:
    """What learners of linear potentials share: one pass over the labels, then a solution of the sums.

    Subclasses are final dataclasses with a ``regularization``, a number of ``folds`` and perhaps a `Forgiving` and a
    number of ``force_sites``, above which forces of some frames only are used.
    """

    force_sites: int | None = None

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
        divisors = None if self.forgiving is None else self.forgiving.divisors(configurations)
        used = forces_of_some(configurations, self.force_sites, seed)
        return linear_problem(self.addends, used, self.folds, seed, progress, divisors)

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
    neighbors : the cutoff is where atoms of the training frames have so many neighbors on average, see
        `typical_cutoff`; None leaves that of the representation
    forgiving : how much less labels of frames with large forces count; None for all alike

    Examples
    --------
    >>> from thalweg.representations.expansions.ace import ACE
    >>> learner = Linear(ACE(cutoff=0.5, levels=(8, 6)))
    """

    representation: Representation
    regularization: Regularization = CrossValidated()  # noqa: RUF009
    smoothness: float = 1.0
    folds: int = 4
    neighbors: int | None = None
    forgiving: Forgiving | None = None

    def part(self, configurations: Sequence[Configuration], seed: int = 0) -> Part:
        """The features of all elements that occur."""
        wide = with_neighbors(self.representation, configurations, self.neighbors)
        representation = over_elements(wide, configurations)
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


@runtime_checkable
class PartLearner(Protocol):
    """A learner whose energies are linear in coefficients: `Linear`, `SparseKernel`."""

    def part(self, configurations: Sequence[Configuration], seed: int = 0) -> Part:
        """What coefficients multiply."""
        ...

    def prior(self, part: Part, sizes: Float[np.ndarray, "coefficients"]) -> np.ndarray:
        """Diagonal of ``Lambda`` of these coefficients, given mean squares of their columns.

        Coefficients of a `Sparse` basis are here those of independent combinations of its kernels.
        """
        ...


@dataclass(frozen=True)
class Together(OnePass):
    """Several linear learners fitted at once, such as an expansion of high order and a kernel of sharp sight.

    Their priors are scaled alike: ``trace(Lambda) = trace(G)`` for each, before the common strength.

    Parameters
    ----------
    learners : what is fitted together
    regularization, folds, forgiving : as of `Linear`; those of the ``learners`` do not count
    force_sites : atoms whose forces are used at most, in random frames; all energies are. Derivatives are nearly all
        the work, and of many frames of one crystal the forces say much the same. None for all forces.
    """

    learners: tuple[PartLearner, ...]
    regularization: Regularization = CrossValidated()  # noqa: RUF009
    folds: int = 4
    forgiving: Forgiving | None = None
    force_sites: int | None = None

    @property
    def addends(self) -> tuple[PartLearner, ...]:
        return self.learners


def forces_of_some(
    configurations: Sequence[Configuration], sites: int | None, seed: int
) -> Sequence[Configuration]:
    """The frames, of which random ones keep their forces and stresses: of no more than ``sites`` atoms in all.

    Frames that have no energy keep theirs in any case.
    """
    if sites is None or sum(len(frame) for frame in configurations if frame.forces is not None) <= sites:
        return configurations
    used, found = 0, list(configurations)
    for k in np.random.default_rng(seed).permutation(len(found)):
        frame = found[k]
        if frame.forces is None or frame.energy is None:
            continue
        if used + len(frame) <= sites or not used:
            used += len(frame)
        else:
            found[k] = replace(frame, forces=None, stress=None)
    return found


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
    rows = independent(design_rows(parts, configurations, alone), _columns(parts, coordinates))
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


def independent(
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


def over_elements(representation: Representation, configurations: Sequence[Configuration]) -> Representation:
    """The representation for the elements of ``configurations``, unless it has its own."""
    if representation.elements is None:
        return representation.over(elements_of(configurations))
    return representation


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
