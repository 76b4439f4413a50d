from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.gradient_domain.gradient_domain import (
    GradientDomain,
    leave_one_out_errors,
    nearness,
)
from thalweg.learned_potentials.gradient_domain.hessian_kernel import (
    Gaussian,
    Matern52,
    Matern72,
    Prior,
    energy_covariance,
    force_covariance,
)
from thalweg.learned_potentials.gradient_domain.kernel_solvers import (
    ClosedForm,
    ConjugateGradients,
    ProjectedProcess,
    affordable,
)
from thalweg.learned_potentials.gradient_domain.observations import ObservedLabels
from thalweg.learned_potentials.recipe import Recipe, remainder
from thalweg.learned_potentials.recipes.molecular import (
    global_gradient_domain,
    local_gradient_domain,
    sgdml,
)
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Term, Uncertain
from thalweg.learned_potentials.uncertainty.calibrated import ForceAlarm, LeavesOut
from thalweg.potentials.energy import energy_and_forces
from thalweg.systems.configuration import Configuration

EXCHANGE = np.array([3, 2, 1, 0])
FIXED = GradientDomain(reaches=(0.2,), relatives=(1.0,), widths=(1.0,), noises=(1e-8,), mean=None)
GLOBAL = np.ones((1, 4, 4)) - np.eye(4)


def prior_energy(covariance, scale, parts, group, first, second):
    """The covariance of two energies written down once more, for differentiation."""

    def x(points):
        d = jnp.sqrt(((points[:, None] - points[None]) ** 2).sum(-1) + jnp.eye(4))
        return scale * (1 - jnp.eye(4)) / d

    total = 0.0
    for one in group:
        delta = x(first) - x(second[one])
        for part in parts:
            total += covariance.derivatives((part * delta * delta).sum() / 2)[0]
    return total


@pytest.mark.parametrize("covariance", [Gaussian(), Matern52(), Matern72()])
def test_slope_and_curvature_are_derivatives_of_the_covariance_by_the_squared_distance(covariance):
    with jax.enable_x64(True):
        q = jnp.asarray(0.7)
        _, slope, curve = covariance.derivatives(q)
        assert float(covariance.derivatives(jnp.asarray(0.0))[0]) == pytest.approx(1)
        assert slope == pytest.approx(float(jax.grad(lambda q: covariance.derivatives(q)[0])(q)))
        assert curve == pytest.approx(float(jax.grad(lambda q: covariance.derivatives(q)[1])(q)))


@pytest.mark.parametrize("covariance", [Matern72()])
def test_covariances_of_forces_are_second_derivatives_of_the_kernel(chain, covariance):
    points = np.array([frame.positions for frame in chain.labeled(2)])
    group = np.array([np.arange(4), EXCHANGE])
    distances = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1).mean(0)
    distances = (distances + distances[np.ix_(EXCHANGE, EXCHANGE)]) / 2
    scale, parts = 0.2 * (1 - np.eye(4)), nearness(distances, 0.15)
    prior = Prior(covariance, scale, parts, group)
    first, second = ObservedLabels(points[:1], None, True), ObservedLabels(points[1:], None, True)
    ours = force_covariance(prior, first, second)
    energies, mixed = energy_covariance(prior, first, second)
    with jax.enable_x64(True):

        def kernel(a, b):
            return prior_energy(covariance, scale, parts, group, a, b)

        a, b = jnp.asarray(points)
        hessian = jax.jit(jax.jacfwd(jax.grad(kernel), 1))(a, b).reshape(12, 12)
        slope = jax.grad(kernel, 1)(a, b).ravel()
        value = kernel(a, b)
    np.testing.assert_allclose(ours, hessian, atol=1e-8 * np.abs(hessian).max())
    np.testing.assert_allclose(mixed[0], -slope, atol=1e-8 * np.abs(slope).max())
    np.testing.assert_allclose(energies[0, 0], value, rtol=1e-10)


def test_the_joint_covariance_of_labels_is_positive_semidefinite(chain):
    points = np.array([frame.positions for frame in chain.labeled(5)])
    group = np.array([np.arange(4), EXCHANGE])
    observed = ObservedLabels(points, None, True)
    matrix = Prior(Gaussian(), 0.2 * (1 - np.eye(4)), GLOBAL, group).joint_covariance(observed, observed)
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    values = np.linalg.eigvalsh(matrix)
    assert values.min() > -1e-10 * values.max()


@pytest.mark.parametrize(
    "learner",
    [
        sgdml(widths=(10.0,)).learner,
        replace(global_gradient_domain().learner, relatives=(1.0,), widths=(2.0,), noises=(1e-8,)),
        replace(local_gradient_domain().learner, reaches=(0.2,), widths=(1.0,), noises=(1e-8,)),
    ],
)
def test_a_smooth_surface_is_learned_from_few_frames(chain, learner):
    test = chain.labeled(20, seed=1)
    term = learner.fit(chain.labeled(40)).term
    assert chain.force_error(term, test) < 0.05 * np.abs([frame.forces for frame in test]).mean()
    errors = term.evaluate(test).energies - [frame.energy for frame in test]
    assert np.abs(errors).mean() < 0.05 * np.std([frame.energy for frame in test])


