r"""The most likely sequence of hidden states given all observations [viterbi1967], on many lanes at once.

.. math::  \delta_{t,j} \propto \max_i\,(\delta_{t-1,i}\; p_{ij})\; b_{t,j}

holds the best probability of any sequence that ends in :math:`j`; from the best last state one follows back
where each maximum came from. Best sequences of neighboring lanes merge within a short run-in; where two
lanes disagree about the frame between them, all run in longer.
"""

from __future__ import annotations

import numpy as np

from thalweg.kinetics.lanes import Lanes


def most_likely_path(
    lanes: Lanes, relative: np.ndarray, matrix: np.ndarray, initial: np.ndarray, stationary: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Hidden states ``(total,)`` in the order of ``lanes.frames``, and whether neighboring lanes agree.

    Parameters
    ----------
    relative : (hidden, total), likelihoods in the order of ``lanes.frames``
    matrix : (hidden, hidden)
    initial, stationary : (hidden,), where sequences begin, and where run-ins do

    Examples
    --------
    >>> from thalweg.kinetics.lanes import lanes
    >>> seen = np.array([[1.0, 0.4, 1.0, 0.0], [0.1, 1.0, 0.1, 1.0]])
    >>> chain, half = np.array([[0.9, 0.1], [0.1, 0.9]]), np.full(2, 0.5)
    >>> most_likely_path(lanes(np.array([4]), 1, 1, 0), seen, chain, half, half)[0].tolist()
    [0, 0, 0, 1]
    """
    hidden = len(matrix)
    came = np.empty(relative.shape, np.int8 if hidden < 128 else np.int32)
    best = np.where(lanes.opening, initial[:, None], stationary[:, None]) * relative[:, lanes.at[0]]
    last = np.empty(len(lanes), int)
    for step in range(1, len(lanes.alive) + 1):
        alive = lanes.alive[step] if step < len(lanes.alive) else 0
        last[alive : lanes.alive[step - 1]] = best[:, alive:].argmax(axis=0)
        if not alive:
            break
        origin = came[:, lanes.at[step]]
        before, best = best[:, :alive], best[0, :alive] * matrix[0][:, None]
        origin[:] = 0
        for state in range(1, hidden):
            trial = before[state] * matrix[state][:, None]
            np.copyto(origin, state, where=trial > best)
            np.maximum(best, trial, out=best)
        best *= relative[:, lanes.at[step]]
        best /= best.max(axis=0)
    path = np.empty(relative.shape[1], came.dtype)
    for step in range(len(lanes.alive) - 1, -1, -1):
        here, alive = lanes.at[step], lanes.alive[step]
        if step + 1 < len(lanes.alive):
            going = lanes.alive[step + 1]
            ahead = lanes.at[step + 1]
            last[:going] = came[:, ahead][path[ahead], np.arange(going)]
        path[here] = last[:alive]
    held = np.flatnonzero(lanes.after >= 0)
    following = lanes.after[held]
    ends = path[lanes.place(held, lanes.end[held] - 1)]
    return path, bool((ends == path[lanes.place(following, lanes.begin[following] - 1)]).all())
