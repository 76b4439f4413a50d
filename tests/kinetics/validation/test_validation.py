"""Scans over lag times, the Chapman-Kolmogorov test and metastable sets on a chain that is Markovian."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.chapman_kolmogorov import chapman_kolmogorov
from thalweg.kinetics.validation.implied_timescales import ImpliedTimescales


@pytest.fixture(scope="module")
def model(long_run):
    return MarkovStateModel(2).fit(long_run)


def test_timescales_of_a_markovian_chain_do_not_depend_on_the_lag(prinz, sample):
    scan = ImpliedTimescales([1, 5, 20], n_processes=1, samples=30).fit(sample(20, 20000, seed=4))
    assert (np.abs(scan.timescales[:, 0] - prinz.timescales(1)[0]) < 3 * scan.errors[:, 0]).all()
    assert scan.resolved.all()
    assert scan.flat_from[0] == pytest.approx(scan.lags[0])
    assert "process 1: flat from" in str(scan)
    assert (scan.intervals[0] < scan.timescales).all()
    assert (scan.intervals[1] > scan.timescales).all()


def test_a_bad_lag_does_not_end_the_scan(long_run):
    scan = ImpliedTimescales([2, 4999, 5000], n_processes=1, samples=10).fit(long_run)
    assert np.isfinite(scan.timescales[0, 0])
    assert set(scan.failures) == {4999, 5000}
    assert "leaves no pairs" in scan.failures[5000]
    assert str(scan).count("\n") == 2
    assert np.isnan(scan.flat_from[0])


def test_timescales_that_grow_with_the_lag_are_called_so(long_run):
    """A border through the middle of a well: its states remember where in the well they were."""
    halves = [(s >= 24).astype(int) for s in long_run.blocks]
    scan = ImpliedTimescales([1, 2, 5], n_processes=1, samples=30).fit(halves)
    assert np.isnan(scan.flat_from[0])
    assert "not flat up to 5 frames" in str(scan)


@pytest.mark.long
@pytest.mark.parametrize("lags", [(100, 150, 200), (50, 100, 200)])
def test_two_states_seen_through_noise_are_not_called_flat(lags):
    """True time 499.5 frames, seen 92 to 236: wrong in at most one of twenty, also with thirty crossings."""
    wrong = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        side = np.cumsum(random.random(30000) < 0.001) % 2
        seen = np.where(random.random(30000) < 0.1, 1 - side, side)
        scan = ImpliedTimescales(lags, n_processes=1, samples=30).fit([seen])
        wrong += bool(np.isfinite(scan.flat_from[0]))
    assert wrong <= 1


def test_a_process_seldom_crossed_is_not_judged():
    states = np.repeat([0, 1, 0, 1, 0], 400)
    scan = ImpliedTimescales([1, 5, 20], n_processes=1, samples=10).fit([states])
    assert np.isnan(scan.flat_from[0])
    assert str(scan.flatness[0]).startswith("cannot tell whether it is flat: fewer than two lags")


def test_one_array_is_one_trajectory(long_run):
    states = np.asarray(long_run.blocks[0])
    one, listed = (MarkovStateModel(2).fit(data) for data in (states, [states]))
    np.testing.assert_array_equal(one.counts.matrix.toarray(), listed.counts.matrix.toarray())


def test_the_model_predicts_what_the_data_show_later(model):
    sets = metastable_sets(model, 4).assignments
    test = chapman_kolmogorov(model, sets, multiples=4, samples=30)
    np.testing.assert_allclose(test.predicted.sum(axis=2), 1, atol=1e-9)
    np.testing.assert_allclose(test.observed.sum(axis=2), 1, atol=1e-9)
    assert np.median(np.abs(test.deviations)) < 1
    assert np.abs(test.predicted - test.observed).max() < 0.03


def test_a_lumped_chain_with_memory_fails_the_test(long_run):
    """A border through the middle of a well is crossed back and forth, which two states cannot know."""
    lumped = DiscreteTrajectories([(s >= 24).astype(int) for s in long_run.blocks], dt=long_run.dt)
    model = MarkovStateModel(1, n_processes=1).fit(lumped)
    test = chapman_kolmogorov(model, np.array([0, 1]), multiples=4, samples=30)
    assert np.abs(test.deviations).max() > 5


def test_memberships_are_probabilities_and_sets_are_the_wells(prinz, model):
    found = metastable_sets(model, 4)
    known = model.active.states
    memberships = found.memberships[known]
    np.testing.assert_allclose(memberships.sum(axis=1), 1)
    assert memberships.min() >= 0
    np.testing.assert_allclose(found.populations, model.stationary_distribution[known] @ memberships)
    wells = [int(np.abs(prinz.points[0] - x).argmin()) for x in (-0.73, -0.25, 0.25, 0.68)]
    assert sorted(found.assignments[wells]) == [0, 1, 2, 3]
    assert (np.diff(found.assignments[known]) != 0).sum() == 3
    assert (np.diff(found.populations) < 0).all()


@pytest.mark.parametrize("n_sets", [2, 3, 4])
def test_sets_are_at_least_as_crisp_as_those_of_deeptime(model, n_sets):
    markov = pytest.importorskip("deeptime.markov")
    theirs = markov.pcca(model.fit.matrix.toarray(), n_sets).memberships
    pi = model.fit.stationary_distribution
    crispness = np.sum((pi @ theirs**2) / (pi @ theirs)) / n_sets
    ours = metastable_sets(model, n_sets)
    assert ours.crispness > crispness - 1e-6
    same = ours.memberships[model.active.states].T @ theirs
    assert (np.sort(same.argmax(axis=1)) == np.arange(n_sets)).all()


def test_wrong_requests_are_explained(model, long_run):
    with pytest.raises(ValueError, match="n_sets=1 must lie between 2"):
        metastable_sets(model, 1)
    with pytest.raises(ValueError, match="PCCA\\+ needs a reversible model"):
        metastable_sets(MarkovStateModel(2, Nonreversible()).fit(long_run), 2)
    with pytest.raises(ValueError, match="needed is one number per state"):
        chapman_kolmogorov(model, np.zeros(3, int))
    with pytest.raises(ValueError, match=r"sets \[1\] have no active state"):
        chapman_kolmogorov(model, np.where(np.arange(60) < 30, 0, 2))
    alone = MarkovStateModel(2).fit_counts(transition_counts(long_run, 2))
    with pytest.raises(ValueError, match="needs trajectories"):
        chapman_kolmogorov(alone, np.zeros(60, int))
