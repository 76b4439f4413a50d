r"""First guesses of hidden Markov models from the metastable sets of a Markov model [noe2013b].

With PCCA+ memberships :math:`M`, transition matrix :math:`P` and populations :math:`\pi` of a Markov model

.. math::  \tilde P = (M^T \Pi M)^{-1} M^T \Pi P M,\qquad B_{io} \propto \pi_o M_{oi} .

Features are clustered first. Memberships are blurred, evenly for the first guess and at random for further
ones: where a membership is zero, expectation and maximization would never raise it. Parts of the states that
no transition connects are joined as if one more had been seen each way: the slowest sets are then these parts.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from thalweg.kinetics.counts.counts import TransitionCounts
from thalweg.kinetics.estimation.nonreversible import stationary_distribution
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.kinetics.hidden.outputs import DiscreteOutput, GaussianOutput
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.clustering import KMeans
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories

if TYPE_CHECKING:
    from thalweg.kinetics.hidden.observations import Observations

CLUSTERS = 60
"""Clusters of features for the first guess."""

MOST_FRAMES = 50_000
"""Frames that clusters are made of."""

BLUR = 0.2
"""Share of the memberships that is blurred."""

FLOOR_SHARE = 1e-6
"""Smallest variance of a Gaussian relative to that of all data."""


def first_guess(
    observed: Observations, n_hidden: int, seed: int, mixed: bool
) -> tuple[TransitionMatrix, np.ndarray, DiscreteOutput | GaussianOutput]:
    """Transition matrix, initial distribution and outputs to start from.

    Parameters
    ----------
    n_hidden : number of hidden states
    mixed : whether to blur memberships at random, for another start

    Raises
    ------
    ValueError
        If there are fewer states, or distinct values of the features, than hidden states.
    """
    random = np.random.default_rng(seed)
    states = observed.flat if observed.n_states is not None else _clusters(observed.flat.T, n_hidden, seed)
    blocks = np.split(states, np.cumsum(observed.lengths)[:-1])
    data = DiscreteTrajectories(blocks, n_states=observed.n_states or int(states.max()) + 1)
    # M, the memberships of PCCA+; states outside the active set belong to all hidden states alike
    method = MarkovStateModel(observed.lagtime, n_processes=n_hidden, n_blocks=1)
    counts = method.counting.count(data, observed.lagtime, n_blocks=1)
    model = method.fit_counts(TransitionCounts.of_matrix(_joined(counts.matrix), observed.lagtime))
    if len(model.active.states) < n_hidden:
        raise ValueError(
            f"n_hidden={n_hidden} exceeds the {len(model.active.states)} states that transitions connect; "
            "use fewer hidden states or more states"
        )
    with warnings.catch_warnings():
        # more sets than slow functions tell apart are a fair guess: the iteration decides what becomes of them
        warnings.simplefilter("ignore", UserWarning)
        memberships = np.nan_to_num(metastable_sets(model, n_hidden).memberships, nan=1 / n_hidden)
    # what is zero stays zero in expectation and maximization, so nothing may be
    blur = random.dirichlet(np.ones(n_hidden), len(memberships)) if mixed else 1 / n_hidden
    memberships = (1 - BLUR) * memberships + BLUR * blur
    fit = _between_sets(model.stationary_distribution, model.transition_matrix, memberships)
    # n_o M_oi: frames of each observed state o in hidden state i, whose columns over their sums are B
    joint = np.bincount(states, minlength=data.n_states)[:, None] * memberships
    if observed.n_states is not None:
        output = DiscreteOutput((joint / joint.sum(axis=0)).T)
        return fit, fit.stationary_distribution, output
    # Gaussians all alike, refitted to the frames with the memberships of their clusters
    spread = observed.flat.var(axis=1)
    # a feature that never changes tells nothing, whatever its unit
    spread = np.where(spread > 0, spread, 1.0)
    everywhere = GaussianOutput(
        np.repeat(observed.flat.mean(axis=1)[None], n_hidden, axis=0),
        np.repeat(np.diag(spread)[None], n_hidden, axis=0),
        FLOOR_SHARE * spread,
    )
    tally = everywhere.tally(observed.flat, memberships[states].T)
    return fit, fit.stationary_distribution, everywhere.refitted(tally)


def _clusters(points: np.ndarray, n_hidden: int, seed: int) -> np.ndarray:
    """The cluster ``(frames,)`` of every one of the ``points`` ``(frames, features)``.

    Raises
    ------
    ValueError
        If fewer points are distinct than there are hidden states.
    """
    clusters = min(CLUSTERS, max(len(points) // 20, n_hidden))
    if len(np.unique(points[:: max(len(points) // (20 * CLUSTERS), 1)], axis=0)) > clusters:
        return KMeans(clusters, max_frames=MOST_FRAMES, seed=seed).fit(points).transform(points)
    # few values taken again and again: clusters are these values, or made of them
    distinct, states = np.unique(points, axis=0, return_inverse=True)
    if len(distinct) < n_hidden:
        raise ValueError(
            f"n_hidden={n_hidden} exceeds the {len(distinct)} distinct values that the features take"
        )
    if len(distinct) <= clusters:
        return states.ravel()
    return KMeans(clusters, max_frames=MOST_FRAMES, seed=seed).fit(distinct).transform(points)


def _joined(counts: csr_array) -> csr_array:
    """Counts with one more transition each way between every part not connected with the largest and that one."""
    parts, part = connected_components(counts, directed=True, connection="strong")
    visits = np.asarray(counts.sum(axis=0)).ravel() + np.asarray(counts.sum(axis=1)).ravel()
    if parts == 1:
        return counts
    # the state most visited of every part that is visited at all, and the one most visited of all
    order = np.argsort(-visits)
    order = order[visits[order] > 0]
    _, first = np.unique(part[order], return_index=True)
    others, largest = np.setdiff1d(order[first], order[0]), np.full(len(first) - 1, order[0])
    ones = np.ones(len(others))
    return csr_array(
        counts
        + csr_array((ones, (others, largest)), counts.shape)
        + csr_array((ones, (largest, others)), counts.shape)
    )


def _between_sets(
    stationary: np.ndarray, matrix: np.ndarray | csr_array, memberships: np.ndarray
) -> TransitionMatrix:
    """Transitions between sets, made positive."""
    # P~ = (M^T Pi M)^-1 M^T Pi P M, whose elements may be slightly negative
    weighted = memberships.T * stationary
    between = np.linalg.solve(weighted @ memberships, weighted @ (matrix @ memberships))
    between = np.maximum(between, 1e-4 / len(between))
    between = csr_array(between / between.sum(axis=1, keepdims=True))
    return TransitionMatrix(between, stationary_distribution(between), reversible=False)
