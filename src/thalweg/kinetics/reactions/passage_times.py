r"""Mean first-passage times.

.. math::  m_i = \tau + \sum_j p_{ij}\, m_j\ (i \notin B),\qquad m = 0\ \text{on } B

Time is counted in steps of the lag time, so passages within a lag time are missed: use lags short against
the result.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.kinetics.reactions.committor import absorbed, active_places


def first_passage_times(model: MarkovModel, target: Collection[int] | np.ndarray) -> np.ndarray:
    """Mean time [ps] to reach ``target`` from every state ``(n_states,)``; NaN outside the active set.

    Parameters
    ----------
    target : states, in original numbering

    Raises
    ------
    ValueError
        If no state of the target is active.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> walk = np.array([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> first_passage_times(MarkovStateModel(lagtime=1).fit([walk]), [3]).round(3).tolist()
    [9.0, 8.0, 5.0, 0.0]
    """
    ends = active_places(model, target, "the target")
    steps = absorbed(model.fit.matrix, ends, np.zeros(len(ends)), 1.0)
    return model.active.spread(steps * model.lag, np.nan)


def mean_first_passage_time(
    model: MarkovModel, start: Collection[int] | np.ndarray, target: Collection[int] | np.ndarray
) -> float:
    """Mean time [ps] from ``start``, its states weighted as at equilibrium, to ``target``.

    Parameters
    ----------
    model : `MarkovModel`
    start, target : states, in original numbering

    Raises
    ------
    ValueError
        If one of the sets has no active state.
    """
    begin = active_places(model, start, "the start")
    weights = model.fit.stationary_distribution[begin]
    times = first_passage_times(model, target)[model.active.states[begin]]
    return float(weights @ times / weights.sum())
