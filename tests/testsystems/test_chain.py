"""Discrete chains: linear algebra and samples."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.testsystems import chain
from thalweg.testsystems.wells import PrinzPotential


@pytest.fixture
def hops():
    return chain.hop_chain(PrinzPotential(), np.linspace(-1.0, 1.0, 30))


def test_the_three_state_chain_has_its_closed_answers():
    matrix = chain.three_state_chain()
    np.testing.assert_allclose(chain.chain_stationary_distribution(matrix), 1.0 / 3.0)
    np.testing.assert_allclose(chain.eigenvalues(matrix, 3), [1.0, 0.9, 0.7])
    np.testing.assert_allclose(chain.timescales(matrix, 2, lag=5.0), -5.0 / np.log([0.9, 0.7]))


def test_hops_are_in_detailed_balance(hops):
    flow = chain.chain_stationary_distribution(hops)[:, None] * hops
    np.testing.assert_allclose(flow, flow.T, atol=1e-13)


def test_passage_times_obey_one_step_analysis(hops):
    target = np.arange(30) > 25
    times = chain.chain_mean_first_passage_time(hops, target, lag=2.0)
    np.testing.assert_allclose(times[~target], (2.0 + hops @ times)[~target])


def test_sampled_steps_follow_the_matrix():
    """Counts of 40,000 steps from each state, within four standard deviations."""
    matrix = chain.three_state_chain()
    states = chain.sampled_states(matrix, 3000, 41, np.ones(3), np.random.default_rng(0))
    counts = np.zeros((3, 3))
    np.add.at(counts, (states[:, :-1].ravel(), states[:, 1:].ravel()), 1)
    visits = counts.sum(axis=1, keepdims=True)
    spread = np.sqrt(visits * matrix * (1.0 - matrix))
    assert np.all(np.abs(counts - visits * matrix) <= 4.0 * spread)
