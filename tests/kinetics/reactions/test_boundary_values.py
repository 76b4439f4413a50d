"""Committors, passage times and fluxes are those of linear algebra on the exact chain."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.reactions.committor import committor
from thalweg.kinetics.reactions.passage_times import first_passage_times, mean_first_passage_time
from thalweg.kinetics.reactions.transition_paths import reactive_flux
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import bootstrap
from thalweg.testsystems import chain as exact

A, B = np.arange(12), np.arange(48, 60)


@pytest.fixture(scope="module")
def model(long_run):
    return MarkovStateModel(1).fit(long_run)


def inside(model, states):
    return np.isin(model.active.states, states)


def test_the_committor_solves_its_equations(model):
    values = committor(model, A, B)[model.active.states]
    direct = exact.chain_committor(model.fit.matrix.toarray(), inside(model, A), inside(model, B))
    np.testing.assert_allclose(values, direct, atol=1e-10)


def test_the_committor_agrees_with_that_of_the_chain(model, chain):
    true = exact.chain_committor(chain, np.isin(np.arange(60), A), np.isin(np.arange(60), B))
    estimate = bootstrap(model, lambda m: committor(m, A, B)[[20, 30, 40]], samples=40)
    assert (np.abs(estimate.value - true[[20, 30, 40]]) < 3 * estimate.error).all()


def test_passage_times_solve_their_equations_and_agree_with_the_chain(model, chain):
    times = first_passage_times(model, B)[model.active.states]
    direct = exact.chain_mean_first_passage_time(model.fit.matrix.toarray(), inside(model, B), model.lag)
    np.testing.assert_allclose(times, direct, rtol=1e-9)
    true = exact.chain_mean_first_passage_time(chain, np.isin(np.arange(60), B), model.lag)
    estimate = bootstrap(model, lambda m: first_passage_times(m, B)[[15, 30]], samples=40)
    assert (np.abs(estimate.value - true[[15, 30]]) < 3 * estimate.error).all()


def test_the_mean_over_a_start_is_weighted_as_at_equilibrium(model):
    times, pi = first_passage_times(model, B), model.stationary_distribution
    known = A[pi[A] > 0]
    expected = (pi[known] @ times[known]) / pi[known].sum()
    assert mean_first_passage_time(model, A, B) == pytest.approx(expected)


@pytest.mark.parametrize("estimator", [None, Nonreversible()])
def test_flux_is_conserved_and_its_rate_is_that_of_renewal(long_run, estimator):
    options = {} if estimator is None else {"estimator": estimator}
    model = MarkovStateModel(1, **options).fit(long_run)
    there, back = reactive_flux(model, A, B), reactive_flux(model, B, A)
    assert there.total == pytest.approx(back.total, rel=1e-9)
    net = there.net.toarray()
    between = np.setdiff1d(model.active.states, np.concatenate([A, B]))
    np.testing.assert_allclose(net.sum(axis=0)[between], net.sum(axis=1)[between], atol=1e-12)
    assert net[:, B].sum() == pytest.approx(there.total, rel=1e-9)
    assert 1 / there.rate + 1 / back.rate == pytest.approx(1 / there.total, rel=1e-9)


def test_flux_equals_that_of_deeptime(model):
    markov = pytest.importorskip("deeptime.markov")
    theirs = markov.reactive_flux(
        model.fit.matrix.toarray(), inside(model, A).nonzero()[0], inside(model, B).nonzero()[0]
    )
    assert reactive_flux(model, A, B).rate == pytest.approx(theirs.rate / model.lag, rel=1e-8)


def test_states_outside_the_active_set_have_no_answer(long_run):
    runs = DiscreteTrajectories(long_run.blocks, dt=long_run.dt, n_states=62)
    model = MarkovStateModel(1).fit(runs)
    assert np.isnan(committor(model, A, B)[60:]).all()
    assert np.isnan(first_passage_times(model, B)[60:]).all()


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [([0, 1], [61], "no state of B is in the active set"), ([5, 20], [20, 30], "overlap")],
)
def test_sets_that_cannot_be_used_are_refused(long_run, a, b, message):
    model = MarkovStateModel(1).fit(DiscreteTrajectories(long_run.blocks, n_states=62))
    with pytest.raises(ValueError, match=message):
        committor(model, [*a, 5], [*b])
