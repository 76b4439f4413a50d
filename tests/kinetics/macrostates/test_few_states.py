"""Few states with the right long times: lumping, its optimal form, and memory kernels, on exact chains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from thalweg.kinetics.counts.multiple_lag_counts import MultipleLagCounts, multiple_lag_counts
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.kinetics.known_chain import known_chain
from thalweg.kinetics.macrostates.lumping import hummer_szabo, lumped
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.macrostates.quasi_markov import QuasiMarkov, QuasiMarkovModel, kernels, memory_scan
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import bootstrap
from thalweg.testsystems.chain import timescales
from thalweg.time_series.trajectories import pair_report

WELLS = np.repeat(np.arange(4), 15)


@pytest.fixture(scope="module")
def model(long_run):
    return MarkovStateModel(1).fit(long_run)


def exact_lumps(prinz, chain, sets, multiples):
    """Exact transition probabilities between sets at ``1 ... multiples`` steps."""
    member = np.eye(sets.max() + 1)[sets]
    populations, found, moved = prinz.stationary_distribution @ member, [], member
    for _ in range(multiples):
        moved = chain @ moved
        found.append((member.T * prinz.stationary_distribution) @ moved / populations[:, None])
    return np.stack(found)


def of_exact(observed, memory):
    report = pair_report(np.array([100]), 1)
    return QuasiMarkovModel(MultipleLagCounts(1, 0.01, observed[None], report), kernels(observed, memory))


def test_the_projection_keeps_the_integrals_of_all_correlations(model):
    sets = np.where(np.isin(np.arange(60), model.active.states), WELLS, -1)
    found = hummer_szabo(model, sets)
    member = (sets[model.active.states][:, None] == np.arange(4)).astype(float)
    matrix, stationary = model.fit.matrix.toarray(), model.fit.stationary_distribution
    populations = stationary @ member

    def integral(matrix, weights, values):
        """Sum over all times of correlations, less their limit, from the spectrum-free series by doubling."""
        power, total = matrix.copy(), np.eye(len(matrix)) - weights
        for _ in range(40):
            total = total + (power - weights) @ total
            power = power @ power
        return values.T @ (weights[:, None] * (total @ values))

    whole = integral(matrix, stationary, member)
    few = integral(found.transition_matrix, populations, np.eye(4))
    np.testing.assert_allclose(few, whole, atol=1e-9)
    np.testing.assert_allclose(found.transition_matrix.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(
        found.stationary_distribution @ found.transition_matrix, populations, atol=1e-12
    )


def test_the_projection_relaxes_as_slowly_as_the_chain_where_lumping_does_not(prinz, chain, model):
    exact = prinz.timescales(3)
    fit = TransitionMatrix(csr_array(chain), prinz.stationary_distribution, reversible=True)
    whole = replace(model.active, states=np.arange(60))
    ideal = replace(model, active=whole, fit=fit)
    fast, right = lumped(ideal, WELLS).timescales, hummer_szabo(ideal, WELLS).timescales
    assert fast[0] < 0.8 * exact[0]
    assert (np.abs(right / exact - 1) < np.abs(fast / exact - 1)).all()
    assert right[0] == pytest.approx(exact[0], rel=0.02)


def test_the_projection_has_bootstrap_errors_like_any_quantity(prinz, model):
    sets = np.where(np.isin(np.arange(60), model.active.states), WELLS, -1)
    estimate = bootstrap(model, lambda m: hummer_szabo(m, WELLS).timescales[0], samples=20)
    assert estimate.value == pytest.approx(hummer_szabo(model, sets).timescales[0])
    assert abs(estimate.value - prinz.timescales(1)[0]) < 3 * estimate.error


def test_what_does_not_decay_does_not_shift_what_does():
    """A cycle of three sets, driven and seldom left to a fourth: a complex pair, then the slow exchange, in order."""
    matrix = np.array(
        [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.99, 0.01], [1.0, 0.0, 0.0, 0.0], [0.01, 0.0, 0.0, 0.99]]
    )
    driven = known_chain(matrix, n_processes=3)
    for times in (driven.timescales, lumped(driven, np.arange(4)).timescales):
        assert np.isfinite(times[0])
        assert np.isnan(times[1:]).all()
    assert "nan" not in str(lumped(driven, np.arange(4)))


def test_sets_are_the_crispest_of_many_starts_the_same_each_time():
    """Three rough wells asked for as three: one start ends at 0.595, 0.720 is there."""
    random, x = np.random.default_rng(2), np.linspace(-1, 1, 80)
    energy = 3 * np.cos(3 * np.pi * x) + random.normal(0, 0.3, 80)
    flow = np.diag(np.exp(-np.maximum(energy[1:], energy[:-1])), 1)
    matrix = 0.4 * (flow + flow.T) / np.exp(-energy)[:, None]
    matrix /= max(1, matrix.sum(axis=1).max())
    chain = known_chain(matrix + np.diag(1 - matrix.sum(axis=1)))
    found = metastable_sets(chain, 3)
    assert found.crispness > 0.7204
    np.testing.assert_array_equal(metastable_sets(chain, 3).memberships, found.memberships)


def test_sets_without_a_state_are_told():
    random, x = np.random.default_rng(0), np.linspace(-1, 1, 80)
    energy = 3 * np.cos(3 * np.pi * x) + random.normal(0, 0.3, 80)
    flow = np.diag(np.exp(-np.maximum(energy[1:], energy[:-1])), 1)
    matrix = 0.4 * (flow + flow.T) / np.exp(-energy)[:, None]
    matrix /= max(1, matrix.sum(axis=1).max())
    chain = known_chain(matrix + np.diag(1 - matrix.sum(axis=1)))
    with pytest.warns(UserWarning, match="of 5 sets have no state that belongs to them most"):
        found = metastable_sets(chain, 5)
    assert found.told in str(found)


def test_kernels_of_a_chain_vanish_after_the_first(chain):
    powers = np.stack([np.linalg.matrix_power(chain, n) for n in range(1, 6)])
    found = kernels(powers, 5)
    np.testing.assert_array_equal(found[0], chain)
    np.testing.assert_allclose(found[1:], 0, atol=1e-12)


def test_a_short_memory_gives_what_a_markov_model_does_not_give_at_the_same_lag(prinz, chain):
    exact, observed = prinz.timescales(3), exact_lumps(prinz, chain, WELLS, 60)
    model = of_exact(observed, 10)
    np.testing.assert_allclose(model.timescales, exact, rtol=1e-3)
    markov = timescales(observed[9], 3, lag=0.1)
    assert (markov < 0.96 * exact).all()
    wrong = np.abs(np.linalg.matrix_power(observed[9], 6) - observed[59]).max()
    assert np.abs(model.predicted(60)[1:] - observed).max() < 0.02 * wrong
    np.testing.assert_allclose(
        model.stationary_distribution, prinz.stationary_distribution.reshape(4, 15).sum(axis=1), atol=1e-9
    )


def test_predictions_repeat_what_the_kernels_were_made_of(prinz, chain):
    observed = exact_lumps(prinz, chain, WELLS // 2, 7)
    np.testing.assert_allclose(of_exact(observed, 7).predicted(7)[1:], observed, atol=1e-14)


def test_memory_repairs_sampled_data_within_their_errors(prinz, long_run):
    exact = prinz.timescales(3)
    few = DiscreteTrajectories([WELLS[b] for b in long_run.blocks], dt=long_run.dt)
    scan = memory_scan(few, 1, [1, 6], samples=20)
    assert (scan.timescales[0] < exact - 5 * scan.errors[0]).all()
    assert (np.abs(scan.timescales[1] - exact) < 3 * scan.errors[1]).all()
    assert scan.sizes[1] < 0.1 * scan.sizes[0]
    model = QuasiMarkov(1, 6).fit(few)
    assert model.memory_time == pytest.approx(0.06)
    test = model.compared(few, 20, samples=60)
    np.testing.assert_allclose(test.predicted[:6], test.observed[:6], atol=1e-12)
    assert np.abs(test.deviations).max() < 4  # the largest of 224
    markov = QuasiMarkov(1, 1).fit(few).compared(few, 20, samples=20)
    assert np.abs(markov.deviations).max() > 5


def test_counts_at_all_lags_are_those_of_a_loop():
    random = np.random.default_rng(0)
    runs = [random.integers(0, 3, n) for n in (500, 4, 90)]
    weights = [random.random(len(r)) for r in runs]
    counts = multiple_lag_counts(DiscreteTrajectories(runs, weights=weights), 3, 4, n_blocks=7)
    for multiple in range(1, 5):
        exact = np.zeros((3, 3))
        for states, w in zip(runs, weights):
            for t in range(len(states) - 3 * multiple):
                exact[states[t], states[t + 3 * multiple]] += w[t]
        np.testing.assert_allclose(counts.tables.sum(axis=0)[multiple - 1], exact)
    assert counts.n_blocks > 4


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (np.zeros(59, int), r"sets has shape \(59,\)"),
        (np.zeros(60, int), "each of at least two sets needs an active state"),
        (np.where(np.arange(60) == 30, -1, WELLS), r"active states \[30\] are in no set"),
    ],
)
def test_sets_that_do_not_divide_the_states_are_refused(model, sets, message):
    for act in (lumped, hummer_szabo):
        with pytest.raises(ValueError, match=message):
            act(model, sets)


@pytest.mark.parametrize(
    ("lagtime", "memory", "message"),
    [
        (1, 0, "memory=0 must be at least one lag time"),
        (5, 10, "lagtime=50 leaves no pairs"),
        (1, 11, "state 1 is never seen"),
    ],
)
def test_a_memory_longer_than_the_data_is_refused(lagtime, memory, message):
    with pytest.raises(ValueError, match=message):
        QuasiMarkov(lagtime, memory).fit([np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])])
