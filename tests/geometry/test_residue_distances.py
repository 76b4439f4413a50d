from importlib.resources import files
from itertools import combinations

import equinox as eqx
import jax
import mdtraj
import numpy as np
import pytest

from thalweg.dynamics.engine import Variable
from thalweg.geometry import closest_atoms
from thalweg.geometry.closest_atoms import closest_distances
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.residue_distances import ResidueDistances, SoftResidueDistances
from thalweg.geometry.residues import heavy_atoms_by_residue, residue_labels, residue_pairs
from thalweg.interop.files.trajectories import topology_from_mdtraj

STRUCTURE = mdtraj.load(str(files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"))
TOPOLOGY = topology_from_mdtraj(STRUCTURE.topology)
PAIRS = np.array(list(combinations(range(STRUCTURE.n_residues), 2)))
BOX = np.array([[3.0, 0.0, 0.0], [0.6, 2.9, 0.0], [-0.5, 0.7, 2.8]], np.float32)


def thermal_frames(count: int) -> mdtraj.Trajectory:
    noise = np.random.default_rng(0).normal(scale=0.02, size=(count, len(TOPOLOGY), 3))
    return mdtraj.Trajectory((STRUCTURE.xyz[0] + noise).astype(np.float32), STRUCTURE.topology)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(closest_atoms, "BLOCK", 2)


def brute_force(x: np.ndarray, groups: list, pairs: np.ndarray) -> list[float]:
    return [np.linalg.norm(x[groups[i]][:, None] - x[groups[j]][None], axis=2).min() for i, j in pairs]


def test_distances_of_residues_are_those_of_mdtraj():
    frames = thermal_frames(20)
    theirs, pairs = mdtraj.compute_contacts(frames, PAIRS, scheme="closest-heavy", periodic=False)
    np.testing.assert_array_equal(pairs, PAIRS)
    np.testing.assert_allclose(evaluate(ResidueDistances(PAIRS, TOPOLOGY), frames.xyz), theirs, rtol=2e-6)


def test_distances_of_residues_in_a_box_are_those_of_mdtraj_up_to_half_its_width():
    frames, pairs = thermal_frames(10), PAIRS[[4, 6, 8]]  # of GLY2, GLY3 and MET5
    frames.xyz += np.random.default_rng(1).integers(-1, 2, (10, frames.n_atoms, 3)) @ BOX
    frames.unitcell_vectors = np.repeat(BOX[None], 10, 0)
    theirs, _ = mdtraj.compute_contacts(frames, pairs, scheme="closest-heavy")
    assert theirs.max() < BOX[2, 2] / 2
    ours = evaluate(ResidueDistances(pairs, TOPOLOGY), frames.xyz, frames.unitcell_vectors)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_of_groups_of_many_sizes_give_every_pair_its_distance():
    random = np.random.default_rng(2)
    sizes = [3, 1, 1, 4, 2, 5, 3, 4, 1, 2]
    groups = np.split(random.permutation(sum(sizes)), np.cumsum(sizes)[:-1])
    x = random.normal(size=(sum(sizes), 3))
    pairs = random.permutation(np.array(list(combinations(range(10), 2))))[:30, ::-1]
    with jax.enable_x64(True):
        ours = jax.jit(lambda x: closest_distances(x, [g.tolist() for g in groups], pairs))(x)
    np.testing.assert_allclose(ours, brute_force(x, groups, pairs), rtol=1e-12)


def test_soft_distances_of_residues_are_those_of_mdtraj():
    frames, pairs = thermal_frames(5), PAIRS[PAIRS[:, 1] - PAIRS[:, 0] > 2]
    theirs, _ = mdtraj.compute_contacts(
        frames, pairs, scheme="closest-heavy", periodic=False, soft_min=True, soft_min_beta=20.0
    )
    soft = SoftResidueDistances(pairs, TOPOLOGY, beta=20.0)
    np.testing.assert_allclose(evaluate(soft, frames.xyz), theirs, rtol=1e-5)


def test_soft_distances_approach_the_closest_ones_from_below():
    x = STRUCTURE.xyz[0].astype(float)
    with jax.enable_x64(True):
        closest = np.asarray(eqx.filter_jit(ResidueDistances(PAIRS, TOPOLOGY))(x))
        for beta, apart in ((20.0, 0.15), (200.0, 0.015)):
            gap = closest - np.asarray(eqx.filter_jit(SoftResidueDistances(PAIRS, TOPOLOGY, beta))(x))
            assert gap.min() >= 0
            assert gap.max() < apart


@pytest.mark.parametrize("kind", [ResidueDistances, SoftResidueDistances])
def test_gradients_are_those_of_finite_differences(kind):
    variable, step = kind(PAIRS[-2:], TOPOLOGY), 1e-6
    x = STRUCTURE.xyz[0].astype(float)
    with jax.enable_x64(True):
        values = eqx.filter_jit(variable)
        gradient = np.asarray(jax.jit(jax.jacobian(lambda x: variable(x)))(x))
        direction = np.random.default_rng(0).normal(size=x.shape)
        slope = (values(x + step * direction) - values(x - step * direction)) / (2 * step)
    np.testing.assert_allclose(np.tensordot(gradient, direction, 2), slope, rtol=1e-6)


@pytest.mark.parametrize("kind", [ResidueDistances, SoftResidueDistances])
def test_columns_know_their_atoms_and_their_residues(kind):
    variable = kind(PAIRS[:3], TOPOLOGY)
    assert isinstance(variable, Variable)
    assert variable.names[0].endswith("TYR1..GLY2")
    groups = heavy_atoms_by_residue(TOPOLOGY)
    assert variable.atoms[0] == groups[0] + groups[1]
    assert all(TOPOLOGY.elements[atom] != "H" for row in variable.atoms for atom in row)


def test_pairs_of_residues_along_the_chain_are_those_of_mdtraj():
    _, theirs = mdtraj.compute_contacts(STRUCTURE, "all")
    np.testing.assert_array_equal(residue_pairs(TOPOLOGY), theirs)
    assert residue_labels(TOPOLOGY) == tuple(map(str, STRUCTURE.topology.residues))


@pytest.mark.parametrize(
    ("pairs", "message"), [([[0, 5]], "0 to 5 were asked of 5"), ([[2, 2]], "residue twice")]
)
def test_residues_that_are_not_there_are_refused(pairs, message):
    with pytest.raises(ValueError, match=message):
        ResidueDistances(pairs, TOPOLOGY)


def test_a_chain_too_short_for_the_separation_is_said():
    with pytest.raises(ValueError, match="5 protein residues have no pair 9 apart"):
        residue_pairs(TOPOLOGY, separation=9)
