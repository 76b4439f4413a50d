"""The martingale test passes exact committors as often as it says, and fails others."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.committors.martingale import (
    SIGNIFICANT,
    _chance,
    _smooth_sums,
    martingale_test,
)
from thalweg.kinetics.reactions.regions import Intervals
from thalweg.time_series.trajectories import Trajectories

ENDS = Intervals((-np.inf,), (-0.95,)), Intervals((0.95,), (np.inf,))


def walks(seed: int, count: int = 60) -> list[np.ndarray]:
    """Symmetric walks between two ends, begun anywhere, of unequal lengths."""
    random = np.random.default_rng(seed)
    start = 0.1 * random.integers(-10, 11, (count, 1))
    whole = np.concatenate(
        [start, start + np.cumsum(random.choice([-0.1, 0.1], (count, 120)), axis=1)], axis=1
    )
    return [row[: random.integers(20, 121), None] for row in whole]


def exact(x: np.ndarray) -> np.ndarray:
    return (1 + x[:, 0]) / 2


def test_windows_cut_short_are_no_bias_for_an_exact_committor():
    """Trajectories of eight frames at a lag of seven: a choice of those that enter a set would push away from 1/2."""
    random = np.random.default_rng(3)
    start = 0.1 * random.integers(-9, 10, (600, 1))
    whole = np.concatenate([start, start + np.cumsum(random.choice([-0.1, 0.1], (600, 7)), axis=1)], axis=1)
    test = martingale_test(exact, list(whole[..., None]), *ENDS, lagtimes=(1, 3, 7))
    assert test.passed
    assert test.windows.sum() > 3 * 2000


def test_a_wrong_committor_fails_by_what_it_is_wrong():
    steep = martingale_test(lambda x: 1 / (1 + np.exp(-6 * x)), walks(0, 400), *ENDS, lagtimes=(10, 40))
    assert not steep.passed
    # values below one half are too low, so that they rise
    low = steep.edges[1:] < 0.5
    assert steep.drift[1][low].mean() > 0.05
    assert "failed" in str(steep)


def test_no_true_increment_passes_the_bound_more_often_than_claimed():
    """Each bin one place of the walk: a committor too low by up to 0.1 rises by what the powers of the chain say."""
    places = np.linspace(-0.9, 0.9, 19)
    wrong = 0.5 * (1 + places) - 0.1 * np.cos(np.pi * places / 2)
    chain = 0.5 * (np.eye(19, k=1) + np.eye(19, k=-1))
    held, rise = np.append(np.zeros(18), 0.5), wrong
    for _ in range(40):
        rise = chain @ rise + held
    true = np.abs(rise - wrong).max()

    def function(x):
        return 0.5 * (1 + x[:, 0]) - 0.1 * np.cos(np.pi * x[:, 0] / 2)

    bounds = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        start = 0.1 * random.integers(-10, 11, (2000, 1))
        steps = np.cumsum(random.choice([-0.1, 0.1], (2000, 40)), axis=1)
        data = list(np.concatenate([start, start + steps], axis=1)[..., None])
        bounds.append(martingale_test(function, data, *ENDS, lagtimes=(40,), bins=19, every=40).bound)
    # four of twelve below would be chance in 2 of 1000 cases
    assert sum(bound < true for bound in bounds) <= 3
    assert np.median(bounds) < 5 * true


def test_weights_count_as_often_as_they_say():
    data = walks(1, 50)
    twice = [frames for frames in data for _ in range(2)]
    doubled = martingale_test(exact, twice, *ENDS, lagtimes=(5,), n_blocks=1)
    weighted = Trajectories(data, weights=[np.full(len(frames), 2.0) for frames in data])
    np.testing.assert_allclose(
        martingale_test(exact, weighted, *ENDS, lagtimes=(5,), n_blocks=1).drift, doubled.drift, atol=1e-12
    )


def test_without_frames_between_or_with_infinite_values_there_is_nothing_to_test():
    with pytest.raises(ValueError, match="no frame lies outside"):
        martingale_test(exact, [np.array([[-1.0], [1.0], [-1.0]])], *ENDS)
    with pytest.raises(ValueError, match="not finite"):
        martingale_test(lambda x: np.full(len(x), np.inf), walks(0), *ENDS)


@pytest.mark.long
def test_false_alarms_are_as_rare_as_claimed():
    """Of 200 sets of walks: at most what one per cent gives with probability 1e-3, which is 8."""
    failed = sum(
        not martingale_test(exact, walks(seed, 120), *ENDS, lagtimes=(1, 8, 40)).passed for seed in range(200)
    )
    assert failed <= 8
    assert SIGNIFICANT == 0.01


LAGS, LENGTH, PLACES = (1, 5, 20, 80, 300), 1200, 20


def shots(seed: int, starts: int = 100, each: int = 4, bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Weights and exact increments ``(lags, starts, bins)`` of shots that walk until they enter a set."""
    random = np.random.default_rng(seed)
    x = np.repeat(random.integers(1, PLACES, starts), each)
    path = [x]
    while ((x > 0) & (x < PLACES)).any() and len(path) <= LENGTH:
        x = x + np.where((x > 0) & (x < PLACES), 2 * random.integers(0, 2, len(x)) - 1, 0)
        path.append(x)
    walks = np.array(path)
    begins, shot = np.nonzero((walks[:-1] > 0) & (walks[:-1] < PLACES))
    values = walks[begins, shot] / PLACES
    place = shot // each * bins + np.minimum((walks[begins, shot] - 1) * bins // (PLACES - 2), bins - 1)
    ends = [walks[np.minimum(begins + lag, len(walks) - 1), shot] / PLACES for lag in LAGS]
    sums = [
        np.bincount(place, part, starts * bins).reshape(starts, bins)
        for part in [end - values for end in ends]
    ]
    weight = np.bincount(place, minlength=starts * bins).reshape(starts, bins).astype(float)
    return weight, np.array(sums)


@pytest.mark.long
def test_few_starts_of_shots_far_from_normal_alarm_as_rarely_as_claimed():
    """400 sets: no lag speaks at 5 % more often than chance gives in 1 of 1000 such tests, and all five hold 1 %."""
    values = np.linspace(0.05, 0.95, 11)[:-1] + 0.045
    found = []
    for seed in range(1000, 1400):
        _, increment = shots(seed)
        found.append([_chance(part) for part in _smooth_sums(increment, values)])
    p = np.array(found)
    assert np.isfinite(p).all()
    # binomial of 400 with 5 %, each of five lags at 2e-4: 37; with 1 % for the verdict of all five at 1e-3: 11
    assert ((p < 0.05).sum(axis=0) <= 37).all(), (p < 0.05).mean(axis=0)
    assert (p < SIGNIFICANT / len(LAGS)).any(axis=1).sum() <= 11