def test_forces_are_minus_the_gradient_of_the_energy(chain):
    term = FIXED.fit(chain.labeled(10)).term
    frame, step = chain.labeled(1, seed=2)[0], 1e-5
    shift = np.zeros((4, 3))
    shift[1, 2] = step
    ends = [replace(frame, positions=frame.positions + sign * shift) for sign in (1, -1)]
    up, down = term.evaluate(ends).energies
    assert term.evaluate([frame]).forces[0][1, 2] == pytest.approx(-(up - down) / (2 * step), rel=1e-3)


def test_exchanging_like_atoms_changes_nothing(chain):
    term = FIXED.fit(chain.labeled(10)).term
    frame = chain.labeled(1, seed=2)[0]
    assert len(term.prior.group) == 2
    both = term.evaluate([frame, replace(frame, positions=frame.positions[EXCHANGE])])
    # A sum in another order: it is rounded like its terms (weights times slopes of at most one), which cancel, not
    # like what is left of them; roundings add up like a random walk.
    rounding = 8 * np.finfo(float).eps * np.linalg.norm(term.weights)
    assert both.energies[0] == pytest.approx(both.energies[1], abs=rounding)
    np.testing.assert_allclose(both.forces[0][EXCHANGE], both.forces[1], rtol=1e-8, atol=1e-8)


def test_turning_and_reflecting_changes_nothing(chain):
    term = FIXED.fit(chain.labeled(10)).term
    frame = chain.labeled(1, seed=2)[0]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for matrix in (turn, -turn):
        both = term.evaluate([frame, replace(frame, positions=frame.positions @ matrix.T + 1)])
        assert both.energies[0] == pytest.approx(both.energies[1], rel=1e-9)


def test_iteration_finds_what_the_closed_form_finds(chain):
    frames, test = chain.labeled(20, energies=False), chain.labeled(5, seed=1)
    exact = replace(FIXED, noises=(1e-4,)).fit(frames).term
    iterated = replace(FIXED, noises=(1e-4,), solver=ConjugateGradients(4, 1e-8)).fit(frames).term
    for one, other in zip(exact.evaluate(test).forces, iterated.evaluate(test).forces):
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(one).max())


@pytest.mark.parametrize("energies", [True, False])
def test_all_frames_as_landmarks_are_the_closed_form(chain, energies):
    frames, test = chain.labeled(12, energies=energies), chain.labeled(5, seed=1)
    exact = replace(FIXED, noises=(1e-4,)).fit(frames).term
    projected = replace(FIXED, noises=(1e-4,), solver=ProjectedProcess(12)).fit(frames).term
    for one, other in zip(exact.evaluate(test).forces, projected.evaluate(test).forces):
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(one).max())
    assert len(replace(FIXED, solver=ProjectedProcess(5)).fit(frames).term.points) == 5


def test_left_out_errors_are_those_of_fits_without_the_frame(chain):
    frames = chain.labeled(6, energies=False)
    learner = replace(FIXED, noises=(1e-3,))
    points, forces = (np.array([getattr(f, name) for f in frames]) for name in ("positions", "forces"))
    term = learner.fit(frames).term
    observed = ObservedLabels.internal(points, False)
    matrix, labels = term.prior.joint_covariance(observed, observed), observed.labels(forces)
    (errors,) = leave_one_out_errors(matrix, observed, labels, 1e-3)
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    noise, own, rest = 1e-3 * np.trace(matrix) / len(matrix), slice(0, 6), slice(6, None)
    inner = matrix[rest, rest] + noise * np.eye(30)
    predicted = matrix[own, rest] @ np.linalg.solve(inner, labels[rest])
    np.testing.assert_allclose(observed[:1].labels(errors[:1]), labels[own] - predicted, rtol=1e-6, atol=1e-8)


def test_a_term_misses_frames_left_out_as_its_fit_does_and_forgets_no_frame(chain):
    frames = chain.labeled(6)
    known = LearnedPotential(dict.fromkeys((1, 6), 2.0), ()).evaluate(frames)
    term = FIXED.fit(remainder(frames, known)).term
    errors, deviations = term.left_out(frames, known)
    observed = ObservedLabels.internal(np.array([frame.positions for frame in frames]), True)
    energies = np.array([frame.energy for frame in frames])
    labels = observed.labels(np.array([frame.forces for frame in frames]), energies - energies.mean())
    matrix = term.prior.joint_covariance(observed, observed)
    expected, _ = leave_one_out_errors(matrix, observed, labels, term.noise)
    np.testing.assert_allclose(errors, -expected, atol=1e-4 * np.abs(expected).max())
    assert (deviations > np.array(term.spread(frames).forces)).mean() > 0.9
    with pytest.raises(ValueError, match="in another order or others"):
        term.left_out(frames[::-1], known)
    other = [replace(frame, forces=1.1 * frame.forces) for frame in frames]
    with pytest.raises(ValueError, match="give the labels that were fitted"):
        term.left_out(other, known)


