r"""The forward-backward recursion of hidden Markov models [baum1970] [rabiner1989], on many lanes at once.

.. math::  \alpha_t \propto (\alpha_{t-1} P) \cdot b_t,\qquad \beta_{t-1} = P\,(b_t \cdot \beta_t),\qquad
           \gamma_t = \alpha_t \cdot \beta_t,\qquad
           \hat c_{ij} = \sum_t \alpha_{t-1,i}\; p_{ij}\; b_{t,j}\; \beta_{t,j}

with the likelihood :math:`b_{t,j}` of frame :math:`t` in hidden state :math:`j`. Likelihoods come relative to the
most likely state of each frame and not below `FLOOR`, and probabilities are scaled to sum one every few
steps, so that nothing underflows; the logarithms of the scales make the log-likelihood.

========  =====================================================
symbol    meaning
========  =====================================================
``P``     transition matrix between hidden states
``b``     ``relative``, likelihoods
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

FLOOR = 1e-60
"""Smallest likelihood in a hidden state, relative to the most likely one."""

EVERY = 4
"""Steps from one scaling to the next where all lanes are within their own frames."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """What is expected of the hidden states given all observations.

    Attributes
    ----------
    log_likelihood : of the frames that lanes own, without the likelihood of the most likely states
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
    relative: np.ndarray,
    matrix: np.ndarray,
    initial: np.ndarray,
    stationary: np.ndarray,
    weights: np.ndarray | None = None,
) -> Expectation:
    """Expected hidden states and transitions.

    Parameters
    ----------
    relative : (hidden, total), likelihoods in the order of ``lanes.frames``, the largest of a frame one
    matrix : (hidden, hidden)
    initial, stationary : (hidden,), where sequences begin, and where run-ins do
    weights : (lanes,), how often the frames of each lane count

    Examples
    --------
    >>> from thalweg.kinetics.lanes import lanes
    >>> three, half = lanes(np.array([3]), 1, 1, 0), np.full(2, 0.5)
    >>> seen = np.array([[1.0, 1.0, 1e-60], [1e-60, 1.0, 1.0]])
    >>> found = forward_backward(three, seen, np.array([[0.8, 0.2], [0.2, 0.8]]), half, half)
    >>> found.memberships.round(3).tolist(), found.transitions.sum().round(9).item()
    ([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]], 2.0)
    """
    weights = np.ones(len(lanes)) if weights is None else weights
    scaled = _scaled_steps(lanes).tolist()
    start = np.where(lanes.opening, initial[:, None], stationary[:, None])
    alpha, scales, log_likelihood = _forward(lanes, relative, matrix, start, scaled, weights)
    edges = lanes.place(np.flatnonzero(lanes.after >= 0), lanes.end[lanes.after >= 0] - 1)
    next_lanes = lanes.after[lanes.after >= 0]
    before = lanes.place(next_lanes, lanes.begin[next_lanes] - 1)
    transitions, known = _backward(lanes, relative, matrix, alpha, scales, scaled, weights, before)
    opening = lanes.place(np.flatnonzero(lanes.opening), np.zeros(lanes.opening.sum(), int))
    return Expectation(
        log_likelihood,
        alpha,
        transitions,
        alpha[:, opening].sum(axis=1),
        float(np.abs(alpha[:, edges] - known).max(initial=0.0)),
    )


def _scaled_steps(lanes: Lanes) -> np.ndarray:
    """Steps ``(longest,)`` after which to scale: every one unless all lanes are within their own frames."""
    mixed = ~np.array(lanes.whole)
    ends = np.append(lanes.alive[1:] < lanes.alive[:-1], True)
    step = np.arange(len(mixed))
    return mixed | np.append(mixed[1:], True) | ends | (step % EVERY == 0)


def _forward(
    lanes: Lanes,
    relative: np.ndarray,
    matrix: np.ndarray,
    start: np.ndarray,
    scaled: list[bool],
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Alpha ``(hidden, total)``, the scales ``(total,)`` it was divided by, and the sum of their logarithms."""
    alpha, scales = np.empty_like(relative), np.ones(relative.shape[1])
    transposed, before, log_likelihood = np.ascontiguousarray(matrix.T), start, 0.0
    for step, (here, alive) in enumerate(zip(lanes.at, lanes.alive.tolist())):
        now = alpha[:, here]
        if step:
            np.matmul(transposed, before[:, :alive], out=now)
            now *= relative[:, here]
        else:
            np.multiply(start, relative[:, here], out=now)
        if scaled[step]:
            sums = np.add.reduce(now, axis=0, out=scales[here])
            now /= sums
            logs = np.log(sums)
            log_likelihood += weights[:alive] @ (logs if lanes.whole[step] else logs * lanes.own[here])
        before = now
    return alpha, scales, float(log_likelihood)


def _backward(
    lanes: Lanes,
    relative: np.ndarray,
    matrix: np.ndarray,
    alpha: np.ndarray,
    scales: np.ndarray,
    scaled: list[bool],
    weights: np.ndarray,
    kept: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn alpha into gamma, in place; expected transitions and gamma at the places ``kept``."""
    hidden = len(matrix)
    counts, known = np.zeros((hidden, hidden)), np.empty((hidden, len(kept)))
    order = np.argsort(kept)
    borders = np.searchsorted(kept[order], lanes.offsets).tolist()
    at, whole, alive_at = lanes.at, lanes.whole, lanes.alive.tolist()
    beta = np.empty((hidden, len(lanes)))
    beta[:] = weights
    into = np.empty_like(beta)
    for step in range(len(at) - 1, -1, -1):
        here = at[step]
        now = alpha[:, here]
        if step + 1 < len(at):
            next_alive, there = alive_at[step + 1], at[step + 1]
            ahead = np.multiply(relative[:, there], beta[:, :next_alive], out=into[:, :next_alive])
            if scaled[step + 1]:
                ahead /= scales[there]
            counts += now[:, :next_alive] @ (ahead if whole[step + 1] else ahead * lanes.own[there]).T
            np.matmul(matrix, ahead, out=beta[:, :next_alive])
        now *= beta[:, : alive_at[step]]
        if borders[step] < borders[step + 1]:
            asked = order[borders[step] : borders[step + 1]]
            known[:, asked] = alpha[:, kept[asked]]
        if not whole[step]:
            now *= lanes.own[here]
    return counts * matrix, known
