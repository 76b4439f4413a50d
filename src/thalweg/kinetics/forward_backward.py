r"""The forward-backward recursion of hidden Markov models [baum1970] [rabiner1989], on many lanes at once.

.. math::  \alpha_t \propto (\alpha_{t-1} P) \cdot b_t,\qquad \beta_{t-1} = P\,(b_t \cdot \beta_t),\qquad
           \gamma_t = \alpha_t \cdot \beta_t,\qquad
           \hat c_{ij} = \sum_t \alpha_{t-1,i}\; p_{ij}\; b_{t,j}\; \beta_{t,j}

with the likelihood :math:`b_{t,j}` of frame :math:`t` in hidden state :math:`j`. Likelihoods come relative to the
most likely state of each frame, and probabilities are scaled to sum one every few steps, so that nothing
underflows; the logarithms of the scales make the log-likelihood. Of one array the likelihoods become alpha
and alpha becomes gamma; the way back needs no likelihoods, since with the prediction
:math:`a_t = \alpha_{t-1} P` the product :math:`b_t \beta_t` is :math:`\gamma_t / a_t`.

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

from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.threads import on_one_thread
from thalweg.kinetics.lanes import Lanes
from thalweg.kinetics.outputs import Output

SMALLEST = 1e-100
"""Transition probabilities are taken not to be smaller."""

EVERY = 4
"""Steps from one scaling to the next where all lanes are within their own frames."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """What is expected of the hidden states given all observations.

    Attributes
    ----------
    log_likelihood : of the frames that lanes own
    memberships : (hidden, total), gamma in the order of ``lanes.frames``, times the weight of the lane; zero
        for frames a lane does not own
    transitions : (hidden, hidden), expected number from row to column
    initial : (hidden,), expected number of sequences that begin in each state
    mismatch : largest difference between two lanes about a frame both know
    """

    log_likelihood: float
    memberships: np.ndarray
    transitions: np.ndarray
    initial: np.ndarray
    mismatch: float


@on_one_thread
def forward_backward(
    lanes: Lanes,
    output: Output,
    observed: np.ndarray,
    matrix: np.ndarray,
    initial: np.ndarray,
    stationary: np.ndarray,
    weights: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> Expectation:
    """Expected hidden states and transitions.

    Parameters
    ----------
    output : what hidden states show
    observed : (..., total), observations in the order of ``lanes.frames``
    matrix : (hidden, hidden)
    initial, stationary : (hidden,), where sequences begin, and where run-ins do
    weights : (lanes,), how often the frames of each lane count
    out : (hidden, total), array to hold the memberships, which saves the time of making a new one

    Examples
    --------
    >>> from thalweg.kinetics.lanes import lanes
    >>> from thalweg.kinetics.outputs import DiscreteOutput
    >>> three, half = lanes(np.array([3]), 1, 1, 0), np.full(2, 0.5)
    >>> output = DiscreteOutput(np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]))
    >>> chain = np.array([[0.8, 0.2], [0.2, 0.8]])
    >>> found = forward_backward(three, output, np.arange(3), chain, half, half)
    >>> found.memberships.round(3).tolist(), found.transitions.sum().round(9).item()
    ([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]], 2.0)
    """
    weights = np.ones(len(lanes)) if weights is None else weights
    matrix = np.maximum(matrix, SMALLEST)
    gamma, top = output.relative(observed, out)
    start = np.where(lanes.opening, initial[:, None], stationary[:, None])
    value = _forward(lanes, gamma, matrix, start, weights)
    held = np.flatnonzero(lanes.after >= 0)
    following = lanes.after[held]
    shared = lanes.place(following, lanes.begin[following] - 1)
    transitions, known = _backward(lanes, gamma, matrix, weights, shared)
    opening = lanes.place(np.flatnonzero(lanes.opening), np.zeros(lanes.opening.sum(), int))
    ends = lanes.place(held, lanes.end[held] - 1)
    mismatch = np.abs(gamma[:, ends] - known).max(initial=0.0)
    once = bool((weights == 1).all())
    largest = float(np.sum(top, where=lanes.own)) if once else float(top @ gamma.sum(axis=0))
    begun = gamma[:, opening].sum(axis=1)
    return Expectation(value + largest, gamma, transitions, begun, float(mismatch))


def _scaled_steps(lanes: Lanes) -> list[bool]:
    """Steps ``(longest,)`` after which to scale: every one unless all lanes are within their own frames."""
    mixed = ~np.array(lanes.whole)
    ends = np.append(lanes.alive[1:] < lanes.alive[:-1], True)
    return (mixed | np.append(mixed[1:], True) | ends | (np.arange(len(mixed)) % EVERY == 0)).tolist()


def _forward(
    lanes: Lanes, alpha: np.ndarray, matrix: np.ndarray, start: np.ndarray, weights: np.ndarray
) -> float:
    """Turn likelihoods into alpha, in place; the sum of the logarithms of its scales."""
    transposed, value, before = np.ascontiguousarray(matrix.T), 0.0, start
    predicted, scaled = np.empty_like(start), _scaled_steps(lanes)
    for step, (here, alive) in enumerate(zip(lanes.at, lanes.alive.tolist())):
        now = alpha[:, here]
        now *= np.matmul(transposed, before[:, :alive], out=predicted[:, :alive]) if step else start
        if scaled[step]:
            sums = np.add.reduce(now, axis=0)
            now /= sums
            logs = np.log(sums)
            value += weights[:alive] @ (logs if lanes.whole[step] else logs * lanes.own[here])
        before = now
    return float(value)


def _backward(
    lanes: Lanes, gamma: np.ndarray, matrix: np.ndarray, weights: np.ndarray, shared: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn alpha into gamma, in place; expected transitions and what gamma was at ``shared`` places."""
    hidden = len(matrix)
    counts, known = np.zeros((hidden, hidden)), np.empty((hidden, len(shared)))
    order = np.argsort(shared)
    borders = np.searchsorted(shared[order], lanes.offsets).tolist()
    at, whole, alive = lanes.at, lanes.whole, lanes.alive.tolist()
    transposed = np.ascontiguousarray(matrix.T)
    beta, into = np.empty((hidden, len(lanes))), np.empty((hidden, len(lanes)))
    beta[:] = weights
    for step in range(len(at) - 1, -1, -1):
        now = gamma[:, at[step]]
        if step + 1 < len(at):
            there, going = at[step + 1], alive[step + 1]
            ahead = np.matmul(transposed, now[:, :going], out=into[:, :going])
            np.divide(gamma[:, there], ahead, out=ahead)
            if whole[step + 1]:
                counts += now[:, :going] @ ahead.T
            else:
                counts += now[:, :going] @ (ahead * lanes.own[there]).T
                asked = order[borders[step + 1] : borders[step + 2]]
                known[:, asked] = gamma[:, shared[asked]]
                gamma[:, there] *= lanes.own[there]
            np.matmul(matrix, ahead, out=beta[:, :going])
        now *= beta[:, : alive[step]]
    asked = order[: borders[1]]
    known[:, asked] = gamma[:, shared[asked]]
    gamma[:, at[0]] *= lanes.own[at[0]]
    return counts * matrix, known
