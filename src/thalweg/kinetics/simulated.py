"""Walks of a Markov chain, to see what a model says and to try methods on data whose truth is known.

.. math::  s_{t+1} \\sim p_{s_t \\cdot}

Frames are a lag time apart: what happens between them a model does not know.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from thalweg.kinetics.counts.active_set import ActiveStates
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories


def simulated(
    fit: TransitionMatrix,
    active: ActiveStates,
    lag: float,
    steps: int,
    runs: int,
    start: int | None,
    seed: int,
) -> DiscreteTrajectories:
    """Walks of a chain between active states, in their original numbers.

    Parameters
    ----------
    fit : transition probabilities between the active states
    active : which states these are
    lag : time between frames [ps]
    steps : frames of each walk
    runs : how many walks
    start : state that all begin in; None draws it from the stationary distribution
    seed : of the random numbers

    Raises
    ------
    ValueError
        If there is no step or run, or the state is not active.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> chain = TransitionMatrix(csr_array(np.array([[0.9, 0.1], [0.2, 0.8]])), np.array([2, 1]) / 3, True)
    >>> walk = simulated(chain, ActiveStates(np.array([0, 4]), 5, 1.0), 0.5, 1000, 2, start=4, seed=0)
    >>> len(walk), walk.dt, sorted(set(walk[0].tolist())), int(walk[1][0])
    (2, 0.5, [0, 4], 4)
    """
    if steps < 1 or runs < 1:
        raise ValueError(f"steps={steps} and runs={runs} must be at least one")
    if start is not None and start not in active.states:
        raise ValueError(f"start={start} is no active state; the model is of {active}")
    random = np.random.default_rng(seed)
    first = random.choice(len(active.states), runs, p=fit.stationary_distribution)
    if start is not None:
        first[:] = active.places(np.array([start]))
    # the states that each state leads to, and running sums of their probabilities, the last of which is one
    matrix = fit.matrix
    ends = list(zip(matrix.indptr[:-1], matrix.indptr[1:]))
    following = [matrix.indices[low:high].tolist() for low, high in ends]
    ladders = [np.cumsum(matrix.data[low:high])[:-1].tolist() for low, high in ends]
    walks = []
    for state in first.tolist():
        walk = [state]
        for chance in random.random(steps - 1).tolist():
            state = following[state][bisect_right(ladders[state], chance)]
            walk.append(state)
        walks.append(active.states[walk])
    return DiscreteTrajectories(walks, lag, n_states=active.n_states)
