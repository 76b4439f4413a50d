"""Regions decide by conditions on features, and say how far outside a frame is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.kinetics.reactions.regions import IN_A, IN_B, Ellipsoid, Intervals, Union, labels, members
from thalweg.time_series.trajectories import Trajectories


def test_an_interval_of_an_angle_may_cross_the_border():
    """From 170 to 190 degrees: -175 is inside, 160 is 10 degrees outside."""
    region = Intervals((np.radians(170),), (np.radians(190),), period=2 * np.pi)
    angles = np.radians([[-175.0], [175.0], [160.0], [0.0]])
    np.testing.assert_allclose(np.degrees(region.distance(angles)), [0, 0, 10, 170], atol=1e-9)


def test_an_ellipsoid_looks_at_its_columns_only():
    region = Ellipsoid((0.0, 1.0), (1.0, 0.5), columns=(2, 0))
    frames = np.array([[1.4, 99.0, 0.0], [1.6, 99.0, 0.0], [1.0, 99.0, 3.0]])
    np.testing.assert_allclose(region.distance(frames), [0.0, 0.2, 2.0], atol=1e-12)


def test_an_ellipsoid_may_lean():
    """6.5 u^2 - 11 u v + 6.5 v^2 <= 0.3, the first set of the Mueller-Brown problem of Thiede."""
    half = 0.5**0.5
    region = Ellipsoid((-0.5, 1.5), (0.3**0.5, (0.3 / 12) ** 0.5), axes=((half, half), (half, -half)))
    frames = np.random.default_rng(0).uniform((-1, 1), (0, 2), (500, 2))
    u, v = frames[:, 0] + 0.5, frames[:, 1] - 1.5
    form = 6.5 * u**2 - 11 * u * v + 6.5 * v**2
    np.testing.assert_array_equal(region.distance(frames) == 0, form <= 0.3)
    with pytest.raises(ValueError, match="at right angles"):
        Ellipsoid((0.0, 0.0), 1.0, axes=((1.0, 0.0), (1.0, 1.0)))


def test_distances_have_gradients_everywhere():
    frames = jnp.array([[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]])
    for region in (Ellipsoid((0.0, 0.0), 1.0), Intervals((-1.0, -1.0), (1.0, np.inf))):
        gradient = jax.grad(lambda x, region=region: region.distance(x).sum())(frames)
        assert np.isfinite(gradient).all()
        assert np.linalg.norm(gradient[2]) > 0.5


def test_a_union_holds_what_any_of_its_regions_holds():
    region = Union((Intervals((0.0,), (1.0,)), Intervals((3.0,), (np.inf,))))
    assert region.distance(np.array([[0.5], [2.5], [9.0]])).tolist() == [0.0, 0.5, 0.0]


def test_frames_are_labeled_by_regions_as_by_masks():
    data = Trajectories([np.linspace(-1, 1, 9)[:, None], np.linspace(-1, 0, 4)[:, None]])
    a, b = Intervals((-np.inf,), (-0.5,)), Intervals((0.5,), (np.inf,))
    by_region = labels(data, a, b)
    by_mask = labels(data, members(data, a, "A"), members(data, b, "B"))
    for x, y in zip(by_region, by_mask, strict=True):
        assert x.tolist() == y.tolist()
    assert (by_region[0] == IN_A).sum() == (by_region[0] == IN_B).sum() == 3


def test_sets_that_overlap_or_hold_nothing_are_refused_with_numbers():
    data = Trajectories([np.zeros((5, 1)), np.ones((5, 1))])
    everything, nothing = Intervals((-9.0,), (9.0,)), Intervals((5.0,), (6.0,))
    with pytest.raises(ValueError, match="5 of 10 frames are in both, the first in trajectory 1"):
        labels(data, everything, Intervals((0.5,), (2.0,)))
    with pytest.raises(ValueError, match="set B holds none of 10 frames"):
        labels(data, everything, nothing)
    with pytest.raises(ValueError, match="one boolean for each frame"):
        labels(data, [np.ones(3, bool)], nothing)
    with pytest.raises(ValueError, match="2 radii for 3 columns"):
        Ellipsoid((0, 0, 0), (1, 1))
