"""Path variables: progress and distance where they are known, periods, and gradients for a bias."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.geometry.variables import Coordinates, Dihedrals
from thalweg.sampling.paths.path_variables import along_frames, along_values

LINE = np.stack([np.linspace(0, 1, 11), np.zeros(11)], 1)


def test_along_a_straight_path_s_is_the_share_passed_and_z_the_squared_distance():
    path = along_values(Coordinates([0], dims=2), LINE)
    x = jnp.array([[[0.2, 0.5, 0.5, 0.8], [0.0, 0.0, 0.3, 0.1]]])
    s, z = path(x)
    # images 0.1 apart: between the ends s is linear to a few thousandths
    np.testing.assert_allclose(s, [0.2, 0.5, 0.5, 0.8], atol=5e-3)
    np.testing.assert_allclose(z - z[1], [0.0, 0.0, 0.09, 0.01], atol=1e-4)


def test_s_and_z_are_the_sums_of_their_definition():
    path = along_values(Coordinates([0], dims=2), LINE, widths=(1.0, 2.0), sharpness=50.0)
    x = np.array([0.33, 0.2])
    squares = (((x - LINE) / [1.0, 2.0]) ** 2).sum(1)
    weights = np.exp(-50.0 * squares)
    s, z = path(jnp.asarray(x, float)[None, :])
    assert float(s) == pytest.approx((np.linspace(0, 1, 11) * weights).sum() / weights.sum(), rel=1e-5)
    assert float(z) == pytest.approx(-np.log(weights.sum()) / 50.0, rel=1e-4, abs=1e-6)


def test_a_path_through_the_border_of_a_period_goes_on_and_its_gradient_with_it():
    degrees = np.array([150.0, 170.0, 190.0, 210.0, 230.0])
    torsion = Dihedrals(np.array([[0, 1, 2, 3]]))
    path = along_values(torsion, np.radians((degrees[:, None] + 180) % 360 - 180))

    def frame(angle):
        return jnp.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1.0], [jnp.cos(angle), jnp.sin(angle), 1.0]])

    s = [float(path(frame(np.radians(angle)))[0]) for angle in (170.0, 190.0, 210.0)]
    np.testing.assert_allclose(s, [0.25, 0.5, 0.75], atol=0.03)
    slope = jax.grad(lambda x: path(x)[0])(frame(np.radians(190.0)))
    step = 1e-2
    change = path(frame(np.radians(190.0) + step))[0] - path(frame(np.radians(190.0) - step))[0]
    moved = (frame(np.radians(190.0) + step) - frame(np.radians(190.0) - step)) * slope
    assert float(moved.sum()) == pytest.approx(float(change), rel=1e-2)


def test_frames_are_compared_after_superposition_and_path_variables_bias_an_engine():
    x = np.array([[0.0, 0, 0], [0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.1]], np.float32)
    path = along_frames(np.stack([x * (1 + 0.1 * k) for k in range(5)]))
    turn = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    s, _ = path(jnp.asarray(1.3 * x @ turn + 0.7))
    assert float(s) == pytest.approx(0.75, abs=0.02)
    slope = jax.grad(lambda x: path(x)[0])(jnp.asarray(1.27 * x))
    assert bool(jnp.isfinite(slope).all())
    assert float(jnp.abs(slope).max()) > 0.1
    assert path.units == ("", "nm^2")


def test_images_at_uneven_distances_or_too_few_are_refused():
    with pytest.raises(ValueError, match=r"between 0.1 and 0.9 apart; spread images evenly"):
        along_values(Coordinates([0], dims=2), LINE[[0, 1, 10]])
    with pytest.raises(ValueError, match="2 images of a path"):
        along_values(Coordinates([0], dims=2), LINE[:2])
