"""Biases: exact gradients, continuity everywhere, walkers that add up, no compilation for new numbers."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.metadynamics import MetadynamicsState, WellTemperedMetadynamics
from thalweg.sampling.bias.umbrella import HarmonicRestraint


@dataclass(frozen=True)
class Plain:
    """The coordinates of a single particle, with chosen periods."""

    periods: tuple

    @property
    def names(self):
        return tuple("xyz"[: len(self.periods)])

    @property
    def units(self):
        return ("",) * len(self.periods)

    def __call__(self, positions, box=None):
        return positions[0]


LOWER = {None: -2.0, 2 * np.pi: -np.pi}
WIDTH = {None: 0.2, 2 * np.pi: 0.4}


def metadynamics(*periods, **changes):
    lower = np.array([LOWER[p] for p in periods])
    settings = (
        dict(widths=[WIDTH[p] for p in periods], height=1.2, bias_factor=8.0, kT=2.5, stride=10) | changes
    )
    return WellTemperedMetadynamics(Plain(periods), lower, -lower, **settings)


def filled(bias, n=6, seed=0):
    """The bias state after ``n`` deposits of three walkers."""
    where = jnp.asarray(np.random.default_rng(seed).uniform(-2.2, 2.2, (n, len(bias.widths), 3)))
    return jax.jit(
        lambda: jax.lax.scan(lambda state, x: (bias.update(state, x), None), bias.init(), where)[0]
    )()


PERIODS = [(None,), (2 * np.pi,), (None, 2 * np.pi), (2 * np.pi, None, None)]


@pytest.mark.parametrize("periods", PERIODS, ids=str)
def test_the_force_of_a_grid_bias_is_the_exact_gradient(periods):
    with jax.enable_x64(True):
        bias = metadynamics(*periods, widths=[0.5] * len(periods))
        state = filled(bias)
        values = jnp.asarray(np.random.default_rng(1).uniform(-2.6, 2.6, (len(periods), 40)))
        energy = jax.jit(lambda x: bias.energy(state, x))
        gradient = jax.jit(jax.grad(lambda x: energy(x).sum()))(values)
        step = 1e-6
        for axis, along in enumerate(np.eye(len(periods))[:, :, None] * step):
            difference = (energy(values + along) - energy(values - along)) / (2 * step)
            np.testing.assert_allclose(gradient[axis], difference, atol=2e-7)


@pytest.mark.parametrize("period", [None, 2 * np.pi])
def test_energy_and_force_have_no_jump_at_any_node_or_limit(period):
    with jax.enable_x64(True):
        bias = metadynamics(period)
        state = filled(bias, 20)
        energy_and_slope = jax.jit(jax.vmap(jax.value_and_grad(lambda x: bias.energy(state, x[None]))))

        def largest_steps(points):
            return [np.abs(np.diff(y)).max() for y in energy_and_slope(jnp.linspace(-4.0, 4.0, points))]

        coarse, fine = largest_steps(10_001), largest_steps(80_001)
        np.testing.assert_allclose(np.divide(coarse, fine), 8.0, rtol=0.1)


def test_the_grid_follows_the_sum_of_gaussians_within_two_thousandths_of_a_height():
    with jax.enable_x64(True):
        bias = metadynamics(None, 2 * np.pi, bias_factor=1e9)
        centers = np.array([[-0.5, 0.3, 1.9], [3.0, -3.0, 0.1]])
        state = jax.jit(lambda x: bias.update(bias.init(), x))(jnp.asarray(centers))
        points = np.random.default_rng(2).uniform(-2, 2, (2, 500)) * [[1.0], [np.pi / 2]]
        apart = points[:, :, None] - centers[:, None]
        apart[1] -= 2 * np.pi * np.round(apart[1] / (2 * np.pi))
        exact = 1.2 * np.exp(-0.5 * ((apart / [[[0.2]], [[0.4]]]) ** 2).sum(0)).sum(-1)
        potential = jax.jit(lambda x: bias.potential(state, x))(jnp.asarray(points))
        assert np.abs(potential - exact).max() < 2e-3 * 1.2


def test_walkers_that_deposit_together_add_up():
    bias = metadynamics(None, 2 * np.pi)
    state = filled(bias)
    both = jnp.asarray([[0.1, 1.0], [3.1, -2.0]])
    deposit = jax.jit(lambda values: bias.update(state, values).table - state.table)
    together, alone = deposit(both), [deposit(both[:, r : r + 1]) for r in range(2)]
    np.testing.assert_allclose(together, sum(alone), atol=1e-5)


def test_gaussians_shrink_with_the_bias_already_there():
    bias = metadynamics(None)
    here, state, peaks = jnp.zeros((1, 1)), bias.init(), []
    potential = jax.jit(lambda state: bias.potential(state, here)[0])
    deposit = jax.jit(lambda state: bias.update(state, here))
    for _ in range(3):
        before = float(potential(state))
        state = deposit(state)
        peaks.append((before, float(potential(state)) - before))
    for before, added in peaks:
        assert added == pytest.approx(1.2 * np.exp(-before / (2.5 * 7.0)), rel=1e-4)


def test_a_uniform_bias_is_all_offset():
    bias = metadynamics(None)
    flat = MetadynamicsState(jnp.full(bias.grid.shape, 5.0), jnp.zeros(()))
    state = bias.update(flat, jnp.full((1, 1), jnp.nan))
    assert float(state.offset) == pytest.approx(5.0, abs=1e-4)


def test_a_bias_that_filled_a_well_shows_its_free_energy():
    bias = metadynamics(None)
    well = 3.0 * bias.grid.nodes(0) ** 2
    state = MetadynamicsState(-(1 - 1 / 8) * well, jnp.zeros(()))
    np.testing.assert_allclose(bias.free_energy(state), well[bias.grid.interior], atol=1e-4)


def test_a_walker_that_diverged_deposits_nothing():
    bias = metadynamics(None)
    deposit = jax.jit(lambda values: bias.update(bias.init(), values).table)
    alone, with_nan = deposit(jnp.asarray([[0.5]])), deposit(jnp.asarray([[0.5, jnp.nan]]))
    # a sum of one hill, or of one hill and nothing, compiled apart, in 32 bits
    np.testing.assert_allclose(with_nan, alone, rtol=1e-6)


def test_far_outside_only_the_wall_acts():
    with jax.enable_x64(True):
        bias = metadynamics(None)
        state = filled(bias, 20)
        slope = jax.jit(jax.grad(lambda x: bias.energy(state, x).sum()))(jnp.asarray([[9.0]]))
        assert float(slope[0, 0]) == pytest.approx(10 * 2.5 / 0.2**2 * (9.0 - 2.0), rel=1e-9)


def test_another_frozen_bias_of_the_same_shape_compiles_nothing():
    compiled = []

    @eqx.filter_jit
    def energy(bias, state, values):
        compiled.append(1)
        return bias.energy(state, values)

    for shift in (0.0, 0.5):
        bias = WellTemperedMetadynamics(Plain((None,)), -2.0 + shift, 2.0 + shift, 0.2, 1.2, 8.0, 2.5, 10)
        frozen = FrozenBias(bias, filled(bias, seed=int(2 * shift)))
        energy(frozen, frozen.init(), jnp.zeros((1, 4)))
    assert len(compiled) == 1


def test_a_frozen_bias_never_changes():
    bias = metadynamics(None)
    frozen = FrozenBias(bias, filled(bias))
    values = jnp.asarray([[0.1, 0.2]])
    state = frozen.update(frozen.init(), values)
    np.testing.assert_array_equal(frozen.energy(state, values), bias.energy(frozen.state, values))
    assert frozen.stride is None


def test_a_restraint_on_a_periodic_variable_takes_the_near_side():
    restraint = HarmonicRestraint(Plain((2 * np.pi, None)), [3.0, 1.0], [100.0, 10.0])
    energy = restraint.energy((), jnp.asarray([[-3.0], [1.5]]))
    assert float(energy[0]) == pytest.approx(50 * (2 * np.pi - 6.0) ** 2 + 1.25, rel=1e-5)


def test_each_replica_may_have_its_own_window():
    centers = np.linspace(-1, 1, 5)[None]
    row = HarmonicRestraint(Plain((None,)), centers, [30.0])
    values = jnp.asarray(np.random.default_rng(0).normal(size=(1, 5)), jnp.float32)
    alone = [float(w.energy((), values[:, r : r + 1])[0]) for r, w in enumerate(row.windows())]
    np.testing.assert_allclose(row.energy((), values), alone, rtol=1e-5)


def test_limits_and_widths_come_from_the_data():
    rng = np.random.default_rng(0)
    trajectories = [rng.normal([center, 3.0], [0.1, 0.02], (200, 2)) for center in (-1.0, 1.0)]
    bias = WellTemperedMetadynamics.for_data(
        Plain((None, 2 * np.pi)),
        trajectories,
        kT=2.5,
        height=1.0,
        bias_factor=10.0,
        stride=100,
        bounds=(np.array([-1.5, -np.inf]), np.array([1.5, np.inf])),
    )
    np.testing.assert_allclose(bias.grid.lower, [-1.5, -np.pi], rtol=1e-6)
    np.testing.assert_allclose(bias.widths, [0.05, 2 * np.pi / 125], rtol=0.1)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"bias_factor": 1.0}, "bias_factor > 1"),
        ({"widths": [0.2, 0.2]}, "give 1 each"),
        ({"widths": [-0.2]}, "widths > 0"),
        ({"widths": [1e-4]}, "at most 1000"),
    ],
)
def test_settings_that_make_no_sense_are_answered(change, answer):
    with pytest.raises(ValueError, match=answer):
        metadynamics(None, **change)


def test_limits_of_a_periodic_variable_must_be_a_period_apart():
    with pytest.raises(ValueError, match="one period apart"):
        WellTemperedMetadynamics(Plain((2 * np.pi,)), 0.0, 6.0, 0.2, 1.0, 10.0, 2.5, 10)
