"""Escape times in unbiased time, their mean, and the test of one constant rate."""

import numpy as np
import pytest

from thalweg.kinetics.reactions.exit_times import ExitTimes, exit_times


def drawn(random, runs, patience):
    """Escape times of mean 50 of runs that are watched for so long, each for a time of its own."""
    times, watched = random.exponential(50.0, runs), random.exponential(patience, runs)
    return ExitTimes(np.minimum(times, watched), times < watched, 1.0)


def test_p_values_of_one_constant_rate_are_uniform_whether_all_runs_left_or_not():
    random = np.random.default_rng(0)
    for patience in (1e6, 100.0):
        p = np.array([drawn(random, 30, patience).p_value for _ in range(1000)])
        assert abs((p < 0.05).mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 1000)
        assert abs(p.mean() - 0.5) < 3 / np.sqrt(12 * 1000)


def test_means_and_intervals_are_right_with_runs_still_inside():
    random = np.random.default_rng(1)
    found = [drawn(random, 40, 100.0) for _ in range(500)]
    z = np.array([np.log(one.mean / 50.0) * np.sqrt(one.exits) for one in found])
    assert abs(z.mean()) < 0.2
    assert 0.9 < z.std() < 1.1
    inside = np.mean([low < 50.0 < high for low, high in (one.interval() for one in found)])
    assert 0.92 < inside < 0.98


def test_times_of_two_rates_are_refused():
    """As where a bias reached the transition state in some runs and made their time run too fast."""
    random = np.random.default_rng(2)
    factors = [np.where(random.random(40) < 0.5, 1, 20) for _ in range(100)]
    mixed = [ExitTimes(random.exponential(50.0, 40) * each, np.ones(40, bool), 1.0) for each in factors]
    assert np.mean([bool(one.shortcomings) for one in mixed]) > 0.8
    assert any("are not those of one constant rate" in str(one) for one in mixed)


def test_few_escapes_are_refused_and_time_is_accelerated_until_the_escape():
    bias = [np.full(10, np.log(3.0)), np.full(10, np.log(5.0))]
    outside = [np.arange(10) >= 3, np.zeros(10, bool)]
    found = exit_times(bias, outside, kT=1.0, dt=0.5)
    np.testing.assert_allclose(found.times, [4 * 3 * 0.5, 10 * 5 * 0.5])
    assert found.left.tolist() == [True, False]
    assert found.acceleration == pytest.approx((12 + 50) / 14)
    assert str(found) == "no rate: 1 of 2 runs left the state, 10 are needed"


def test_runs_and_frames_must_fit():
    with pytest.raises(ValueError, match="2 runs of 2 frames have a bias, 1 of 2 say"):
        exit_times([np.zeros(1), np.zeros(1)], [np.zeros(2, bool)], 1.0, 1.0)
    with pytest.raises(ValueError, match="is not finite"):
        exit_times([np.array([np.nan])], [np.array([True])], 1.0, 1.0)
