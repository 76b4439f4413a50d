r"""The forward-backward recursion of hidden Markov models [baum1970] [rabiner1989], on many lanes at once.

.. math::  \alpha_t = s_t\,(\alpha_{t-1} P) \cdot b_t,\qquad \beta_{t-1} = s_t\,P\,(b_t \cdot \beta_t),\qquad
           \gamma_t = \alpha_t \cdot \beta_t,\qquad
           \hat c_{ij} = \sum_t \alpha_{t-1,i}\; p_{ij}\; s_t\, b_{t,j}\; \beta_{t,j}

with the likelihood :math:`b_{t,j}` of frame :math:`t` in hidden state :math:`j`, relative to the most likely
state of the frame, and the scale :math:`s_t` that makes :math:`\alpha_t` sum to one. The logarithms of the
scales make the log-likelihood. The steps are compiled (`recursion`); here groups of lanes go through them.

================  =============================  ==========================================
symbol            variable                       what it is
================  =============================  ==========================================
``P``             ``matrix``                     transition matrix between hidden states
``b_t``           ``likelihoods``                of ``output``, over the largest of a frame
``alpha_t``       ``workspace.alpha``            hidden state given the past
``s_t``           ``workspace.scales``           one over the sum before scaling
``gamma_t``       ``gamma``, ``memberships``     hidden state given past and future
``c_ij / p_ij``   ``ratios``                     expected transitions over probabilities
================  =============================  ==========================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jax import Array

from thalweg.kinetics.hidden.lane_boundaries import Boundaries, boundaries
from thalweg.kinetics.hidden.lanes import WIDTH, Lanes, on_processor
from thalweg.kinetics.hidden.outputs import Output
from thalweg.kinetics.hidden.recursion import Workspace, backward, forward
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped

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
    transitions: Shaped[np.ndarray, "hidden hidden"]
    initial: Shaped[np.ndarray, " hidden"]
    mismatch: float


Each = Callable[[int, np.ndarray], None]
"""Is called with the number of a group and memberships of its lanes' own steps ``(hidden, length * WIDTH)``."""


