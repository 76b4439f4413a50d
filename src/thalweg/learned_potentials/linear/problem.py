"""The least-squares problem of linear potentials: one pass over the labels, solved as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from thalweg.learned_potentials.linear.design import Part, Rows, design_rows
from thalweg.learned_potentials.linear.linear_term import KEPT, LinearTerm
from thalweg.learned_potentials.linear.normal_equations import NormalEquations, Sums
from thalweg.learned_potentials.linear.off_points import Sparse
from thalweg.learned_potentials.linear.regularization import (
    STRESS_RATIOS,
    FrontPoint,
    Solution,
    pareto_front,
)
from thalweg.learned_potentials.terms.learner import Crossed, Imagined
from thalweg.learned_potentials.terms.term import Weights
from thalweg.machine.surviving import surviving
from thalweg.representations.environments import element_kinds
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
        small = len(solution.coefficients) <= KEPT
        coefficients, factor = np.array(solution.coefficients), np.array(solution.factor)
        # back from u = R c: c = R^-1 u, and U R in place of U, as G + lambda Lambda = R^T U^T U R
        for columns, root in _columns(self.parts, self.coordinates):
            coefficients[columns] = solve_triangular(root, coefficients[columns])
            factor[:, columns] = factor[:, columns] @ root
        return LinearTerm(
            self.parts,
            coefficients,
            factor if small else None,
            float(solution.noise),
            priors=tuple(float(solution.noise / (solution.strength * scale)) for scale in self.scales),
        )

    def rows(self, configurations: Sequence[Configuration]) -> Iterator[Rows]:
        """Rows of ``configurations`` in the coordinates of the equations."""
        return _rows_of(self.parts, self.coordinates, configurations)

    def trusting_imagined(self, times: float) -> LinearProblem:
        """The same with so many times larger energies of atoms of imagined frames."""
        assert self.equations.imagined is not None
        return replace(self, equations=replace(self.equations, imagined=self.equations.imagined * times**-2))

    def crossed(self, solution: Solution) -> Crossed:
        """For each fold the potential that a ``solution``'s settings make of the others, and the frames left out.

        Without the folds of which the others do not make one: rounding may hit a part and spare the whole.
        """
        fold_of, folds = self.equations.fold_of, range(len(self.equations.folds))
        made = surviving(
            folds,
            lambda fold: self.term(solution.without(self.equations, fold)),
            "folds",
            fewest=0,
            told=False,
        )
        return tuple(
            (term, np.flatnonzero(fold_of == fold)) for fold, term in zip(made.members, made.results)
        )

    def front(
        self, weights: Weights = USUAL, stress_ratios: Sequence[float] = STRESS_RATIOS
    ) -> list[FrontPoint]:
        """The Pareto front of energies against forces, and stresses; each point's `term` is a potential."""
        return pareto_front(self.equations, self.prior, weights, stress_ratios=stress_ratios)


def linear_problem(
    learners: Sequence[PartLearner],
    configurations: Sequence[Configuration],
    folds: int,
    seed: int,
    progress: Callable[[str, float], None] | None,
    divisors: np.ndarray | None = None,
    imagined: Imagined | None = None,
) -> LinearProblem:
    """One pass over ``configurations`` for all ``learners`` together.

    ==============  ======================================================================
    ``R``           ``coordinates``, of each part whose basis is a kernel
    ``x R^-1``      ``rows``
    ``G, n``        ``gram`` (upper triangle), ``count``, with the usual weights
    ``diag G / n``  ``mean_squares`` of each part's columns
    ``Lambda``      ``priors``, of each part; ``prior`` of all, scaled alike by ``scales``
    ==============  ======================================================================
    """
    parts = tuple(learner.part(configurations, seed) for learner in learners)
    counts = [sum(part.basis.sizes) for part in parts]
    # K_MM = R^T R: in u = R c kernels are independent a priori
    coordinates = tuple(
        cholesky(part.basis.prior(), lower=False) if isinstance(part.basis, Sparse) else None
        for part in parts
    )
    rows = _rows_of(parts, coordinates, configurations)
    equations = NormalEquations.of(rows, configurations, sum(counts), folds, seed, progress, divisors)
    gram, _, _, count = equations.weighted(USUAL)
    if imagined is not None and imagined.frames:
        vanishing = _vanishing(parts, imagined, _columns(parts, coordinates))
        equations = replace(equations, imagined=vanishing)
    mean_squares = np.split(np.diagonal(gram) / count, np.cumsum(counts)[:-1])
    priors = [learner.prior(part, sizes) for learner, part, sizes in zip(learners, parts, mean_squares)]
    scales = (1.0,)
    if len(priors) > 1:
        # trace(Lambda) = trace(G) of each part in its own coordinates c, where Lambda of a kernel is R^T R
        scales = tuple(
            _trace(gram[own, own], root) / count / (prior.sum() if root is None else np.sum(root**2))
            for own, root, prior in zip(_ranges(parts), coordinates, priors)
        )
    prior = np.concatenate([prior * scale for prior, scale in zip(priors, scales)])
    return LinearProblem(parts, equations, prior, scales, coordinates)


