"""Claimed errors are the spread of repeated experiments, and intervals cover the exact value."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import timescale_errors

REPLICAS = 48


@pytest.mark.long
@pytest.mark.parametrize(("count", "frames"), [(1, 8000), (100, 160)])
def test_claimed_errors_are_the_spread_of_replicas(prinz, sample, count, frames):
    """Both have an error of 10 %, so three standard errors of their ratio are 0.45; coverage is binomial."""
    exact = prinz.timescales(1)[0]
    runs = sample(REPLICAS * count, frames, seed=11)
    found, claimed, covered = [], [], 0
    for k in range(REPLICAS):
        states = [s // 3 for s in runs.blocks[k * count : (k + 1) * count]]
        model = MarkovStateModel(5, n_processes=2).fit(DiscreteTrajectories(states, dt=runs.dt))
        estimate = timescale_errors(model, samples=40, seed=k)
        found.append(model.timescales[0])
        claimed.append(estimate.error[0])
        low, high = estimate.interval()[:, 0]
        covered += low < exact < high
    assert np.mean(claimed) / np.std(found, ddof=1) == pytest.approx(1, abs=0.35)
    assert covered >= 0.95 * REPLICAS - 3 * np.sqrt(0.95 * 0.05 * REPLICAS)
