"""Rows that span a matrix."""

from __future__ import annotations

from itertools import combinations as subsets

import numpy as np
import pytest

from thalweg.learning.maximum_volume import combinations, maximum_volume


def test_no_exchange_of_one_row_makes_the_volume_grow():
    rows = np.random.default_rng(0).normal(size=(40, 5))
    chosen = maximum_volume(rows, tolerance=1.0 + 1e-9)
    volume = abs(np.linalg.det(rows[chosen]))
    for k in range(5):
        for other in range(40):
            swapped = chosen.copy()
            swapped[k] = other
            assert abs(np.linalg.det(rows[swapped])) <= volume * (1 + 1e-8)


def test_on_a_convex_set_in_the_plane_it_is_near_the_largest_volume_of_all():
    rows = np.random.default_rng(1).normal(size=(30, 2))
    largest = max(abs(np.linalg.det(rows[list(pair)])) for pair in subsets(range(30), 2))
    assert abs(np.linalg.det(rows[maximum_volume(rows)])) >= 0.5 * largest


def test_every_row_is_a_combination_of_the_chosen_ones_with_factors_up_to_one():
    rows = np.random.default_rng(2).normal(size=(200, 12))
    chosen = maximum_volume(rows)
    factors = combinations(rows, rows[chosen])
    np.testing.assert_allclose(factors @ rows[chosen], rows, atol=1e-10)
    assert np.abs(factors).max() <= 1.01


def test_fewer_rows_than_columns_are_refused():
    with pytest.raises(ValueError, match="3 rows cannot span 4 columns"):
        maximum_volume(np.ones((3, 4)))
