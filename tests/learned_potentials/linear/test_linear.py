"""Linear and sparse-kernel potentials: one pass over the labels, solved many times."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from thalweg.learned_potentials.linear.design import VOIGT, design_rows
from thalweg.learned_potentials.linear.kernels import DotProduct, GaussianKernel
from thalweg.learned_potentials.linear.learner import Linear, Together, forces_of_some
from thalweg.learned_potentials.linear.linear_term import PlainFeatures
from thalweg.learned_potentials.linear.normal_equations import NormalEquations
from thalweg.learned_potentials.linear.regularization import (
    AutomaticRelevance,
    Balanced,
    CrossValidated,
    Evidence,
    Ridge,
)
from thalweg.learned_potentials.linear.sparse_kernel import SELECTIONS, SparseKernel
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.term import Weights
from thalweg.machine import memory
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.expansions.soap import SOAP
from thalweg.systems.configuration import Configuration

ACE_SMALL = ACE(cutoff=0.4, levels=(8, 7), degrees=(0, 3), elements=(14,))
SOAP_SMALL = SOAP(cutoff=0.4, radial=4, degree=2, smearing=0.08, elements=(14,))


def silicon(count, seed=0, amplitude=0.015):
    """Rattled diamond cells labeled by the Stillinger-Weber potential, with stress."""
    generator = np.random.default_rng(seed)
    fractions = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])
    sites = np.concatenate([fractions, fractions + 1]) / 4
    frames = []
    for _ in range(count):
        box = 0.5431 * (np.eye(3) + generator.normal(0, 0.02, (3, 3)))
        points = sites @ box + generator.normal(0, amplitude, (8, 3))
        frames.append(Configuration(np.full(8, 14), points, box, (True,) * 3))
    labels = stillinger_weber_silicon().evaluate(frames)
    return [
        replace(frame, energy=float(e), forces=f, stress=s)
        for frame, e, f, s in zip(frames, labels.energies, labels.forces, labels.stresses)
    ]


@cache
def crystals():
    """Labeled when first asked for: tests that are only collected need no labels."""
    return silicon(24)


@cache
def held_out():
    return silicon(6, seed=1)


def force_error(term):
    forces = term.evaluate(held_out()).forces
    return np.sqrt(np.mean([(ours - frame.forces) ** 2 for ours, frame in zip(forces, held_out())]))


@pytest.fixture(scope="module")
def problem():
    return Linear(ACE_SMALL).problem(crystals())


def test_rows_times_coefficients_are_the_labels_of_the_term(problem):
    term = problem.term(CrossValidated().solve(problem.equations, problem.prior, Weights()))
    labels = term.evaluate(crystals()[:5])
    for block in design_rows(term.parts, crystals()[:5]):
        for k, energy, force, virial in zip(block.frames, block.energies, block.forces, block.virials):
            assert energy @ term.coefficients == pytest.approx(labels.energies[k], abs=1e-6)
            np.testing.assert_allclose(force @ term.coefficients, labels.forces[k].ravel(), atol=1e-5)
            stress = np.array([labels.stresses[k][a, b] for a, b in VOIGT]) * crystals()[k].volume
            np.testing.assert_allclose(virial @ term.coefficients, stress, atol=1e-5)


def test_normal_equations_give_the_least_squares_solution_of_all_rows(problem):
    rows, labels = [], []
    blocks = list(design_rows(problem.parts, crystals()))
    for block in blocks:
        for k, energy, force, virial in zip(block.frames, block.energies, block.forces, block.virials):
            stress = np.array([crystals()[k].stress[a][b] for a, b in VOIGT]) * crystals()[k].volume
            rows += [energy[None] / 0.1 / 8**0.5, force / 10, virial / 8**0.5]
            energy, forces = crystals()[k].energy, crystals()[k].forces
            labels += [[energy / 0.1 / 8**0.5], forces.ravel() / 10, stress / 8**0.5]
    rows, labels = np.concatenate(rows), np.concatenate(labels)
    strength = 1e-6 * (rows**2).sum() / problem.prior.sum()
    augmented = np.concatenate([rows, np.diag(np.sqrt(strength * problem.prior))])
    direct = np.linalg.lstsq(augmented, np.concatenate([labels, np.zeros(len(problem.prior))]))[0]
    solved = Ridge(1e-6).solve(problem.equations, problem.prior, Weights()).coefficients
    np.testing.assert_allclose(rows @ solved, rows @ direct, atol=1e-4 * np.abs(labels).max())


def test_held_out_error_from_the_sums_is_that_of_a_refit(problem):
    found = CrossValidated((1e-5,)).solve(problem.equations, problem.prior, Weights())
    folds = np.random.default_rng(0).permutation(len(crystals())) % 4
    squares, crossed = [], problem.crossed(found)
    for fold in range(4):
        kept = [frame for frame, f in zip(crystals(), folds) if f != fold]
        left = [frame for frame, f in zip(crystals(), folds) if f == fold]
        rows = design_rows(problem.parts, kept)
        equations = NormalEquations.of(rows, kept, len(problem.prior), 1)
        term = problem.term(
            Ridge(found.strength / _scale(equations, problem)).solve(equations, problem.prior, Weights())
        )
        labels = term.evaluate(left)
        squares += [((a - b.forces) ** 2).mean() for a, b in zip(labels.forces, left)]
        # the sums make the same of all but a fold, and know which frames that were
        without, out = crossed[fold]
        np.testing.assert_array_equal(out, np.flatnonzero(folds == fold))
        np.testing.assert_allclose(without.coefficients, term.coefficients, rtol=1e-4, atol=1e-6)
        assert without.noise == pytest.approx(term.noise, rel=1e-3)
    assert found.held_out["force"] == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-4)


def _scale(equations, problem):
    return np.trace(equations.weighted(Weights())[0]) / problem.prior.sum()


def test_rows_of_energies_alone_are_those_beside_derivatives(problem):
    together = Together((Linear(ACE_SMALL), SparseKernel(SOAP_SMALL, 10))).problem(crystals()[:6])
    whole = np.zeros((6, len(together.prior)))
    for block in design_rows(together.parts, crystals()[:6]):
        whole[block.frames] = block.energies
    seen = {}
    for block in design_rows(together.parts, crystals()[:6], energies_alone=[1, 4]):
        seen |= {k: (row, len(force)) for k, row, force in zip(block.frames, block.energies, block.forces)}
    assert {k: forces for k, (_, forces) in seen.items()} == {0: 24, 1: 0, 2: 24, 3: 24, 4: 0, 5: 24}
    np.testing.assert_allclose(np.array([seen[k][0] for k in range(6)]), whole, rtol=1e-8, atol=1e-10)


def test_forces_of_some_frames_only_are_used_where_all_are_too_many():
    kept = forces_of_some(crystals(), 50, seed=0)
    assert sum(len(frame) for frame in kept if frame.forces is not None) == 48
    assert all(frame.energy is not None for frame in kept)
    assert forces_of_some(crystals(), 8 * len(crystals()), seed=0) is crystals()
    few = Together((Linear(ACE_SMALL),), force_sites=50).problem(crystals()).equations
    counts = few.residuals(np.zeros(few.coefficients))
    assert (counts["energy"][1], counts["force"][1]) == (24, 3 * 48)


def test_squares_of_forgiven_frames_count_less(problem):
    rows = list(design_rows(problem.parts, crystals()[:4]))
    plain, halved = (
        NormalEquations.of(rows, crystals()[:4], len(problem.prior), 1, divisors=divisors)
        for divisors in (None, np.full(4, 2.0))
    )
    nothing = np.zeros(len(problem.prior))
    for label, (squares, count) in plain.residuals(nothing).items():
        assert halved.residuals(nothing)[label] == pytest.approx((squares / 4, count))


@pytest.mark.parametrize("rule", [CrossValidated(), Evidence(), AutomaticRelevance()])
def test_each_rule_of_regularization_learns_silicon(problem, rule):
    term = problem.term(rule.solve(problem.equations, problem.prior, Weights()))
    assert force_error(term) < 0.15 * np.sqrt(np.mean([frame.forces**2 for frame in held_out()]))


def test_automatic_relevance_switches_off_what_is_noise():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(400, 12))
    labels = rows[:, 0] - 2 * rows[:, 3] + 0.1 * generator.normal(size=400)
    equations = NormalEquations.of([], [held_out()[0]], 12, 1)
    equations.folds[0]["force"].add(rows, labels)
    equations.folds[0]["force"].flush()
    found = AutomaticRelevance().solve(equations, np.ones(12), Weights(force=1.0))
    relevant = np.abs(found.coefficients) > 0.02
    assert set(np.flatnonzero(relevant)) == {0, 3}
    assert found.noise == pytest.approx(0.01, rel=0.2)


def test_posterior_spread_covers_errors_of_a_model_that_is_right(problem):
    truth = problem.term(Ridge(1e-4).solve(problem.equations, problem.prior, Weights()))
    generator = np.random.default_rng(3)
    noisy = []
    for frame, forces in zip(crystals(), truth.evaluate(crystals()).forces):
        noisy.append(
            replace(frame, energy=None, stress=None, forces=forces + generator.normal(0, 20, forces.shape))
        )
    fitted = Linear(ACE_SMALL, regularization=Ridge(1e-9)).fit(noisy).term
    spread = np.concatenate(fitted.spread(held_out()).forces).ravel()
    wrong = np.subtract(*(np.concatenate(term.evaluate(held_out()).forces) for term in (fitted, truth)))
    assert np.sqrt(np.mean((wrong.ravel() / spread) ** 2)) == pytest.approx(1.0, abs=0.25)


def test_the_front_trades_energies_for_forces(problem):
    points = problem.front(stress_ratios=(1.0,))
    energies, forces = (min(points, key=lambda point: point.held_out[label]) for label in ("energy", "force"))
    assert energies.weights.energy < forces.weights.energy
    assert energies.held_out["energy"] < forces.held_out["energy"]
    assert energies.held_out["force"] > forces.held_out["force"]


def test_on_the_front_of_energies_forces_and_stresses_no_point_beats_another(problem):
    points = problem.front(stress_ratios=(0.1, 10.0))
    errors = np.array(
        [[point.held_out[label] for label in ("energy", "force", "stress")] for point in points]
    )
    assert {point.weights.stress for point in points} == {0.1, 10.0}
    for one in errors:
        assert not ((errors <= one).all(1) & (errors < one).any(1)).any()


def test_a_front_has_stresses_wherever_there_are_some(problem):
    assert len({point.weights.stress for point in problem.front()}) > 1
    assert all("stress" in point.held_out for point in problem.front())


def test_balanced_weights_make_the_product_of_held_out_errors_least(problem):
    def product(point):
        return point.held_out["energy"] * point.held_out["force"]

    ratios = (0.1, 1.0, 10.0)
    found = Balanced(ratios).solve(problem.equations, problem.prior, Weights())
    tried = [
        CrossValidated().solve(problem.equations, problem.prior, Weights(energy=0.1 * ratio))
        for ratio in ratios
    ]
    assert product(found) == pytest.approx(min(map(product, tried)))


def test_a_weak_prior_on_many_like_kernels_is_still_solved():
    learner = SparseKernel(SOAP_SMALL, points=60, kernel=GaussianKernel(3.0))
    problem = learner.problem(crystals())
    whole = problem.equations.weighted(Weights())[0]
    assert np.linalg.cond(np.triu(whole) + np.triu(whole, 1).T) < 1e12
    strong, weak = (
        problem.term(Ridge(strength).solve(problem.equations, problem.prior, Weights()))
        for strength in (1e-3, 1e-9)
    )
    assert force_error(weak) < force_error(strong)


@pytest.mark.parametrize("kernel", [DotProduct(3), GaussianKernel(2.0)])
def test_a_sparse_kernel_learns_silicon_and_its_rows_are_its_labels(kernel):
    term = SparseKernel(SOAP_SMALL, points=40, kernel=kernel).fit(crystals()).term
    assert force_error(term) < 0.25 * np.sqrt(np.mean([frame.forces**2 for frame in held_out()]))
    labels = term.evaluate(held_out()[:2])
    for block in term.rows(held_out()[:2]):
        for k, force in zip(block.frames, block.forces):
            np.testing.assert_allclose(force @ term.coefficients, labels.forces[k].ravel(), atol=1e-5)


def test_a_kernel_refuses_automatic_relevance():
    with pytest.raises(ValueError, match="independent coefficients"):
        SparseKernel(SOAP_SMALL, regularization=AutomaticRelevance())


@pytest.mark.parametrize("selection", SELECTIONS)
def test_chosen_environments_are_distinct(selection):
    features = np.concatenate(SOAP_SMALL.features(crystals()[:4]))
    chosen = SELECTIONS[selection](features, DotProduct(4), 10)
    assert len(set(chosen.tolist())) == 10


def test_missing_labels_are_left_out_rather_than_taken_for_zero():
    some = [
        replace(frame, forces=None) if k % 2 else replace(frame, energy=None)
        for k, frame in enumerate(crystals())
    ]
    equations = Linear(ACE_SMALL).problem(some).equations
    counted = {label: sum(fold[label].count for fold in equations.folds) for label in equations.folds[0]}
    assert counted == {"energy": 12, "force": 12 * 24, "stress": 24 * 6}


def test_a_fit_that_will_not_fit_into_memory_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match="normal equations of"):
        NormalEquations.of([], crystals(), 500, 4)


def test_two_elements_have_coefficients_of_their_own():
    frames = [replace(frame, numbers=np.array([14, 6] * 4)) for frame in crystals()[:6]]
    representation = ACE(cutoff=0.4, levels=(6, 5), degrees=(0, 2), elements=(6, 14))
    term = Linear(representation).fit(frames).term
    basis = term.parts[0].basis
    assert isinstance(basis, PlainFeatures)
    assert len(term.coefficients) == 2 * basis.count
    swapped = [replace(frame, numbers=frame.numbers[::-1].copy()) for frame in frames]
    with jax.enable_x64(True):
        assert not np.allclose(term.evaluate(frames).energies, term.evaluate(swapped).energies)


def test_two_learners_together_are_better_than_each_and_their_rows_are_their_labels():
    linear, kernel = Linear(ACE(cutoff=0.4, levels=(8,), degrees=(0,))), SparseKernel(SOAP_SMALL, points=20)
    both = Together((linear, kernel)).fit(crystals()).term
    assert force_error(both) < min(force_error(one.fit(crystals()).term) for one in (linear, kernel))
    labels = both.evaluate(held_out()[:2])
    for block in both.rows(held_out()[:2]):
        for k, force in zip(block.frames, block.forces):
            np.testing.assert_allclose(force @ both.coefficients, labels.forces[k].ravel(), atol=1e-5)
