"""Sums over pairs of neighbors, each pair once.

The neighbors of a site stand in a column of ``n`` rows. Round ``d`` pairs each row with the one ``d`` further on,
around the end; ``n / 2`` rounds meet every pair once (in the last, when ``n`` is even, twice: it counts half). One
round is plain array code on blocks of the shape of the column, so that memory stays that of a few columns; on the way
back each round is computed again.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float


def pair_sums(
    columns: Float[Array, "quantities neighbors sites"], contribution: Callable[..., jax.Array]
) -> Float[Array, "features sites"]:
    """Sum of ``contribution(mine, others, share)`` over all rounds.

    ``mine`` and ``others`` are ``columns`` in two orders, ``share`` is what a pair of this round counts; the result is
    the sum over its rows, ``(features, sites)``. Without a pair it is zero.
    """
    rows = columns.shape[1]
    shifts = np.arange(1, rows // 2 + 1)
    shares = jnp.asarray(np.where(2 * shifts == rows, 0.5, 1.0), columns.dtype)
    twice = jnp.concatenate([columns, columns], 1)
    shape = jax.eval_shape(lambda: contribution(columns, columns, jnp.ones((), columns.dtype)))

    @jax.checkpoint
    def step(total, shift_and_share):
        shift, share = shift_and_share
        return total + contribution(columns, jax.lax.dynamic_slice_in_dim(twice, shift, rows, 1), share), None

    return jax.lax.scan(step, jnp.zeros(shape.shape, shape.dtype), (jnp.asarray(shifts), shares))[0]


def pair_weights(
    mine: Float[Array, "channels neighbors sites"], others: Float[Array, "channels neighbors sites"]
) -> Float[Array, "pairs neighbors sites"]:
    """Weight of each pair in each unordered pair of channels: ``w_a w'_b + w_b w'_a``, once where ``a`` is ``b``."""
    count = len(mine)
    return jnp.stack(
        [
            mine[a] * others[a] if a == b else mine[a] * others[b] + mine[b] * others[a]
            for a in range(count)
            for b in range(a, count)
        ]
    )


def products_summed(
    left: Float[Array, "left neighbors sites"], right: Float[Array, "right neighbors sites"]
) -> Float[Array, "left right sites"]:
    """Sum over neighbors of all products."""
    return jnp.matmul(left.transpose(2, 0, 1), right.transpose(2, 1, 0)).transpose(1, 2, 0)
