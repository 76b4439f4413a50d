from importlib.resources import files

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest

from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.superposition import RMSD, SuperposedCoordinates, mean_structure

STRUCTURE = mdtraj.load(str(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"))
RANDOM = np.random.default_rng(0)
REFERENCES = (STRUCTURE.xyz[0] + RANDOM.normal(scale=0.05, size=(3, 22, 3))).astype(np.float32)
FRAMES = mdtraj.Trajectory(
    (STRUCTURE.xyz[0] + RANDOM.normal(scale=0.05, size=(10, 22, 3))).astype(np.float32), STRUCTURE.topology
)


def test_deviations_from_several_references_are_those_of_mdtraj():
    atoms = [4, 6, 8, 10, 14, 16]
    ours = evaluate(RMSD(REFERENCES, atoms, labels=("a", "b", "c")), FRAMES.xyz)
    targets = mdtraj.Trajectory(REFERENCES, STRUCTURE.topology)
    theirs = [mdtraj.rmsd(FRAMES, targets, frame, atom_indices=atoms) for frame in range(3)]
    np.testing.assert_allclose(ours.T, theirs, atol=2e-6)


def test_one_reference_needs_no_label_and_several_are_numbered():
    assert RMSD(REFERENCES[0]).names == ("rmsd",)
    assert RMSD(REFERENCES[:2]).names == ("rmsd from 0", "rmsd from 1")


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"labels": ["a"]}, "1 labels for 3 references"), ({"atoms": [0, 1]}, "at least three atoms, got 2")],
)
def test_what_cannot_be_superposed_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RMSD(REFERENCES, **settings)


def test_superposed_coordinates_are_those_of_mdtraj_whatever_atoms_are_superposed():
    core, wanted = [4, 6, 8, 10, 14, 16], [1, 4, 18]
    ours = evaluate(SuperposedCoordinates(REFERENCES[0], wanted, fitted=core), FRAMES.xyz)
    theirs = FRAMES[:].superpose(mdtraj.Trajectory(REFERENCES, STRUCTURE.topology), 0, atom_indices=core)
    np.testing.assert_allclose(ours, theirs.xyz[:, wanted].reshape(10, -1), atol=2e-6)


def test_derivatives_of_superposed_coordinates_are_those_of_finite_differences():
    variable = SuperposedCoordinates(REFERENCES[0], range(22))
    direction = RANDOM.normal(size=(22, 3))

    def moved(step):
        return variable(jnp.asarray(FRAMES.xyz[0] + step * direction, jnp.float32))

    slope = jax.jvp(moved, (0.0,), (1.0,))[1]
    step = 2e-3  # rounding is 1e-7 / step, the third derivative counts step^2 of it
    np.testing.assert_allclose(slope, (moved(step) - moved(-step)) / (2 * step), atol=5e-4)
    turning = jnp.cross(jnp.asarray(FRAMES.xyz[0]), jnp.array([0.3, -0.2, 0.5]))
    still = jax.jvp(variable, (jnp.asarray(FRAMES.xyz[0]),), (turning,))[1]
    np.testing.assert_allclose(still, 0.0, atol=1e-5)


def test_the_mean_structure_of_turned_copies_with_noise_is_the_structure():
    turns = [np.linalg.qr(RANDOM.normal(size=(3, 3)))[0] for _ in range(400)]
    turns = [turn * np.sign(np.linalg.det(turn)) for turn in turns]
    noise = RANDOM.normal(scale=0.02, size=(400, 22, 3))
    copies = np.stack([(STRUCTURE.xyz[0] + each) @ turn for each, turn in zip(noise, turns)])
    found = mdtraj.Trajectory(mean_structure(copies)[None], STRUCTURE.topology)
    assert mdtraj.rmsd(found, STRUCTURE)[0] < 3 * 0.02 / np.sqrt(400) * np.sqrt(3)
