r"""First guesses of hidden Markov models from the metastable sets of a Markov model [noe2013b].

With PCCA+ memberships :math:`M`, transition matrix :math:`P` and populations :math:`\pi` of a Markov model

.. math::  \tilde P = (M^T \Pi M)^{-1} M^T \Pi P M,\qquad B_{io} \propto \pi_o M_{oi} .

Features are clustered first. Memberships are blurred, evenly for the first guess and at random for further
ones: where a membership is zero, expectation and maximization would never raise it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

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
        If no Markov model with so many connected states can be made.
    """
    random = np.random.default_rng(seed)
    if observed.n_states is not None:
        states = observed.flat
    else:
        # features are clustered to states: (features, frames) to (frames, features) and back to (frames,)
        points = observed.flat.T
        clusters = min(CLUSTERS, max(len(points) // 20, n_hidden))
        states = KMeans(clusters, max_frames=50_000, seed=seed).fit(points).transform(points)
    blocks = np.split(states, np.cumsum(observed.lengths)[:-1])
    data = DiscreteTrajectories(blocks, n_states=observed.n_states or int(states.max()) + 1)
    # M, the memberships of PCCA+; states outside the active set belong to all hidden states alike
    model = MarkovStateModel(observed.lagtime, n_processes=n_hidden, n_blocks=1).fit(data)
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
    everywhere = GaussianOutput(
        np.repeat(observed.flat.mean(axis=1)[None], n_hidden, axis=0),
        np.repeat(np.diag(spread)[None], n_hidden, axis=0),
        FLOOR_SHARE * spread,
    )
    tally = everywhere.tally(observed.flat, memberships[states].T)
    return fit, fit.stationary_distribution, everywhere.refitted(tally)


def _between_sets(stationary: np.ndarray, matrix: csr_array, memberships: np.ndarray) -> TransitionMatrix:
    """Transitions between sets, made positive."""
    # P~ = (M^T Pi M)^-1 M^T Pi P M, whose elements may be slightly negative
    weighted = memberships.T * stationary
    between = np.linalg.solve(weighted @ memberships, weighted @ (matrix @ memberships))
    between = np.maximum(between, 1e-4 / len(between))
    between = csr_array(between / between.sum(axis=1, keepdims=True))
    return TransitionMatrix(between, stationary_distribution(between), reversible=False)
