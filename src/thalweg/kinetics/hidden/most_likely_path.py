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
from thalweg.kinetics.hidden.recursion import Workspace, forward_sweep, put, row
from thalweg.shapes import Shaped


def most_likely_path(
    lanes: Lanes,
    output: Output,
    observed: np.ndarray,
    matrix: Shaped[np.ndarray, "hidden hidden"],
    initial: Shaped[np.ndarray, " hidden"],
    stationary: Shaped[np.ndarray, " hidden"],
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
    # states in the order in which lanes own frames; the last group first, since each hands its opening state back
    inorder = np.empty(len(lanes.frames) * share, np.int32)
    ends = np.zeros((2, len(lanes)), int)
    with on_processor():
        matrix, workspace = np.maximum(matrix, SMALLEST), Workspace(len(matrix))
        recursion = _LaneRecursion(lanes, output, observed, matrix, np.asarray(initial, float), workspace)
        before = recursion.before(np.asarray(stationary, float))
        following = 0
        for group in range(len(lanes.frames) - 1, -1, -1):
            here = slice(group * WIDTH, (group + 1) * WIDTH)
            recursion.forward(group, before[here])
            states = recursion.backward(group, *recursion.following(group, following))
            inorder[group * share : (group + 1) * share] = states[lanes.rows].T.ravel()
            following = int(states[0, 0])
            ends[:, here] = states[[max(run_in - 1, 0), run_in - 1 + lanes.length]]
    # from lane order to the numbers of frames
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

    def propagate(delta):  # max_i delta_{t-1,i} p_ij
        return _largest(delta[:, None] * matrix[:, :, None])

    return forward_sweep(best, scales, before, likelihoods, opening, propagate, initial, count)


@jax.jit
def _back(following: Array, linked: Array, best: Array, opening: Array, matrix: Array, count: Array) -> Array:
    """States ``(ROWS, WIDTH)`` on the best way to those that follow ``(WIDTH,)``, where ``linked`` to them."""
    kinds = jnp.arange(len(matrix), dtype=following.dtype)[:, None]

    def propagate(states):  # p_ij into the state j of each lane, for all i
        return (matrix[:, :, None] * (states == kinds)).sum(axis=1)

    def step(k, carry):
        ahead, path = carry
        t = count - 1 - k
        # argmax_i delta_{t,i} p_{i,j}; of equal ones the first, as a sum over one-hot states would not give
        value = row(best, t + 1) * ahead
        states = jnp.where(value == _largest(value), kinds, len(matrix))
        first = jax.lax.reduce(states, kinds.dtype.type(len(matrix)), jnp.minimum, (0,))
        return jnp.where(row(opening, t), 1.0, propagate(first)), put(path, first, t)

    begin = jnp.where(linked, propagate(following), 1.0), jnp.zeros(opening.shape, following.dtype)
    return jax.lax.fori_loop(jnp.zeros_like(count), count, step, begin)[1]


@dataclass(frozen=True, eq=False)
class _LaneRecursion:
    """The recursion ahead and back through groups of lanes, with what all groups share."""

    lanes: Lanes
    output: Output
    observed: np.ndarray
    matrix: np.ndarray
    initial: np.ndarray
    workspace: Workspace

    def before(self, stationary: np.ndarray) -> np.ndarray:
        """Best probabilities ahead of each lane ``(lanes, hidden)``: anything where it runs in, else worked out."""
        shape = (len(self.lanes), len(stationary))
        if self.lanes.run_in:
            return np.broadcast_to(stationary, shape)
        # log of the best way through each lane, from every state ahead of it to every one at its end
        logs = np.zeros((*shape, shape[1]))
        for group in range(len(self.lanes.frames)):
            here = slice(group * WIDTH, (group + 1) * WIDTH)
            for state, certain in enumerate(np.eye(shape[1])):
                last = np.asarray(self.forward(group, np.tile(certain, (WIDTH, 1))))
                scales = np.log(np.from_dlpack(self.workspace.scales)[: self.lanes.steps]).sum(axis=0)
                logs[here, state] = np.log(np.maximum(last, SMALLEST)).T - scales[:, None]
        # lanes in a row: max over the state between two of them, less the largest so that nothing underflows
        best = np.empty(shape)
        best[0] = np.log(np.maximum(stationary, SMALLEST))
        for lane in range(len(logs) - 1):
            best[lane + 1] = (best[lane][:, None] + logs[lane]).max(axis=0)
            best[lane + 1] -= best[lane + 1].max()
        return np.exp(best)

    def forward(self, group: int, before: np.ndarray) -> Array:
        """Best probabilities along a group, kept for the way back; those after the last step."""
        workspace, count = self.workspace, self.lanes.steps
        self.output.relative(self.observed[group], workspace.likelihoods_of(count * WIDTH))
        given = (
            np.ascontiguousarray(before.T),
            workspace.likelihoods,
            self.lanes.afresh[group],
            self.matrix,
            self.initial,
        )
        workspace.alpha, workspace.scales, last = _forward(
            workspace.alpha, workspace.scales, *given, np.int32(count)
        )
        return last.block_until_ready()  # then likelihoods may be written over

    def following(self, group: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """The state that follows each lane, and whether one does; ``last`` is that ahead of the next group."""
        if self.lanes.run_in:
            return np.zeros(WIDTH, np.int32), np.zeros(WIDTH, bool)
        # which state each lane opens in, for every state that may follow it; then back from the known last one
        opens = np.append(self.lanes.opening[:, 0], True)
        linked = ~opens[group * WIDTH + 1 : (group + 1) * WIDTH + 1]
        candidates = [np.full(WIDTH, state, np.int32) for state in range(len(self.matrix))]
        firsts = np.array([self.backward(group, state, linked)[0] for state in candidates])
        states = np.empty(WIDTH, np.int32)
        for lane in range(WIDTH - 1, -1, -1):
            states[lane] = last
            last = firsts[last, lane]
        return states, linked

    def backward(self, group: int, following: np.ndarray, linked: np.ndarray) -> np.ndarray:
        """States ``(ROWS, WIDTH)`` on the best way to those that follow."""
        given = self.workspace.alpha, self.lanes.afresh[group], self.matrix, np.int32(self.lanes.steps)
        return np.asarray(_back(following, linked, *given))
