"""Kernels of environments and their derivatives at all training frames."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.gradient_domain.gradient_domain import leave_one_out_errors
from thalweg.learned_potentials.gradient_domain.hessian_kernel import Gaussian, Matern72, noise_variances
from thalweg.learned_potentials.gradient_domain.kernel_solvers import (
    ClosedForm,
    ConjugateGradients,
    ProjectedProcess,
)
from thalweg.learned_potentials.gradient_domain.site_covariance import SitePrior
from thalweg.learned_potentials.gradient_domain.site_gradient_domain import SiteGradientDomain
from thalweg.learned_potentials.gradient_domain.site_observations import (
    SiteObservations,
    all_directions,
    shape_directions,
)
from thalweg.learned_potentials.parametric.pair_terms import lennard_jones
from thalweg.learned_potentials.parametric.valence_pairs import ValencePairs
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Term, Uncertain
from thalweg.potentials.energy import energy_and_forces
from thalweg.representations.fchl import FCHL19
from thalweg.representations.principal_features import PrincipalFeatures
from thalweg.systems.configuration import Configuration

SEEN = FCHL19(cutoff=0.4, radial=6, angular=4)
LEARNER = SiteGradientDomain(SEEN, widths=(2.0,), noises=(1e-7,), lost=1e-9)
PAIRS = lennard_jones((9, 18), [0.5, 0.8, 1.2], [0.20, 0.22, 0.24], cutoff=0.4)


def mixed_frames(seed=0):
    """A free molecule of three atoms, a larger one, and a cell smaller than the cutoff."""
    random = np.random.default_rng(seed)
    three = 0.1 * np.array([[0.0, 0, 0], [2.0, 0.1, 0], [0.3, 2.1, 0.2]])
    five = np.concatenate([three, three[:2] + np.array([0.1, 0.2, 0.24])])
    frames = [
        Configuration(np.array([18, 9, 9]), three),
        Configuration(np.array([9, 18, 9, 18, 18]), five),
        Configuration(np.array([9, 18]), three[:2], np.diag([0.35, 0.38, 0.4]), (True,) * 3),
    ]
    frames = [
        replace(one, positions=one.positions + 0.01 * random.normal(size=(len(one), 3))) for one in frames
    ]
    labels = PAIRS.evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=force)
        for frame, energy, force in zip(frames, labels.energies, labels.forces)
    ]


def symmetric(matrix):
    return np.tril(matrix) + np.tril(matrix, -1).T


def energy_kernels(described, covariance, width, first, second):
    """Covariances of energies written down once more."""
    total = np.zeros((len(first), len(second)))
    sites = [described.representation.features(frames) for frames in (first, second)]
    for kind, (center, vectors) in enumerate(zip(described.centers, described.vectors)):
        for i, f in enumerate(sites[0]):
            for j, g in enumerate(sites[1]):
                own, other = (
                    (features - center)[frame.numbers == described.representation.elements[kind]] @ vectors
                    for features, frame in ((f, first[i]), (g, second[j]))
                )
                squares = ((own[:, None] - other) ** 2).sum(-1) / width**2
                total[i, j] += np.asarray(covariance.derivatives(squares)[0]).sum()
    return total


@pytest.fixture(scope="module")
def described():
    return PrincipalFeatures.fit(SEEN.over((9, 18)), mixed_frames(), 1e-9)


@pytest.fixture(scope="module")
def learned():
    """A potential of three kinds of frames together, and the frames."""
    frames = [frame for seed in range(12) for frame in mixed_frames(seed)]
    return Recipe(LEARNER, core_repulsion=None).fit(frames, validation=mixed_frames(12)), frames


def test_principal_features_keep_the_distances_of_sites(described):
    frames = mixed_frames(3)
    directions = all_directions(frames)
    short = SiteObservations.of(described, frames, directions, False)
    whole = replace(described, vectors=tuple(np.eye(len(one)) for one in described.vectors))
    full = SiteObservations.of(whole, frames, directions, False)
    a, b = (seen.frames[1].features[1][:, None] - seen.frames[0].features[1] for seen in (short, full))
    scale = np.linalg.norm(described.vectors[1][:, 0])
    np.testing.assert_allclose(np.linalg.norm(a, axis=-1), scale * np.linalg.norm(b, axis=-1), rtol=1e-3)
    assert short.frames[0].features[1].shape[1] < full.frames[0].features[1].shape[1]


@pytest.mark.parametrize("covariance", [Gaussian(), Matern72()])
def test_covariances_of_labels_are_derivatives_of_the_kernel_of_unlike_frames(described, covariance):
    frames = mixed_frames(1)[1:]
    observed = SiteObservations.of(described, frames, all_directions(frames), True)
    matrix = SitePrior(covariance, 1.5).joint_covariance(observed[[0]], observed[[1]])
    random, step = np.random.default_rng(0), 2e-5
    for _ in range(3):
        moves = [random.normal(size=frame.positions.shape) for frame in frames]
        moves = [move / np.linalg.norm(move) for move in moves]
        first, second = (
            [replace(frame, positions=frame.positions + sign * step * move) for sign in (1, 0, -1)]
            for frame, move in zip(frames, moves)
        )
        values = energy_kernels(described, covariance, 1.5, first, second)
        along = [np.append(-move.ravel(), 0) for move in moves]
        curve = (values[0, 0] - values[0, 2] - values[2, 0] + values[2, 2]) / (4 * step**2)
        assert along[0] @ matrix @ along[1] == pytest.approx(curve, rel=1e-4, abs=1e-5 * np.abs(matrix).max())
        slopes = (values[0, 1] - values[2, 1]) / (2 * step), (values[1, 0] - values[1, 2]) / (2 * step)
        assert (along[0] @ matrix)[-1] == pytest.approx(slopes[0], rel=1e-5)
        assert (matrix @ along[1])[-1] == pytest.approx(slopes[1], rel=1e-5)
        assert matrix[-1, -1] == pytest.approx(values[1, 1], rel=1e-9)


def test_half_of_the_covariance_of_all_frames_is_the_whole_one(described):
    frames = [frame for seed in range(3) for frame in mixed_frames(seed)]
    observed = SiteObservations.of(described, frames, shape_directions(frames), True)
    prior = SitePrior(Gaussian(), 2.0)
    whole = prior.joint_covariance(observed, observed[range(9)])
    np.testing.assert_allclose(symmetric(prior.joint_covariance(observed, observed)), whole, atol=1e-9)
    np.testing.assert_allclose(prior.variances(observed), np.diag(whole), atol=1e-9)
    assert np.linalg.eigvalsh(whole).min() > -1e-9 * np.linalg.eigvalsh(whole).max()


def test_frames_of_unlike_atoms_are_learned_together(learned):
    potential, _ = learned
    test = [frame for seed in range(20, 23) for frame in mixed_frames(seed)]
    labels = potential.evaluate(test)
    off = np.concatenate([(a - b.forces).ravel() for a, b in zip(labels.forces, test)])
    assert np.abs(off).mean() < 0.05 * np.abs(np.concatenate([b.forces.ravel() for b in test])).mean()
    energies = np.array([frame.energy for frame in test])
    assert np.abs(labels.energies - energies).mean() < 0.05 * energies.std()
    assert isinstance(potential.terms[-1], Term)


def test_predictions_are_covariances_times_coefficients_and_uncertainty_is_what_they_leave(learned):
    potential, frames = learned
    term, test = potential.terms[-1], mixed_frames(30)
    observed, asked = (
        SiteObservations.of(term.described, some, directions(some), True)
        for some, directions in ((frames, shape_directions), (test, all_directions))
    )
    matrix = symmetric(term.prior.joint_covariance(observed, observed))
    matrix += np.diag(noise_variances(matrix, observed, term.noise))
    counts, others = (
        np.array([[np.count_nonzero(one.numbers == z) for z in (9, 18)] for one in some], float)
        for some in (frames, test)
    )
    energies = np.array([one.energy for one in frames])
    known = np.linalg.lstsq(counts, energies, rcond=1e-8)[0]
    values = observed.labels([one.forces for one in frames], energies - counts @ known)
    expected = term.prior.joint_covariance(asked, observed) @ np.linalg.solve(matrix, values)
    labels = potential.evaluate(test)
    forces = np.concatenate([one.ravel() for one in labels.forces])
    np.testing.assert_allclose(forces, expected[: asked.components], atol=1e-4 * np.abs(forces).max())
    of_atoms = labels.energies - asked.heights(expected)
    np.testing.assert_allclose(others @ np.linalg.lstsq(others, of_atoms)[0], of_atoms, atol=1e-3)
    across = term.prior.joint_covariance(observed, asked)
    unknown = np.diag(term.prior.joint_covariance(asked, asked))
    unknown = unknown - (across * np.linalg.solve(matrix, across)).sum(0)
    spread = np.concatenate([one.ravel() for one in term.spread(test).forces])
    deviations = np.sqrt(term.variance * np.maximum(unknown[: asked.components], 0))
    np.testing.assert_allclose(spread, deviations, atol=0.01 * deviations.max())


def test_a_cell_counts_once_for_every_copy_of_it(learned):
    term = learned[0].terms[-1]
    cell = mixed_frames(5)[2]
    shifted = cell.positions + np.array([0.35, 0, 0])
    double = Configuration(
        np.tile(cell.numbers, 2),
        np.concatenate([cell.positions, shifted]),
        cell.box * np.array([[2.0], [1], [1]]),
        (True,) * 3,
    )
    one, two = (term.evaluate([frame]) for frame in (cell, double))
    assert two.energies[0] == pytest.approx(2 * one.energies[0], rel=1e-6)
    np.testing.assert_allclose(two.forces[0][:2], one.forces[0], atol=1e-4 * np.abs(one.forces[0]).max())


def test_forces_are_minus_the_gradient_and_like_atoms_and_frames_of_reference_do_not_matter(learned):
    term = learned[0].terms[-1]
    frame, step = mixed_frames(6)[1], 1e-5
    shift = np.zeros((5, 3))
    shift[1, 2] = step
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    order = np.array([2, 3, 0, 4, 1])
    ends = [replace(frame, positions=frame.positions + sign * shift) for sign in (1, -1)]
    moved = [
        replace(frame, positions=frame.positions @ turn.T + 1.0),
        replace(frame, numbers=frame.numbers[order], positions=frame.positions[order]),
    ]
    labels = term.evaluate([frame, *ends, *moved])
    slope = (labels.energies[1] - labels.energies[2]) / (2 * step)
    assert labels.forces[0][1, 2] == pytest.approx(-slope, rel=1e-3)
    np.testing.assert_allclose(labels.energies[3:], labels.energies[0], rtol=1e-7)
    largest = np.abs(labels.forces[0]).max()
    np.testing.assert_allclose(labels.forces[3] @ turn, labels.forces[0], atol=1e-5 * largest)
    np.testing.assert_allclose(labels.forces[4], labels.forces[0][order], atol=1e-5 * largest)


def test_errors_left_out_are_those_of_fits_without_the_frame(described):
    frames = mixed_frames(0) + mixed_frames(1)
    observed = SiteObservations.of(described, frames, shape_directions(frames), True)
    values = observed.labels([one.forces for one in frames], np.array([one.energy for one in frames]))
    matrix = SitePrior(Gaussian(), 2.0).joint_covariance(observed, observed)
    forces, energies = leave_one_out_errors(matrix, observed, values, 1e-4)
    noisy = symmetric(matrix) + np.diag(noise_variances(matrix, observed, 1e-4))
    own, rest = observed.rows(np.array([1])), observed.rows(np.array([0, 2, 3, 4, 5]))
    missed = values[own] - noisy[np.ix_(own, rest)] @ np.linalg.solve(noisy[np.ix_(rest, rest)], values[rest])
    found = np.append(observed.frames[1].directions.T @ forces[1].ravel(), energies[1])
    np.testing.assert_allclose(found, missed, rtol=1e-5, atol=1e-7 * np.abs(missed).max())


def test_uncertainty_grows_away_from_training_frames(learned):
    potential, frames = learned
    term = potential.terms[-1]
    far = [replace(frame, positions=frame.positions * 1.1) for frame in frames[:2]]
    near, away = (
        np.concatenate([one.ravel() for one in term.spread(some).forces]) for some in (frames[:2], far)
    )
    assert away.mean() > 5 * near.mean()
    assert isinstance(term, Uncertain)
    assert potential.calibration is not None


def test_a_saved_potential_is_the_same_and_runs_in_32_bits(learned, tmp_path):
    potential = LearnedPotential.load(learned[0].save(tmp_path / "model.thalweg"))
    test = [mixed_frames(seed)[1] for seed in range(40, 44)]
    labels, before = potential.evaluate(test), learned[0].evaluate(test)
    np.testing.assert_array_equal(labels.energies, before.energies)
    positions = np.stack([frame.positions for frame in test], -1).astype(np.float32)
    bound = potential.bind(test[0].numbers)
    energies, forces = eqx.filter_jit(energy_and_forces)(bound, jnp.asarray(positions))
    assert energies.dtype == np.float32
    np.testing.assert_allclose(forces, np.stack(labels.forces, -1), atol=2e-3 * np.abs(labels.forces).max())
    np.testing.assert_allclose(energies, labels.energies, atol=1e-2 * np.ptp(labels.energies))


def test_landmarks_keep_sites_of_few_frames(described):
    frames = [replace(frame, energy=None) for seed in range(3) for frame in mixed_frames(seed)]
    observed = SiteObservations.of(described, frames, shape_directions(frames), False)
    values, prior = observed.labels([one.forces for one in frames]), SitePrior(Gaussian(), 2.0)

    def solved(solver):
        return solver.solve(prior, observed, values, 1e-4, lambda message, fraction: None).coefficients

    exact, projected = solved(ClosedForm()), solved(ProjectedProcess(9))
    other = mixed_frames(7)
    asked = SiteObservations.of(described, other, all_directions(other), False)
    across = prior.joint_covariance(asked, observed)
    np.testing.assert_allclose(across @ projected, across @ exact, atol=1e-3 * np.abs(across @ exact).max())
    few = observed.forces(solved(ProjectedProcess(3)))
    assert np.count_nonzero([np.abs(one).max() for one in few]) == 3


def test_far_from_all_frames_one_molecule_falls_back_to_its_mean():
    frames = [mixed_frames(seed)[1] for seed in range(6)]
    term = replace(LEARNER, mean=ValencePairs(repulsion=20.0)).fit(frames).term
    asked = [replace(frames[0], positions=0.5 * frames[0].positions), *frames[1:]]
    mean, whole = (np.array(each.evaluate(asked).forces) for each in (term.mean, term))
    np.testing.assert_allclose(whole[0], mean[0], atol=0.01 * np.abs(mean[0]).max())
    near = np.array([each.forces for each in frames[1:]])
    np.testing.assert_allclose(whole[1:], near, atol=0.01 * np.abs(near).max())
    with pytest.raises(ValueError, match="atoms"):
        replace(LEARNER, mean=ValencePairs()).fit(mixed_frames())


def test_an_atom_alone_tells_its_energy_and_has_no_force(described):
    alone = Configuration(np.array([9]), np.zeros((1, 3)), energy=-2.0, forces=np.zeros((1, 3)))
    observed = SiteObservations.of(
        described, [alone, *mixed_frames()], shape_directions([alone, *mixed_frames()]), True
    )
    matrix = SitePrior(Gaussian(), 2.0).joint_covariance(observed, observed)
    assert observed.frames[0].size == 0
    assert observed.forces(np.ones(observed.count))[0].tolist() == [[0, 0, 0]]
    assert matrix[observed.components, observed.components] == pytest.approx(1.0)
    assert np.linalg.eigvalsh(symmetric(matrix)).min() > -1e-9 * matrix.max()


def test_what_cannot_be_is_refused_with_a_reason():
    frames = mixed_frames()
    with pytest.raises(ValueError, match="use ClosedForm"):
        SiteGradientDomain(SEEN, solver=ConjugateGradients())
    with pytest.raises(ValueError, match="none of the frames has forces"):
        LEARNER.fit([replace(frame, forces=None) for frame in frames])
    with pytest.raises(MemoryError, match=r"needs 0\.25 GB, 0\.00 GB can be had"):
        replace(LEARNER, solver=ClosedForm(1e6)).fit(frames)
