"""Learners of potentials that are linear in their coefficients: ``E = sum_i c_z(i) . phi(f_i)``.

With ``phi`` the features themselves this is linear ACE, SNAP or a moment tensor potential; with ``phi`` the kernels
with some chosen environments it is a sparse Gaussian process (`sparse_kernel`). Both are one least-squares problem
(`problem`), and both know how unsure they are (`linear_term`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from thalweg.learned_potentials.frames.forgiving import Forgiving
from thalweg.learned_potentials.frames.typical_cutoff import with_neighbors
from thalweg.learned_potentials.linear.design import Part, feature_count
from thalweg.learned_potentials.linear.linear_term import PlainFeatures
from thalweg.learned_potentials.linear.problem import LinearProblem, PartLearner, linear_problem
from thalweg.learned_potentials.linear.regularization import CrossValidated, Regularization, Solution
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm, Imagined
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.representation import Representation
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import InCode

COST = 0.02
"""What labels left out may pay for imagined frames: errors larger by this part."""


class OnePass:
    """What learners of linear potentials share: one pass over the labels, then a solution of the sums.

    Subclasses are final dataclasses with a ``regularization``, a number of ``folds`` and perhaps a `Forgiving` and a
    number of ``force_sites``, above which forces of some frames only are used.
    """

    force_sites: int | None = None
    imagined: Imagined | None = None
    usual_trust: ClassVar[float] = 1000.0
    """Energy [kJ/mol] that an atom of an imagined frame may have: less costs molecules that are fitted closely. Where
    labels left out pay for this, too, it is ``looser`` times as much."""
    looser: ClassVar[tuple[float, ...]] = (10.0, 100.0)

    def vanishing(self, imagined: Imagined) -> OnePass:
        """The same, which learns next to no energy of the atoms of ``imagined`` frames."""
        trust = self.usual_trust if imagined.trust is None else imagined.trust
        return replace(self, imagined=replace(imagined, trust=trust))

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
        return linear_problem(self.addends, used, self.folds, seed, progress, divisors, self.imagined)

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `LinearTerm`; ``validation`` is not used, as folds of the training frames choose the regularization."""
        problem = self.problem(configurations, seed, progress)
        if progress is not None:
            progress(
                f"solving for {problem.equations.coefficients:,} coefficients, once for each strength tried",
                1.0,
            )
        problem, solution = self._solved(problem, weights)
        chosen = {"strength": float(solution.strength), "noise": float(solution.noise)}
        crossed = partial(problem.crossed, solution) if len(problem.equations.folds) > 1 else None
        return FittedTerm(
            problem.term(solution), FitInfo(chosen, solution.held_out, problem, crossed=crossed)
        )

    def _solved(self, problem: LinearProblem, weights: Weights) -> tuple[LinearProblem, Solution]:
        """The solution nearest to nothing in imagined frames that costs labels left out next to nothing."""
        looser = [problem]
        if problem.equations.imagined is not None and len(problem.equations.folds) > 1:
            looser += [problem.trusting_imagined(times) for times in self.looser]
        for each in looser[:-1]:
            solution = self.regularization.solve(each.equations, each.prior, weights)
            free = solution.held_out_of(looser[-1].equations)
            if all(rms <= (1 + COST) * free[label] for label, rms in solution.held_out.items()):
                return each, solution
        return looser[-1], self.regularization.solve(looser[-1].equations, problem.prior, weights)


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
        `frames.typical_cutoff`; None leaves that of the representation
    forgiving : how much less labels of frames with large forces count; None for all alike
    imagined : frames of which next to nothing is learned, see `FreeAtoms`

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
    imagined: InCode[Imagined | None] = None

    def part(self, configurations: Sequence[Configuration], seed: int = 0) -> Part:
        """The features of all elements that occur."""
        wide = with_neighbors(self.representation, configurations, self.neighbors)
        representation = over_elements(wide, configurations)
        return Part(
            representation, PlainFeatures(feature_count(representation), len(representation.elements))
        )

    def prior(self, part: Part, sizes: Float[np.ndarray, " coefficients"]) -> np.ndarray:
        """``Lambda``, diagonal: the mean squares ``sizes`` of the columns, and more for rough features."""
        levels = getattr(getattr(part.representation, "plan", None), "levels", None)
        rough = 1.0 if levels is None else (levels / levels.mean()) ** (2 * self.smoothness)
        return (sizes + 1e-12 * sizes.max()) * np.tile(rough * np.ones(part.basis.count), part.basis.elements)


@dataclass(frozen=True)
class Together(OnePass):
    """Several linear learners fitted at once, such as an expansion of high order and a kernel of sharp sight.

    Their priors are scaled alike: ``trace(Lambda) = trace(G)`` for each, before the common strength.

    Parameters
    ----------
    learners : what is fitted together
    regularization, folds, forgiving, imagined : as of `Linear`; those of the ``learners`` do not count
    force_sites : atoms whose forces are used at most, in random frames; all energies are. Derivatives are nearly all
        the work, and of many frames of one crystal the forces say much the same. None for all forces.
    """

    learners: tuple[PartLearner, ...]
    regularization: Regularization = CrossValidated()  # noqa: RUF009
    folds: int = 4
    forgiving: Forgiving | None = None
    force_sites: int | None = None
    imagined: InCode[Imagined | None] = None

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
    used, frames = 0, list(configurations)
    for k in np.random.default_rng(seed).permutation(len(frames)):
        frame = frames[k]
        if frame.forces is None or frame.energy is None:
            continue
        if used + len(frame) <= sites or not used:
            used += len(frame)
        else:
            frames[k] = replace(frame, forces=None, stress=None)
    return frames


def over_elements(representation: Representation, configurations: Sequence[Configuration]) -> Representation:
    """The representation for the elements of ``configurations``, unless it has its own."""
    if representation.elements is None:
        return representation.over(elements_of(configurations))
    return representation
