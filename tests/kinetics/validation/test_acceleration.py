"""Time scales of the same processes in two dynamics, with one friction and with two."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.validation.acceleration import TimescaleRatios
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.trajectories import Trajectories

DOMAIN = ((-1.2, 1.2),)
LAG = 0.1


def walks(diffusion, frames=4000, runs=12, seed=0, cells=80):
    """Of a potential of four wells; ten times the diffusion is the same process ten times as fast."""
    generator = Generator(PrinzPotential(), DOMAIN, cells, diffusion=diffusion)
    lag = 0.02
    return Trajectories(generator.sample(runs, frames, lag, seed=seed), dt=lag), generator.timescales(2)


def rough_in_the_middle(points):
    """Three times the diffusion but on the highest barrier, where it is the reference's."""
    return np.where(np.abs(points) < 0.25, 1.0, 3.0)


def test_a_model_of_another_friction_has_one_factor_for_all_processes():
    """Twice the diffusion halves all times exactly; four standard errors."""
    reference, _ = walks(1.0)
    model, _ = walks(2.0, seed=1)
    found = TimescaleRatios(LAG, processes=2, states=40, samples=30).fit(reference, model)
    assert found.shortcomings == ("", "")
    assert found.one_factor
    assert abs(np.log(found.factor / 2)) < 4 * found.factor_log_error < 0.4
    assert "one factor fits" in found.in_words()[-1]


def test_a_friction_that_differs_from_place_to_place_leaves_no_one_factor():
    reference, slow = walks(1.0)
    model, fast = walks(rough_in_the_middle, seed=1)
    found = TimescaleRatios(LAG, processes=2, states=40, samples=30).fit(reference, model)
    exact = np.log(slow / fast)
    assert abs(exact[0] - exact[1]) > 0.5
    assert found.one_factor is False
    assert (np.abs(np.log(found.factors) - exact) < 4 * found.log_errors).all()
    assert "no one factor fits" in found.in_words()[-1]


def test_what_is_not_resolved_has_no_factor_and_says_why():
    """A model that stays in one well, frames too far apart, and a lag that is no multiple of the frames' distance."""
    reference, _ = walks(1.0)
    noise = np.random.default_rng(0).normal(0, 0.05, (500, 1))
    stuck = Trajectories([0.65 + noise], dt=0.02)
    found = TimescaleRatios(LAG, processes=2, states=40, samples=10, model_lag=0.1).fit(reference, stuck)
    assert all(found.shortcomings)
    assert np.isnan(found.factors).all()
    assert found.one_factor is None
    assert "resolved" in found.in_words()[-1]
    with pytest.raises(ValueError, match="the model's walks between the reference's states: no two states"):
        TimescaleRatios(LAG, states=40).fit(reference, Trajectories([np.full((500, 1), 0.65)], dt=0.02))
    with pytest.raises(ValueError, match="no whole number"):
        TimescaleRatios(0.05, states=40).fit(reference, stuck)
    with pytest.raises(ValueError, match="measure the same of both"):
        TimescaleRatios(LAG).fit(reference, Trajectories([np.zeros((50, 2))], dt=0.02))


@pytest.mark.long
def test_one_factor_is_rejected_as_rarely_as_it_says():
    """Of 40 pairs of the same process; a share of 0.05 is at most 0.16 by three binomial standard errors."""
    found = [
        TimescaleRatios(LAG, processes=2, states=40, samples=40).fit(
            walks(1.0, frames=2000, seed=100 + k)[0], walks(2.0, frames=2000, seed=200 + k)[0]
        )
        for k in range(40)
    ]
    told = [each.one_factor for each in found if each.one_factor is not None]
    assert len(told) > 30
    assert np.mean([not each for each in told]) < 0.16
    pulls = np.array([np.log(each.factor / 2) / each.factor_log_error for each in found])
    assert abs(pulls.mean()) < 0.5
    assert pulls.std() < 1.5
