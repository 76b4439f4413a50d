"""Molecules on grids: exact turns, norms under any turn, gradients, many at once, and what a grid cannot hold."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.binding.complexes import CHANNELS, Complex, TypedAtoms
from thalweg.binding.voxels import (
    OutsideGrid,
    VoxelGrid,
    grid_atoms,
    occupancies,
    random_rotations,
    voxel_batch,
    voxels,
)

GRID = VoxelGrid(points=16)


def scattered(atoms: int, reach: float, seed: int) -> TypedAtoms:
    """Random atoms in random channels inside a ball, at least one in each."""
    generator = np.random.default_rng(seed)
    directions = generator.normal(size=(atoms, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    channels = generator.random((atoms, len(CHANNELS))) < 0.3
    channels[:, -1] = True
    channels[: len(CHANNELS)] |= np.eye(len(CHANNELS), dtype=bool)
    numbers = generator.choice([6, 7, 8, 16], atoms)
    return TypedAtoms(reach * generator.random((atoms, 1)) ** (1 / 3) * directions, numbers, channels)


def made(seed: int = 0, reach: float = 0.45) -> Complex:
    return Complex(scattered(60, reach, seed), scattered(20, reach, seed + 1))


def one(atoms):
    return jax.tree.map(lambda leaf: leaf[0], atoms)


QUARTER = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("density", [voxels, occupancies])
def test_a_quarter_turn_of_the_complex_is_a_quarter_turn_of_its_grid(density):
    atoms = one(grid_atoms([made()], GRID, np.zeros((1, 3))))
    turned, still = density(atoms, GRID, QUARTER), density(atoms, GRID)
    # x -> y: what was at (i, j) is at (n - 1 - j, i)
    expected = jnp.flip(jnp.swapaxes(still, 1, 2), axis=1)
    np.testing.assert_allclose(turned, expected, atol=2e-6)


def test_norms_and_overlaps_of_channels_change_by_less_than_two_percent_under_any_turn():
    atoms = one(grid_atoms([made()], VoxelGrid(), np.zeros((1, 3))))

    def overlaps(grid):
        flat = grid.reshape(2, len(CHANNELS), -1)
        return jnp.stack([(flat[0] ** 2).sum(-1), (flat[1] ** 2).sum(-1), (flat[0] * flat[1]).sum(-1)])

    turned = jnp.concatenate([jnp.eye(3)[None], random_rotations(jax.random.key(0), 12)])
    many = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(turned)), atoms)
    found = jax.vmap(overlaps)(voxel_batch(many, VoxelGrid(), turned))
    assert jnp.abs(found / found[0] - 1).max() < 0.02


def test_the_norm_of_one_atom_is_the_integral_of_its_gaussian():
    carbon = TypedAtoms(np.zeros((1, 3)), np.array([6]), np.ones((1, 8), bool))
    grid = voxels(one(grid_atoms([Complex(carbon, carbon)])))
    # integral of exp(-4 u^2 / r^2) in three dimensions, in cells of 0.1 nm; sums over points differ from integrals by
    # 2 exp(-pi^2 r^2 / 4 / 0.1^2) = 0.16 % for each axis (Poisson)
    exact = (np.pi * 0.17**2 / 4) ** 1.5 / 0.1**3
    np.testing.assert_allclose((grid[0] ** 2).sum(), exact, rtol=5e-3)


def test_a_shift_by_one_spacing_moves_the_grid_by_one_point():
    atoms = one(grid_atoms([made()], GRID, np.zeros((1, 3))))
    shifted = voxels(atoms, GRID, shift=np.array([0.1, 0.0, 0.0]))
    np.testing.assert_allclose(shifted[:, 1:], voxels(atoms, GRID)[:, :-1], atol=2e-6)


def test_gradients_of_positions_rotations_and_shifts_are_those_of_finite_differences():
    with jax.enable_x64(True):
        atoms = one(grid_atoms([made()], GRID, np.zeros((1, 3))))
        atoms = jax.tree.map(lambda leaf: leaf.astype(float) if leaf.dtype == np.float32 else leaf, atoms)
        weights = jax.random.normal(jax.random.key(1), (16, 16, 16, 16), dtype=float)
        rotation, shift = random_rotations(jax.random.key(2), 1)[0], jnp.array([0.01, -0.02, 0.03])

        def value(positions, rotation, shift):
            moved = type(atoms)(positions, atoms.radii, atoms.members)
            return (weights * voxels(moved, GRID, rotation, shift)).sum()

        given = (atoms.positions, rotation, shift)
        gradients = jax.grad(value, argnums=(0, 1, 2))(*given)
        for k, (point, gradient) in enumerate(zip(given, gradients)):
            away = jax.random.normal(jax.random.key(3 + k), point.shape, dtype=float)
            away = away * (jnp.abs(point) < 100)  # not of atoms that fill up
            ends = [value(*given[:k], point + sign * 1e-5 * away, *given[k + 1 :]) for sign in (1, -1)]
            np.testing.assert_allclose((gradient * away).sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


def test_a_batch_is_its_members_one_by_one_each_with_its_own_turn():
    complexes = [made(0), made(7, 0.4), made(3, 0.3)]
    rotations = random_rotations(jax.random.key(4), 3)
    shifts = jnp.linspace(-0.05, 0.05, 9).reshape(3, 3)
    together = voxel_batch(grid_atoms(complexes, GRID), GRID, rotations, shifts)
    for k, each in enumerate(complexes):
        alone = voxels(one(grid_atoms([each], GRID)), GRID, rotations[k], shifts[k])
        np.testing.assert_allclose(together[k], alone, atol=1e-5)


def test_the_occupancy_is_that_of_the_nearest_atom():
    carbon = TypedAtoms(np.array([[0.05, 0.05, 0.05]]), np.array([6]), np.ones((1, 8), bool))
    grid = VoxelGrid(points=4)
    filled = occupancies(one(grid_atoms([Complex(carbon, carbon)], grid, np.zeros((1, 3)))), grid)
    distance = np.array([[0.0, 0.1], [0.1, np.sqrt(0.02)]])
    with np.errstate(divide="ignore"):
        exact = 1 - np.exp(-((0.17 / distance) ** 12))
    np.testing.assert_allclose(filled[0, 2:, 2:, 2], exact, atol=1e-5)


def test_a_ligand_that_sticks_out_of_the_grid_is_refused_with_what_would_hold_it():
    far = Complex(scattered(30, 0.4, 0), scattered(20, 1.5, 1))
    with pytest.raises(OutsideGrid, match="atoms of the ligand are outside"):
        grid_atoms([far], GRID)
    with pytest.raises(ValueError, match="no complexes"):
        grid_atoms([], GRID)


def test_rotations_are_proper_and_orthogonal():
    rotations = random_rotations(jax.random.key(0), 50)
    np.testing.assert_allclose(
        rotations @ jnp.swapaxes(rotations, 1, 2), np.tile(np.eye(3), (50, 1, 1)), atol=1e-5
    )
    np.testing.assert_allclose(jnp.linalg.det(rotations), 1, atol=1e-5)
