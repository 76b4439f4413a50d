"""Reversible Markov models between fuzzy states: stochastic by construction, right also out of equilibrium."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.bases.basis import Identity
from thalweg.collective_variables.memberships.deep_markov import DeepMarkovModel
from thalweg.collective_variables.memberships.fuzzy_markov_model import FuzzyMarkovStateModel
from thalweg.collective_variables.memberships.membership_moments import membership_moments
from thalweg.collective_variables.memberships.stretched_memberships import Stretched
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.trajectories import Trajectories

BARRIERS = np.array([-0.5, 0.0, 0.5])
CHANGE = 0.01
EXACT = -0.5 / np.log(1 - 2 * CHANGE)


@dataclass(frozen=True)
class Wells:
    """Memberships of the four wells of Prinz's potential, crisp or with borders of some width."""

    width: float = 0.0
    names = ("1", "2", "3", "4")

    def __call__(self, frames):
        if self.width == 0.0:
            return np.eye(4)[np.searchsorted(BARRIERS, frames[:, 0])]
        steps = 1 / (1 + np.exp(-(frames - BARRIERS) / self.width))
        edges = np.concatenate([np.ones((len(frames), 1)), steps, np.zeros((len(frames), 1))], axis=1)
        return edges[:, :-1] - edges[:, 1:]


@dataclass(frozen=True)
class Shrunk:
    """Memberships moved linearly into the middle of the simplex."""

    memberships: object
    share: float

    @property
    def names(self):
        return self.memberships.names

    def __call__(self, frames):
        values = self.memberships(frames)
        return self.share * values + (1 - self.share) / values.shape[1]


@pytest.fixture(scope="module")
def prinz():
    return Generator(PrinzPotential(), ((-1.2, 1.2),), 100)


@pytest.fixture(scope="module")
def equilibrium(prinz):
    return Trajectories(prinz.sample(10, 4000, 0.01, seed=1), dt=0.01)


@pytest.fixture(scope="module")
def one_well(prinz):
    """Runs half as long as the slowest relaxation time, all from one well."""
    return Trajectories(
        prinz.sample(400, 45, 0.01, start=lambda x: np.abs(x[0] + 0.22) < 0.05, seed=2), dt=0.01
    )


@pytest.fixture(scope="module")
def hidden():
    """A slow hidden sign that shows only in whether two fast signs agree, which no linear function sees."""
    random = np.random.default_rng(0)
    state = (np.cumsum(random.random((4, 6000)) < CHANGE, axis=1) % 2).astype(bool)
    sign = random.choice([-1.0, 1.0], state.shape)
    x = np.stack([sign, np.where(state, sign, -sign)], axis=-1)
    return Trajectories(list(x + 0.2 * random.standard_normal(x.shape)), dt=0.5), state


@pytest.fixture(scope="module")
def learned(hidden):
    method = DeepMarkovModel(
        lagtime=5, states=2, hidden=(16,), steps=150, restarts=2, batch=1024, learning_rate=0.02
    )
    return method.fit(hidden[0])


def exact_transitions(prinz, lag):
    inside = Wells()(prinz.points.T)
    flow = inside.T @ (prinz.stationary_distribution[:, None] * (prinz.transition_matrix(lag) @ inside))
    return flow / flow.sum(axis=1, keepdims=True), flow.sum(axis=1)


def check_reversible(model):
    matrix, pi, overlap = model.transition_matrix, model.stationary_distribution, model.fit.overlap
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-8)
    np.testing.assert_allclose(pi @ matrix, pi, atol=1e-8)
    np.testing.assert_allclose(overlap @ matrix, (overlap @ matrix).T, atol=1e-10)
    assert abs(model.eigenvalues[0] - 1) < 1e-6
    assert np.isrealobj(model.eigenvalues)


