"""Timescales on data left out: near those of the fit where data suffice, far below where functions are too many."""

from __future__ import annotations

import numpy as np

from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.covariances.held_out import held_out_timescales
from thalweg.collective_variables.covariances.slow_modes import reversible_modes
from thalweg.collective_variables.linear.tica import TICA
from thalweg.time_series.trajectories import Trajectories


def relaxing(frames, features, seed=0):
    """Features that relax independently with a time of 20 frames."""
    random, keep = np.random.default_rng(seed), np.exp(-1 / 20)
    x = random.standard_normal((frames, features))
    for t in range(1, frames):
        x[t] = keep * x[t - 1] + np.sqrt(1 - keep**2) * x[t]
    return x


def test_with_data_enough_both_timescales_are_exact():
    sums = covariances(relaxing(40_000, 2), lagtime=5)
    left = held_out_timescales(sums, lambda part: reversible_modes(part, 1e-10), 2)
    np.testing.assert_allclose(left, 20, rtol=0.15)
    assert TICA(5, dim=2).fit(relaxing(40_000, 2)).notes == ()


def test_many_features_of_few_data_are_slow_by_chance_and_the_model_says_so():
    model = TICA(5, dim=1).fit(Trajectories([relaxing(1500, 60)], dt=1.0))
    assert model.timescales[0] > 50
    assert "in these data and" in model.notes[0]
    left = held_out_timescales(model.covariances, lambda part: reversible_modes(part, 1e-10), 1)
    assert left[0] < 0.5 * model.timescales[0]


def test_fewer_blocks_than_stretches_are_no_reason_to_fail():
    assert TICA(1, dim=1).fit(relaxing(8, 1)).timescales.shape == (1,)
