"""Markov models reproduce exact chains, in the original numbering, and say what they do not know."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.counts.active_set import active_set
from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.estimation.spectrum import spectrum
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import bootstrap, matched_timescales, timescale_errors
from thalweg.time_series.crossings import Process, observed_process


def test_timescales_and_populations_agree_with_the_exact_chain(prinz, long_run):
    model = MarkovStateModel(2, n_processes=3).fit(long_run)
    estimate = timescale_errors(model, samples=40)
    assert (np.abs(estimate.value - prinz.timescales(3)) < 3 * estimate.error).all()
    assert (estimate.error < 0.1 * estimate.value).all()
    wells = bootstrap(model, lambda m: m.stationary_distribution.reshape(4, 15).sum(axis=1), samples=40)
    exact = prinz.stationary_distribution.reshape(4, 15).sum(axis=1)
    assert (np.abs(wells.value - exact) < 3 * wells.error).all()


def test_runs_from_one_state_give_the_same_answer_as_runs_from_equilibrium(prinz, sample):
    model = MarkovStateModel(2, n_processes=1).fit(sample(400, 60, start=22))
    estimate = timescale_errors(model, samples=40)
    assert abs(estimate.value[0] - prinz.timescales(1)[0]) < 3 * estimate.error[0]


@pytest.mark.parametrize("estimator", [None, Nonreversible()])
def test_few_eigenpairs_equal_those_of_the_dense_problem(long_run, estimator, monkeypatch):
    options = {} if estimator is None else {"estimator": estimator}
    model = MarkovStateModel(2, n_processes=3, **options).fit(long_run)
    dense = np.linalg.eigvals(model.fit.matrix.toarray())
    dense = dense[np.argsort(-np.abs(dense))][:4]
    np.testing.assert_allclose(np.abs(model.eigenvalues), np.abs(dense), atol=1e-10)
    monkeypatch.setattr("thalweg.kinetics.estimation.spectrum.DENSE", 5)
    values, functions = spectrum(model.fit, 4)
    np.testing.assert_allclose(values, model.eigenvalues, atol=1e-9)
    active = model.active.states
    np.testing.assert_allclose(np.abs(functions), np.abs(model.eigenfunctions[active]), atol=1e-5)


def test_eigenfunctions_are_orthonormal_at_equilibrium(long_run):
    model = MarkovStateModel(2).fit(long_run)
    functions = np.nan_to_num(model.eigenfunctions)
    gram = functions.T * model.stationary_distribution @ functions
    np.testing.assert_allclose(gram, np.eye(6), atol=1e-9)


def test_numbers_of_states_are_never_changed(long_run):
    """States 0 to 9 do not occur; everything else moves up by ten."""
    plain = MarkovStateModel(2).fit(long_run)
    shifted = MarkovStateModel(2).fit(
        DiscreteTrajectories([s + 10 for s in long_run.blocks], dt=long_run.dt, n_states=75)
    )
    np.testing.assert_allclose(shifted.timescales, plain.timescales)
    np.testing.assert_allclose(shifted.stationary_distribution[10:70], plain.stationary_distribution)
    assert shifted.transition_matrix.shape == (75, 75)
    np.testing.assert_allclose(shifted.transition_matrix[10:70, 10:70], plain.transition_matrix)
    assert np.isnan(shifted.eigenfunctions[:10]).all()
    assert set(range(10)) <= set(shifted.active.dropped)


def test_states_that_are_not_connected_are_named_with_their_share():
    counts = transition_counts([np.array([0, 1] * 50 + [2]), np.array([3, 4] * 10)], 1, 1)
    active = active_set(counts.matrix)
    assert active.states.tolist() == [0, 1]
    assert active.kept == pytest.approx(99 / 119)
    assert str(active) == "2 of 5 states with 83.19 % of the counts; not connected with them: 2, 3, 4"
    assert active_set(counts.matrix, "weak").states.tolist() == [0, 1, 2]


def test_disconnected_data_are_refused_with_advice():
    with pytest.raises(ValueError, match="no two states are connected by transitions in both directions"):
        MarkovStateModel(1).fit([np.arange(10)])


def test_a_rare_process_is_called_under_sampled_and_has_no_timescale():
    states = np.random.default_rng(0).integers(0, 2, 20000)
    states[5000:5050] = states[12000:12020] = 2
    model = MarkovStateModel(1, n_processes=2).fit([states])
    process = model.processes[0]
    assert (process.forward, process.backward) == (2, 2)
    assert process.timescale is None
    assert "under-sampled (crossed 2 and 2 times" in str(model)


def test_a_state_of_two_frames_does_not_hide_how_often_a_process_was_crossed():
    random = np.random.default_rng(3)
    side = np.cumsum(random.random(50_000) < 0.005) % 2
    states = 2 * side + random.integers(0, 2, 50_000)
    far = np.flatnonzero((side[:-3] == 1) & (side[3:] == 1))[[100, 9000]]
    states[far] = 4  # seen twice, deep in one side
    model = MarkovStateModel(5, n_processes=1).fit(states)
    assert model.processes[0].forward > 50
    function = np.array([-1.0, -0.9, 1.0, 0.9, 8.0])
    assert observed_process(100.0, [function[states]], 10).forward > 50


def test_a_process_seen_in_one_block_only_is_under_sampled():
    assert Process(10.0, forward=20, backward=20, blocks=1).timescale is None
    assert Process(10.0, forward=20, backward=20, blocks=3).timescale == 10.0
    assert Process(10.0, forward=200, backward=9, blocks=30).timescale is None


def test_a_process_without_decay_has_no_timescale():
    process = Process(float("nan"), forward=200, backward=200, blocks=30)
    assert process.timescale is None
    assert str(process).startswith("no decay time at this lag")


def test_processes_need_trajectories(long_run):
    model = MarkovStateModel(2).fit_counts(transition_counts(long_run, 2))
    with pytest.raises(ValueError, match="fit the model to trajectories"):
        _ = model.processes


def test_processes_of_a_replicate_are_matched_not_ranked(long_run):
    """Wells 0 and 1 exchange faster than 2 and 3 in one model, slower in the other."""
    rates = np.array([0.02, 0.05])
    models = [MarkovStateModel(1, n_processes=2).fit([two_exchanges(r, 3)]) for r in (rates, rates[::-1])]
    matched = matched_timescales(*models)
    np.testing.assert_allclose(matched, models[1].timescales[::-1])


def two_exchanges(rates, seed):
    """Independent flips of two bits, as one of four states."""
    flips = np.random.default_rng(seed).random((40000, 2)) < rates
    return (np.cumsum(flips, axis=0) % 2) @ np.array([1, 2])


def test_a_distribution_moves_as_the_chain_says(long_run):
    model = MarkovStateModel(2).fit(long_run)
    begin = np.eye(model.n_states)[30]
    matrix = model.transition_matrix
    np.testing.assert_allclose(
        model.propagate(begin, 3), begin @ np.linalg.matrix_power(matrix, 3), atol=1e-12
    )
