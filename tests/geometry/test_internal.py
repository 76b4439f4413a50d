from importlib.resources import files

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from thalweg.geometry.internal import angles, dihedrals, distances

RANDOM = np.random.default_rng(11)
MOLECULE = mdtraj.load(str(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"))[0]
ROWS = {
    distances: np.array([[0, 4], [2, 17], [8, 14], [5, 18]]),
    angles: np.array([[0, 4, 6], [6, 8, 10], [11, 8, 3]]),
    dihedrals: np.array([[4, 6, 8, 10], [6, 8, 10, 16], [0, 4, 6, 8], [1, 0, 4, 5]]),
}
THEIRS = {
    distances: mdtraj.compute_distances,
    angles: mdtraj.compute_angles,
    dihedrals: mdtraj.compute_dihedrals,
}
TRICLINIC = np.array([[2.3, 0.0, 0.0], [0.75, 2.2, 0.0], [-0.6, 0.8, 2.1]])
IMAGE_ERROR = 4 * 4.0 * np.finfo(np.float32).eps
"""Error of an image vector in 32 bits [nm]: one difference and three shifts, each rounded at up to 4 nm."""
SHORTEST_BOND = 0.1
"""[nm]; an angle or dihedral changes by the errors of two of its vectors over their length."""

coordinate = pytest.mark.parametrize("coordinate", [distances, angles, dihedrals], ids=lambda f: f.__name__)


def gradient_by_differences(function, x, step=1e-6):
    """Central differences of a scalar function of an array."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        forward, backward = x.copy(), x.copy()
        forward[index] += step
        backward[index] -= step
        gradient[index] = (function(forward) - function(backward)) / (2 * step)
    return gradient


def molecule(frames: int = 1) -> np.ndarray:
    """Deformed copies of alanine dipeptide, ``(frames, 22, 3)`` float64 [nm]."""
    return MOLECULE.xyz + RANDOM.normal(scale=0.005, size=(frames, 22, 3))


@coordinate
@pytest.mark.parametrize("box", [None, TRICLINIC], ids=["open", "triclinic"])
def test_values_are_those_of_mdtraj(coordinate, box):
    frames = molecule(50)
    if box is not None:
        frames += RANDOM.integers(-1, 2, size=(50, 22, 3)) @ box
    trajectory = mdtraj.Trajectory(frames, MOLECULE.topology)
    if box is not None:
        trajectory.unitcell_vectors = np.repeat(box[None].astype(np.float32), len(frames), 0)
    ours = np.asarray(coordinate(trajectory.xyz.transpose(1, 2, 0), ROWS[coordinate], box)).T
    theirs = THEIRS[coordinate](trajectory, ROWS[coordinate], periodic=box is not None)
    np.testing.assert_allclose(ours, theirs, atol=1e-6 if box is None else image_error(coordinate))


def image_error(coordinate):
    return IMAGE_ERROR if coordinate is distances else 2 * IMAGE_ERROR / SHORTEST_BOND


@coordinate
def test_values_by_images_in_32_bits_are_those_in_64(coordinate):
    """Of the difference to MDTraj above, MDTraj's share is the larger: ours is less than half of what is allowed."""
    x = (
        (molecule(50) + RANDOM.integers(-1, 2, size=(50, 22, 3)) @ TRICLINIC)
        .astype(np.float32)
        .transpose(1, 2, 0)
    )
    box = TRICLINIC.astype(np.float32)
    ours = coordinate(x, ROWS[coordinate], box)
    with jax.enable_x64(True):
        exact = coordinate(x.astype(float), ROWS[coordinate], box.astype(float))
    np.testing.assert_allclose(ours, exact, atol=image_error(coordinate) / 2)


@coordinate
def test_gradients_are_those_of_finite_differences(coordinate):
    x = molecule()[0]
    with jax.enable_x64(True):
        total = jax.jit(lambda x: jnp.sin(coordinate(x, ROWS[coordinate])).sum())
        expected = gradient_by_differences(total, x)
        np.testing.assert_allclose(jax.jit(jax.grad(total))(x), expected, rtol=1e-6, atol=1e-8)


@coordinate
def test_values_do_not_change_when_everything_rotates_and_moves(coordinate):
    x = molecule()[0]
    turn = Rotation.random(rng=RANDOM).as_matrix()
    with jax.enable_x64(True):
        moved = coordinate(x @ turn.T + 3.0, ROWS[coordinate])
        np.testing.assert_allclose(moved, coordinate(x, ROWS[coordinate]), atol=1e-12)


def test_a_mirror_image_has_dihedrals_of_opposite_sign():
    x = molecule()[0]
    with jax.enable_x64(True):
        mirrored = dihedrals(x * np.array([1, 1, -1]), ROWS[dihedrals])
        np.testing.assert_allclose(mirrored, -dihedrals(x, ROWS[dihedrals]), atol=1e-12)


@coordinate
def test_replicas_do_not_see_each_other(coordinate):
    x = molecule(6).transpose(1, 2, 0).reshape(22, 3, 2, 3).astype(np.float32)
    values = coordinate(x, ROWS[coordinate])
    assert values.shape == (len(ROWS[coordinate]), 2, 3)
    np.testing.assert_allclose(values[:, 1, 2], coordinate(x[:, :, 1, 2], ROWS[coordinate]), atol=1e-6)


@coordinate
def test_values_do_not_change_when_an_atom_moves_by_a_box_vector(coordinate):
    x = molecule()[0]
    images = x + RANDOM.integers(-2, 3, size=(22, 3)) @ TRICLINIC
    with jax.enable_x64(True):
        ours = coordinate(images, ROWS[coordinate], TRICLINIC)
        np.testing.assert_allclose(ours, coordinate(x, ROWS[coordinate]), atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@coordinate
def test_gradients_are_finite_where_atoms_are_in_line_or_in_one_place(coordinate, dtype):
    rows = ROWS[coordinate]
    lines = {"straight": np.arange(22.0), "folded": np.arange(22.0) % 2, "one point": np.zeros(22)}
    with jax.enable_x64(dtype == np.float64):
        value_and_gradient = jax.jit(jax.value_and_grad(lambda x: coordinate(x, rows).sum()))
        for line, along in lines.items():
            value, gradient = value_and_gradient((0.1 * along[:, None] * np.eye(3)[0]).astype(dtype))
            assert np.isfinite(value), line
            assert np.isfinite(gradient).all(), line


def test_straight_and_folded_angles_are_pi_and_zero():
    x = np.array([[0.0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [0.05, 0, 0]], np.float32)
    np.testing.assert_allclose(angles(x, np.array([[0, 1, 2], [0, 1, 3]])), [np.pi, 0.0], atol=1e-7)


def test_a_flat_trans_dihedral_is_plus_pi_never_minus_pi():
    for height in (0.0, -0.0):
        x = np.array([[-1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, -1.0, height]])
        with jax.enable_x64(True):
            assert dihedrals(x, np.array([[0, 1, 2, 3]]))[0] == np.pi


def test_small_angles_keep_their_digits():
    tilt = 1e-4
    x = np.array([[1, 0, 0], [0, 0, 0], [np.cos(tilt), np.sin(tilt), 0]], np.float32)
    assert angles(x, np.array([[0, 1, 2]]))[0] == pytest.approx(tilt, rel=1e-5)


def test_an_atom_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="atoms 0 to 8 were asked of 8 atoms"):
        distances(np.zeros((8, 3), np.float32), np.array([[0, 8]]))
