"""Restart rules: pure functions that send walkers where they help."""

import numpy as np
import pytest

from thalweg.sampling.restart import LeastCounts, RestartRule, Uncertainty

RULES = [LeastCounts(), Uncertainty()]


def some_counts(seed=0, states=8):
    counts = np.random.default_rng(seed).poisson(4.0, (states, states)).astype(float)
    counts[3], counts[:, 3] = 0, 0
    return counts


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
class TestEveryRule:
    def test_is_a_pure_function_of_counts_and_seed(self, rule):
        assert isinstance(rule, RestartRule)
        counts = some_counts()
        before = counts.copy()
        np.testing.assert_array_equal(rule.choose(counts, 20, 5), rule.choose(counts, 20, 5))
        np.testing.assert_array_equal(counts, before)

    def test_never_names_a_state_nobody_has_seen(self, rule):
        assert 3 not in rule.choose(some_counts(), 50, 0)

    def test_one_state_is_enough(self, rule):
        np.testing.assert_array_equal(rule.choose(np.full((1, 1), 3.0), 4, 0), [0, 0, 0, 0])

    def test_no_counts_are_answered(self, rule):
        with pytest.raises(ValueError, match="no transition"):
            rule.choose(np.zeros((2, 2)), 1, 0)


def test_a_state_just_entered_has_the_least_counts():
    counts = np.diag([9.0, 5.0, 0.0])
    counts[1, 2] = 1
    assert LeastCounts().choose(counts, 1, 0)[0] == 2


def test_ties_are_broken_by_the_seed():
    chosen = {int(LeastCounts().choose(np.eye(6), 1, seed)[0]) for seed in range(60)}
    assert chosen == set(range(6))


def test_uncertainty_lowers_the_variance_of_the_slowest_eigenvalue_more_than_even_sampling():
    """Two wells in a chain; posterior spread of the eigenvalue, counts being added as told or evenly."""
    hop = np.array([0.15, 0.15, 0.01, 0.15, 0.15])
    chain = np.diag(hop, 1) + np.diag(hop, -1)
    chain += np.diag(1 - chain.sum(1))
    rng = np.random.default_rng(0)

    def spread(counts):
        draws = [[rng.dirichlet(row + 1 / 6) for row in counts] for _ in range(3000)]
        return np.std([np.sort(np.linalg.eigvals(np.array(draw)).real)[-2] for draw in draws])

    told = 1000 * chain
    for state in Uncertainty(transitions=300.0).choose(told, 20, 0):
        told[state] += 300 * chain[state]
    assert spread(told) < 0.92 * spread(2000 * chain)
