"""A linear potential that learns a few frames more without going back to those it knows.

The sums ``G = X^T X`` and ``m = X^T y`` over rows of labels (`NormalEquations`) are all that its fit needs. Rows of new
frames are added to them, and the regularized problem is solved again,

    G' = G + x^T x,     m' = m + x^T y,     (G' + strength Lambda) c = m'.

Strength and weights are chosen anew by the folds where frames have become a quarter more since they were, as that costs
a hundred times what one solution does.

Isolated atoms, bonds, core repulsion and the scale of ``Lambda`` stay as the first fit left them; a whole fit now and
then renews these too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.learned_potentials.linear.design import design_rows
from thalweg.learned_potentials.linear.learner import Linear, OnePass
from thalweg.learned_potentials.linear.normal_equations import NormalEquations
from thalweg.learned_potentials.linear.problem import LinearProblem
from thalweg.learned_potentials.linear.regularization import Solution
from thalweg.learned_potentials.recipe import Recipe, remainder
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.systems.configuration import Configuration

RENEWED = 1.25
"""So many times as many frames call for a new choice of strength and weights."""


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
    chosen : the last solution whose strength and weights were chosen for it; None before the first
    chosen_at : how many frames that had
    """

    recipe: Recipe
    known: LearnedPotential
    problem: LinearProblem
    potential: LearnedPotential
    frames: int
    chosen: Solution | None = None
    chosen_at: int = 0

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
        problem, count = replace(self.problem, equations=equations), self.frames + len(frames)
        solution = self._with_settings_kept(equations, count)
        kept = solution is not None
        if solution is None:
            solution = self.recipe.learner.regularization.solve(equations, problem.prior, self.recipe.weights)
        potential = replace(self.potential, terms=(*self.known.terms, problem.term(solution)))
        return GrowingFit(
            self.recipe,
            self.known,
            problem,
            potential,
            count,
            self.chosen if kept else solution,
            self.chosen_at if kept else count,
        )

    def _with_settings_kept(self, equations: NormalEquations, count: int) -> Solution | None:
        """The solution with strength and weights as they were; None where these are to be chosen."""
        if self.chosen is None or count >= RENEWED * self.chosen_at:
            return None
        try:
            return self.chosen.again(equations)
        except np.linalg.LinAlgError:  # by rounding; a larger strength will do
            return None
