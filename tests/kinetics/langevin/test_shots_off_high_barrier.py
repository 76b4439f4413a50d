"""A hundred short runs off a barrier of 25 kT, in an exact model whose variable is coupled to oscillators."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.langevin.overdamped import OverdampedLangevin
from thalweg.time_series.trajectories import Trajectories

BARRIER = 25.0
MASS = 0.3
"""With kT = 1, a falling variable gains a factor e in 0.08 ps where nothing slows it."""

RATES, SHARE = np.array([8.0, 20.0])[:, None], 0.15
"""Frequencies [1/ps] of the oscillators, and their masses as a part of the variable's."""


def forces(x, q):
    """On the variable, of free energy ``25 cos^2 x`` whatever the oscillators are, and on the oscillators about it."""
    pull = SHARE * MASS * RATES**2 * (q - x)
    return BARRIER * np.sin(2.0 * x) + pull.sum(axis=0), -pull


def runs_off_the_top(bath, seed, count=100, dt=0.002):
    """Frames each 0.004 ps of runs from the top, until half a ps after they have come within 0.3 of a well."""
    random = np.random.default_rng(seed)
    x = 0.1 * random.standard_normal(count)
    light = SHARE * MASS
    q = x + random.standard_normal((2, count)) / (RATES * np.sqrt(light))
    v, u = random.standard_normal(count) / np.sqrt(MASS), random.standard_normal((2, count)) / np.sqrt(light)
    keep = np.exp(-bath * dt)
    kick = np.sqrt(1.0 - keep**2)
    frames = [x]
    f, g = forces(x, q)
    for step in range(1, 3001):
        v, u = v + 0.5 * dt * f / MASS, u + 0.5 * dt * g / light
        x, q = x + 0.5 * dt * v, q + 0.5 * dt * u
        v = keep * v + kick * random.standard_normal(count) / np.sqrt(MASS)
        u = keep * u + kick * random.standard_normal((2, count)) / np.sqrt(light)
        x, q = x + 0.5 * dt * v, q + 0.5 * dt * u
        f, g = forces(x, q)
        v, u = v + 0.5 * dt * f / MASS, u + 0.5 * dt * g / light
        if step % 2 == 0:
            frames.append(x)
    walks = np.array(frames).T
    arrived = np.abs(walks) > np.pi / 2.0 - 0.3
    ends = np.where(arrived.any(axis=1), arrived.argmax(axis=1) + 125, walks.shape[1])
    return [walk[:end, None] for walk, end in zip(walks, ends)]


def height(bath, seed, lagtime):
    """Of the barrier above both wells [kT], and what the model says of its error."""
    model = OverdampedLangevin(1.0, lagtime=lagtime).fit(Trajectories(runs_off_the_top(bath, seed), dt=0.004))
    rows = model.energy.derivatives(np.array([[0.0], [-np.pi / 2], [np.pi / 2]]), ())
    change = rows[0] - rows[1:]
    size = model.energy.size
    covariance = model.found.covariance[:size, :size]
    errors = np.sqrt(np.einsum("ij,jk,ik->i", change, covariance, change))
    return change @ model.found.parameters[:size], errors


@pytest.mark.long
def test_runs_in_a_strong_bath_find_a_barrier_that_hot_runs_do_not():
    # steps of eight memory times of the velocity in the bath
    found = [height(50.0, seed, 40) for seed in range(2)]
    for values, errors in found:
        # work of 25 kT that is dissipated tells fifty runs to either side no more than about one kT
        assert (errors > 0.7).all()
        assert (np.abs(values - BARRIER) < 3.0 * errors).all()
    # the bath slows the oscillators as well, which pull back as they lag: a kT or two too low
    assert np.mean([values for values, _ in found]) == pytest.approx(BARRIER, abs=2.5)
    hot, _ = height(1.0, 0, 20)
    assert np.abs(hot - BARRIER).max() > 4.0
