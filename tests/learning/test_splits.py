"""Sets share nothing, groups stay whole, chosen points lie apart."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.learning.splits import farthest_points, folds, group_split, random_split


def test_random_sets_share_nothing_and_follow_the_seed():
    sets = random_split(100, (50, 30, 10), seed=3)
    together = np.concatenate(sets)
    assert [len(each) for each in sets] == [50, 30, 10]
    assert len(set(together)) == 90
    assert all((a == b).all() for a, b in zip(sets, random_split(100, (50, 30, 10), seed=3)))
    assert (sets[0] != random_split(100, (50, 30, 10), seed=4)[0]).any()
    with pytest.raises(ValueError, match="sets of 90, 20 out of 100"):
        random_split(100, (90, 20))


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides(seed):
    random = np.random.default_rng(seed)
    groups = random.integers(12, size=200).tolist()
    train, validation, test = group_split(groups, (0.7, 0.15, 0.15), seed)
    assert sorted([*train, *validation, *test]) == list(range(200))
    sides = [{groups[k] for k in side} for side in (train, validation, test)]
    assert sum(map(len, sides)) == len(set().union(*sides))
    assert abs(len(train) - 140) < 40


def test_every_set_gets_a_group_and_too_few_groups_are_refused():
    assert all(len(each) for each in group_split(["a"] * 97 + ["b", "c", "d"], (0.98, 0.01, 0.01)))
    with pytest.raises(ValueError, match="1 groups cannot fill 2 sets"):
        group_split(["a", "a"], (0.5, 0.5))


def test_folds_test_everything_once():
    for groups in (None, [k // 4 for k in range(22)]):
        pairs = folds(22, 3, 1, groups)
        assert sorted(k for _, test in pairs for k in test) == list(range(22))
        assert all(not set(train) & set(test) and len(train) + len(test) == 22 for train, test in pairs)
    with pytest.raises(ValueError, match="2 groups cannot fill 3 sets"):
        folds(2, 3)


def test_farthest_points_cover_within_twice_the_best_radius():
    """Gonzalez' bound: with as many points as there are clusters, each cluster gets one."""
    random = np.random.default_rng(0)
    centers = np.array([[0, 0], [10, 0], [0, 10], [10, 10], [5, 30]])
    points = np.concatenate([center + random.normal(size=(40, 2)) for center in centers])
    chosen = farthest_points(points, 5)
    assert sorted(k // 40 for k in chosen) == [0, 1, 2, 3, 4]
    assert (farthest_points(points, 9)[:5] == chosen).all()


def test_farthest_points_never_repeat_even_where_points_coincide():
    assert sorted(farthest_points(np.zeros((4, 2)), 4)) == [0, 1, 2, 3]
    assert farthest_points(np.zeros((4, 2)), 0).tolist() == []
    with pytest.raises(ValueError, match="cannot choose 5 of 4"):
        farthest_points(np.zeros((4, 2)), 5)
