r"""The most likely sequence of hidden states given all observations [viterbi1967], on many lanes at once.

.. math::  \delta_{t,j} \propto \max_i\,(\delta_{t-1,i}\; p_{ij})\; b_{t,j},\qquad
           i_t = \mathrm{argmax}_i\; \delta_{t,i}\; p_{i\,i_{t+1}}

:math:`\delta` is the best probability of any sequence that ends in a state; from the best last state one
follows back where each maximum came from. Best sequences of neighboring lanes merge within a short run-in;
where two lanes disagree about the frame between them, all run in longer. Without a run-in each lane is gone
through from every state ahead of it, and back from every state that follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thalweg.kinetics.hidden.forward_backward import SMALLEST
from thalweg.kinetics.hidden.lanes import WIDTH, Lanes, on_processor
from thalweg.kinetics.hidden.outputs import Output
from thalweg.kinetics.hidden.recursion import Room, put, row, swept


def most_likely_path(
    lanes: Lanes,
    output: Output,
    observed: np.ndarray,
    matrix: np.ndarray,
    initial: np.ndarray,
    stationary: np.ndarray,
) -> tuple[np.ndarray, bool]:
    """Hidden states ``(frames,)``, and whether neighboring lanes agree.

    Parameters
    ----------
    output : what hidden states show
    observed : (groups, ..., steps * WIDTH), observations as `Lanes.laid` lays them
    matrix : (hidden, hidden)
    initial, stationary : (hidden,), where sequences begin, and where run-ins do

    Examples
    --------
    >>> from thalweg.kinetics.hidden.lanes import lanes
    >>> from thalweg.kinetics.hidden.outputs import DiscreteOutput
    >>> shows = DiscreteOutput(np.array([[0.7, 0.25, 0.05], [0.05, 0.35, 0.6]]))
    >>> chain, half, four = np.array([[0.9, 0.1], [0.1, 0.9]]), np.full(2, 0.5), lanes(np.array([4]), 1, 1, 3)
    >>> most_likely_path(four, shows, four.laid(np.array([0, 1, 0, 2])), chain, half, half)[0].tolist()
    [0, 0, 0, 1]
    """
    run_in, share = lanes.run_in, lanes.length * WIDTH
    inorder = np.empty(len(lanes.frames) * share, np.int32)
    ends = np.zeros((2, len(lanes)), int)
    with on_processor():
        matrix, room = np.maximum(matrix, SMALLEST), Room(len(matrix))
        way = _Way(lanes, output, observed, matrix, np.asarray(initial, float), room)
        before = way.before(np.asarray(stationary, float))
        following = 0
        for group in range(len(lanes.frames) - 1, -1, -1):
            here = slice(group * WIDTH, (group + 1) * WIDTH)
            way.ahead(group, before[here])
            states = way.back(group, *way.following(group, following))
            inorder[group * share : (group + 1) * share] = states[lanes.rows].T.ravel()
            following = int(states[0, 0])
            ends[:, here] = states[[max(run_in - 1, 0), run_in - 1 + lanes.length]]
    path = np.empty(len(lanes.order), int)
    path[lanes.order] = inorder[: len(path)]
    agree = (ends[0, 1 : lanes.used] == ends[1, : lanes.used - 1]).all()
    return path, bool(agree) or not run_in


def _largest(values: Array) -> Array:
    """The largest of numbers not below zero, along the first axis."""
    return jax.lax.reduce(values, 0.0, lambda a, b: jnp.where(a > b, a, b), (0,))


@partial(jax.jit, donate_argnums=(0, 1))
def _forward(
    best: Array,
    scales: Array,
    before: Array,
    likelihoods: Array,
    opening: Array,
    matrix: Array,
    initial: Array,
    count: Array,
) -> tuple[Array, Array, Array]:
    """Best probabilities ``(hidden, ROWS + 1, WIDTH)`` over their sums, and one over these ``(ROWS, WIDTH)``.

    Arguments are those of `recursion.forward`.
    """

    def onward(one):
        return _largest(one[:, None] * matrix[:, :, None])

    return swept(best, scales, before, likelihoods, opening, onward, initial, count)


@jax.jit
def _back(following: Array, linked: Array, best: Array, opening: Array, matrix: Array, count: Array) -> Array:
    """States ``(ROWS, WIDTH)`` on the best way to those that follow ``(WIDTH,)``, where ``linked`` to them."""
    kinds = jnp.arange(len(matrix), dtype=following.dtype)[:, None]

    def onward(states):
        return (matrix[:, :, None] * (states == kinds)).sum(axis=1)

    def step(k, carry):
        ahead, path = carry
        t = count - 1 - k
        value = row(best, t + 1) * ahead
        states = jnp.where(value == _largest(value), kinds, len(matrix))
        first = jax.lax.reduce(states, kinds.dtype.type(len(matrix)), jnp.minimum, (0,))
        return jnp.where(row(opening, t), 1.0, onward(first)), put(path, first, t)

    begin = jnp.where(linked, onward(following), 1.0), jnp.zeros(opening.shape, following.dtype)
    return jax.lax.fori_loop(jnp.zeros_like(count), count, step, begin)[1]


@dataclass(frozen=True, eq=False)
class _Way:
    """The way ahead and back through groups of lanes."""

    lanes: Lanes
    output: Output
    observed: np.ndarray
    matrix: np.ndarray
    initial: np.ndarray
    room: Room

    def before(self, stationary: np.ndarray) -> np.ndarray:
        """Best probabilities ahead of each lane ``(lanes, hidden)``: anything where it runs in, else worked out."""
        shape = (len(self.lanes), len(stationary))
        if self.lanes.run_in:
            return np.broadcast_to(stationary, shape)
        logs = np.zeros((*shape, shape[1]))
        for group in range(len(self.lanes.frames)):
            here = slice(group * WIDTH, (group + 1) * WIDTH)
            for state, one in enumerate(np.eye(shape[1])):
                last = np.asarray(self.ahead(group, np.tile(one, (WIDTH, 1))))
                scales = np.log(np.from_dlpack(self.room.scales)[: self.lanes.steps]).sum(axis=0)
                logs[here, state] = np.log(np.maximum(last, SMALLEST)).T - scales[:, None]
        found = np.empty(shape)
        found[0] = np.log(np.maximum(stationary, SMALLEST))
        for lane in range(len(logs) - 1):
            found[lane + 1] = (found[lane][:, None] + logs[lane]).max(axis=0)
            found[lane + 1] -= found[lane + 1].max()
        return np.exp(found)

    def ahead(self, group: int, before: np.ndarray) -> Array:
        """Best probabilities along a group, kept for the way back; those after the last step."""
        room, count = self.room, self.lanes.steps
        self.output.relative(self.observed[group], room.likely(count * WIDTH))
        given = (
            np.ascontiguousarray(before.T),
            room.likelihoods,
            self.lanes.afresh[group],
            self.matrix,
            self.initial,
        )
        room.alpha, room.scales, last = _forward(room.alpha, room.scales, *given, np.int32(count))
        return last.block_until_ready()  # then likelihoods may be written over

    def following(self, group: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """The state that follows each lane, and whether one does; ``last`` is that ahead of the next group."""
        if self.lanes.run_in:
            return np.zeros(WIDTH, np.int32), np.zeros(WIDTH, bool)
        opens = np.append(self.lanes.opening[:, 0], True)
        linked = ~opens[group * WIDTH + 1 : (group + 1) * WIDTH + 1]
        ways = [np.full(WIDTH, state, np.int32) for state in range(len(self.matrix))]
        firsts = np.array([self.back(group, way, linked)[0] for way in ways])
        states = np.empty(WIDTH, np.int32)
        for lane in range(WIDTH - 1, -1, -1):
            states[lane] = last
            last = firsts[last, lane]
        return states, linked

    def back(self, group: int, following: np.ndarray, linked: np.ndarray) -> np.ndarray:
        """States ``(ROWS, WIDTH)`` on the best way to those that follow."""
        given = self.room.alpha, self.lanes.afresh[group], self.matrix, np.int32(self.lanes.steps)
        return np.asarray(_back(following, linked, *given))
