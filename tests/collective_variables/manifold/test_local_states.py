"""States are recognized while a run goes on, exits are told, and chance is given its due."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
from thalweg.collective_variables.manifold.local_states import StateWatch, watched_run

WATCH = StateWatch(DiffusionMap(dim=2))


@cache
def wandering(frames: int, memory: float, seed: int, drift: float = 0.0) -> np.ndarray:
    """An autoregressive process in two dimensions, its mean moving by ``drift`` in all."""
    noise, x = np.random.default_rng(seed).standard_normal((frames, 2)), np.zeros((frames, 2))
    for t in range(1, frames):
        x[t] = memory * x[t - 1] + noise[t]
    return x + np.linspace(0, drift, frames)[:, None]


def test_frames_that_have_filled_a_state_are_known_by_it():
    verdict = WATCH.judged(wandering(800, 0.8, 0))
    assert verdict.word == "converged"
    # 1 + 2 sum 0.8^t = 9 frames an independent one is worth
    assert verdict.relaxations == pytest.approx(800 / 9, rel=0.4)
    assert WATCH.judged(wandering(300, 0.8, 1), [verdict.state]).number == 0


def test_a_state_still_being_filled_is_not_known():
    assert "relaxed" in WATCH.judged(wandering(800, 0.998, 0)).reason
    drifting = WATCH.judged(wandering(1600, 0.2, 0, drift=0.8))
    assert drifting.word == "not yet"
    assert "halves differ" in drifting.reason
    assert "200 are needed" in WATCH.judged(wandering(100, 0.5, 0)).reason


def test_leaving_is_told_when_it_happens_and_coming_back_is_recognized():
    there = wandering(600, 0.8, 0)
    path = np.concatenate([there, wandering(600, 0.8, 1) + 30.0, wandering(300, 0.8, 2)])
    said, states = watched_run(WATCH, path, every=150)
    assert len(states) == 2
    # both wells are recognized once each, and the first again when it is entered again
    words = [(verdict.word, verdict.number) for _, verdict in said if verdict.word != "not yet"]
    assert words == [("converged", None), ("converged", None), ("known", 0)]
    assert states[0].exit(path) == pytest.approx(600, abs=2)
    assert states[0].exit(there) is None


@pytest.mark.long
def test_halves_of_one_distribution_differ_as_seldom_as_claimed():
    """Sixteen stationary runs at the level of one in a hundred; two or more of them by chance in 1 % of cases."""
    verdicts = [WATCH.judged(wandering(600, 0.9, seed)) for seed in range(16)]
    assert sum(verdict.word == "not yet" for verdict in verdicts) <= 1
    probabilities = [verdict.mean_probability for verdict in verdicts]
    assert 0.3 < np.mean(probabilities) < 0.7


def test_the_variable_that_leads_out_is_the_slow_one():
    frames = wandering(800, 0.8, 0) * [1.0, 0.3]
    state = WATCH.judged(frames).state
    candidates = np.concatenate([np.random.default_rng(1).standard_normal((800, 8)), frames], axis=1)
    assert state.leads_out(candidates, frames).chosen[0].column == 8
