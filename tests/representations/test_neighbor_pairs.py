"""Every pair of neighbors is met once, whatever their number."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.representations.neighbor_pairs import pair_sums, pair_weights


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
def test_each_pair_counts_once(rows):
    columns = jnp.asarray(np.random.default_rng(rows).normal(size=(2, rows, 3)), jnp.float32)

    def contribution(mine, others, share):
        return ((mine[0] * others[0] + jnp.sin(mine[1] + others[1])) * share).sum(0)[None]

    def total(columns):
        return pair_sums(columns, contribution)

    expected = np.zeros((1, 3))
    for j, k in itertools.combinations(range(rows), 2):
        expected[0] += columns[0, j] * columns[0, k] + np.sin(columns[1, j] + columns[1, k])
    np.testing.assert_allclose(jax.jit(total)(columns), expected, atol=1e-5)
    assert np.isfinite(jax.grad(lambda x: total(x).sum())(columns)).all()


def test_unlike_channels_meet_both_ways():
    mine, others = np.array([2.0, 3.0]).reshape(2, 1, 1), np.array([5.0, 7.0]).reshape(2, 1, 1)
    np.testing.assert_allclose(pair_weights(mine, others).ravel(), [10.0, 2 * 7 + 3 * 5, 21.0])
