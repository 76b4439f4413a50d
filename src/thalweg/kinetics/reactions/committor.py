r"""Committors: the probability to reach B before A.

.. math::  q_i = \sum_j p_{ij}\, q_j\ (i \notin A \cup B),\qquad q = 0\ \text{on } A,\quad q = 1\ \text{on } B
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from scipy.sparse import csr_array, eye_array

from thalweg.kinetics.estimation.factorization import factorized
from thalweg.kinetics.markov_state_model import MarkovModel


def committor(
    model: MarkovModel, a: Collection[int] | np.ndarray, b: Collection[int] | np.ndarray
) -> np.ndarray:
    """Probability to reach ``b`` before ``a`` from every state ``(n_states,)``; NaN outside the active set.

    Parameters
    ----------
    a, b : states, in original numbering

    Raises
    ------
    ValueError
        If the sets overlap, or one has no active state.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> walk = np.array([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> committor(MarkovStateModel(lagtime=1).fit([walk]), [0], [3]).round(3).tolist()
    [0.0, 0.333, 0.667, 1.0]
    """
    in_a, in_b = active_places(model, a, "A"), active_places(model, b, "B")
    if np.intersect1d(np.asarray(list(a)), np.asarray(list(b))).size:
        raise ValueError("A and B overlap; give two sets without common states")
    ends = np.concatenate([in_a, in_b])
    value = np.concatenate([np.zeros(len(in_a)), np.ones(len(in_b))])
    return model.active.spread(absorbed(model.fit.matrix, ends, value, 0.0), np.nan)


def active_places(model: MarkovModel, states: Collection[int] | np.ndarray, name: str) -> np.ndarray:
    """Positions of a set's states among the active ones, at least one."""
    places = model.active.places(np.asarray(list(states)))
    if not len(places):
        raise ValueError(f"no state of {name} is in the active set ({model.active})")
    return places


def absorbed(matrix: csr_array, ends: np.ndarray, value: np.ndarray, source: float) -> np.ndarray:
    """The solution of ``f = P f + source`` inside and ``f = value`` at the places ``ends``.

    Parameters
    ----------
    matrix : P
    ends : places
    value : (ends, ...) one column for each solution, or none
    source : the same everywhere inside

    Raises
    ------
    MemoryError
        If the linear equations would not fit, before the work.
    """
    result = np.zeros((matrix.shape[0], *value.shape[1:]))
    result[ends] = value
    inside = np.setdiff1d(np.arange(len(result)), ends)
    if len(inside):
        # (1 - P_II) f_I = P_IE f_E + source
        within, out = matrix[inside][:, inside], matrix[inside][:, ends]
        system = eye_array(len(inside)) - within
        result[inside] = factorized(system, "committor or passage time").solve(out @ value + source)
    return result
