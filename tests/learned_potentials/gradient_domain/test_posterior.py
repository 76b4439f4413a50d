from __future__ import annotations

import numpy as np
import pytest

from thalweg.learned_potentials.gradient_domain import posterior as gradient_domain_posterior
from thalweg.learned_potentials.gradient_domain.hessian_kernel import (
    Gaussian,
    Prior,
    noise_variances,
    prior_variances,
)
from thalweg.learned_potentials.gradient_domain.observations import ObservedLabels
from thalweg.learned_potentials.gradient_domain.posterior import SIDE_BY_SIDE, MoleculePosterior

ATOMS, KNOWN, NOISE = 4, 5, 1e-6
PRIOR = Prior(
    Gaussian(),
    0.2 * (1 - np.eye(ATOMS)),
    np.ones((1, ATOMS, ATOMS)) - np.eye(ATOMS),
    np.array([[0, 1, 2, 3], [3, 2, 1, 0]]),
)


@pytest.fixture(scope="module")
def positions():
    line = np.stack([0.13 * np.arange(ATOMS), 0.05 * (-1.0) ** np.arange(ATOMS), np.zeros(ATOMS)], 1)
    return line + 0.01 * np.random.default_rng(0).normal(size=(KNOWN + SIDE_BY_SIDE + 3, ATOMS, 3))


@pytest.fixture(scope="module")
def posterior(positions):
    return MoleculePosterior.of(PRIOR, ObservedLabels.internal(positions[:KNOWN], True), NOISE)


def test_the_posterior_is_the_prior_less_what_is_explained(positions, posterior):
    known = ObservedLabels.internal(positions[:KNOWN], True)
    asked = ObservedLabels(positions[KNOWN:], None, True)
    matrix = PRIOR.joint_covariance(known, known)
    matrix = np.tril(matrix) + np.tril(matrix, -1).T + np.diag(noise_variances(matrix, known, NOISE))
    across = PRIOR.joint_covariance(known, asked)
    explained = (across * np.linalg.solve(matrix, across)).sum(0)
    energies, forces = prior_variances(PRIOR, asked.positions)
    found = posterior.variances(asked.positions)
    np.testing.assert_allclose(found[0], energies - explained[asked.components :], rtol=1e-4, atol=1e-9)
    left = forces.ravel() - explained[: asked.components]
    np.testing.assert_allclose(found[1].ravel(), left, rtol=1e-4, atol=1e-9 * forces.max())


def test_no_more_than_noise_is_unknown_where_labels_were_seen(positions, posterior):
    observed = ObservedLabels.internal(positions[:KNOWN], True)
    noise = noise_variances(PRIOR.joint_covariance(observed, observed), observed, NOISE)
    near, away = (posterior.variances(part) for part in (positions[:KNOWN], positions[KNOWN:]))
    assert near[0].max() <= noise[-1]
    assert near[1].sum(1).max() <= observed.size * noise[0]
    assert np.median(away[1].sum(1)) > 10 * observed.size * noise[0]


def test_what_is_unknown_turns_with_the_molecule_and_exchanges_with_its_atoms(positions, posterior):
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    one = positions[KNOWN : KNOWN + 1]
    energy, forces = posterior.variances(one)
    turned = posterior.variances(one @ turn.T)
    exchanged = posterior.variances(one[:, PRIOR.group[1]])
    assert turned[0] == pytest.approx(energy, rel=1e-6)
    assert turned[1].sum() == pytest.approx(forces.sum(), rel=1e-6)
    assert exchanged[1].reshape(ATOMS, 3) == pytest.approx(forces.reshape(ATOMS, 3)[::-1], rel=1e-6)


@pytest.mark.parametrize("energies", [True, False])
@pytest.mark.parametrize("block", [1, 14, 1024])
def test_what_all_others_say_of_a_frame_is_what_a_fit_without_it_says(
    positions, energies, block, monkeypatch
):
    monkeypatch.setattr(gradient_domain_posterior, "BLOCK", block)
    observed = ObservedLabels.internal(positions[:KNOWN], energies)
    posterior = MoleculePosterior.of(PRIOR, observed, NOISE)
    values = np.random.default_rng(2).normal(size=observed.count)
    errors, variances = posterior.left_out(posterior.coefficients(values))
    matrix = PRIOR.joint_covariance(observed, observed)
    noisy = np.tril(matrix) + np.tril(matrix, -1).T + np.diag(noise_variances(matrix, observed, NOISE))
    for k, directions in enumerate(observed.directions):
        others = observed.rows(np.delete(np.arange(KNOWN), k))
        own = observed.rows(np.array([k]))[: observed.size]
        weights = np.linalg.solve(noisy[np.ix_(others, others)], noisy[np.ix_(others, own)])
        missed = weights.T @ values[others] - values[own]
        unknown = noisy[np.ix_(own, own)] - posterior.noise * np.eye(len(own))
        unknown -= noisy[np.ix_(own, others)] @ weights
        np.testing.assert_allclose(
            errors[k], directions @ missed, rtol=1e-6, atol=1e-6 * np.abs(missed).max()
        )
        full = np.diag(directions @ unknown @ directions.T)
        np.testing.assert_allclose(variances[k], full, rtol=1e-5, atol=1e-8 * full.max())
