"""Hidden Markov models recover chains seen through noise, and the double well through few cells."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.hidden.bootstrap import hidden_bootstrap, hidden_timescale_errors
from thalweg.kinetics.hidden.chapman_kolmogorov import hidden_chapman_kolmogorov
from thalweg.kinetics.hidden.hidden_markov_model import HiddenMarkovModel
from thalweg.kinetics.hidden.outputs import GaussianOutput
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import timescale_errors
from thalweg.testsystems.chain import sampled_states, timescales
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import ObliqueDoubleWell
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories

CHAIN = np.array([[0.98, 0.015, 0.005], [0.03, 0.94, 0.03], [0.02, 0.06, 0.92]])
SHOWN = np.array([[0.7, 0.2, 0.1, 0.0, 0.0], [0.0, 0.1, 0.2, 0.6, 0.1], [0.2, 0.0, 0.1, 0.1, 0.6]])
MEANS = np.array([[0.0, 0.0], [2.0, 0.0], [0.5, 1.5]])
WIDTHS = np.array([[[1.0, 0.6], [0.6, 0.8]], [[0.5, -0.3], [-0.3, 0.7]], [[0.4, 0.0], [0.0, 0.3]]])


@pytest.fixture(scope="module")
def hidden():
    return sampled_states(CHAIN, 10, 2000, np.array([1.0, 0, 0]), np.random.default_rng(0))


@pytest.fixture(scope="module")
def symbols(hidden):
    random = np.random.default_rng(1)
    ladder = np.cumsum(SHOWN, axis=1)
    return [(random.random(len(h))[:, None] > ladder[h]).sum(axis=1) for h in hidden]


@pytest.fixture(scope="module")
def points(hidden):
    random = np.random.default_rng(2)
    factors = np.linalg.cholesky(WIDTHS)
    return [
        MEANS[h] + np.einsum("nij,nj->ni", factors[h], random.standard_normal((len(h), 2))) for h in hidden
    ]


def order(model, exact):
    """Hidden states of the model that belong to the exact ones, by populations."""
    return np.argsort(np.argsort(-exact))


@pytest.mark.parametrize("estimator", [None, Nonreversible()])
def test_a_chain_seen_through_symbols_is_recovered(symbols, estimator):
    options = {} if estimator is None else {"estimator": estimator}
    model = HiddenMarkovModel(3, **options).fit(symbols)
    error = hidden_bootstrap(
        model, lambda m: np.concatenate([m.transition_matrix.ravel(), m.output.probabilities.ravel()]), 8
    ).error
    found = np.concatenate([model.transition_matrix.ravel(), model.output.probabilities.ravel()])
    assert model.converged
    assert (np.abs(found - np.concatenate([CHAIN.ravel(), SHOWN.ravel()])) < 6 * error + 1e-3).all()
    np.testing.assert_allclose(model.initial_distribution, [1, 0, 0], atol=0.3)


def test_a_chain_seen_through_gaussians_is_recovered(points):
    model = HiddenMarkovModel(3, restarts=1).fit(Trajectories(points, dt=0.5))
    np.testing.assert_allclose(model.output.means, MEANS, atol=0.06)
    np.testing.assert_allclose(model.output.covariances, WIDTHS, atol=0.08)
    estimate = hidden_timescale_errors(model, samples=8)
    assert (np.abs(estimate.value - timescales(CHAIN, 2, lag=0.5)) < 5 * estimate.error).all()


def test_the_most_likely_parameters_seen_are_kept(symbols):
    values = []
    method = HiddenMarkovModel(3, estimator=Nonreversible(), restarts=1)
    model = method.fit(symbols, lambda _, value: values.append(value))
    assert len(values) > 5
    assert values[1] > values[0]
    assert model.log_likelihood > max(values) - 1e-3


def test_hidden_states_are_found_frame_by_frame(hidden, points):
    model = HiddenMarkovModel(3, restarts=1).fit(points)
    paths, memberships = model.most_likely_path(points), model.memberships(points)
    assert np.mean(np.concatenate(paths) == hidden.ravel()) > 0.93
    guesses = [m.argmax(axis=1) for m in memberships]
    assert np.mean(np.concatenate(guesses) == hidden.ravel()) > 0.93
    assert [p.shape for p in paths] == [(2000,)] * 10
    np.testing.assert_allclose(np.concatenate(memberships).sum(axis=1), 1)


def test_a_lag_time_uses_every_frame_and_finds_the_same_timescales(symbols):
    model = HiddenMarkovModel(3, lagtime=4, restarts=1).fit(symbols)
    estimate = hidden_timescale_errors(model, samples=8)
    assert abs(estimate.value[0] - timescales(CHAIN, 1)[0]) < 5 * estimate.error[0]
    assert [m.shape for m in model.memberships([symbols[0][:10], symbols[1][:2]])] == [(10, 3), (2, 3)]


def test_the_double_well_seen_through_thirty_cells_relaxes_as_it_does(request):
    """Cells cut across the barrier, so a Markov model of them at the same lag is a quarter too fast."""
    generator = Generator(ObliqueDoubleWell(), ((-1.8, 1.8), (-2.0, 2.0)), (24, 24), kT=2.0)
    exact = generator.timescales(1)[0]
    runs = generator.sample(20, 3000, 0.02, seed=1)
    cells = [
        np.clip((x[:, 0] + 1.8) / 0.36, 0, 9).astype(int) * 3
        + np.clip((x[:, 1] + 2) * 0.75, 0, 2).astype(int)
        for x in runs
    ]
    data = DiscreteTrajectories(cells, dt=0.02, n_states=30)
    model = HiddenMarkovModel(2, lagtime=5, restarts=1).fit(data)
    estimate = hidden_timescale_errors(model, samples=8)
    assert abs(estimate.value[0] - exact) < 4 * estimate.error[0]
    assert estimate.error[0] < 0.12 * exact
    plain = timescale_errors(MarkovStateModel(1, n_processes=1).fit(data), samples=20)
    assert plain.value[0] < exact - 5 * plain.error[0]
    left = np.argsort(model.state_memberships[:3].mean(axis=0))[-1]
    assert model.stationary_distribution[left] == pytest.approx(0.5, abs=0.1)
    gaussian = HiddenMarkovModel(2, lagtime=10, restarts=1).fit(Trajectories(runs, dt=0.02))
    estimate = hidden_timescale_errors(gaussian, samples=8)
    assert abs(estimate.value[0] - exact) < 4 * estimate.error[0]
    assert abs(np.abs(gaussian.output.means[:, 0]) - 0.95).max() < 0.1


def test_hidden_models_are_scored_on_other_trajectories(symbols, points):
    result = cross_validate(HiddenMarkovModel(3, restarts=1), DiscreteTrajectories(symbols), ShuffleSplit(2))
    assert 1 < result.mean < 3
    assert abs(result.mean - np.nanmean(result.training)) < 0.2
    model = HiddenMarkovModel(3, restarts=1).fit(points)
    assert model.score(points[:2]) > result.mean
    discrete = HiddenMarkovModel(3, restarts=1).fit(symbols)
    unknown = np.where(np.random.default_rng(0).random(2000) < 0.3, 8, symbols[0])
    assert discrete.score([unknown]) < discrete.score(symbols[:1])
    with pytest.raises(ValueError, match="outputs are Gaussian"):
        _ = model.state_memberships


def test_a_state_seen_once_does_not_spoil_the_error_bars(symbols):
    """Replicates that miss the block of the only visit have no probability for it, and need none."""
    runs = [symbols[0].copy(), symbols[1]]
    runs[0][700] = 5
    estimate = hidden_timescale_errors(HiddenMarkovModel(3, restarts=1).fit(runs), samples=4)
    assert np.isfinite(estimate.samples).all()


def test_likelihood_of_other_data_prefers_the_right_number_of_hidden_states(symbols):
    values = [
        HiddenMarkovModel(n, restarts=1).fit(symbols[:6]).log_likelihood_of(symbols[6:]) for n in (2, 3)
    ]
    assert values[1] > values[0] + 10


def test_a_gaussian_does_not_collapse_onto_one_frame():
    x = np.random.default_rng(0).standard_normal((500, 2))
    x[:, 1] = np.round(x[:, 1] > 0)
    model = HiddenMarkovModel(2, restarts=1).fit([x])
    assert isinstance(model.output, GaussianOutput)
    assert np.isfinite(model.log_likelihood)
    assert (model.output.covariances[:, 1, 1] > 0).all()


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ({"n_hidden": 1}, [np.array([0, 1] * 20)], "n_hidden=1 must be at least two"),
        ({"n_hidden": 3}, [np.array([0, 1] * 20)], "n_sets=3 must lie between 2"),
        ({"n_hidden": 2, "lagtime": 50}, [np.array([0, 1] * 20)], "lagtime=50 leaves no pairs"),
        (
            {"n_hidden": 2},
            DiscreteTrajectories([np.array([0, 1] * 20)], weights=[np.ones(40)]),
            "give data without weights",
        ),
    ],
)
def test_what_cannot_be_fitted_is_answered_with_the_reason(options, data, message):
    with pytest.raises(ValueError, match=message):
        HiddenMarkovModel(**options).fit(data)


def test_data_of_another_kind_are_refused(symbols, points):
    model = HiddenMarkovModel(2, restarts=1).fit(symbols)
    with pytest.raises(ValueError, match="hidden states show discrete states"):
        model.memberships(points)
    with pytest.raises(ValueError, match="state 9 has probability zero in every hidden state"):
        model.memberships([np.array([0, 9, 0])])
    gaussian = HiddenMarkovModel(2, restarts=1).fit(points)
    with pytest.raises(ValueError, match="got 1 features, the model has 2"):
        gaussian.memberships([points[0][:, :1]])


def test_powers_of_hidden_transition_matrices_are_those_estimated_at_longer_lags(symbols):
    model = HiddenMarkovModel(3, restarts=1).fit(symbols)
    test = hidden_chapman_kolmogorov(model, multiples=2, samples=8)
    np.testing.assert_allclose(test.lags, [1, 2])
    np.testing.assert_allclose(test.predicted[0], test.observed[0])
    assert (test.observed_errors > 0).all()
    assert np.abs(test.deviations).max() < 4
    assert np.abs(test.predicted - test.observed).max() < 0.05
    np.testing.assert_allclose(test.observed.sum(axis=2), 1)


def test_hidden_states_that_remember_fail_the_chapman_kolmogorov_test():
    """One hidden state for two that look alike, one of which is left at once and the other hardly ever."""
    chain = np.array([[0.9, 0.05, 0.05], [0.01, 0.99, 0.0], [0.3, 0.0, 0.7]])
    path = sampled_states(chain, 4, 5000, np.array([1.0, 0, 0]), np.random.default_rng(0))
    model = HiddenMarkovModel(2, restarts=1).fit(list(np.minimum(path, 1)))
    test = hidden_chapman_kolmogorov(model, multiples=4, samples=8)
    assert np.abs(test.deviations[-1]).max() > 4
