import jax
import mdtraj
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from thalweg.geometry.alignment import rmsd, superposed

deviation = jax.jit(rmsd)

RANDOM = np.random.default_rng(5)
REFERENCE = RANDOM.normal(scale=0.3, size=(9, 3))
WEIGHTS = RANDOM.uniform(1.0, 16.0, size=9)


def noisy_copies(count: int, noise: float) -> np.ndarray:
    """Turned, moved and deformed copies of the reference, ``(atoms, 3, count)``."""
    turned = [REFERENCE @ turn.as_matrix().T for turn in Rotation.random(count, rng=RANDOM)]
    return (
        np.stack(turned, -1)
        + RANDOM.normal(scale=noise, size=(9, 3, count))
        + RANDOM.normal(size=(1, 3, count))
    )


def test_values_are_those_of_mdtraj():
    copies = noisy_copies(40, 0.1).astype(np.float32)
    topology = mdtraj.Topology()
    residue = topology.add_residue("X", topology.add_chain())
    for _ in range(9):
        topology.add_atom("C", mdtraj.element.carbon, residue)
    theirs = mdtraj.rmsd(
        mdtraj.Trajectory(copies.transpose(2, 0, 1), topology), mdtraj.Trajectory(REFERENCE[None], topology)
    )
    np.testing.assert_allclose(deviation(copies, REFERENCE), theirs, atol=2e-6)


def test_weighted_values_are_those_of_kabsch_by_singular_values():
    copies = noisy_copies(5, 0.2)
    with jax.enable_x64(True):
        ours = deviation(copies, REFERENCE, WEIGHTS)
    for k in range(5):
        x, y = (a - np.average(a, axis=0, weights=WEIGHTS) for a in (copies[..., k], REFERENCE))
        _, residual = Rotation.align_vectors(y, x, weights=WEIGHTS)
        assert ours[k] == pytest.approx(residual / np.sqrt(WEIGHTS.sum()), abs=1e-10)


def test_turned_and_moved_copies_are_at_distance_zero():
    with jax.enable_x64(True):
        assert np.abs(deviation(noisy_copies(20, 0.0), REFERENCE)).max() < 1e-12


def test_a_mirror_image_is_not_reached_by_a_proper_rotation():
    assert float(deviation(REFERENCE * np.array([1, 1, -1]), REFERENCE)) > 0.1


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
def test_gradients_are_those_of_finite_differences(weights):
    x, step = noisy_copies(1, 0.1)[..., 0], 1e-6
    with jax.enable_x64(True):
        value = jax.jit(lambda x: deviation(x, REFERENCE, weights))
        gradient = np.asarray(jax.jit(jax.grad(value))(x))
        for index in ((0, 0), (3, 1), (8, 2)):
            moved = np.zeros_like(x)
            moved[index] = step
            assert gradient[index] == pytest.approx(
                float(value(x + moved) - value(x - moved)) / (2 * step), rel=1e-6
            )


def test_gradients_exert_no_net_force_and_no_torque():
    x = noisy_copies(1, 0.1)[..., 0]
    with jax.enable_x64(True):
        gradient = np.asarray(jax.jit(jax.grad(rmsd))(x, REFERENCE))
    np.testing.assert_allclose(gradient.sum(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.cross(x, gradient).sum(0), 0.0, atol=1e-12)


LINE = np.arange(9.0)[:, None] * np.array([[0.1, 0.0, 0.0]])
CUBE = np.array(
    [[x, y, z] for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (-0.1, 0.1)] + [[0.0, 0.0, 0.0]]
)
DEGENERATE = {
    "identical": (REFERENCE, REFERENCE),
    "on a line": (LINE * 1.1, LINE),
    "on a line at right angles": (LINE[:, [1, 0, 2]], LINE),
    "mirror image": (REFERENCE * np.array([1, 1, -1]), REFERENCE),
    "inverted cube": (-CUBE, CUBE),
    "one point": (np.zeros((9, 3)), REFERENCE),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_are_finite_and_bounded_at_degenerate_points(dtype):
    with jax.enable_x64(dtype == np.float64):
        value_and_gradient = jax.jit(jax.value_and_grad(rmsd))
        for case, (x, reference) in DEGENERATE.items():
            value, gradient = value_and_gradient(x.astype(dtype), reference.astype(dtype))
            assert np.isfinite(value), case
            assert np.linalg.norm(gradient) <= 1.0001 / np.sqrt(len(x)), case


def test_superposed_structures_lie_on_the_centered_reference():
    with jax.enable_x64(True):
        aligned = jax.jit(superposed)(noisy_copies(3, 0.0), REFERENCE)
    expected = REFERENCE - REFERENCE.mean(0)
    np.testing.assert_allclose(aligned, np.repeat(expected[..., None], 3, -1), atol=1e-12)
