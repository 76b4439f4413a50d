"""Outcomes of shots: binomial errors, the spread of the committor on a surface, and which variable explains them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from thalweg.kinetics.committors.shot_outcomes import ShotOutcomes
from thalweg.kinetics.committors.variable_ranking import rank_variables
from thalweg.kinetics.reactions.regions import IN_A, IN_B, OUTSIDE


def outcomes_of(committor, shots, random):
    return np.where(random.random((len(committor), shots)) < np.asarray(committor)[:, None], IN_B, IN_A)


def test_the_interval_of_each_point_is_wilsons():
    ends = np.repeat([[OUTSIDE] * 2 + [IN_B] * 3 + [IN_A] * 15, [IN_B] * 20], 1, axis=0)
    shots = ShotOutcomes(np.zeros((2, 1)), ends)
    for k, (hits, count) in enumerate(((3, 18), (20, 20))):
        expected = scipy.stats.binomtest(hits, count).proportion_ci(0.95, "wilson")
        np.testing.assert_allclose(shots.interval()[:, k], expected, atol=1e-12)
    assert shots.unfinished == 2


def test_the_deviation_beyond_the_binomial_one_is_that_of_the_committor_on_the_surface():
    random = np.random.default_rng(1)

    def distribution(committor):
        return ShotOutcomes(np.zeros((20, 1)), outcomes_of(committor, 50, random)).distribution()

    spread = [distribution(random.beta(4, 4, 20)) for _ in range(200)]
    same = [distribution(np.full(20, 0.5)) for _ in range(200)]
    found = np.array([one.deviation**2 for one in spread])
    assert abs(found.mean() - 1 / 36) < 4 * found.std() / np.sqrt(200)  # variance of Beta(4, 4)
    assert np.mean([one.homogeneous < 0.05 for one in same]) < 0.11
    assert np.mean([one.homogeneous < 0.05 for one in spread]) > 0.95
    covered = [one.interval[0] <= 1 / 6 <= one.interval[1] for one in spread]
    assert np.mean(covered) > 0.85


def test_the_variable_that_decides_is_ranked_above_one_that_goes_along_and_one_that_does_nothing():
    random = np.random.default_rng(2)
    x, y = random.uniform(-1, 1, (2, 60))
    along = x + random.normal(0, 0.4, 60)
    shots = ShotOutcomes(np.stack([x, y], axis=1), outcomes_of(1 / (1 + np.exp(-5 * x)), 20, random))
    ranking = rank_variables(shots, {"along": along, "idle": y, "x": x, "both": np.stack([x, y], axis=1)})
    assert [each.name for each in ranking.variables[:3]] == ["x", "both", "along"]
    assert ranking.best.coefficients[0] == pytest.approx(2.5, abs=0.5)
    names = [each.name for each in ranking.variables]
    assert set(names[3:]) == {"idle", "none"}
    second = next(each for each in ranking.variables if each.name == "along")
    assert second.behind > 2 * second.behind_error


def test_a_velocity_that_decides_is_found():
    random = np.random.default_rng(3)
    x, v = random.uniform(-0.2, 0.2, 100), random.normal(0, 1, (100, 20))
    chance = 1 / (1 + np.exp(-3 * (x[:, None] + v)))
    ends = np.where(random.random(v.shape) < chance, IN_B, IN_A)
    shots = ShotOutcomes(x[:, None], ends, velocities=v[..., None])
    assert rank_variables(shots, {"x": x}, {"x": v}).best.name == "x with its velocity"
    with pytest.raises(ValueError, match="these shots have none: overdamped dynamics"):
        rank_variables(ShotOutcomes(x[:, None], ends), {"x": x}, {"x": v})


def test_shots_that_never_end_are_told():
    ends = np.array([[IN_A, IN_B] + [OUTSIDE] * 8] * 4)
    assert "32 of 40 shots ended in neither set" in ShotOutcomes(np.zeros((4, 1)), ends).notes[0]
    with pytest.raises(ValueError, match="none of 40 shots ended in A or B"):
        ShotOutcomes(np.zeros((4, 1)), np.full((4, 10), OUTSIDE))