def test_alarms_count_training_frames_left_out_beside_those_held_out(chain):
    frames, held_out = chain.labeled(8), chain.labeled(4, seed=1)
    potential = Recipe(FIXED, core_repulsion=None).fit(frames)
    assert isinstance(potential.terms[0], LeavesOut)
    few, many = ForceAlarm.of(potential, held_out), ForceAlarm.of(potential, held_out, frames)
    own = ForceAlarm.of(potential, (), frames)
    assert (few.errors.count, many.errors.count, own.errors.count) == (4, 12, 8)
    # each is found through the noise of the labels, by an iteration that ends within a thousandth
    assert many.usual**2 == pytest.approx((few.usual**2 + 2 * own.usual**2) / 3, rel=2e-3)


def test_rigid_motions_carry_no_information(chain):
    points = np.array([frame.positions for frame in chain.labeled(3)])
    prior = Prior(Gaussian(), 0.2 * (1 - np.eye(4)), GLOBAL, np.array([np.arange(4), EXCHANGE]))
    full, internal = ObservedLabels(points, None, False), ObservedLabels.internal(points, False)
    assert (full.size, internal.size) == (12, 6)
    expected = force_covariance(prior, full, full[:1])
    forces = np.array(
        [internal.forces(column) for column in force_covariance(prior, internal, internal[:1]).T]
    )
    back = forces.reshape(6, -1).T @ internal.directions[0].T
    np.testing.assert_allclose(back, expected, atol=1e-9 * np.abs(expected).max())


def test_uncertainty_is_small_at_training_frames_and_grows_away_from_them(chain):
    frames = chain.labeled(10)
    term = FIXED.fit(frames).term
    far = [replace(frame, positions=frame.positions * 1.15) for frame in frames[:3]]
    near, away = term.spread(frames[:3]), term.spread(far)
    assert np.mean(away.forces) > 10 * np.mean(near.forces)
    assert away.energies.min() > near.energies.max()
    assert isinstance(term, Uncertain)
    assert isinstance(term, Term)


@pytest.mark.parametrize("reach", [0.2, np.inf])
def test_the_bound_energy_of_replicas_in_32_bits_is_that_in_64(chain, reach):
    frames, test = chain.labeled(20), chain.labeled(4, seed=1)
    term = replace(FIXED, reaches=(reach,), noises=(1e-6,)).fit(frames).term
    labels = term.evaluate(test)
    positions = np.stack([frame.positions for frame in test], -1).astype(np.float32)
    energies, forces = energy_and_forces(term.bind(test[0].numbers), jnp.asarray(positions))
    largest = np.abs(labels.forces).max()
    np.testing.assert_allclose(forces, np.stack(labels.forces, -1), atol=2e-3 * largest)
    np.testing.assert_allclose(energies, labels.energies, atol=1e-2 * np.ptp(labels.energies) + 1e-3)


def test_other_atoms_are_refused(chain):
    term = FIXED.fit(chain.labeled(5)).term
    with pytest.raises(ValueError, match="one molecule with atoms"):
        term.bind(np.array([1, 6, 6]))
    with pytest.raises(ValueError, match="frame 0 has atoms"):
        term.evaluate([Configuration(np.array([6, 6]), np.zeros((2, 3)))])


def test_a_fit_that_would_not_fit_is_refused_with_the_number(chain):
    with pytest.raises(MemoryError, match=r"needs 0\.25 GB, 0\.00 GB can be had"):
        replace(FIXED, solver=ClosedForm(1e6)).fit(chain.labeled(5))


def test_where_the_matrix_of_all_frames_does_not_fit_as_many_are_in_the_model_as_do():
    # a thousand frames of azobenzene: 66 independent forces each
    solver, (told,) = affordable(ClosedForm(1.6e10), 1000, 66)
    assert isinstance(solver, ProjectedProcess)
    assert solver.needed(1000, 66) <= 1.6e10 < ProjectedProcess(solver.count + 1).needed(1000, 66)
    assert f"would need 36.2 GB, 16 GB can be had here: it has {solver.count} of them" in told
    assert affordable(ClosedForm(4e10), 1000, 66) == (ClosedForm(4e10), ())
    with pytest.raises(MemoryError, match=r'solver = \{kind = "ProjectedProcess", count = 100\}'):
        affordable(ClosedForm(6e8), 1000, 66)


def test_a_fit_says_that_not_all_frames_are_in_the_model(chain, monkeypatch):
    from thalweg.learned_potentials.gradient_domain import gradient_domain

    monkeypatch.setattr(gradient_domain, "affordable", lambda *_: (ProjectedProcess(5), ("Five are in it.",)))
    fitted = FIXED.fit(chain.labeled(12))
    assert fitted.info.notes == ("Five are in it.",)
    assert len(fitted.term.points) == 5


def test_frames_without_forces_are_refused(chain):
    with pytest.raises(ValueError, match="none of the frames has forces"):
        FIXED.fit([replace(frame, forces=None) for frame in chain.labeled(3)])
