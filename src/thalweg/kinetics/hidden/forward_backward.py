r"""The forward-backward recursion of hidden Markov models [baum1970] [rabiner1989], on many lanes at once.

.. math::  \alpha_t = s_t\,(\alpha_{t-1} P) \cdot b_t,\qquad \beta_{t-1} = s_t\,P\,(b_t \cdot \beta_t),\qquad
           \gamma_t = \alpha_t \cdot \beta_t,\qquad
           \hat c_{ij} = \sum_t \alpha_{t-1,i}\; p_{ij}\; s_t\, b_{t,j}\; \beta_{t,j}

with the likelihood :math:`b_{t,j}` of frame :math:`t` in hidden state :math:`j`, relative to the most likely
state of the frame, and the scale :math:`s_t` that makes :math:`\alpha_t` sum to one. The logarithms of the
scales make the log-likelihood. The steps are compiled (`recursion`); here groups of lanes go through them.

========  =====================================================
symbol    meaning
========  =====================================================
``P``     transition matrix between hidden states
``b``     likelihoods, of ``output``
``alpha`` hidden state given the past
``gamma`` hidden state given past and future
``c``     expected transitions
========  =====================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jax import Array

from thalweg.kinetics.hidden.lane_boundaries import Boundaries, boundaries
from thalweg.kinetics.hidden.lanes import WIDTH, Lanes, on_processor
from thalweg.kinetics.hidden.outputs import Output
from thalweg.kinetics.hidden.recursion import Room, backward, forward
from thalweg.machine.threads import on_one_thread

SMALLEST = 1e-100
"""Transition probabilities are taken not to be smaller."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """What is expected of the hidden states given all observations.

    Attributes
    ----------
    log_likelihood : of all frames
    transitions : (hidden, hidden), expected number from row to column
    initial : (hidden,), expected number of sequences that begin in each state
    mismatch : largest difference between two lanes about a frame both know
    """

    log_likelihood: float
    transitions: np.ndarray
    initial: np.ndarray
    mismatch: float


Each = Callable[[int, np.ndarray], None]
"""Is called with the number of a group and memberships of its lanes' own steps ``(hidden, length * WIDTH)``."""


@on_one_thread
def forward_backward(
    lanes: Lanes,
    output: Output,
    observed: np.ndarray,
    matrix: np.ndarray,
    initial: np.ndarray,
    stationary: np.ndarray,
    weights: np.ndarray | None = None,
    each: Each | None = None,
    room: Room | None = None,
) -> Expectation:
    """Expected hidden states and transitions.

    Parameters
    ----------
    output : what hidden states show
    observed : (groups, ..., steps * WIDTH), observations as `Lanes.laid` lays them
    matrix : (hidden, hidden)
    initial, stationary : (hidden,), where sequences begin, and where run-ins do
    weights : (groups, ROWS, WIDTH), how often each frame counts, of `Lanes.weights`; None for once
    each : is handed the memberships of every group times their weights, zero for frames that no lane owns; to
        be used at once, since the array is written over
    room : to work in, for many calls in a row

    Examples
    --------
    >>> from thalweg.kinetics.hidden.lanes import lanes
    >>> from thalweg.kinetics.hidden.outputs import DiscreteOutput
    >>> three, half = lanes(np.array([3]), 1, 1, 4), np.full(2, 0.5)
    >>> output = DiscreteOutput(np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]))
    >>> chain = np.array([[0.8, 0.2], [0.2, 0.8]])
    >>> found = forward_backward(three, output, three.laid(np.arange(3)), chain, half, half)
    >>> found.transitions.round(3).tolist(), found.initial.round(3).tolist()
    ([[0.5, 1.0], [0.0, 0.5]], [1.0, 0.0])
    """
    matrix = np.maximum(matrix, SMALLEST)
    size, value, begun = len(matrix), 0.0, np.zeros(len(matrix))
    once = weights is None
    ends = np.zeros((2, size, len(lanes)))
    with on_processor():
        way = _Way(lanes, output, observed, matrix, np.asarray(initial, float), room or Room(size))
        around = way.around(np.asarray(stationary, float))
        moved: np.ndarray | Array = np.zeros((size, size, WIDTH))
        for group, share in enumerate(lanes.once if weights is None else weights):
            here = slice(group * WIDTH, (group + 1) * WIDTH)
            value += way.ahead(group, around.before[here], share)
            linked = lanes.linked[group] if once else share * ~lanes.opening[group]
            gamma, moved = way.back(group, around.after[here], moved, linked)
            ends[:, :, here] = gamma[:, [max(lanes.run_in, 1) - 1, lanes.rows.stop - 1]].swapaxes(0, 1)
            own = gamma[:, lanes.rows]
            if not (once and lanes.whole[group]):
                own = own * share[lanes.rows]
            memberships = own.reshape(size, -1)
            begun += memberships[:, lanes.opens[group]].sum(axis=1)
            if each is not None:
                each(group, memberships)
            del gamma, own, memberships  # what is looked at cannot be written over
        transitions = np.asarray(moved).sum(axis=2)
    apart = np.abs(ends[0, :, 1 : lanes.used] - ends[1, :, : lanes.used - 1])
    mismatch = float(apart.max(initial=0.0)) if lanes.run_in else 0.0
    return Expectation(value, transitions * matrix, begun, mismatch)


