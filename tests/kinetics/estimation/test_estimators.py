"""Transition matrices maximize the likelihood under their constraints."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from thalweg.kinetics.estimation.fixed_stationary import FixedStationary
from thalweg.kinetics.estimation.newton import Newton
from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.estimation.reversible import Reversible


def random_counts(size, seed, density=0.4):
    random = np.random.default_rng(seed)
    counts = random.poisson(4, (size, size)) * (random.random((size, size)) < density)
    ring = np.arange(size)
    counts[ring, (ring + 1) % size] += 1
    counts[(ring + 1) % size, ring] += 1
    return counts.astype(float)


def log_likelihood(counts, matrix):
    seen = counts > 0
    return float((counts[seen] * np.log(matrix[seen])).sum())


@pytest.mark.parametrize("size", [2, 7, 40])
def test_the_reversible_estimate_obeys_detailed_balance_and_its_own_equations(size):
    counts = random_counts(size, seed=size)
    fit = Reversible().fit(csr_array(counts))
    assert fit.converged
    flow = fit.stationary_distribution[:, None] * fit.matrix.toarray()
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    np.testing.assert_allclose(fit.matrix.sum(axis=1), 1, atol=1e-12)
    rate = counts.sum(axis=1) / fit.stationary_distribution
    np.testing.assert_allclose(flow, (counts + counts.T) / (rate[:, None] + rate), atol=1e-9)


@pytest.mark.parametrize("size", [3, 12])
def test_no_reversible_matrix_nearby_is_more_likely(size):
    counts = random_counts(size, seed=1)
    fit = Reversible().fit(csr_array(counts))
    best = log_likelihood(counts, fit.matrix.toarray())
    flow = fit.stationary_distribution[:, None] * fit.matrix.toarray()
    random = np.random.default_rng(0)
    for _ in range(50):
        factor = np.exp(0.05 * random.standard_normal(flow.shape))
        other = flow * (factor + factor.T)
        assert log_likelihood(counts, other / other.sum(axis=1, keepdims=True)) < best


def test_the_estimate_equals_that_of_deeptime():
    msm = pytest.importorskip("deeptime.markov.msm")
    counts = random_counts(30, seed=5)
    theirs = msm.MaximumLikelihoodMSM(reversible=True).fit_from_counts(counts).fetch_model()
    fit = Reversible().fit(csr_array(counts))
    np.testing.assert_allclose(fit.matrix.toarray(), theirs.transition_matrix, atol=1e-6)
    np.testing.assert_allclose(fit.stationary_distribution, theirs.stationary_distribution, atol=1e-6)


def test_the_stationary_distribution_is_found_from_uniform_starts(prinz, chain):
    counts = 1e6 * chain / len(chain)
    fit = Reversible().fit(csr_array(counts))
    np.testing.assert_allclose(fit.stationary_distribution, prinz.stationary_distribution, rtol=1e-6)
    np.testing.assert_allclose(fit.matrix.toarray(), chain, atol=1e-9)


def test_nearly_disconnected_counts_are_solved_too():
    halves = np.kron(np.eye(2), random_counts(60, seed=2)) * 1e6
    halves[0, 60] = halves[70, 3] = 1e-3
    fit = Reversible().fit(csr_array(halves))
    assert fit.converged
    flow = fit.stationary_distribution[:, None] * fit.matrix.toarray()
    np.testing.assert_allclose(flow[0, 60], flow[60, 0], rtol=1e-9)


def test_a_good_guess_saves_iterations_and_changes_nothing():
    counts = csr_array(random_counts(40, seed=3))
    cold = Reversible().fit(counts)
    warm = Reversible().fit(counts, start=cold.stationary_distribution)
    assert warm.iterations <= 1 < cold.iterations
    np.testing.assert_allclose(warm.matrix.toarray(), cold.matrix.toarray(), atol=1e-10)


def test_a_guess_that_leads_nowhere_costs_nothing_but_time():
    counts = csr_array(random_counts(40, seed=3))
    cold = Reversible().fit(counts)
    for wild in (np.geomspace(1e-280, 1, 40), np.zeros(40)):
        found = Reversible().fit(counts, start=wild)
        assert found.converged
        np.testing.assert_allclose(found.matrix.toarray(), cold.matrix.toarray(), atol=1e-10)


def test_an_iteration_cut_short_says_so():
    fit = Reversible(newton=Newton(max_iterations=1)).fit(csr_array(random_counts(40, seed=3)))
    assert not fit.converged
    assert fit.residual > 1e-10


def test_the_nonreversible_estimate_is_counts_over_row_sums():
    counts = random_counts(20, seed=4)
    fit = Nonreversible().fit(csr_array(counts))
    np.testing.assert_allclose(fit.matrix.toarray(), counts / counts.sum(axis=1, keepdims=True))
    pi = fit.stationary_distribution
    np.testing.assert_allclose(pi @ fit.matrix.toarray(), pi, atol=1e-12)
    assert (pi > 0).all()


@pytest.mark.parametrize("size", [2, 15])
def test_a_given_stationary_distribution_is_kept_with_detailed_balance(size):
    random = np.random.default_rng(size)
    given = random.random(size) + 0.05
    counts = random_counts(size, seed=6)
    counts[0, 0] = 0
    fit = FixedStationary(given).fit(csr_array(counts))
    assert fit.converged
    np.testing.assert_allclose(fit.stationary_distribution, given / given.sum(), atol=1e-12)
    flow = fit.stationary_distribution[:, None] * fit.matrix.toarray()
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    best = log_likelihood(counts, np.maximum(fit.matrix.toarray(), 1e-300))
    for _ in range(50):
        factor = np.exp(0.02 * random.standard_normal(flow.shape))
        other = flow * (factor + factor.T) / 2
        np.fill_diagonal(other, 0)
        rest = flow.sum(axis=1) - other.sum(axis=1)
        if (rest > 0).all():
            np.fill_diagonal(other, rest)
            assert log_likelihood(counts, other / flow.sum(axis=1, keepdims=True)) < best + 1e-6


def test_the_constrained_estimate_equals_that_of_deeptime():
    msm = pytest.importorskip("deeptime.markov.msm")
    counts = random_counts(12, seed=8) + np.eye(12)
    given = np.random.default_rng(0).random(12) + 0.1
    given /= given.sum()
    method = msm.MaximumLikelihoodMSM(reversible=True, stationary_distribution_constraint=given)
    theirs = method.fit_from_counts(counts).fetch_model().transition_matrix
    np.testing.assert_allclose(
        FixedStationary(given).fit(csr_array(counts)).matrix.toarray(), theirs, atol=1e-5
    )


def test_known_populations_sharpen_rates_from_runs_down_the_hill(prinz, sample):
    """Runs that leave a rare state show the way back once the populations are known."""
    from thalweg.kinetics.markov_state_model import MarkovStateModel

    exact = prinz.timescales(1)[0]
    runs = sample(100, 60, seed=1, start=30)
    given = FixedStationary(prinz.stationary_distribution)
    model = MarkovStateModel(5, given, n_processes=1).fit(runs)
    assert abs(model.timescales[0] / exact - 1) < 0.25


@pytest.mark.parametrize(
    ("given", "message"),
    [(np.ones(3), r"shape \(3,\), there are 4 states"), (np.array([1.0, 0, 1, 1]), r"states \[1\] are not")],
)
def test_a_distribution_that_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        FixedStationary(given).fit(csr_array(random_counts(4, seed=0)))
