"""Probability enhanced sampling: its bias is the logarithm of the density it was given; kernels merge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.geometry.variables import Coordinates
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.bias.opes import OPES, THRESHOLD, OPESExplore

KT = 2.5
LINE = Coordinates([0], dims=1)


def limits(*widths):
    return Limits(-np.ones(len(widths)), np.ones(len(widths)), np.array(widths))


def grown(bias, where):
    """The state after deposits at ``where`` (deposits, values, walkers)."""
    return jax.jit(lambda x: jax.lax.scan(lambda s, v: (bias.update(s, v), None), bias.init(), x)[0])(where)


def test_the_exploring_bias_is_the_logarithm_of_the_density_sampled():
    """Of a normal density V = (gamma - 1) kT ln p, so that V(0) - V(1) = (gamma - 1) kT / 2."""
    bias = OPESExplore(barrier=25.0, bias_factor=5.0, stride=0.1).on(LINE, limits(0.1), KT, 0.1)
    drawn = jnp.asarray(np.random.default_rng(0).normal(size=(2000, 1, 8)), jnp.float32)
    values = jnp.array([[0.0, 1.0, -1.0]])
    top, *sides = np.asarray(bias.energy(grown(bias, drawn), values))
    # three standard errors of 16000 independent draws, of which a thousand lie under one kernel
    np.testing.assert_allclose([top - side for side in sides], 4 * KT / 2, atol=0.12 * 4 * KT)


def test_weights_by_the_bias_make_the_density_without_bias_from_what_is_sampled_under_it():
    """Draws from the biased density at each deposit, exact on a grid; F = 3 x^2 is found again."""
    bias = OPES(barrier=30.0, stride=0.1).on(LINE, limits(0.3), KT, 0.1)
    x = jnp.linspace(-3.0, 3.0, 601)
    free = 3.0 * x**2

    def deposit(carry, key):
        state = carry
        energy = free + bias.energy(state, x[None])
        walkers = jax.random.categorical(key, -energy / KT, shape=(8,))
        return bias.update(state, x[walkers][None]), None

    state, _ = jax.jit(lambda s: jax.lax.scan(deposit, s, jax.random.split(jax.random.key(0), 400)))(
        bias.init()
    )
    found = bias.free_energy(state, jnp.array([[0.0, 1.0, -1.0, 2.0]]))
    found = np.asarray(found - found[0])
    np.testing.assert_allclose(found, [0.0, 3.0, 3.0, 12.0], atol=0.5 * KT)


def test_the_bias_is_never_deeper_than_the_barrier():
    bias = OPES(barrier=30.0, stride=0.1).on(LINE, limits(0.1), KT, 0.1)
    state = grown(bias, jnp.zeros((20, 1, 2)))
    lowest = bias.energy(state, jnp.array([[50.0]]))
    np.testing.assert_allclose(lowest, -30.0, rtol=1e-4)
    assert bias.energy(state, jnp.zeros((1, 1)))[0] > -1.0


def test_kernels_merge_within_the_threshold_and_keep_height_mean_and_variance():
    bias = OPESExplore(barrier=25.0, bias_factor=5.0, stride=0.1).on(LINE, limits(0.5), KT, 0.1)
    apart = grown(bias, jnp.array([[[0.0, 5.0]]]))
    assert apart.count == 2
    width = float(apart.widths[0, 0])
    near = grown(bias, jnp.array([[[0.0, 0.5 * THRESHOLD * width]]]))
    assert near.count == 1
    np.testing.assert_allclose(near.heights[0], apart.heights[:2].sum(), rtol=1e-5)
    np.testing.assert_allclose(near.centers[0, 0], 0.25 * width, rtol=1e-5)
    np.testing.assert_allclose(near.widths[0, 0] ** 2, width**2 * (1 + 0.25**2), rtol=1e-5)


def test_a_full_bias_merges_loses_nothing_and_says_so():
    settings = dict(barrier=25.0, bias_factor=5.0, stride=0.1)
    places = jnp.arange(80.0)[:, None, None]
    small = OPESExplore(**settings, capacity=64).on(LINE, limits(0.05), KT, 0.1)
    state = grown(small, places)
    assert (state.count, state.forced) == (64, 16)
    assert "16 deposits" in small.doubts(state)[0]
    large = OPESExplore(**settings, capacity=128).on(LINE, limits(0.05), KT, 0.1)
    whole = grown(large, places)
    assert not large.doubts(whole)
    np.testing.assert_allclose(state.heights.sum(), whole.heights.sum(), rtol=1e-5)


def test_the_normalization_is_the_mean_density_at_the_kernels():
    bias = OPES(barrier=20.0, stride=0.1, capacity=128).on(
        Coordinates([0], dims=2), limits(0.1, 0.1), KT, 0.1
    )
    where = np.random.default_rng(1).uniform(-2, 2, (30, 2, 4))
    state = grown(bias, jnp.asarray(where, jnp.float32))
    assert 64 < state.count <= 120  # two blocks
    centers, widths = (np.asarray(x, float)[:, : state.count] for x in (state.centers, state.widths))
    squared = (((centers[:, :, None] - centers[:, None]) / widths[:, None]) ** 2).sum(0)
    density = np.exp(-squared / 2) @ np.asarray(state.heights, float)[: state.count] / float(state.total)
    np.testing.assert_allclose(state.explored, density.mean(), rtol=1e-4)


@pytest.mark.parametrize("method", [OPES, OPESExplore])
def test_forces_of_a_kernel_have_no_jump(method):
    bias = method(barrier=50.0, stride=0.1).on(LINE, limits(0.2), KT, 0.1)
    state = grown(bias, jnp.zeros((1, 1, 1)))
    places = jnp.linspace(0.0, 12 * float(state.widths[0, 0]), 4001)[None]
    forces = np.asarray(jax.vmap(jax.grad(lambda x: bias.energy(state, x[None])))(places[0]))
    assert np.abs(np.diff(forces)).max() < 0.02 * np.abs(forces).max()


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"barrier": -1.0}, "more than 0"),
        ({"bias_factor": 1.0}, "more than 1"),
        ({"barrier": 2.0}, "no bias is needed"),
        ({"barrier": 4000.0}, "can be told apart"),
    ],
)
def test_settings_that_make_no_sense_are_answered(settings, answer):
    with pytest.raises(ValueError, match=answer):
        OPES(**settings).on(LINE, limits(0.1), KT, 0.1)
