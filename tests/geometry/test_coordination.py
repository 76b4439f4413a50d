from importlib.resources import files

import equinox as eqx
import jax
import numpy as np
import pytest

from thalweg.dynamics.engine import Variable
from thalweg.geometry.coordination import CoordinationNumbers, burial
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.residues import residue_of_atoms
from thalweg.geometry.switching import LogisticSwitch
from thalweg.interop.files.trajectories import read_topology, read_trajectory
from thalweg.systems.topology import Topology

FILE = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
TOPOLOGY = read_topology(FILE)
X = read_trajectory(FILE, TOPOLOGY).positions[0]


def test_a_sharp_switch_counts_the_atoms_within_the_radius():
    centers, others = [0, 10, 20], TOPOLOGY.heavy_atoms
    sharp = CoordinationNumbers(centers, others, 0.5, LogisticSwitch(2000.0))
    lengths = np.linalg.norm(X[others][None] - X[centers][:, None], axis=2)
    expected = ((lengths < 0.5) & (others[None] != np.array(centers)[:, None])).sum(1)
    np.testing.assert_allclose(evaluate(sharp, X[None])[0], expected, atol=1e-3)


def test_images_in_a_box_count_and_moving_an_atom_by_a_box_vector_changes_nothing():
    box = np.diag([1.5, 1.6, 1.7]).astype(np.float32)
    around = CoordinationNumbers([0, 10], TOPOLOGY.heavy_atoms, 0.6)
    moved = X + np.random.default_rng(0).integers(-1, 2, X.shape) @ box
    values = evaluate(around, np.stack([X, moved]).astype(np.float32), box)
    np.testing.assert_allclose(values[0], values[1], rtol=1e-4)
    assert (values[0] > evaluate(around, X[None])[0]).all()


def test_burial_counts_atoms_of_other_residues_only():
    variable = burial(TOPOLOGY)
    assert isinstance(variable, Variable)
    assert variable.names == (
        "around TYR1-CB",
        "around GLY2-CA",
        "around GLY3-CA",
        "around PHE4-CB",
        "around MET5-CB",
    )
    residue = residue_of_atoms(TOPOLOGY)
    for center, *counted in variable.atoms:
        assert residue[center] not in residue[counted]


def test_gradients_are_those_of_finite_differences_and_of_named_atoms_only():
    variable, step = burial(TOPOLOGY), 1e-6
    direction = np.random.default_rng(0).normal(size=X.shape)
    x = X.astype(float)
    with jax.enable_x64(True):
        values = eqx.filter_jit(variable)
        gradient = np.asarray(jax.jit(jax.jacrev(lambda x: variable(x)))(x))
        slope = (values(x + step * direction) - values(x - step * direction)) / (2 * step)
        np.testing.assert_allclose(np.tensordot(gradient, direction, 2), slope, rtol=1e-6)
    for row, atoms in zip(gradient, variable.atoms):
        assert not row[np.setdiff1d(np.arange(len(X)), atoms)].any()


def test_a_topology_without_alpha_carbons_is_refused():
    water = Topology(("O",), ("O",), ("HOH",), (1,), (0,), np.zeros((0, 2), int))
    with pytest.raises(ValueError, match="no CA atom"):
        burial(water)
