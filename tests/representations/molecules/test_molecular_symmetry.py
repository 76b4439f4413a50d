from __future__ import annotations

import numpy as np
import pytest

from thalweg.representations.molecules.molecular_symmetry import (
    automorphisms,
    closed_group,
    matched_symmetry,
    molecular_symmetry,
)
from thalweg.systems.configuration import Configuration

BENZENE = np.array([6] * 6 + [1] * 6)
ANGLES = np.arange(6) * np.pi / 3
RING = np.stack([np.cos(ANGLES), np.sin(ANGLES), 0 * ANGLES], 1)


def benzene(seed=0):
    points = np.concatenate([0.139 * RING, 0.248 * RING])
    return Configuration(BENZENE, points + 0.003 * np.random.default_rng(seed).normal(size=points.shape))


def test_benzene_has_the_twelve_symmetries_of_a_hexagon():
    group = molecular_symmetry([benzene(k) for k in range(3)])
    assert len(group) == 12
    assert group[0].tolist() == list(range(12))
    # every carbon takes its hydrogen along
    np.testing.assert_array_equal(group[:, 6:], group[:, :6] + 6)


def test_the_group_is_closed():
    group = molecular_symmetry([benzene()])
    assert len(closed_group(group)) == len(group)


def test_hydrogens_of_a_methyl_group_exchange_all_ways():
    bonds = np.zeros((5, 5), bool)
    bonds[0, 1:] = bonds[1:, 0] = True
    assert len(automorphisms([6, 9, 1, 1, 1], bonds)) == 6


def test_a_proton_held_between_two_oxygens_adds_the_exchange_that_its_jump_makes():
    # malonaldehyde, O=C-C=C-O-H with the proton near both oxygens
    numbers = np.array([8, 6, 6, 6, 8, 1, 1, 1, 1])
    points = 0.1 * np.array(
        [[-1.28, 1.2, 0], [-1.2, -0.05, 0], [0, -0.75, 0], [1.2, -0.05, 0], [1.28, 1.25, 0],
         [0.35, 1.5, 0], [-2.15, -0.6, 0], [0, -1.83, 0], [2.15, -0.6, 0]]
    )  # fmt: skip
    frames = [Configuration(numbers, points)]
    group = molecular_symmetry(frames)
    assert [4, 3, 2, 1, 0, 5, 8, 7, 6] in group.tolist()


def test_matching_frames_finds_a_symmetry_that_they_show():
    frames = [benzene(k) for k in range(6)]
    turned = np.roll(np.arange(6), 1)
    swap = np.concatenate([turned, 6 + turned])
    frames += [Configuration(BENZENE, benzene(k).positions[swap]) for k in range(6)]
    group = matched_symmetry(frames)
    assert len(group) > 1
    mean = np.linalg.norm(benzene().positions[:, None] - benzene().positions[None], axis=-1)
    for one in group:
        assert np.abs(mean - mean[np.ix_(one, one)]).mean() < 0.02


def test_a_group_too_large_is_refused_with_its_size():
    with pytest.raises(ValueError, match="more than 100 permutations"):
        automorphisms([1] * 6, np.zeros((6, 6), bool), 100)


def test_frames_of_other_atoms_are_refused():
    with pytest.raises(ValueError, match="frame 1 has atoms"):
        molecular_symmetry([benzene(), Configuration(BENZENE[::-1].copy(), benzene().positions)])
