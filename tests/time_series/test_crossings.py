"""Crossings of a process: as many as there were, however its values flicker."""

import numpy as np
import pytest

from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.time_series.crossings import _running_means, observed_process


def hops(times, half, misread, seed=0):
    """A two-state signal that hops every ``half`` frames ``times`` times, some frames of it misread."""
    side = np.repeat(np.arange(times + 1) % 2, half)
    return np.where(np.random.default_rng(seed).random(len(side)) < misread, 1 - side, side)


@pytest.mark.parametrize("misread", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("times", [6, 40])
def test_misread_frames_are_no_crossings(misread, times):
    process = observed_process(250.0, [hops(times, 500, misread) * 1.0], n_blocks=10, lagtime=20)
    assert (process.forward, process.backward) == (times // 2, times // 2)


def test_a_border_recrossed_quickly_is_crossed_once():
    # at each of ten passages between wells the path hesitates eight frames at the border
    well = np.repeat([0.0, 1.0], 300)
    well[[298, 299, 300, 301]] = [1.0, 0.0, 1.0, 0.0]
    path = np.tile(well, 10)
    at_frames, at_lag = (observed_process(300.0, [path], 10, lagtime=lag) for lag in (1, 15))
    assert (at_frames.forward, at_frames.backward) == (30, 29)
    assert (at_lag.forward, at_lag.backward) == (10, 9)


def test_a_model_of_flickering_states_is_sampled_by_transitions_alone():
    few, many = (MarkovStateModel(20).fit([hops(times, 500, 0.15)]).processes[0] for times in (4, 60))
    assert (few.forward, few.backward, few.timescale) == (2, 2, None)
    assert (many.forward, many.backward) == (30, 30)
    assert many.resolved


def test_slow_relaxation_without_wells_is_crossed_as_often_as_before_lags_shorter_than_it():
    random = np.random.default_rng(1)
    path = np.zeros(40_000)
    for k, kick in enumerate(np.sqrt(2 / 200) * random.standard_normal(len(path) - 1)):
        path[k + 1] = (1 - 1 / 200) * path[k] + kick
    whole, mean = (observed_process(200.0, [path], 10, lagtime=lag).forward for lag in (1, 20))
    assert 0.7 * whole < mean <= whole


def test_unknown_frames_count_for_neither_side_and_runs_stay_apart():
    np.testing.assert_array_equal(
        _running_means(np.array([np.nan, np.nan, np.nan, 2.0]), 2), [np.nan] * 2 + [2.0] * 2
    )
    apart = [np.zeros(10), np.ones(10)] * 50
    assert observed_process(9.0, apart, 10, lagtime=3).forward == 0
