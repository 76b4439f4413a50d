"""A linear potential that learns a few frames more without going back to those it knows.

The sums ``G = X^T X`` and ``m = X^T y`` over rows of labels (`NormalEquations`) are all that its fit needs. Rows of new
frames are added to them, and the regularized problem is solved again, strength and noise chosen anew by the folds:

    G' = G + x^T x,     m' = m + x^T y,     (G' + strength Lambda) c = m'.

Isolated atoms, bonds, core repulsion and the scale of ``Lambda`` stay as the first fit left them; a whole fit now and
then renews these too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from thalweg.learned_potentials.linear.design import design_rows
from thalweg.learned_potentials.linear.learner import Linear, OnePass
from thalweg.learned_potentials.linear.normal_equations import NormalEquations
from thalweg.learned_potentials.linear.problem import LinearProblem
from thalweg.learned_potentials.recipe import Recipe, remainder
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class GrowingFit:
    """A linear potential and the sums that it was solved from.

    Attributes
    ----------
    recipe : how it is fitted
    known : references and terms that are not fitted again
    problem : sums of the rows so far, with their prior
    potential : what they make
    frames : how many the sums are of
    """

    recipe: Recipe
    known: LearnedPotential
    problem: LinearProblem
    potential: LearnedPotential
    frames: int

    @staticmethod
    def of(recipe: Recipe, frames: Sequence[Configuration], seed: int = 0) -> GrowingFit:
        """A whole fit to ``frames``, frames of which others may follow.

        Raises
        ------
        ValueError
            If the learner of the ``recipe`` is not one of the linear ones in their own functions (`Linear`), or frames
            are not sound.
        """
        learner = recipe.learner
        if not isinstance(learner, OnePass) or not all(isinstance(one, Linear) for one in learner.addends):
            raise ValueError(
                f"{type(learner).__name__} cannot take single frames more: points of kernels would move, networks be "
                "trained anew; use Linear"
            )
        fitted = recipe.fit_with_info(frames, seed=seed)
        problem = fitted.info.problem
        known = replace(fitted.term, terms=fitted.term.terms[:-1])
        return GrowingFit(recipe, known, problem, fitted.term, len(frames))

    def with_frames(self, frames: Sequence[Configuration]) -> GrowingFit:
        """The same with ``frames`` learned too, each in the next fold.

        Raises
        ------
        ValueError
            If a frame has other kinds of labels than those before, or an element that they have not.
        """
        rest = remainder(frames, self.known.evaluate(frames))
        folds = list(self.problem.equations.folds)
        for k, frame in enumerate(rest):
            own = NormalEquations.of(
                design_rows(self.problem.parts, [frame]), [frame], self.problem.equations.coefficients, 1
            ).folds[0]
            place = (self.frames + k) % len(folds)
            if set(own) != set(folds[place]):
                raise ValueError(
                    f"frame {k} has labels of {', '.join(own)}, those before of {', '.join(folds[place])}; give all "
                    "the same"
                )
            folds[place] = {label: folds[place][label] + own[label] for label in own}
        equations = replace(self.problem.equations, folds=tuple(folds), fold_of=None)
        problem = replace(self.problem, equations=equations)
        solution = self.recipe.learner.regularization.solve(equations, problem.prior, self.recipe.weights)
        term = problem.term(solution)
        potential = replace(self.potential, terms=(*self.known.terms, term))
        return GrowingFit(self.recipe, self.known, problem, potential, self.frames + len(frames))
