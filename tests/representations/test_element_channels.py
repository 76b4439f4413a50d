"""Mixtures of elements into fewer channels."""

import numpy as np
import pytest

from thalweg.representations.element_channels import RADII, _properties, element_channels


def test_elements_are_kept_apart_unless_asked():
    np.testing.assert_array_equal(element_channels((1, 6, 8)), np.eye(3))


def test_as_many_channels_as_elements_lose_nothing():
    elements = (1, 6, 7, 8, 9, 26, 79)
    mixed = element_channels(elements, len(elements))
    p = np.array([_properties(z) for z in elements])
    kernel = np.exp(-0.5 * ((p[:, None] - p[None]) ** 2).sum(-1))
    np.testing.assert_allclose(mixed.T @ mixed, kernel, atol=1e-12)


def test_like_elements_share_their_weights_more_than_unlike_ones():
    mixed = element_channels((1, 11, 19, 17, 35), 3)
    unit = mixed / np.linalg.norm(mixed, axis=0)
    likeness = unit.T @ unit
    assert likeness[1, 2] > 0.9 > likeness[1, 3]
    assert likeness[3, 4] > likeness[2, 3]


def test_groups_and_periods_are_those_of_the_periodic_table():
    for number, period, group in (
        (1, 1, 1),
        (2, 1, 18),
        (3, 2, 1),
        (9, 2, 17),
        (13, 3, 13),
        (26, 4, 8),
        (79, 6, 11),
    ):
        found = _properties(number)
        assert round(found[0] * 1.5) == period
        assert round(found[1] * 5.0) == group


def test_tables_reach_to_curium_and_say_so():
    assert len(RADII.split()) == 96
    with pytest.raises(ValueError, match="1 to 96"):
        element_channels((1, 100), 1)
    with pytest.raises(ValueError, match="channels=3 for 2 elements"):
        element_channels((1, 6), 3)
