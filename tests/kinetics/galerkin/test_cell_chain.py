"""A chain of cells carries the density across barriers, and knows data that began at equilibrium."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.galerkin.cell_chain import chance_of_change, density_ratios, disconnected_share
from thalweg.testsystems.chain import sampled_states

STATES = 21


def two_wells(barrier: float) -> tuple[np.ndarray, np.ndarray]:
    """Metropolis hops between neighbors in a potential of two unequal wells, and its populations."""
    x = np.linspace(-1.3, 1.3, STATES)
    energy = barrier * (x**2 - 1) ** 2 + x
    matrix = np.zeros((STATES, STATES))
    for i in range(STATES):
        for j in (i - 1, i + 1):
            if 0 <= j < STATES:
                matrix[i, j] = 0.5 * min(1.0, np.exp(energy[i] - energy[j]))
    matrix[np.diag_indices(STATES)] = 1 - matrix.sum(axis=1)
    weights = np.exp(-energy)
    return matrix, weights / weights.sum()


def counted(matrix: np.ndarray, begun: np.ndarray, seed: int) -> np.ndarray:
    """Counts at a lag of two steps of 40 blocks of ten short runs."""
    walks = sampled_states(matrix, 400, 12, begun, np.random.default_rng(seed)).reshape(40, 10, -1)
    counts = np.zeros((40, STATES, STATES))
    for block, rows in zip(counts, walks):
        np.add.at(block, (rows[:, :-2].ravel(), rows[:, 2:].ravel()), 1.0)
    return counts


def test_the_chain_has_the_exact_density_over_twelve_kt_whatever_the_begins():
    matrix, populations = two_wells(12.0)
    begun = np.random.default_rng(0).uniform(1, 2, STATES)
    ratios = density_ratios(begun[:, None] * matrix)
    np.testing.assert_allclose(ratios, populations / (begun / begun.sum()), rtol=1e-6)


def test_runs_begun_anywhere_are_known_at_a_short_lag_and_those_from_equilibrium_are_let_be():
    matrix, populations = two_wells(6.0)
    everywhere = np.full(STATES, 1 / STATES)
    assert all(chance_of_change(counted(matrix, everywhere, seed)) <= 0.005 for seed in range(5))
    # a test of 5 % fails more than 6 of 40 times with probability 0.003
    alarms = sum(chance_of_change(counted(matrix, populations, seed)) <= 0.05 for seed in range(40))
    assert alarms <= 6


def test_cells_that_no_window_joins_have_no_weight_and_are_told():
    counts = np.zeros((4, 4))
    counts[:2, :2], counts[2:, 2:] = 5.0, 2.0
    counts[2, 1] = 1.0
    assert density_ratios(counts)[2:].tolist() == [0.0, 0.0]
    assert disconnected_share(counts) == pytest.approx(9 / 29)
