"""Counts are those a loop over frames would find, whatever the lengths, weights and blocks."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg.kinetics.counts.counts as module
from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories

LENGTHS = (5000, 3, 700, *range(8, 60))


@pytest.fixture
def runs():
    random = np.random.default_rng(0)
    return [random.integers(0, 9, n).astype(np.int32) for n in LENGTHS]


def looped(runs, lagtime, weights):
    counts = np.zeros((9, 9))
    for states, w in zip(runs, weights):
        for t in range(len(states) - lagtime):
            counts[states[t], states[t + lagtime]] += w[t]
    return counts


@pytest.mark.parametrize("lagtime", [1, 10])
@pytest.mark.parametrize("n_blocks", [1, 15])
@pytest.mark.parametrize("dense", [2**26, 10])
@pytest.mark.parametrize("chunk", [2**20, 100])
def test_counts_are_those_of_a_loop(runs, lagtime, n_blocks, dense, chunk, monkeypatch):
    monkeypatch.setattr(module, "DENSE", dense)
    monkeypatch.setattr(module, "CHUNK", chunk)
    counts = transition_counts(runs, lagtime, n_blocks)
    exact = looped(runs, lagtime, [np.ones(len(r)) for r in runs])
    np.testing.assert_array_equal(counts.matrix.toarray(), exact)
    assert (counts.n_blocks == 1) == (n_blocks == 1)
    assert counts.n_pairs == exact.sum()


@pytest.mark.parametrize("n_blocks", [1, 15])
def test_weights_of_frames_are_weights_of_transitions(runs, n_blocks):
    weights = [np.random.default_rng(1).random(len(r)) for r in runs]
    counts = transition_counts(DiscreteTrajectories(runs, weights=weights), 4, n_blocks)
    np.testing.assert_allclose(counts.matrix.toarray(), looped(runs, 4, weights), rtol=1e-12)


def test_blocks_add_up_and_can_be_drawn_again(runs):
    counts = transition_counts(runs, 2, 10)
    twice = counts.resampled(np.full(counts.n_blocks, 2.0))
    np.testing.assert_array_equal(twice.matrix.toarray(), 2 * counts.matrix.toarray())
    alone = counts.resampled(np.eye(counts.n_blocks)[0]).matrix
    np.testing.assert_array_equal(alone.sum(), counts.blocks[[0]].sum())


def test_counts_equal_those_of_deeptime(runs):
    markov = pytest.importorskip("deeptime.markov")
    theirs = markov.TransitionCountEstimator(3, "sliding").fit_fetch([r for r in runs if len(r) > 3])
    np.testing.assert_array_equal(transition_counts(runs, 3).matrix.toarray(), theirs.count_matrix)


@pytest.mark.parametrize(
    ("blocks", "options", "message"),
    [
        ([], {}, "got no trajectories"),
        ([np.zeros(5)], {}, "dtype float64; states are a one-dimensional array of whole numbers"),
        ([np.zeros((5, 2), int)], {}, r"shape \(5, 2\)"),
        ([np.array([0, -1])], {}, "states run from -1 to 0, allowed are 0 to 0"),
        ([np.array([0, 7])], {"n_states": 5}, "states run from 0 to 7, allowed are 0 to 4"),
        ([np.array([], int)], {}, "trajectory 0 has no frames"),
        ([np.array([0])], {"dt": -1.0}, "dt=-1.0 must be a positive time"),
        ([np.array([0])], {"weights": [np.ones(2)]}, "one entry per frame"),
    ],
)
def test_wrong_trajectories_are_answered_with_what_is_needed(blocks, options, message):
    with pytest.raises(ValueError, match=message):
        DiscreteTrajectories(blocks, **options)


def test_a_lag_longer_than_the_data_is_refused(runs):
    with pytest.raises(ValueError, match="lagtime=5000 leaves no pairs in trajectories of up to 5000 frames"):
        transition_counts(runs, 5000)
