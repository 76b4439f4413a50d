"""Minimum image and wrapping in triclinic boxes, against the sum over all images."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.systems.box import minimum_image, reduced_box, volume, wrapped

TRICLINIC = np.array([[2.0, 0.0, 0.0], [0.6, 2.2, 0.0], [-0.9, 0.7, 1.9]])


def nearest_of_all_images(displacement, box):
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=3))) @ box
    images = displacement[:, None] - shifts
    return np.take_along_axis(images, (images**2).sum(-1).argmin(1)[:, None, None], 1)[:, 0]


def test_minimum_image_is_the_nearest_of_all_images_within_half_the_width():
    displacement = np.random.default_rng(0).uniform(-4, 4, (4000, 3))
    nearest = nearest_of_all_images(displacement, TRICLINIC)
    close = np.linalg.norm(nearest, axis=1) < TRICLINIC.diagonal().min() / 2
    with jax.enable_x64(True):
        ours = np.asarray(minimum_image(displacement, TRICLINIC))
    assert close.sum() > 500
    np.testing.assert_allclose(ours[close], nearest[close], atol=1e-12)


def test_minimum_image_treats_each_replica_alike():
    displacement = np.random.default_rng(1).uniform(-4, 4, (5, 3, 7)).astype(np.float32)
    together = minimum_image(displacement, TRICLINIC)
    apart = jnp.stack([minimum_image(displacement[..., r], TRICLINIC) for r in range(7)], -1)
    # compiled for one replica or for seven, three shifts may be rounded apart, at up to 4 nm
    rounding = 3 * 2 * np.finfo(np.float32).eps
    np.testing.assert_allclose(together, apart, rtol=0, atol=rounding)


def test_wrapping_moves_atoms_by_whole_box_vectors_into_the_cell():
    positions = np.random.default_rng(2).uniform(-5, 5, (50, 3, 2))
    with jax.enable_x64(True):
        inside = np.asarray(wrapped(positions, TRICLINIC))
    fractions = np.einsum("ndr,dk->nkr", inside, np.linalg.inv(TRICLINIC))
    moved = np.einsum("ndr,dk->nkr", inside - positions, np.linalg.inv(TRICLINIC))
    assert (fractions > -1e-9).all()
    assert (fractions < 1 + 1e-9).all()
    np.testing.assert_allclose(moved, moved.round(), atol=1e-9)


def test_volume_is_the_determinant():
    assert float(volume(TRICLINIC)) == pytest.approx(np.linalg.det(TRICLINIC), rel=1e-6)


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        (np.array([[2.0, 0, 0], [1.5, 2, 0], [0, 0, 2]]), r"2\|bx\| <= ax"),
        (np.array([[2.0, 0, 0], [0, 2, 0], [0, 1.2, 2]]), r"2\|cy\| <= by"),
        (np.array([[2.0, 0.1, 0], [0, 2, 0], [0, 0, 2]]), "along x"),
        (np.array([[2.0, 0, 0], [0, -2, 0], [0, 0, 2]]), "positive"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_a_box_that_is_not_reduced_is_refused_with_the_reason(vectors, reason):
    with pytest.raises(ValueError, match=reason):
        reduced_box(vectors)
