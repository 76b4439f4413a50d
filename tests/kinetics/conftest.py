"""Chains with exact answers, shared by the tests of this room."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.testsystems.chain import sampled_states
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential

LAG = 0.01
"""Time between frames of the chain [ps]."""


@pytest.fixture(scope="session")
def prinz():
    """Prinz's potential on 60 cells, states of which are the cells."""
    return Generator(PrinzPotential(), ((-1.15, 1.15),), 60)


@pytest.fixture(scope="session")
def chain(prinz):
    """Its exact transition matrix at `LAG`."""
    return prinz.transition_matrix(LAG)


@pytest.fixture(scope="session")
def sample(prinz, chain):
    """A function drawing trajectories of the chain."""

    def draw(count, frames, seed=0, start=None):
        weights = prinz.stationary_distribution if start is None else np.eye(prinz.size)[start]
        states = sampled_states(chain, count, frames, weights, np.random.default_rng(seed))
        return DiscreteTrajectories(list(states), dt=LAG, n_states=prinz.size)

    return draw


@pytest.fixture(scope="session")
def long_run(sample):
    """Enough data for errors of a few per cent."""
    return sample(20, 5000, seed=3)
