"""Hidden Markov models recover chains seen through noise, and the double well through few cells."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.hidden import hidden_markov_model
from thalweg.kinetics.hidden.bootstrap import hidden_bootstrap, hidden_timescale_errors
from thalweg.kinetics.hidden.chapman_kolmogorov import hidden_chapman_kolmogorov
from thalweg.kinetics.hidden.first_guess import first_guess
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
        (
            {"n_hidden": 3},
            [np.array([0, 1] * 20)],
            "n_hidden=3 exceeds the 2 states that transitions connect",
        ),
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


def two_wells(seed, frames=3000):
    """Points around two places, which are exchanged about every hundred frames."""
    rng = np.random.default_rng(seed)
    side = np.cumsum(rng.random(frames) < 0.01) % 2
    return 4.0 * side[:, None] * np.ones(2), rng.standard_normal((frames, 2))


@pytest.mark.long
@pytest.mark.parametrize(("seed", "n_hidden"), [(0, 4), (0, 8), (1, 5), (2, 6)])
def test_more_hidden_states_than_wells_are_no_harm(seed, n_hidden):
    places, noise = two_wells(seed)
    model = HiddenMarkovModel(n_hidden, restarts=1).fit([places + 0.3 * noise])
    np.testing.assert_allclose(model.transition_matrix.sum(axis=1), 1)
    assert np.isfinite(model.output.means).all()
    two = HiddenMarkovModel(2, restarts=1).fit([places + 0.3 * noise])
    assert model.timescales[0] == pytest.approx(two.timescales[0], rel=0.25)


def test_features_that_repeat_each_other_or_never_change_give_the_timescale_of_one():
    places, noise = two_wells(0)
    one = (places + 0.3 * noise)[:, :1]
    expected = HiddenMarkovModel(2, restarts=1).fit([one]).timescales
    for features in (
        np.repeat(one, 2, axis=1),
        np.column_stack([one, -5 * one, one + 1e-9 * noise[:, 1:]]),
        np.column_stack([one, np.full(len(one), 7.0)]),
        places,
    ):
        model = HiddenMarkovModel(2, restarts=1).fit([features])
        np.testing.assert_allclose(model.timescales, expected, rtol=1e-3)


def test_no_direction_of_a_gaussian_falls_below_its_floor_whatever_the_units():
    points = np.stack([np.arange(50.0), 1e6 * np.arange(50.0) + 3])
    floor = np.array([1e-2, 1e8])
    start = GaussianOutput(np.zeros((1, 2)), np.eye(2)[None], floor)
    fitted = start.refitted(start.tally(points, np.ones((1, 50))))
    scaled = fitted.covariances[0] / np.sqrt(np.outer(floor, floor))
    np.testing.assert_allclose(np.linalg.eigvalsh(scaled)[0], 1.0, rtol=1e-6)
    np.testing.assert_allclose(fitted.covariances[0, 0, 0], points[0].var(), rtol=1e-3)


def test_a_hidden_state_that_dies_is_dropped_and_told(monkeypatch):
    """A third state far from all frames, narrow and hardly ever entered, has no frame left."""

    def with_a_lost_one(observed, n_hidden, seed, mixed):
        fit, initial, output = first_guess(observed, n_hidden, seed, mixed)
        means, covariances = output.means.copy(), output.covariances.copy()
        means[2], covariances[2] = 1e4, 1e-3 * np.eye(2)
        return fit, initial, GaussianOutput(means, covariances, output.floor)

    places, noise = two_wells(0)
    points = [places + 0.3 * noise]
    expected = HiddenMarkovModel(2, restarts=1).fit(points)
    monkeypatch.setattr(hidden_markov_model, "first_guess", with_a_lost_one)
    with pytest.warns(UserWarning, match="1 of 3 hidden states died"):
        model = HiddenMarkovModel(3, restarts=1).fit(points)
    assert model.n_hidden == 2
    assert "1 of 3 hidden states died" in str(model)
    assert model.timescales[0] == pytest.approx(expected.timescales[0], rel=0.02)


@dataclass(frozen=True)
class FailsAt:
    """A transition matrix without detailed balance that cannot be had at the calls named."""

    calls: tuple[int, ...]
    connectivity: str = "strong"
    called: list[int] = field(default_factory=list)

    def among(self, states):
        return self

    def fit(self, counts):
        self.called.append(len(self.called))
        if self.called[-1] in self.calls:
            raise RuntimeError("factor is exactly singular")
        return Nonreversible().fit(counts)


def test_a_first_guess_that_fails_leaves_the_fit_to_the_others(symbols):
    with pytest.warns(UserWarning, match="1 of 3 first guesses failed and are left out; first, 0: factor"):
        model = HiddenMarkovModel(3, estimator=FailsAt((2,)), restarts=3).fit(symbols[:3])
    assert np.isfinite(model.timescales).all()
    with pytest.raises(ValueError, match="all 2 first guesses failed"):
        HiddenMarkovModel(3, estimator=FailsAt(tuple(range(500))), restarts=2).fit(symbols[:3])


def test_replicates_that_fail_are_counted_and_the_error_bar_stands(symbols):
    model = HiddenMarkovModel(3, restarts=1).fit(symbols[:3])
    calls = iter(range(100))

    def quantity(replicate):
        if next(calls) == 4:
            raise RuntimeError("no answer")
        return replicate.timescales[0]

    estimate = hidden_bootstrap(model, quantity, samples=12)
    assert np.isnan(estimate.samples).sum() == 1
    assert float(estimate.error) > 0
    assert "1 of 12 bootstrap replicates failed" in str(estimate)


@pytest.mark.parametrize("n_hidden", [2, 3])
def test_hidden_states_of_runs_that_share_nothing_are_not_connected(n_hidden):
    rng = np.random.default_rng(0)
    low = np.cumsum(rng.random(600) < 0.05) % 2
    runs = [np.where(rng.random(600) < 0.1, 1 - low, low), rng.integers(3, 5, 300)]
    model = HiddenMarkovModel(n_hidden).fit(runs)
    assert "not connected with them: " in str(model)
    assert not model.active.complete
    assert model.stationary_distribution.sum() == pytest.approx(1)
    # what is left are exchanges inside one run: never one between the two
    assert not (model.timescales > 100).any()
    assert len(model.processes) == n_hidden - 2
    bars = hidden_timescale_errors(model, samples=4)
    np.testing.assert_array_equal(np.isnan(bars.error), np.isnan(model.timescales))
    # frames still belong to hidden states, each run to its own
    paths = [set(path.tolist()) for path in model.most_likely_path(runs)]
    assert not paths[0] & paths[1]
    assert np.isfinite(model.score(runs))
    np.testing.assert_allclose(np.nansum(model.state_memberships, axis=1)[[0, 1, 3, 4]], 1)
    with pytest.raises(ValueError, match="must all be connected"):
        hidden_chapman_kolmogorov(model)


def test_a_process_hardly_ever_crossed_has_no_timescale_to_quote():
    """One exchange and back in all frames, beside one that happens all the time."""
    rng = np.random.default_rng(0)
    slow = (np.arange(4000) // 1500) % 2
    fast = np.cumsum(rng.random(4000) < 0.05) % 2
    points = np.stack([5.0 * slow, 5.0 * fast], axis=1) + 0.3 * rng.standard_normal((4000, 2))
    for lagtime in (1, 3):
        model = HiddenMarkovModel(4, lagtime=lagtime, restarts=1).fit([points])
        slowest = model.processes[0]
        assert (slowest.forward, slowest.backward) == (1, 1)
        assert not slowest.resolved
        assert "process 1: under-sampled" in str(model)
        assert all(process.resolved for process in model.processes[1:])
        # the other two are the fast exchange on either side; every third frame does not see what came back before
        jumps = (np.diff(fast[::lagtime]) > 0).sum()
        assert abs(sum(process.forward for process in model.processes[1:]) - jumps) < 3


def test_a_multiple_of_the_lag_that_leaves_no_pairs_ends_alone(symbols):
    runs = [run[:50] for run in symbols]
    model = HiddenMarkovModel(2, lagtime=20, restarts=1, max_iterations=9).fit(runs)
    with pytest.warns(UserWarning, match="1 of 3 multiples of the lag time failed"):
        test = hidden_chapman_kolmogorov(model, multiples=3, samples=2)
    np.testing.assert_allclose(test.lags, [20, 40])


def test_memory_is_foretold(monkeypatch, points):
    monkeypatch.setattr("thalweg.machine.memory.available_memory", lambda: 1e6)
    with pytest.raises(MemoryError, match="hidden Markov model of 20000 frames with 2 features"):
        HiddenMarkovModel(2).fit(points)
