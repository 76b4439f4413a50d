r"""Steps of the forward-backward recursion, compiled: a group of lanes, either way.

With :math:`s_t` such that :math:`\alpha_t` sums to one [rabiner1989],

.. math::  \alpha_t = s_t\,(\alpha_{t-1} P) \cdot b_t,\qquad \beta_{t-1} = P\,(s_t\, b_t \cdot \beta_t),\qquad
           \gamma_t = \alpha_t \cdot \beta_t .

The way back needs no likelihoods, since :math:`s_t b_t \cdot \beta_t = \gamma_t / (\alpha_{t-1} P)`: what one has
to keep, and to fetch again from memory, is alpha alone. Where a sequence opens,
:math:`\alpha_{t-1} P` is the initial distribution and :math:`\beta_{t-1}` is one.
Shapes are those of `lanes.ROWS` and `lanes.WIDTH` whatever the data, so that there is one compilation, of
about 0.2 s, for each number of hidden states and direction; how many of the rows are steps is an argument.
Arrays written are handed in and written over (`Workspace`). To be called within `lanes.on_processor`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thalweg.kinetics.hidden.lanes import ROWS, WIDTH, on_processor


class Workspace:
    """Arrays for one group, written over by every group and by whoever is handed the workspace.

    Making them anew costs as much time as the recursion. A workspace is not to be shared between threads.

    Parameters
    ----------
    hidden : number of hidden states
    """

    def __init__(self, hidden: int):
        self.likelihoods = _aligned((hidden, ROWS, WIDTH))
        self.logs = np.zeros((ROWS, WIDTH))
        with on_processor():
            self.scales, self.alpha = _zeros((ROWS, WIDTH)), _zeros((hidden, ROWS + 1, WIDTH))

    @cached_property
    def memberships(self) -> Array:
        """Memberships ``(hidden, ROWS, WIDTH)``, of which the most likely path has no need."""
        with on_processor():
            return _zeros(self.likelihoods.shape)

    def likelihoods_of(self, places: int) -> np.ndarray:
        """Where to write likelihoods ``(hidden, places)`` of the first places of a group."""
        return self.likelihoods.reshape(len(self.likelihoods), -1)[:, :places]


@partial(jax.jit, static_argnums=0)
def _zeros(shape: tuple[int, ...]) -> Array:
    """An array of zeros, at the cost of one call."""
    return jnp.zeros(shape)


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An array that begins at a multiple of 64 bytes, and is thus handed over without a copy."""
    size = 8 * math.prod(shape)
    memory = np.zeros(size + 64, np.uint8)
    return memory[-memory.ctypes.data % 64 :][:size].view(np.float64).reshape(shape)


def row(values: Array, t: Array) -> Array:
    """Row ``(..., WIDTH)`` of an array ``(..., rows, WIDTH)``; ``t`` is taken to be within its bounds."""
    return jax.lax.squeeze(jax.lax.dynamic_slice_in_dim(values, t, 1, -2), (values.ndim - 2,))


def put(values: Array, new: Array, t: Array) -> Array:
    """The array with one row replaced."""
    return jax.lax.dynamic_update_slice_in_dim(values, jnp.expand_dims(new, -2), t, -2)


def _times(vectors: Array, matrix: Array) -> Array:
    """Row vectors ``(hidden, WIDTH)``, one per lane, times a matrix ``(hidden, hidden)``."""
    return (vectors[:, None] * matrix[:, :, None]).sum(axis=0)


@partial(jax.jit, donate_argnums=(0, 1))
def forward(
    alpha: Array,
    scales: Array,
    before: Array,
    likelihoods: Array,
    opening: Array,
    matrix: Array,
    initial: Array,
    count: Array,
) -> tuple[Array, Array, Array]:
    """Forward variables of a group.

    Parameters
    ----------
    alpha, scales : (hidden, ROWS + 1, WIDTH), (ROWS, WIDTH), written over; ``alpha`` begins with ``before``
    before : (hidden, WIDTH), alpha ahead of the first row
    likelihoods : (hidden, ROWS, WIDTH)
    opening : (ROWS, WIDTH), whether a sequence opens
    matrix, initial : (hidden, hidden), (hidden,)
    count : how many rows are steps

    Returns
    -------
    alpha, scales, and alpha of the last step
    """

    return forward_sweep(
        alpha, scales, before, likelihoods, opening, lambda alpha: _times(alpha, matrix), initial, count
    )


def forward_sweep(
    alpha: Array,
    scales: Array,
    before: Array,
    likelihoods: Array,
    opening: Array,
    propagate: Callable[[Array], Array],
    initial: Array,
    count: Array,
) -> tuple[Array, Array, Array]:
    """What `forward` returns, with ``propagate`` taking a row ``(hidden, WIDTH)`` one step on."""

    def step(t, carry):
        alpha, scales = carry
        # alpha_{t-1} P, or the initial distribution where a sequence opens; row t of alpha is that ahead of step t
        predicted = jnp.where(row(opening, t), initial[:, None], propagate(row(alpha, t)))
        # alpha_t = s_t (alpha_{t-1} P) . b_t with s_t such that the hidden states of every lane sum to one
        joint = predicted * row(likelihoods, t)
        scale = 1 / joint.sum(axis=0)
        return put(alpha, joint * scale, t + 1), put(scales, scale, t)

    zero = jnp.zeros_like(count)
    alpha, scales = jax.lax.fori_loop(zero, count, step, (put(alpha, before, zero), scales))
    return alpha, scales, row(alpha, count)


@partial(jax.jit, donate_argnums=0)
def backward(
    memberships: Array,
    transitions: Array,
    beta: Array,
    alpha: Array,
    opening: Array,
    weights: Array,
    matrix: Array,
    first: Array,
    count: Array,
) -> tuple[Array, Array]:
    """Memberships of a group, and its transitions.

    Parameters
    ----------
    memberships : (hidden, ROWS, WIDTH), written over
    transitions : (hidden, hidden, WIDTH), transitions so far over the elements of the matrix, added to
    beta : (hidden, WIDTH), of the last step
    opening, weights : (ROWS, WIDTH), whether a sequence opens, and how often the transition into a frame counts
    matrix : (hidden, hidden)
    first, count : steps are the rows in between, at least one

    Returns
    -------
    memberships and transitions
    """

    def behind(t, gamma, transitions):
        # s_t b_t . beta_t = gamma_t / (alpha_{t-1} P): no likelihood is read on the way back
        before = row(alpha, t)
        product = gamma / _times(before, matrix)
        # c_ij / p_ij += alpha_{t-1,i} s_t b_{t,j} beta_{t,j}; the caller multiplies by p_ij once, at the end
        transitions += before[:, None] * (product * row(weights, t))
        # beta_{t-1} = P (s_t b_t . beta_t), and one ahead of the opening of a sequence
        return transitions, jnp.where(row(opening, t), 1.0, _times(product, matrix.T))

    def step(k, carry):
        values, transitions = carry
        t = count - 1 - k
        transitions, beta = behind(t, row(values, t), transitions)
        # gamma_{t-1} = alpha_{t-1} . beta_{t-1}, where alpha_{t-1} stands in row t
        return put(values, row(alpha, t) * beta, t - 1), transitions

    begin = put(memberships, row(alpha, count) * beta, count - 1), transitions
    values, transitions = jax.lax.fori_loop(jnp.zeros_like(count), count - 1 - first, step, begin)
    # the transition into the first row counts, but what lies ahead of it is another lane's
    return values, behind(first, row(values, first), transitions)[0]
