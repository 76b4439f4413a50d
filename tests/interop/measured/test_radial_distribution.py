"""Radial distribution functions of lattices are known."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.interop.measured.radial_distribution import radial_distribution

SIDE = 0.4
GRID = SIDE * np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
BOX = 3 * SIDE * np.eye(3)


def test_a_simple_cubic_lattice_has_six_nearest_neighbors_wherever_its_atoms_are_wrapped_to():
    moved = GRID + BOX[0] * np.random.default_rng(0).integers(-2, 3, (27, 1)) + 0.02
    found = radial_distribution(np.full(27, 18), np.stack([GRID, moved]), BOX, (18, 18), 0.5, 0.02)
    shell = 4 * np.pi * found.radii**2 * 0.02 * 27 / (3 * SIDE) ** 3
    near = np.abs(found.radii - SIDE) < 0.03
    assert (found.values * shell)[near].sum() == pytest.approx(6, rel=0.06)  # of 26, not 27, others
    assert found.values[~near].max() == 0
    assert found.peak[0] == pytest.approx(SIDE, abs=0.02)


def test_pairs_that_are_not_there_and_images_out_of_reach_are_refused():
    with pytest.raises(ValueError, match="no pair of atomic numbers 8 and 18"):
        radial_distribution(np.full(27, 18), GRID[None], BOX, (8, 18))
    with pytest.raises(ValueError, match=r"half the shortest height of the cell, 0\.6 nm"):
        radial_distribution(np.full(27, 18), GRID[None], BOX, (18, 18), 0.7)