def test_a_network_learns_hidden_states_and_their_kinetics_together(learned, hidden):
    data, state = hidden
    check_reversible(learned)
    error = learned.timescale_errors(samples=30).error[0]
    assert abs(learned.timescales[0] - EXACT) < 3 * error < 0.5 * EXACT
    chances = learned.stationary_errors(samples=30)
    assert (np.abs(chances.value - 0.5) < 3 * chances.error).all()
    found = np.concatenate([learned.assign(x) for x in data.blocks])
    assert abs(np.corrcoef(found[:, 0], state.ravel())[0, 1]) > 0.97
    assert len(learned.memberships.losses) == 2
    assert abs(learned.fit.value + learned.memberships.losses.min()) < 0.1


def test_powers_of_the_transition_matrix_predict_longer_times(learned, hidden):
    test = learned.chapman_kolmogorov(hidden[0], multiples=4, samples=20)
    assert test.lags.tolist() == [2.5, 5.0, 7.5, 10.0]
    assert np.abs(test.predicted - test.estimated)[1:].max() < 0.03
    assert np.abs(test.deviations).max() < 3


def test_slow_functions_of_memberships_have_gradients_and_follow_the_state(learned, hidden):
    data, state = hidden
    slow = learned.transform(data.blocks[0])[:, 0]
    assert abs(np.corrcoef(slow, state[0])[0, 1]) > 0.97
    gradient = jax.jit(jax.grad(lambda x: learned.transform(x[None])[0, 0]))(jnp.array([0.1, 0.1]))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0.1


def test_crisp_states_at_equilibrium_agree_with_the_exact_chain_and_a_markov_state_model(prinz, equilibrium):
    model = FuzzyMarkovStateModel(5, Wells()).fit(equilibrium)
    check_reversible(model)
    exact, pi = exact_transitions(prinz, 0.05)
    errors = model._resampled(lambda fit: fit.transition_matrix, 30, 0).error
    assert (np.abs(model.transition_matrix - exact) < 4 * errors + 1e-3).all()
    assert (np.abs(model.stationary_distribution - pi) < 4 * model.stationary_errors(30).error).all()
    states = [np.searchsorted(BARRIERS, x[:, 0]) for x in equilibrium.blocks]
    other = MarkovStateModel(5).fit(states).transition_matrix
    np.testing.assert_allclose(model.transition_matrix, other, atol=0.01)
    assert model.fit.free_value - model.fit.value < 1e-3


def test_short_runs_from_one_well_give_the_equilibrium_and_the_slowest_time(prinz, one_well):
    model = FuzzyMarkovStateModel(10, Wells(0.03)).fit(one_well)
    check_reversible(model)
    chi = Wells(0.03)(prinz.points.T)
    pi = prinz.stationary_distribution @ chi
    errors = model.stationary_errors(30).error
    started = np.mean([chi.mean(axis=0) for chi in map(Wells(0.03), one_well.blocks)], axis=0)
    assert np.abs(started - pi).max() > 0.2, "the runs are far from equilibrium"
    assert (np.abs(model.stationary_distribution - pi) < 4 * errors).all()
    assert abs(model.timescales[0] / prinz.timescales(1)[0] - 1) < 0.15
    weights = np.concatenate([model.stationary_weights(x[10:]) for x in one_well.blocks])
    frames = np.concatenate([x[10:] for x in one_well.blocks])
    assert abs(weights.mean() - 1) < 1e-3
    np.testing.assert_allclose(
        weights @ Wells(0.03)(frames) / weights.sum(), model.stationary_distribution, atol=1e-3
    )


def test_memberships_inside_the_simplex_cost_score_and_are_stretched(equilibrium):
    wells = Wells(0.03)
    true = FuzzyMarkovStateModel(5, wells).fit(equilibrium)
    inside = FuzzyMarkovStateModel(5, Shrunk(wells, 0.5)).fit(equilibrium)
    assert inside.fit.free_value - inside.fit.value > 0.1
    assert inside.timescales[0] < 0.6 * true.timescales[0]
    stretched = FuzzyMarkovStateModel(5, Stretched(Shrunk(wells, 0.5))).fit(equilibrium)
    order = np.argsort(stretched.stationary_distribution), np.argsort(true.stationary_distribution)
    np.testing.assert_allclose(stretched.timescales, true.timescales, rtol=0.1)
    np.testing.assert_allclose(
        stretched.stationary_distribution[order[0]], true.stationary_distribution[order[1]], atol=0.03
    )


