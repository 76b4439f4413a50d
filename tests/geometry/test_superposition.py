from importlib.resources import files

import mdtraj
import numpy as np
import pytest

from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.superposition import RMSD

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
