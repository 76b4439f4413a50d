"""What a fit tells of itself: nobody has to fit again to know what was chosen, left out, or how it went."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.gradient_domain.gradient_domain import GradientDomain
from thalweg.learned_potentials.gradient_domain.kernel_solvers import ConjugateGradients
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.linear.polynomials import PolynomialFit
from thalweg.learned_potentials.linear.regularization import CrossValidated
from thalweg.learned_potentials.networks.element_networks import Network
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learned_potentials.parametric.pair_terms import LennardJones, Morse, morse
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learner import FitInfo, Resumable
from thalweg.learned_potentials.terms.term import Weights
from thalweg.learned_potentials.uncertainty.committee import Committee
from thalweg.learning.trainer import Trainer, history_of
from thalweg.representations.expansions.ace import ACE
from thalweg.systems.configuration import Configuration

WATER = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
BONDS = morse((1, 8), [20.0, 450.0, 5.0], [20.0, 22.0, 20.0], [0.15, 0.096, 0.3], cutoff=0.5)
LINEAR = Linear(ACE(cutoff=0.3, levels=(4, 3)))
NETWORK = Network(ACE(cutoff=0.3, levels=(4,)), (3,), training=GradientTraining(Trainer(2)))


@pytest.fixture(scope="module")
def frames():
    random = np.random.default_rng(0)
    bare = [Configuration(np.array([8, 1, 1]), WATER + 0.004 * random.normal(size=(3, 3))) for _ in range(12)]
    labels = BONDS.evaluate(bare)
    return [
        replace(one, energy=float(energy), forces=forces)
        for one, energy, forces in zip(bare, labels.energies, labels.forces)
    ]


def test_a_linear_fit_tells_its_strength_errors_left_out_and_pareto_front(frames):
    _, info = LINEAR.fit(frames)
    problem = LINEAR.problem(frames)
    solution = CrossValidated().solve(problem.equations, problem.prior, Weights())
    assert info.chosen == {
        "strength": pytest.approx(solution.strength),
        "noise": pytest.approx(solution.noise),
    }
    assert info.held_out == pytest.approx(solution.held_out)
    points = info.problem.front(Weights())
    assert [one.held_out["energy"] for one in points] == pytest.approx(
        [one.held_out["energy"] for one in problem.front(Weights())]
    )
    assert "of frames left out: energies" in " ".join(info.in_words())
    assert "meV/Å" in " ".join(info.in_words())


def test_a_training_tells_its_course(frames):
    term, info = NETWORK.fit(frames, seed=3)
    (seed,) = info.histories
    assert (seed, len(info.histories[3].training)) == (3, 2)
    assert "Seed 3: 2 epochs" in info.in_words()[0]
    assert np.isfinite(term.evaluate(frames).energies).all()


def test_a_committee_tells_of_its_members_and_leaves_a_checkpoint_for_each(frames, tmp_path):
    lasting = Committee(NETWORK, 2).with_checkpoints(tmp_path)
    _, info = lasting.fit(frames, seed=1)
    assert sorted(info.histories) == [2, 3]
    for seed, history in info.histories.items():
        kept = history_of(tmp_path / f"checkpoint-{seed}.npz")
        np.testing.assert_array_equal(kept.training, history.training)
    assert [words.partition(".")[0] for words in info.in_words()] == ["Member 1", "Member 2"]
    assert repr(lasting) == repr(Committee(NETWORK, 2))  # where checkpoints are is no part of what is learned
    _, again = lasting.fit(frames, seed=1)
    np.testing.assert_array_equal(again.histories[3].seconds, info.histories[3].seconds)


def test_only_what_is_trained_is_resumed(tmp_path):
    assert isinstance(NETWORK, Resumable)
    assert not isinstance(LINEAR, Resumable)
    assert Committee(LINEAR, 2).with_checkpoints(tmp_path) == Committee(LINEAR, 2)


def test_a_kernel_tells_its_settings_and_whether_iteration_converged(frames):
    settings = {
        "reaches": (0.1,),
        "relatives": (1.0,),
        "widths": (1.0,),
        "noises": (1e-4, 1e-6),
        "mean": None,
    }
    _, exact = GradientDomain(**settings).fit(frames)
    assert (exact.chosen["reach"], exact.converged) == (0.1, True)
    assert exact.chosen["noise"] in settings["noises"]
    _, hurried = GradientDomain(**settings, solver=ConjugateGradients(2, 1e-8, iterations=2)).fit(frames)
    assert not hurried.converged
    assert "2 iterations left a residual" in " ".join(hurried.in_words())
    assert "did not converge" in " ".join(hurried.in_words())


def test_least_squares_of_few_parameters_tell_how_they_ended(frames):
    _, straight = LennardJones(0.5).fit(frames)
    _, descended = Morse(0.5, depths=(100.0,)).fit(frames)
    assert straight.converged
    assert "start 1 of 1" in descended.in_words()[-1]


def test_polynomials_tell_the_length_and_ridge_that_were_chosen(frames):
    _, info = PolynomialFit(2, (0.1, 0.2), (1e-6, 1e-8)).fit(frames)
    assert info.chosen["length"] in (0.1, 0.2)
    assert info.chosen["ridge"] in (1e-6, 1e-8)


def test_a_recipe_hands_on_what_its_learner_tells(frames):
    recipe = Recipe(LINEAR, core_repulsion=None)
    potential, info = recipe.fit_with_info(frames)
    assert info.problem is not None
    np.testing.assert_array_equal(
        potential.evaluate(frames).energies, recipe.fit(frames).evaluate(frames).energies
    )


def test_nothing_to_tell_is_nothing_said():
    assert FitInfo().in_words() == ()