def test_no_other_reversible_rates_score_better(one_well):
    fit = FuzzyMarkovStateModel(5, Wells(0.05)).fit(one_well).fit
    means = membership_moments(one_well, Wells(0.05), 5).means
    random = np.random.default_rng(3)
    for size in 10.0 ** -np.arange(1, 6):
        for _ in range(20):
            change = size * random.standard_normal((4, 4)) * fit.rates
            other = np.triu(fit.rates + change, 1)
            other = other + other.T
            missing = 1 - other @ fit.stationary_distribution
            if (missing >= 0).all():
                other += np.diag(missing / fit.stationary_distribution)
                assert replace(fit, rates=other).score(means) <= fit.value + 1e-9


def test_the_score_on_other_data_is_near_that_of_the_fit(prinz, equilibrium):
    model = FuzzyMarkovStateModel(5, Wells(0.03)).fit(equilibrium)
    fresh = Trajectories(prinz.sample(10, 4000, 0.01, seed=7), dt=0.01)
    assert abs(model.score(fresh) - model.fit.value) < 0.1
    assert model.score(fresh) < model.fit.value + 0.05
    with pytest.raises(ValueError, match="r=2"):
        model.score(fresh, r=1)


def jumps(chance, frames, seed=0):
    """Two states that change with a chance a frame, as crisp memberships ``(frames, 2)``."""
    return np.eye(2)[np.cumsum(np.random.default_rng(seed).random(frames) < chance) % 2]


@pytest.mark.parametrize(
    "runs",
    [[np.eye(2)[[0] * 1000], np.eye(2)[[1] * 1000]], [np.eye(2)[[0] * 500 + [1] * 500]]],
    ids=["never", "once"],
)
def test_states_that_hardly_exchange_have_no_timescale_and_no_error_bar(runs):
    model = FuzzyMarkovStateModel(1, Identity(("a", "b"))).fit(runs)
    assert model.processes[0].timescale is None
    assert any("under-sampled" in note for note in model.notes)
    assert "under-sampled" in str(model)
    assert np.isnan(model.timescale_errors(samples=10).value[0])


def test_states_without_frames_are_left_out_and_told():
    three = np.concatenate([jumps(0.01, 5000), np.zeros((5000, 1))], axis=1)
    model = FuzzyMarkovStateModel(1, Identity(("a", "b", "c"))).fit([three])
    assert model.n_states == 2
    assert model.assign(three).shape == (5000, 2)
    assert "left out: 3 of 3" in model.notes[0]
    assert model.timescales[0] == pytest.approx(
        FuzzyMarkovStateModel(1, Identity(("a", "b"))).fit([three[:, :2]]).timescales[0]
    )
    alone = FuzzyMarkovStateModel(1, Identity(("a", "b"))).fit([np.eye(2)[[0] * 100]])
    assert len(alone.timescales) == 0
    assert "one state" in alone.notes[-1]


def test_memberships_of_no_pure_states_are_told(equilibrium):
    model = FuzzyMarkovStateModel(5, Shrunk(Wells(0.03), 0.5)).fit(equilibrium)
    assert any("pure states" in note for note in model.notes)


def test_a_multiple_of_the_lag_time_that_fails_is_left_out_and_told():
    model = FuzzyMarkovStateModel(30, Identity(("a", "b"))).fit([jumps(0.02, 100, seed=k) for k in range(40)])
    with pytest.warns(UserWarning, match="2 of 5 multiples of the lag time failed.*leaves no pairs"):
        test = model.chapman_kolmogorov([jumps(0.02, 100, seed=k) for k in range(40)], samples=5)
    assert test.lags.tolist() == [30.0, 60.0, 90.0]


def test_functions_that_are_no_memberships_are_refused(equilibrium):
    with pytest.raises(ValueError, match="no memberships"):
        FuzzyMarkovStateModel(5, Identity(("x",))).fit(equilibrium)
    constant = Shrunk(Wells(), 0.0)
    with pytest.raises(ValueError, match="ask for fewer states"):
        Stretched(constant).fit(equilibrium)
