"""Markov models of biased runs: transitions in unbiased time, and by the weights of paths."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.linear.tica import TICA
from thalweg.kinetics.counts.counting import Strided
from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.pipeline import MarkovPipeline
from thalweg.kinetics.states.clustering import KMeans
from thalweg.kinetics.states.discrete_trajectories import AcceleratedStates, DiscreteTrajectories
from thalweg.time_series.accelerated import accelerated
from thalweg.time_series.trajectories import Trajectories


def test_counts_in_accelerated_time_are_those_of_frames_repeated():
    random = np.random.default_rng(0)
    runs = [random.integers(0, 4, n) for n in (300, 80)]
    repeats = [random.integers(1, 6, len(run)) for run in runs]
    fast = AcceleratedStates(runs, acceleration=[one.astype(float) for one in repeats])
    spelled_out = [np.repeat(run, times) for run, times in zip(runs, repeats)]
    for lag in (1, 7, 90):
        ours, theirs = transition_counts(fast, lag), transition_counts(spelled_out, lag)
        np.testing.assert_allclose(ours.matrix.toarray(), theirs.matrix.toarray(), atol=1e-9)


def test_counts_have_the_weights_of_paths():
    path = np.array([0.0, 1.0, 1.5, 1.0])
    data = DiscreteTrajectories([np.array([0, 1, 0, 1])], log_path=[path])
    counts = transition_counts(data, 1).matrix.toarray()
    np.testing.assert_allclose(counts, [[0, np.e + np.exp(-0.5)], [np.exp(0.5), 0]])


def test_a_pipeline_keeps_unbiased_time_from_features_to_the_markov_model():
    random = np.random.default_rng(1)
    x = (np.cumsum(random.random(6000) < 0.02) % 2)[:, None] + 0.1 * random.standard_normal((6000, 3))
    data = accelerated(Trajectories([x], dt=0.5), [np.full(len(x), np.log(4.0))], kT=1.0)
    pipeline = MarkovPipeline(MarkovStateModel(20, n_processes=1), KMeans(2), TICA(20, dim=1))
    model = pipeline.fit(data)
    plain = MarkovPipeline(MarkovStateModel(5, n_processes=1), KMeans(2), TICA(5, dim=1)).fit(
        Trajectories([x], dt=0.5)
    )
    assert isinstance(model.states(data), AcceleratedStates)
    np.testing.assert_allclose(model.markov.timescales, 4 * plain.markov.timescales, rtol=1e-6)


def test_what_needs_frames_evenly_apart_says_so():
    data = AcceleratedStates([np.array([0, 1, 0, 1])], acceleration=[np.ones(4)])
    with pytest.raises(ValueError, match="needs frames evenly apart in time"):
        Strided().count(data, 1)
    with pytest.raises(ValueError, match="the acceleration of frames contains their weights"):
        AcceleratedStates([np.array([0, 1])], weights=[np.ones(2)], acceleration=[np.ones(2)])
