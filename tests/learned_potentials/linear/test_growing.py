"""A linear potential that takes frames one at a time has the sums of one that was given all of them at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.linear.design import design_rows
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.linear.normal_equations import NormalEquations
from thalweg.learned_potentials.linear.sparse_kernel import SparseKernel
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.recipe import Recipe, remainder
from thalweg.learned_potentials.recipes.growing import GrowingFit
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.expansions.soap import SOAP
from thalweg.systems.configuration import Configuration

TRUTH = morse((1,), [400.0], [20.0], [0.074], cutoff=0.5)


@pytest.fixture(scope="module")
def frames():
    moved = 0.004 * np.random.default_rng(1).normal(size=(12, 3, 3))
    triangle = np.array([[0, 0, 0], [0.09, 0, 0], [0.03, 0.09, 0]])
    bare = [Configuration(np.array([1, 1, 1]), triangle + each) for each in moved]
    said = TRUTH.evaluate(bare)
    return [replace(f, energy=e, forces=g) for f, e, g in zip(bare, said.energies, said.forces)]


@pytest.mark.long
def test_sums_do_not_depend_on_whether_frames_come_together_or_one_by_one(frames):
    recipe = Recipe(Linear(ACE(cutoff=0.3, levels=(6, 5))))
    grown = GrowingFit.of(recipe, frames[:8]).with_frames(frames[8:9]).with_frames(frames[9:])
    rest = remainder(frames, grown.known.evaluate(frames))
    whole = NormalEquations.of(
        design_rows(grown.problem.parts, rest), rest, grown.problem.equations.coefficients, 1
    )
    labels_alone = replace(grown.problem.equations, imagined=None)
    for ours, theirs in zip(labels_alone.weighted(recipe.weights), whole.weighted(recipe.weights)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())
    # a frame that was learned is missed less than before
    before = GrowingFit.of(recipe, frames[:8]).potential.evaluate(frames[9:]).forces
    after = grown.potential.evaluate(frames[9:]).forces
    off = [sum(np.sum((f - frame.forces) ** 2) for f, frame in zip(x, frames[9:])) for x in (before, after)]
    assert off[1] < off[0]
    assert grown.frames == 12


@pytest.mark.long
def test_settings_are_chosen_anew_when_there_is_a_quarter_more_of_frames(frames):
    fit = GrowingFit.of(Recipe(Linear(ACE(cutoff=0.3, levels=(6, 5)))), frames[:7])
    chosen = []
    for frame in frames[7:]:
        fit = fit.with_frames([frame])
        chosen.append(fit.chosen_at)
    assert chosen == [8, 8, 10, 10, 10]
    equations, prior = fit.problem.equations, fit.problem.prior
    gram, moment, *_ = equations.weighted(fit.chosen.weights)
    whole = np.triu(gram) + np.triu(gram, 1).T + np.diag(fit.chosen.strength * prior)
    # the equations hold for the coefficients, which are not well known one by one
    found = whole @ np.asarray(fit.potential.terms[-1].coefficients)
    np.testing.assert_allclose(found, moment, rtol=1e-6, atol=1e-8 * np.abs(moment).max())


def test_kernels_whose_points_would_move_are_refused(frames):
    with pytest.raises(ValueError, match="use Linear"):
        GrowingFit.of(Recipe(SparseKernel(SOAP(cutoff=0.3, radial=3, degree=2), 5)), frames[:6])
