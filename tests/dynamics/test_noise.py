"""Noise is normal, independent from step to step and place to place, and the published generator."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from thalweg.dynamics import noise

STREAM = jnp.array([11, 7], jnp.uint32)


def draws(step, shape=(1000, 3, 64)):
    return np.asarray(noise.normal(STREAM, jnp.int32(step), shape, jnp.float32))


def test_bits_are_those_of_threefry_2x32_with_13_rounds():
    """The known answers that come with the generator's own distribution."""
    zero, full = np.uint32(0), np.uint32(0xFFFFFFFF)
    with np.errstate(over="ignore"):
        assert [int(x) for x in noise._threefry(zero, zero, zero, zero)] == [0x9D1C5EC6, 0x8BD50731]
        assert [int(x) for x in noise._threefry(full, full, full, full)] == [0xFD36D048, 0x2D17272C]


def test_numbers_are_normal_to_the_tails():
    numbers = draws(3).ravel()
    assert stats.kstest(numbers[:20000], "norm").pvalue > 1e-3
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((numbers.astype(float) ** power).mean() - moment) < 4 * np.sqrt(variance / numbers.size)
    beyond = (np.abs(numbers) > 3.0).mean()
    expected = 2 * stats.norm.sf(3.0)
    assert abs(beyond - expected) < 4 * np.sqrt(expected / numbers.size)


def test_places_and_steps_are_independent():
    now, then = draws(3), draws(4)
    limit = 4 / np.sqrt(now.size)
    assert abs((now * then).mean()) < limit
    assert abs((now[1:] * now[:-1]).mean()) < 1.01 * limit
    assert abs((now[..., 1:] * now[..., :-1]).mean()) < 1.01 * limit
    assert abs((now.ravel()[: now.size // 2] * now.ravel()[now.size // 2 :]).mean()) < 1.5 * limit


def test_the_same_place_and_step_give_the_same_number_whatever_the_stream_did_before():
    np.testing.assert_array_equal(draws(9), draws(9))
    other = noise.normal(STREAM + 1, jnp.int32(9), (1000, 3, 64), jnp.float32)
    assert np.abs(np.asarray(other) - draws(9)).min() < 1.0 < np.abs(np.asarray(other) - draws(9)).max()


def test_odd_shapes_and_other_precisions_come_out_as_asked():
    with jax.enable_x64(True):
        numbers = noise.normal(STREAM, jnp.int32(0), (3, 1, 5), jnp.float64)
    assert numbers.shape == (3, 1, 5)
    assert numbers.dtype == np.float64