@dataclass(frozen=True, eq=False)
class _Way:
    """The way ahead and back through groups of lanes."""

    lanes: Lanes
    output: Output
    observed: np.ndarray
    matrix: np.ndarray
    initial: np.ndarray
    room: Room

    def around(self, stationary: np.ndarray) -> Boundaries:
        """What lies before and after the lanes: anything where they run in, else what is worked out."""
        shape = (len(self.lanes), len(stationary))
        if self.lanes.run_in:
            return Boundaries(np.broadcast_to(stationary, shape), np.ones(shape))
        carried, logs = np.empty((*shape, shape[1])), np.zeros(shape)
        for group in range(len(self.lanes.frames)):
            here = slice(group * WIDTH, (group + 1) * WIDTH)
            self._likelihoods(group)
            for state, one in enumerate(np.eye(shape[1])):
                carried[here, state] = np.asarray(self._through(group, np.tile(one, (WIDTH, 1)))).T
                logs[here, state] = -self._logs().sum(axis=0)
        return boundaries(carried, logs, stationary)

    def ahead(self, group: int, before: np.ndarray, weights: np.ndarray) -> float:
        """The log-likelihood of a group, from forward variables that are kept for the way back."""
        largest = self._likelihoods(group)
        self._through(group, before)
        logs = self._logs().ravel()
        np.subtract(largest, logs, out=logs)
        return float(weights[: self.lanes.steps].ravel() @ logs)

    def _likelihoods(self, group: int) -> np.ndarray:
        """Fill in likelihoods of a group; the logarithms of the largest of every frame."""
        return self.output.relative(self.observed[group], self.room.likely(self.lanes.steps * WIDTH))[1]

    def _through(self, group: int, before: np.ndarray) -> Array:
        """Forward variables of a group; those of the last step."""
        room, opening, count = self.room, self.lanes.afresh[group], np.int32(self.lanes.steps)
        given = np.ascontiguousarray(before.T), room.likelihoods, opening, self.matrix, self.initial, count
        room.alpha, room.scales, last = forward(room.alpha, room.scales, *given)
        return last

    def _logs(self) -> np.ndarray:
        """Logarithms of scales ``(steps, WIDTH)``, in the room."""
        steps = slice(self.lanes.steps)
        return np.log(np.from_dlpack(self.room.scales)[steps], out=self.room.logs[steps])

    def back(
        self, group: int, after: np.ndarray, moved: np.ndarray | Array, weights: np.ndarray | Array
    ) -> tuple[np.ndarray, Array]:
        """Memberships ``(hidden, ROWS, WIDTH)`` and transitions so far.

        Rows that run in are left out, but for the last, by which neighboring lanes are compared.
        """
        room, first, count = self.room, max(self.lanes.run_in, 1) - 1, self.lanes.steps
        given = room.alpha, self.lanes.afresh[group], weights, self.matrix, np.int32(first), np.int32(count)
        room.memberships, moved = backward(room.memberships, moved, np.ascontiguousarray(after.T), *given)
        return np.from_dlpack(room.memberships), moved
