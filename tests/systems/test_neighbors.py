"""Neighbour lists against brute force, their age and their shape."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.systems.box import minimum_image
from thalweg.systems.neighbors import NeighborList

TRICLINIC = np.array([[2.4, 0.0, 0.0], [0.6, 2.2, 0.0], [-0.9, 0.7, 2.3]])
NONE = np.full((90, 0), -1)


def brute_force(positions, box, radius):
    """The set of pairs (i, j), i != j, closer than ``radius``."""
    d = (positions[:, None] - positions[None]).reshape(-1, 3)
    d = np.asarray(d if box is None else minimum_image(d, box)).reshape(len(positions), len(positions), 3)
    near = (np.linalg.norm(d, axis=-1) < radius) & ~np.eye(len(positions), dtype=bool)
    return set(zip(*np.nonzero(near)))


def listed(partners):
    rows, atoms = np.nonzero(partners != np.arange(partners.shape[1]))
    return {(int(i), int(partners[row, i])) for row, i in zip(rows, atoms)}


@pytest.mark.parametrize("box", [None, np.diag([2.4, 2.2, 2.3]), TRICLINIC])
def test_the_list_holds_every_pair_that_brute_force_finds(box):
    positions = np.random.default_rng(0).uniform(-1, 3, (90, 3))
    neighbors = NeighborList.around(positions, box, 0.8, 0.2, NONE)
    assert brute_force(positions, box, 0.8) <= listed(neighbors.partners)
    assert listed(neighbors.partners) == brute_force(positions, box, 1.0)


def test_every_replica_has_its_own_list():
    positions = np.random.default_rng(1).uniform(0, 2, (90, 3, 3))
    neighbors = NeighborList.around(positions, TRICLINIC, 0.6, 0.1, NONE)
    for r in range(3):
        assert listed(neighbors.partners[..., r]) == brute_force(positions[..., r], TRICLINIC, 0.7)


def test_excluded_pairs_are_left_out():
    positions = np.random.default_rng(2).uniform(0, 1, (90, 3))
    excluded = np.full((90, 1), -1)
    excluded[3], excluded[5] = 5, 3
    without = listed(NeighborList.around(positions, None, 0.8, 0.1, excluded).partners)
    everything = listed(NeighborList.around(positions, None, 0.8, 0.1, NONE).partners)
    assert everything - without <= {(3, 5), (5, 3)}
    assert not without & {(3, 5), (5, 3)}


def test_a_list_grows_stale_before_an_atom_has_crossed_half_the_skin_or_when_the_box_changes():
    positions = np.random.default_rng(3).uniform(0, 2, (90, 3))
    box = jnp.asarray(TRICLINIC)
    neighbors = NeighborList.around(positions, TRICLINIC, 0.6, 0.2, NONE)
    step = np.zeros((90, 3))
    step[7, 1] = 1.0
    assert not neighbors.stale(positions + 0.07 * step, box)
    assert neighbors.stale(positions + 0.095 * step, box)
    assert neighbors.stale(positions, 1.01 * box)


def test_refreshing_keeps_a_good_list_and_the_shape_of_a_new_one():
    positions = np.random.default_rng(4).uniform(0, 2, (90, 3))
    neighbors = NeighborList.around(positions, TRICLINIC, 0.6, 0.2, NONE)
    assert neighbors.refreshed(positions + 1e-3, jnp.asarray(TRICLINIC)) is neighbors
    moved = positions + np.random.default_rng(5).normal(0, 0.05, positions.shape)
    renewed = neighbors.refreshed(moved, jnp.asarray(TRICLINIC))
    assert renewed.partners.shape == neighbors.partners.shape
    assert listed(renewed.partners) == brute_force(moved, TRICLINIC, 0.8)


def test_a_cutoff_beyond_half_the_box_is_refused():
    with pytest.raises(ValueError, match="half the smallest width"):
        NeighborList.around(np.zeros((90, 3)), TRICLINIC, 1.2, 0.2, NONE)
