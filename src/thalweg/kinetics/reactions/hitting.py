r"""Hitting statistics: which set is reached first, and how first-passage times are distributed.

With the transitions :math:`Q` among states outside the target and the probability :math:`r` to enter it,

.. math::  P(T = k\tau) = u^T Q^{k-1} r,\qquad
           m = \tau\,(1 - Q)^{-1} \mathbf 1,\qquad m^{(2)} = (1 - Q)^{-1} (2 \tau\, m - \tau^2 \mathbf 1) .

A spread as large as the mean says that the passage is a single rare event.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import eye_array

from thalweg.kinetics.estimation.factorization import factorized
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.kinetics.reactions.committor import absorbed, active_places
from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class PassageTimes:
    """First-passage times from one set to another, states of the first weighted as at equilibrium.

    Attributes
    ----------
    times : (steps,) [ps]
    probabilities : (steps,), to arrive at that time
    mean, spread : [ps], of all passages, those after the last time included
    """

    times: Shaped[np.ndarray, " steps"]
    probabilities: Shaped[np.ndarray, " steps"]
    mean: float
    spread: float

    @property
    def late(self) -> float:
        """Probability to arrive after the last of the times."""
        return 1 - float(self.probabilities.sum())


def first_hits(model: MarkovModel, targets: Sequence[Collection[int] | np.ndarray]) -> np.ndarray:
    """Probability to reach each of several sets first, from every state ``(n_states, sets)``.

    The committor for more than two sets; NaN outside the active set.

    Parameters
    ----------
    model : `MarkovModel`
    targets : sets of states, in original numbering

    Raises
    ------
    ValueError
        If sets overlap, or one has no active state.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> walk = np.array([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> first_hits(MarkovStateModel(lagtime=1).fit([walk]), [[0], [3]]).round(3).tolist()
    [[1.0, 0.0], [0.667, 0.333], [0.333, 0.667], [0.0, 1.0]]
    """
    places = [active_places(model, target, f"set {k}") for k, target in enumerate(targets)]
    ends = np.concatenate(places)
    if len(np.unique(ends)) < len(ends):
        raise ValueError("sets overlap; give sets without common states")
    member = np.repeat(np.eye(len(places)), [len(place) for place in places], axis=0)
    return model.active.spread(absorbed(model.fit.matrix, ends, member, 0.0), np.nan)


def passage_times(
    model: MarkovModel,
    start: Collection[int] | np.ndarray,
    target: Collection[int] | np.ndarray,
    steps: int = 1000,
) -> PassageTimes:
    """The distribution of first-passage times at ``1 ... steps`` lag times.

    Parameters
    ----------
    model : `MarkovModel`
    start, target : states, in original numbering
    steps : times at which the distribution is worked out, in lag times

    Raises
    ------
    ValueError
        If the sets overlap, or one has no active state.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> walk = np.array([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> times = passage_times(MarkovStateModel(lagtime=1).fit([walk]), [0], [3], steps=5)
    >>> times.probabilities.round(3).tolist(), round(times.mean, 3), round(times.spread, 3)
    ([0.0, 0.0, 0.25, 0.0, 0.188], 9.0, 6.928)
    """
    begin, ends = active_places(model, start, "the start"), active_places(model, target, "the target")
    if np.intersect1d(begin, ends).size:
        raise ValueError("start and target overlap; give two sets without common states")
    matrix, stationary = model.fit.matrix, model.fit.stationary_distribution
    inside = np.setdiff1d(np.arange(matrix.shape[0]), ends)
    within = matrix[inside][:, inside]
    entering = np.asarray(matrix[inside][:, ends].sum(axis=1)).ravel()
    # u: the states of the start as at equilibrium; P(T = k tau) = u^T Q^{k-1} r, a step at a time
    weight = np.zeros(matrix.shape[0])
    weight[begin] = stationary[begin] / stationary[begin].sum()
    present, probabilities = weight[inside], np.empty(steps)
    for k in range(steps):
        probabilities[k] = present @ entering
        present = present @ within
    # first and second moment in lag times: m = (1 - Q)^-1 1 and (1 - Q)^-1 (2 m - 1)
    solve = factorized(eye_array(len(inside)) - within, "passage time").solve
    mean = solve(np.ones(len(inside)))
    square = solve(2 * mean - 1)
    first, second = float(weight[inside] @ mean), float(weight[inside] @ square)
    return PassageTimes(
        model.lag * np.arange(1, steps + 1),
        probabilities,
        model.lag * first,
        model.lag * float(np.sqrt(second - first**2)),
    )
