"""The Galerkin approximation meets chains whose answers are known, and says what it cannot answer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
from thalweg.kinetics.galerkin.adapted_kernels import AdaptedKernels
from thalweg.kinetics.galerkin.dynamical_galerkin import DynamicalGalerkin, GalerkinModel
from thalweg.kinetics.galerkin.forms import Forms, RidgeChoice, solved
from thalweg.kinetics.known_chain import known_chain
from thalweg.kinetics.reactions.committor import committor
from thalweg.kinetics.reactions.passage_times import first_passage_times, mean_first_passage_time
from thalweg.kinetics.reactions.regions import Intervals
from thalweg.kinetics.reactions.transition_paths import reactive_flux
from thalweg.testsystems.chain import sampled_states
from thalweg.time_series.trajectories import Trajectories

STATES = 9
PLACES = np.arange(float(STATES))[:, None]
A, B = Intervals((-1.0,), (0.5,)), Intervals((7.5,), (9.0,))


def driven_chain() -> np.ndarray:
    """A walk on nine states with a barrier in the middle, a drift, and a way back from the last to the first."""
    matrix = np.zeros((STATES, STATES))
    for k in range(STATES):
        up = 0.25 if k < 4 else 0.35
        if k + 1 < STATES:
            matrix[k, k + 1] = up
        if k:
            matrix[k, k - 1] = 0.3
    matrix[-1, 0] = 0.2
    matrix[np.diag_indices(STATES)] = 1 - matrix.sum(axis=1)
    return matrix


def runs(count: int, frames: int, seed: int = 0) -> Trajectories:
    """Trajectories that start anywhere, of unequal lengths."""
    random = np.random.default_rng(seed)
    start = np.full(STATES, 1 / STATES)
    states = sampled_states(driven_chain(), count, frames, start, random)
    kept = random.integers(frames // 2, frames + 1, count)
    return Trajectories([PLACES[row[:length]] for row, length in zip(states, kept)], dt=0.5)


def exact():
    return known_chain(driven_chain(), lag=0.5)


@pytest.fixture(scope="module")
def complete():
    """All states as a basis, windows of eight steps."""
    return DynamicalGalerkin(A, B, 8, Indicators(PLACES), n_blocks=25, samples=30).fit(runs(1200, 24))


def within(found: np.ndarray, known: np.ndarray, error: np.ndarray, times: float = 4.0) -> None:
    np.testing.assert_array_less(np.abs(found - known), times * error + 1e-6)


def test_functions_of_all_states_are_those_of_the_chain_at_any_lag(complete):
    """Committor, backward committor and passage times of a chain that is not reversible, in long windows."""
    chain, inside = exact(), PLACES[1:-1]
    known = committor(chain, [0], [STATES - 1])[1:-1]
    within(complete.transform(inside)[:, 0], known, complete.committor.error(inside))
    assert complete.committor.error(inside).max() < 0.04
    for function, target in ((complete.passage_to_b, [STATES - 1]), (complete.passage_to_a, [0])):
        known = first_passage_times(chain, target)
        found = function.transform(PLACES)[:, 0]
        within(found, known, function.error(PLACES))
        assert function.error(PLACES).max() < 0.15 * known.max()
    matrix, stationary = driven_chain(), chain.fit.stationary_distribution
    reverse = matrix.T * stationary / stationary[:, None]
    backward = committor(known_chain(reverse, lag=0.5), [STATES - 1], [0])[1:-1]
    within(
        complete.backward_committor.transform(inside)[:, 0],
        backward,
        complete.backward_committor.error(inside),
    )
    # the chain is driven: the backward committor is not one minus the forward one
    assert np.abs(backward - (1 - committor(chain, [0], [STATES - 1])[1:-1])).max() > 0.1


def test_flux_rates_and_passage_times_are_those_of_the_chain(complete):
    chain = exact()
    flux = reactive_flux(chain, [0], [STATES - 1])
    known = {
        "flux": flux.total,
        "rate_ab": flux.rate,
        "passage_ab": mean_first_passage_time(chain, [0], [STATES - 1]),
        "passage_ba": mean_first_passage_time(chain, [STATES - 1], [0]),
        "population_a": chain.fit.stationary_distribution[0],
        "population_b": chain.fit.stationary_distribution[-1],
    }
    for name, value in known.items():
        found = getattr(complete, name)
        within(found.value, np.asarray(value), found.error)
        assert found.error < 0.12 * value
    assert not complete.density.stationary
    assert complete.martingale.passed


def exact_forms(basis: np.ndarray, lags: tuple[int, ...]) -> Forms:
    """Forms of the passage time to the last state, of windows from everywhere, without statistical error."""
    inside = driven_chain()[:-1, :-1]
    share = np.full(STATES - 1, 1 / (STATES - 1))
    powers = [np.linalg.matrix_power(inside, n) for n in range(lags[-1] + 1)]
    elapsed = [0.5 * sum(powers[:n]).sum(axis=1) for n in lags]
    tests = (basis * share[:, None]).T
    changes = np.stack([tests @ (powers[n] @ basis - basis) for n in lags])
    sources = np.stack([tests @ time for time in elapsed])
    return Forms(np.ones(1), (tests @ basis)[None], changes[None], sources[None], 1)


def test_memory_recalls_what_a_poor_basis_forgets():
    """Three cells for eight states: the passage time is a third at one step, and right to 2 % with eight steps of
    memory, where a single lag of eight steps still misses a quarter."""
    cells = np.eye(3)[[0, 0, 1, 1, 1, 2, 2, 2]]
    known = first_passage_times(exact(), [STATES - 1])[:2].mean()
    weak = RidgeChoice(1e-12, np.ones(3), np.zeros(0))
    times = [solved(exact_forms(cells, lags), weak)[0] / known for lags in ((1,), (8,), tuple(range(1, 9)))]
    assert times[0] < 0.4
    assert times[1] < 0.8
    assert abs(times[2] - 1) < 0.02


def test_sums_of_blocks_add():
    whole = exact_forms(np.eye(8), (1, 2))
    both = whole + whole
    assert both.n_blocks == 2
    np.testing.assert_allclose(both.total.changes, 2 * whole.changes)
    np.testing.assert_allclose(both.resampled(np.array([1.0, 0.0])).mass, whole.mass)


@pytest.mark.long
def test_values_on_the_sets_are_exact_and_gradients_those_of_differences(tmp_path):
    model = DynamicalGalerkin(A, B, 8, AdaptedKernels(5, rounds=1), samples=0).fit(runs(60, 24))
    at = np.array([[-0.5], [0.2], [8.0], [8.5]])
    np.testing.assert_array_equal(model.transform(at)[:, 0], [0, 0, 1, 1])
    x = jnp.linspace(1.0, 7.0, 13)[:, None]
    slope = jax.grad(lambda frames: model.transform(frames).sum())(x)
    h = 1e-5
    wide = np.asarray(x, float)
    difference = (model.transform(wide + h) - model.transform(wide - h)) / (2 * h)
    np.testing.assert_allclose(slope, difference, atol=2e-4)
    back = GalerkinModel.load(model.save(tmp_path / "model.npz"))
    np.testing.assert_array_equal(back.transform(wide), model.transform(wide))


def test_what_cannot_be_answered_is_refused_with_numbers():
    data = runs(40, 12)
    method = DynamicalGalerkin(A, B, 4, Polynomials(2), samples=0)
    with pytest.raises(ValueError, match="lagtime=12 leaves no pairs"):
        DynamicalGalerkin(A, B, 12, Polynomials(2)).fit(data)
    with pytest.raises(ValueError, match="A and B overlap"):
        DynamicalGalerkin(A, Intervals((-2.0,), (9.0,)), 4).fit(data)
    with pytest.raises(ValueError, match="set B holds none"):
        DynamicalGalerkin(A, Intervals((11.0,), (12.0,)), 4).fit(data)
    with pytest.raises(ValueError, match="multiple of memory"):
        DynamicalGalerkin(A, B, 4, memory=2)
    leaving = [np.array([[8.0], [7.0], [6.0], [5.0], [4.0]]), np.array([[2.0], [1.0], [0.0], [1.0], [1.0]])]
    with pytest.raises(ValueError, match="no trajectory enters B"):
        method.fit(leaving)
    nowhere = [np.array([[0.0], [8.0]] * 6)]
    with pytest.raises(ValueError, match="none of 12 frames lies between"):
        method.fit(nowhere)


def test_sets_given_by_masks_are_sets():
    data = runs(300, 24)
    a, b = ([frames[:, 0] == place for frames in data] for place in (0, STATES - 1))
    model = DynamicalGalerkin(a, b, 8, Indicators(PLACES), samples=20).fit(data)
    inside = PLACES[1:-1]
    known = committor(exact(), [0], [STATES - 1])[1:-1]
    within(model.transform(inside)[:, 0], known, model.committor.error(inside))


@pytest.mark.long
def test_functions_of_a_diffusion_map_are_a_basis_as_any_other():
    """A double well along a curve that the map finds by itself; the committor is an integral."""
    random, dt, barrier = np.random.default_rng(0), 2e-3, 3.0
    x = random.uniform(-1.2, 1.2, 300)
    frames = [x]
    for _ in range(60):
        x = x - dt * 4 * barrier * x * (x**2 - 1) + np.sqrt(2 * dt) * random.standard_normal(len(x))
        frames.append(x)
    walks = np.stack(frames[::2], axis=1)
    curve = np.stack([walks, walks**2, np.sin(2 * walks)], axis=-1)
    ends = Intervals((-np.inf,), (-0.9,), columns=(0,)), Intervals((0.9,), (np.inf,), columns=(0,))
    basis = DiffusionMap(dim=8, max_frames=1000)
    model = DynamicalGalerkin(*ends, 10, basis, n_blocks=10, samples=10).fit(
        Trajectories(list(curve), dt=2 * dt)
    )
    at = np.linspace(-0.9, 0.9, 1801)
    known = np.cumsum(np.exp(barrier * (at**2 - 1) ** 2))
    places = np.linspace(-0.7, 0.7, 8)
    seen = np.stack([places, places**2, np.sin(2 * places)], axis=-1)
    away = model.transform(seen)[:, 0] - np.interp(places, at, known / known[-1])
    assert np.abs(away).max() < 0.1
    assert model.committor.error(seen).max() < 0.1
