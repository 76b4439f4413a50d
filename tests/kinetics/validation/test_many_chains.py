"""Error bars of many random chains: none is without, and intervals of the slowest time hold what is true."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import timescale_errors
from thalweg.testsystems.chain import rough_chain, sampled_states


def walk(matrix, frames, random):
    """One trajectory, drawn by inverting the cumulative rows at the states it can go to."""
    columns = [np.flatnonzero(row) for row in matrix]
    steps = [np.cumsum(row[row > 0]).tolist() for row in matrix]
    columns = [found.tolist() for found in columns]
    state, path = 0, np.empty(frames, np.int32)
    for k, draw in enumerate(random.random(frames).tolist()):
        path[k] = state
        row = steps[state]
        place = 0
        while place < len(row) - 1 and row[place] < draw:
            place += 1
        state = columns[state][place]
    return path


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_no_random_chain_is_without_error_bars(part):
    """A hundred chains of 20 to 600 states, 1e4 to 1e6 frames, roughness of 0.5 to 3 kT, lags of 1 to 50 frames."""
    for number in range(25 * part, 25 * part + 25):
        random = np.random.default_rng(number)
        size, frames = int(random.integers(20, 601)), int(10 ** random.uniform(4, 6))
        path = walk(rough_chain(random, size, random.uniform(0.5, 3)), frames, random)
        model = MarkovStateModel(int(random.choice([1, 5, 20, 50])), n_processes=2).fit([path])
        with warnings.catch_warnings():
            if not model.processes[0].sampled:
                warnings.simplefilter("ignore")
            estimate = timescale_errors(model, 20, seed=number)
        assert model.fit.converged, number
        # a process that is hardly crossed is missing from replicates, and has no time that a bar could be of
        if model.processes[0].sampled:
            assert np.isfinite(estimate.error[0]), (number, estimate)
            assert not estimate.told, (number, estimate.told)


@pytest.mark.long
def test_intervals_of_the_slowest_time_hold_it_in_95_of_100(prinz, chain):
    """Runs of about 120 relaxation times; three standard errors of the share of 300 are 3.8 %."""
    exact, replicas = prinz.timescales(1)[0], 300
    runs = sampled_states(chain, replicas, 10000, prinz.stationary_distribution, np.random.default_rng(5))
    covered = []
    for number, path in enumerate(runs):
        model = MarkovStateModel(5, n_processes=1).fit(DiscreteTrajectories([path], dt=0.01, n_states=60))
        if model.processes[0].resolved:
            low, high = timescale_errors(model, 60, seed=number).interval()[:, 0]
            covered.append(low < exact < high)
    assert len(covered) > 0.9 * replicas
    assert np.mean(covered) == pytest.approx(0.95, abs=0.038)
