"""Mappings and force maps: what beads feel on average does not depend on the map, and noise does."""

import numpy as np
import pytest

from thalweg.coarse_graining import (
    BeadFrames,
    BeadMapping,
    ForceMap,
    held_together,
    joined_frames,
    mapped_frames,
)

MASSES = np.array([12.0, 1.0, 16.0, 14.0, 1.0])


@pytest.fixture
def coupled():
    """Five atoms in a random quadratic well at kT = 1, exact samples and forces."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(15, 15))
    stiffness = root @ root.T / 15 + np.eye(15)
    x = rng.normal(size=(20000, 15)) @ np.linalg.cholesky(np.linalg.inv(stiffness)).T
    places = 3 * np.arange(5)[:, None] * np.ones(3)
    return stiffness, x.reshape(-1, 5, 3) + places, -(x @ stiffness).reshape(-1, 5, 3)


def mean_force_slope(frames):
    """Least-squares slope of forces in positions: minus the stiffness of the free energy of a quadratic well."""
    x = (frames.positions - frames.positions.mean(0)).reshape(len(frames), -1)
    return np.linalg.lstsq(x, frames.forces.reshape(len(frames), -1), rcond=None)[0]


@pytest.mark.parametrize(
    "mapping",
    [
        BeadMapping.slices([0, 3], MASSES),
        BeadMapping.centers_of_mass([[0, 1], [2, 3, 4]], MASSES),
        BeadMapping.linear(np.array([[0.5, 0.5, 0, 0, 0], [0, 0.2, 0.3, 0.5, 0]]), MASSES),
    ],
    ids=["slices", "centers of mass", "shared atoms"],
)
def test_mapped_forces_have_the_slope_of_the_free_energy_of_the_beads(coupled, mapping):
    stiffness, x, f = coupled
    c = np.kron(mapping.weights.toarray(), np.eye(3))
    exact = -np.linalg.inv(c @ np.linalg.inv(stiffness) @ c.T)
    frames = mapped_frames(mapping, x, 1.0, forces=f, held=np.zeros((0, 2), int))
    assert np.abs(mean_force_slope(frames) - exact).max() < 0.06 * np.abs(exact).max()


def test_the_optimal_map_is_unbiased_and_less_noisy_than_the_basic_one(coupled):
    _, _, f = coupled
    mapping = BeadMapping.centers_of_mass([[0, 1], [2, 3, 4]], MASSES)
    basic, best = ForceMap.basic(mapping), ForceMap.optimal(mapping, f)
    assert basic.bias(mapping) < 1e-12
    assert best.bias(mapping) < 1e-9
    assert (best(f) ** 2).mean() < (basic(f) ** 2).mean()


def test_basic_forces_on_centers_of_mass_add_up_and_those_on_slices_are_their_atoms():
    f = np.random.default_rng(0).normal(size=(4, 5, 3))
    sums = ForceMap.basic(BeadMapping.centers_of_mass([[0, 1], [2, 4]], MASSES))(f)
    np.testing.assert_allclose(sums, np.stack([f[:, 0] + f[:, 1], f[:, 2] + f[:, 4]], 1))
    np.testing.assert_allclose(ForceMap.basic(BeadMapping.slices([3], MASSES))(f), f[:, [3]])


def test_an_atom_brings_the_force_on_what_is_held_to_it():
    f = np.random.default_rng(0).normal(size=(40, 5, 3))
    held = np.array([[0, 1]])
    mapping = BeadMapping.slices([0, 3], MASSES)
    np.testing.assert_allclose(ForceMap.basic(mapping, held)(f)[:, 0], f[:, 0] + f[:, 1])
    best = ForceMap.optimal(mapping, f, held).weights.toarray()
    np.testing.assert_allclose(best[:, 0], best[:, 1], atol=1e-12)


def test_a_force_map_that_ignores_a_constraint_is_refused():
    x = np.random.default_rng(0).normal(size=(20, 5, 3))
    ignoring = ForceMap(BeadMapping.slices([0, 3], MASSES).weights)
    with pytest.raises(ValueError, match="held at a fixed distance"):
        mapped_frames(
            BeadMapping.slices([0, 3], MASSES), x, 1.0, forces=x, force_map=ignoring, held=np.array([[0, 1]])
        )


def test_beads_held_at_a_fixed_distance_have_no_force_map():
    f = np.random.default_rng(0).normal(size=(20, 5, 3))
    with pytest.raises(ValueError, match=r"sum of forces.*is not the force"):
        ForceMap.basic(BeadMapping.slices([0, 1], MASSES), np.array([[0, 1]]))
    with pytest.raises(ValueError, match="no force map can tell all beads apart"):
        ForceMap.optimal(BeadMapping.slices([0, 1], MASSES), f, np.array([[0, 1]]))


def test_molecules_of_one_make_share_one_optimal_map():
    f = np.random.default_rng(0).normal(size=(50, 6, 3))
    mapping = BeadMapping.centers_of_mass([[0, 1, 2], [3, 4, 5]], np.tile([16.0, 1, 1], 2))
    weights = ForceMap.optimal(mapping, f).weights.toarray()
    np.testing.assert_allclose(weights[0, :3], weights[1, 3:])


def test_rigid_bonds_are_found_across_the_boundary_of_a_box():
    rng = np.random.default_rng(0)
    box = np.eye(3) * 2.0
    first = rng.uniform(0, 2, (30, 1, 3))
    directions = rng.normal(size=(30, 1, 3))
    second = first + 0.1 * directions / np.linalg.norm(directions, axis=2, keepdims=True)
    x = np.mod(np.concatenate([first, second], 1), 2.0)
    x[0] = [[0.1, 0.1, 0.1], [0.2, 0.1, 0.1]]
    assert held_together(x, np.broadcast_to(box, (30, 3, 3))).tolist() == [[0, 1]]


def test_a_bead_across_the_boundary_is_where_its_whole_molecule_is():
    mapping = BeadMapping.centers_of_mass([[0, 1]], np.array([1.0, 1.0]))
    x = np.array([[[0.1, 1, 1], [1.9, 1, 1]]])
    np.testing.assert_allclose(mapping.positions(x, np.eye(3)[None] * 2)[0, 0], [0.0, 1, 1], atol=1e-12)


def test_what_a_map_loses_is_said():
    with pytest.raises(ValueError, match="must sum to one"):
        BeadMapping.linear(np.array([[0.5, 0.4, 0, 0, 0]]), MASSES)
    with pytest.raises(ValueError, match="have no atoms"):
        BeadMapping.centers_of_mass([[0], []], MASSES)
    with pytest.raises(ValueError, match="positive mass"):
        BeadMapping.slices([1], np.array([1.0, 0.0]))


def test_frames_of_two_temperatures_are_not_mixed():
    x = np.random.default_rng(0).normal(size=(3, 2, 3))
    with pytest.raises(ValueError, match="cannot be one set"):
        joined_frames([BeadFrames(x, 2.5), BeadFrames(x, 3.0)])


def test_forces_that_are_missing_are_missed_by_those_who_need_them():
    frames = BeadFrames(np.random.default_rng(0).normal(size=(3, 2, 3)), 2.5)
    with pytest.raises(ValueError, match="RelativeEntropy"):
        frames.needed_forces()


def test_beads_on_top_of_each_other_are_refused():
    with pytest.raises(ValueError, match="on top of each other"):
        BeadFrames(np.zeros((2, 2, 3)), 2.5)
