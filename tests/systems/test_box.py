"""Minimum image and wrapping in triclinic boxes, against the sum over all images."""

import itertools

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest

from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.variables import Distances
from thalweg.systems.box import close_image, minimum_image, reduced_box, volume, wrapped

TRICLINIC = np.array([[2.0, 0.0, 0.0], [0.6, 2.2, 0.0], [-0.9, 0.7, 1.9]])


def nearest_of_all_images(displacement, box, most=3):
    shifts = np.array(list(itertools.product(range(-most, most + 1), repeat=3))) @ box
    images = displacement[:, None] - shifts
    return np.take_along_axis(images, (images**2).sum(-1).argmin(1)[:, None, None], 1)[:, 0]


def boxes(draws, widths):
    """Reduced boxes, skewed as far as that goes."""
    a, b, c = widths
    return np.array(
        [[a, 0.0, 0.0], [draws[0] * a / 2, b, 0.0], [draws[1] * a / 2, draws[2] * b / 2, c]],
    )


def test_a_close_image_is_the_nearest_of_all_images_within_half_the_width():
    displacement = np.random.default_rng(0).uniform(-4, 4, (4000, 3))
    nearest = nearest_of_all_images(displacement, TRICLINIC)
    close = np.linalg.norm(nearest, axis=1) < TRICLINIC.diagonal().min() / 2
    with jax.enable_x64(True):
        ours = np.asarray(close_image(displacement, TRICLINIC))
    assert close.sum() > 500
    np.testing.assert_allclose(ours[close], nearest[close], atol=1e-12)
    assert (np.linalg.norm(ours, axis=1) > np.linalg.norm(nearest, axis=1) + 1e-6).mean() > 0.05


@pytest.mark.parametrize("skew", [(1, 1, 1), (-1, 1, -1), (2 / 3, -2 / 3, 1), (0.6, -0.9, 0.64), (1, 1, 0)])
@pytest.mark.parametrize("widths", [(2.0, 2.2, 1.9), (1.0, 2.0, 3.0), (3.0, 1.0, 0.7)])
def test_the_minimum_image_is_the_nearest_of_all_images_at_any_distance(skew, widths):
    box = boxes(skew, widths)
    displacement = np.random.default_rng(0).uniform(-1.5, 1.5, (800, 3)) @ box
    nearest = np.linalg.norm(nearest_of_all_images(displacement, box, 5), axis=1)
    with jax.enable_x64(True):
        ours = jax.jit(minimum_image)(displacement, box)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), nearest, rtol=1e-12)


def test_the_minimum_image_differs_from_the_displacement_by_whole_box_vectors():
    displacement = np.random.default_rng(3).uniform(-6, 6, (300, 3))
    with jax.enable_x64(True):
        moved = displacement - np.asarray(minimum_image(displacement, TRICLINIC))
    shifts = moved @ np.linalg.inv(TRICLINIC)
    np.testing.assert_allclose(shifts, shifts.round(), atol=1e-9)


def test_in_a_rectangular_box_nearest_and_close_images_are_the_same_numbers():
    displacement = np.random.default_rng(4).uniform(-6, 6, (300, 3)).astype(np.float32)
    box = jnp.diag(jnp.array([2.0, 2.2, 1.9]))
    np.testing.assert_array_equal(
        jax.jit(minimum_image)(displacement, box), jax.jit(close_image)(displacement, box)
    )


def test_the_minimum_image_has_derivatives_in_a_skewed_box_and_lets_broken_replicas_be():
    displacement = np.random.default_rng(5).uniform(-6, 6, (30, 3)).astype(np.float32)
    slope = jax.grad(lambda d: (minimum_image(d, jnp.asarray(TRICLINIC)) ** 2).sum())(displacement)
    np.testing.assert_allclose(slope, 2 * minimum_image(displacement, TRICLINIC), rtol=1e-5, atol=1e-5)
    displacement[0] = np.nan
    assert np.isfinite(minimum_image(displacement, TRICLINIC)[1:]).all()


def test_distances_in_skewed_boxes_are_those_of_mdtraj():
    octahedron = boxes((2 / 3, -2 / 3, 1.0), (2.0, 2.0 * 8**0.5 / 3, 2.0 * 6**0.5 / 3))
    positions = np.random.default_rng(6).uniform(-3, 3, (4, 40, 3)).astype(np.float32)
    pairs = np.stack(np.triu_indices(40, 1), 1)
    topology = mdtraj.Topology()
    residue = topology.add_residue("AR", topology.add_chain())
    for _ in range(40):
        topology.add_atom("AR", mdtraj.element.argon, residue)
    frames = mdtraj.Trajectory(positions, topology)
    frames.unitcell_vectors = np.broadcast_to(octahedron, (4, 3, 3)).astype(np.float32)
    theirs = mdtraj.compute_distances(frames, pairs)
    cells = np.broadcast_to(octahedron, (4, 3, 3)).astype(np.float32)
    for box in (octahedron.astype(np.float32), cells):
        np.testing.assert_allclose(evaluate(Distances(pairs), positions, box), theirs, atol=2e-6)


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
