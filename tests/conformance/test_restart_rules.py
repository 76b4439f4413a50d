"""What every rule that chooses where to go on must do, tried on each with counts of a few states."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.sampling.restart import LeastCounts, RestartRule, Uncertainty

EXAMPLES = {"LeastCounts": LeastCounts(), "Uncertainty": Uncertainty(transitions=5.0)}
COUNTS = np.array(
    [
        [90.0, 8.0, 0.0, 0.0, 0.0],
        [9.0, 40.0, 3.0, 0.0, 0.0],
        [0.0, 2.0, 5.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
"""The fourth state was entered once and never left, the last one never seen."""


@pytest.fixture(params=EXAMPLES)
def rule(request):
    return EXAMPLES[request.param]


def test_every_rule_has_an_example_here(public, without_example):
    assert not without_example(public(RestartRule, "sampling"), EXAMPLES)


def test_it_is_a_rule(rule):
    assert isinstance(rule, RestartRule)


@pytest.mark.parametrize("walkers", [1, 3, 11])
def test_it_names_one_discovered_state_for_each_walker(rule, walkers):
    states = rule.choose(COUNTS, walkers, seed=0)
    assert states.shape == (walkers,)
    assert states.dtype.kind == "i"
    assert set(states.tolist()) <= {0, 1, 2, 3}


def test_equal_counts_and_seeds_give_equal_states_and_counts_stay_as_they_were(rule):
    counts = COUNTS.copy()
    first, second = (rule.choose(counts, 6, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(counts, COUNTS)


def test_names_of_states_mean_nothing(rule):
    """Other than to break ties: renamed states are chosen as often."""
    order = np.array([2, 0, 4, 1, 3])
    states = rule.choose(COUNTS, 8, seed=0)
    renamed = rule.choose(COUNTS[np.ix_(order, order)], 8, seed=0)
    np.testing.assert_array_equal(np.sort(order[renamed]), np.sort(states))


def test_a_state_hardly_known_is_chosen_before_one_well_known(rule):
    states = rule.choose(np.array([[500.0, 20.0], [20.0, 20.0]]), 2, seed=0)
    assert states[0] == 1


def test_without_a_transition_there_is_nothing_to_choose_from(rule):
    with pytest.raises(ValueError, match="no transition was counted"):
        rule.choose(np.zeros((3, 3)), 2, seed=0)