def _vanishing(parts: Sequence[Part], imagined: Imagined, columns) -> Sums:
    """Sums over rows of single atoms whose energy is zero, give or take ``trust``."""
    sums = Sums(sum(sum(part.basis.sizes) for part in parts))
    described = [part.representation.features(imagined.frames) for part in parts]
    for frame, *features in zip(imagined.frames, *described):
        rows = _whitened(_atom_rows(parts, frame.numbers, features), columns)
        sums.add(rows / imagined.trust, np.zeros(len(rows)))
    sums.flush()
    return sums


def _atom_rows(
    parts: Sequence[Part], numbers: np.ndarray, features: Sequence[Float[np.ndarray, "atoms _"]]
) -> Float[np.ndarray, "atoms coefficients"]:
    """Functions of the atoms of a frame with these ``features`` in each part, in the columns of their elements."""
    columns = []
    for part, each in zip(parts, features):
        kinds = element_kinds(numbers, part.representation.elements)
        for kind, size in enumerate(part.basis.sizes):
            values, mine = np.zeros((len(numbers), size)), kinds == kind
            if mine.any():
                values[mine] = part.basis.values(kind, each[mine])
            columns.append(values)
    return np.concatenate(columns, 1)


def _whitened(x: np.ndarray, columns) -> np.ndarray:
    """``x R^-1`` in some columns."""
    result = np.array(x)
    for own, root in columns:
        result[:, own] = solve_triangular(root, x[:, own].T, trans="T", lower=False).T
    return result


def _rows_of(parts, coordinates, configurations):
    """Rows of frames in ``coordinates``, those without derivatives where a frame has only an energy."""
    energies_alone = [k for k, f in enumerate(configurations) if f.forces is None and f.stress is None]
    return _independent(design_rows(parts, configurations, energies_alone), _columns(parts, coordinates))


def _independent(
    rows: Iterator[Rows], columns: Sequence[tuple[slice, Float[np.ndarray, "functions functions"]]]
) -> Iterator[Rows]:
    """Rows in coordinates ``u = R c``: ``x R^-1`` in some columns.

    Sums of products of kernels are too large and too alike to be solved with a weak prior in finite precision; those of
    rows whitened beforehand are not.
    """
    for block in rows:
        whitened = partial(_whitened, columns=columns)
        strained = all(virial.shape[1] for virial in block.virials)
        yield (
            replace(
                block,
                energies=whitened(block.energies),
                forces=tuple(map(whitened, block.forces)),
                virials=tuple(map(whitened, block.virials)) if strained else block.virials,
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
    return [(own, root) for own, root in zip(_ranges(parts), coordinates) if root is not None]


def _trace(gram, root):
    """``trace(R^T G R)``, of ``G`` in coordinates ``c`` where its upper triangle is given in ``u = R c``."""
    if root is None:
        return float(np.trace(gram))
    whole = np.triu(gram) + np.triu(gram, 1).T
    return float(np.sum((whole @ root) * root))