@on_one_thread
def forward_backward(
    lanes: Lanes,
    output: Output,
    observed: np.ndarray,
    matrix: Shaped[np.ndarray, "hidden hidden"],
    initial: Shaped[np.ndarray, " hidden"],
    stationary: Shaped[np.ndarray, " hidden"],
    weights: Shaped[np.ndarray, "groups rows width"] | None = None,
    each: Each | None = None,
    workspace: Workspace | None = None,
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
    workspace : arrays to write into, for many calls in a row

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
    size, log_likelihood, initial_counts = len(matrix), 0.0, np.zeros(len(matrix))
    once = weights is None
    # memberships (2, hidden, lanes) of the frame ahead of a lane's own ones, and of its last own one
    ends = np.zeros((2, size, len(lanes)))
    with on_processor():
        recursion = _LaneRecursion(
            lanes, output, observed, matrix, np.asarray(initial, float), workspace or Workspace(size)
        )
        around = recursion.around(np.asarray(stationary, float))
        # c_ij / p_ij, summed lane by lane
        ratios: np.ndarray | Array = np.zeros((size, size, WIDTH))
        for group, share in enumerate(lanes.once if weights is None else weights):
            here = slice(group * WIDTH, (group + 1) * WIDTH)
            # log L = sum_t w_t (log max_i b_ti - log s_t), from the alphas that stay for the way back
            log_likelihood += recursion.forward(group, around.before[here], share)
            # the transition into a frame counts as often as the frame, and not at all into an opening one
            linked = lanes.linked[group] if once else share * ~lanes.opening[group]
            gamma, ratios = recursion.backward(group, around.after[here], ratios, linked)
            ends[:, :, here] = gamma[:, [max(lanes.run_in, 1) - 1, lanes.rows.stop - 1]].swapaxes(0, 1)
            # (hidden, own steps, WIDTH) to (hidden, own frames): run-ins are left out, frames without a lane zero
            own = gamma[:, lanes.rows]
            if not (once and lanes.whole[group]):
                own = own * share[lanes.rows]
            memberships = own.reshape(size, -1)
            initial_counts += memberships[:, lanes.opens[group]].sum(axis=1)
            if each is not None:
                each(group, memberships)
            del gamma, own, memberships  # what is looked at cannot be written over
        transitions = np.asarray(ratios).sum(axis=2)
    # where lanes run in, the last own frame of one is known to the next as well: both must say the same
    apart = np.abs(ends[0, :, 1 : lanes.used] - ends[1, :, : lanes.used - 1])
    mismatch = float(apart.max(initial=0.0)) if lanes.run_in else 0.0
    return Expectation(log_likelihood, transitions * matrix, initial_counts, mismatch)


@dataclass(frozen=True, eq=False)
class _LaneRecursion:
    """The forward and backward recursion through groups of lanes, with what all groups share."""

    lanes: Lanes
    output: Output
    observed: np.ndarray
    matrix: np.ndarray
    initial: np.ndarray
    workspace: Workspace

    def around(self, stationary: np.ndarray) -> Boundaries:
        """What lies before and after the lanes: anything where they run in, else what is worked out."""
        shape = (len(self.lanes), len(stationary))
        if self.lanes.run_in:
            return Boundaries(np.broadcast_to(stationary, shape), np.ones(shape))
        # rows of T_l = prod_t P diag(b_t): one forward recursion from every hidden state a lane may come from
        carried, logs = np.empty((*shape, shape[1])), np.zeros(shape)
        for group in range(len(self.lanes.frames)):
            here = slice(group * WIDTH, (group + 1) * WIDTH)
            self._likelihoods(group)
            for state, certain in enumerate(np.eye(shape[1])):
                carried[here, state] = np.asarray(self._through(group, np.tile(certain, (WIDTH, 1)))).T
                logs[here, state] = -self._logs().sum(axis=0)
        return boundaries(carried, logs, stationary)

    def forward(self, group: int, before: np.ndarray, weights: np.ndarray) -> float:
        """The log-likelihood of a group, from forward variables that are kept for the way back."""
        largest = self._likelihoods(group)
        self._through(group, before)
        logs = self._logs().ravel()
        np.subtract(largest, logs, out=logs)
        return float(weights[: self.lanes.steps].ravel() @ logs)

    def _likelihoods(self, group: int) -> np.ndarray:
        """Fill in likelihoods of a group; the logarithms of the largest of every frame."""
        return self.output.relative(
            self.observed[group], self.workspace.likelihoods_of(self.lanes.steps * WIDTH)
        )[1]

    def _through(self, group: int, before: np.ndarray) -> Array:
        """Forward variables of a group; those of the last step."""
        workspace, opening, count = self.workspace, self.lanes.afresh[group], np.int32(self.lanes.steps)
        given = (
            np.ascontiguousarray(before.T),
            workspace.likelihoods,
            opening,
            self.matrix,
            self.initial,
            count,
        )
        workspace.alpha, workspace.scales, last = forward(workspace.alpha, workspace.scales, *given)
        return last

    def _logs(self) -> np.ndarray:
        """Logarithms of scales ``(steps, WIDTH)``, in the workspace."""
        steps = slice(self.lanes.steps)
        return np.log(np.from_dlpack(self.workspace.scales)[steps], out=self.workspace.logs[steps])

    def backward(
        self, group: int, after: np.ndarray, transitions: np.ndarray | Array, weights: np.ndarray | Array
    ) -> tuple[np.ndarray, Array]:
        """Memberships ``(hidden, ROWS, WIDTH)`` and transitions so far.

        Rows that run in are left out, but for the last, by which neighboring lanes are compared.
        """
        workspace, first, count = self.workspace, max(self.lanes.run_in, 1) - 1, self.lanes.steps
        given = (
            workspace.alpha,
            self.lanes.afresh[group],
            weights,
            self.matrix,
            np.int32(first),
            np.int32(count),
        )
        workspace.memberships, transitions = backward(
            workspace.memberships, transitions, np.ascontiguousarray(after.T), *given
        )
        return np.from_dlpack(workspace.memberships), transitions
