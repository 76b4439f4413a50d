"""Sampled matrices follow their posterior, and its statistics need no list of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.sparse import csr_array
from scipy.special import digamma
from scipy.stats import beta, kstest

import thalweg.kinetics.validation.posterior as module
from thalweg.kinetics.counts.counting import Effective
from thalweg.kinetics.estimation.fixed_stationary import FixedStationary
from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.validation.posterior import posterior, posterior_timescales, sampled_models
from thalweg.testsystems.chain import sampled_states, three_state_chain, timescales


def drawn(counts, estimator, number, seed=0):
    counts = csr_array(np.asarray(counts, float))
    samples = estimator.samples(counts, estimator.fit(counts), np.random.default_rng(seed))
    return list(islice(samples, number))


@pytest.mark.parametrize("estimator", [Reversible(), Nonreversible()])
def test_rows_of_two_states_follow_beta_distributions(estimator):
    """Every chain of two states is reversible, so both posteriors are the same closed one."""
    found = np.array([s.matrix.toarray()[:, 1] for s in drawn([[7, 3], [2, 30]], estimator, 1200)])
    assert kstest(found[::2, 0], beta(3, 7).cdf).pvalue > 1e-3
    assert kstest(found[::2, 1], beta(30, 2).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.12


def test_three_states_in_a_ring_have_the_moments_of_the_density_itself():
    """By quadrature over the two free strengths; self-transitions do not matter for them."""
    counts = np.array([[0, 4, 1], [2, 0, 5], [3, 2, 0]])
    sums, leaving = counts + counts.T, counts.sum(axis=1)

    def density(a, b):
        u = np.exp([0.0, a, b])
        value = leaving @ np.log(u)
        return np.exp(value - sum(sums[i, j] * np.log(u[i] + u[j]) for i, j in ((0, 1), (0, 2), (1, 2))))

    def mean_flow(a, b):
        """Mean of ln x_01 - ln x_12 given the strengths, up to digammas that do not depend on them."""
        u = np.exp([0.0, a, b])
        return np.log(u[1] + u[2]) - np.log(u[0] + u[1])

    norm, _ = dblquad(density, -6, 6, -6, 6, epsabs=1e-10)
    first, _ = dblquad(lambda a, b: density(a, b) * mean_flow(a, b), -6, 6, -6, 6, epsabs=1e-10)
    exact = first / norm + digamma(sums[0, 1]) - digamma(sums[1, 2])
    flows = [
        s.stationary_distribution[:, None] * s.matrix.toarray() for s in drawn(counts, Reversible(), 3000)
    ]
    found = np.array([np.log(f[0, 1] / f[1, 2]) for f in flows])
    error = found.reshape(60, 50).mean(axis=1).std(ddof=1) / np.sqrt(60)
    assert abs(found.mean() - exact) < 4 * error
    assert error < 0.04


def test_reversible_samples_obey_detailed_balance_where_counts_were_seen(long_run):
    model = MarkovStateModel(2).fit(long_run)
    sample = next(sampled_models(model))
    flow = sample.stationary_distribution[:, None] * sample.transition_matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-15)
    np.testing.assert_allclose(sample.fit.matrix.sum(axis=1), 1)
    np.testing.assert_array_equal(flow > 0, model.transition_matrix > 0)


def test_samples_agree_with_those_of_deeptime():
    sampler = pytest.importorskip("deeptime.markov.tools.estimation").tmatrix_sampler
    counts = np.random.default_rng(0).poisson(6, (8, 8)) + 1.0
    theirs = sampler(counts, reversible=True)
    theirs = np.array([theirs.sample() for _ in range(1500)])
    ours = np.array([s.matrix.toarray() for s in drawn(counts, Reversible(), 1500)])
    standard = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 1500)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 6 * standard).all()
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.15)


def test_counts_of_a_chain_at_its_own_step_give_bars_that_cover():
    """Both sides of the ratio have an error of about 13 %; coverage is binomial."""
    chain, replicas = three_state_chain(), 30
    exact = timescales(chain, 1)[0]
    runs = sampled_states(chain, replicas, 3000, np.full(3, 1 / 3), np.random.default_rng(0))
    claimed, found, covered = [], [], 0
    for k, states in enumerate(runs):
        model = MarkovStateModel(1, n_processes=1).fit([states])
        estimate = posterior_timescales(model, samples=40, seed=k)
        low, high = estimate.interval()[:, 0]
        covered += low < exact < high
        claimed.append(estimate.error[0])
        found.append(model.timescales[0])
    assert covered >= 0.95 * replicas - 3 * np.sqrt(0.95 * 0.05 * replicas)
    assert np.mean(claimed) / np.std(found, ddof=1) == pytest.approx(1, abs=0.4)


def test_running_statistics_are_those_of_the_list(long_run, monkeypatch):
    model = MarkovStateModel(4, counting=Effective()).fit(long_run)
    whole = posterior(model, lambda m: m.stationary_distribution, samples=50)
    np.testing.assert_allclose(whole.mean, whole.samples.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(whole.error, whole.samples.std(axis=0, ddof=1), rtol=1e-9)
    assert whole.samples.shape == (50, model.n_states)
    monkeypatch.setattr(module, "HELD", 20 * model.n_states)
    thinned = posterior(model, lambda m: m.stationary_distribution, samples=50)
    np.testing.assert_array_equal(thinned.mean, whole.mean)
    np.testing.assert_array_equal(thinned.samples, whole.samples[::4])


def test_samples_without_an_answer_are_counted(long_run):
    model = MarkovStateModel(4).fit(long_run)
    middle = model.stationary_distribution[30]

    def fails_sometimes(sample):
        if sample is not model and sample.stationary_distribution[30] > middle:
            raise ValueError("no answer")
        return sample.stationary_distribution[30]

    with pytest.warns(UserWarning, match="of 60 posterior samples failed and are left out"):
        estimate = posterior(model, fails_sometimes, samples=60)
    assert estimate.told in str(estimate)
    assert 0.2 < estimate.failed < 0.8
    assert estimate.mean < middle


@dataclass(frozen=True)
class Plain:
    """An estimator that fits and cannot be sampled."""

    connectivity: str = field(default="strong", init=False)

    def among(self, states):
        return self

    def fit(self, counts, start=None):
        return Reversible().fit(counts, start)


def test_an_estimator_without_posterior_is_answered_with_what_to_do(long_run):
    model = MarkovStateModel(2, estimator=Plain()).fit(long_run)
    with pytest.raises(ValueError, match="Plain has no posterior that can be sampled; use bootstrap"):
        next(sampled_models(model))


def test_the_flow_between_two_states_of_known_populations_follows_its_density():
    """One free number: the flow x, with density x^(s - 1) (pi_1 - x)^c_11 (pi_2 - x)^c_22."""
    counts, given = [[7, 3], [2, 30]], np.array([0.3, 0.7])
    found = drawn(counts, FixedStationary(given), 3000)
    flows = np.array([0.3 * s.matrix[0, 1] for s in found])
    x = np.linspace(0, 0.3, 20001)
    density = np.cumsum(x**4 * (0.3 - x) ** 7 * (0.7 - x) ** 30)
    assert kstest(flows[::4], lambda flow: np.interp(flow, x, density / density[-1])).pvalue > 1e-3


def test_flows_of_a_ring_of_known_populations_have_the_moments_of_their_density():
    counts = np.array([[5, 4, 1], [2, 0, 5], [3, 2, 9]])
    sums, given = counts + counts.T, np.array([0.25, 0.4, 0.35])
    grid = (np.arange(80) + 0.5) / 80 * 0.4
    a, b, c = np.meshgrid(grid, grid, grid, indexing="ij")  # flows 01, 02, 12
    stays = np.stack([given[0] - a - b, given[1] - a - c, given[2] - b - c])
    inside = (stays > 0).all(axis=0)
    logs = sum((sums[i, j] - 1) * np.log(f) for f, (i, j) in zip((a, b, c), ((0, 1), (0, 2), (1, 2))))
    logs = logs + sum(n * np.log(np.where(inside, s, 1)) for n, s in zip(np.diag(counts), stays))
    density = np.where(inside, np.exp(logs - logs[inside].max()), 0)
    found = drawn(counts, FixedStationary(given), 2500)
    flows = np.array([given[:, None] * s.matrix.toarray() for s in found])
    for flow, (i, j) in zip((a, b, c), ((0, 1), (0, 2), (1, 2))):
        mean = (density * flow).sum() / density.sum()
        spread = np.sqrt((density * (flow - mean) ** 2).sum() / density.sum())
        assert abs(flows[:, i, j].mean() - mean) < 5 * spread / np.sqrt(len(found) / 4)
        assert flows[:, i, j].std() == pytest.approx(spread, rel=0.1)


def test_samples_keep_the_populations_they_are_given(long_run):
    given = np.bincount(np.concatenate(long_run.blocks), minlength=60) + 1.0
    model = MarkovStateModel(2, estimator=FixedStationary(given)).fit(long_run)
    for sample in islice(sampled_models(model), 5):
        stationary = model.stationary_distribution
        np.testing.assert_allclose(sample.stationary_distribution, stationary, rtol=1e-10)
        flow = stationary[:, None] * sample.transition_matrix
        np.testing.assert_allclose(flow, flow.T, atol=1e-15)
        assert sample.transition_matrix.min() >= 0


def test_what_does_not_fit_into_memory_is_refused_before_it_is_drawn(long_run, monkeypatch):
    model = MarkovStateModel(1).fit(long_run)
    monkeypatch.setattr("thalweg.machine.memory.available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match="posterior of 3600 numbers; ask for fewer numbers: needs"):
        posterior(model, lambda sample: sample.transition_matrix)
    with pytest.raises(MemoryError, match="memberships of 59 states in 3 sets; ask for fewer sets"):
        metastable_sets(model, 3)
