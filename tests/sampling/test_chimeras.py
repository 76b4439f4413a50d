"""Parts of structures put together: what fits, what does not, and walks that begin there."""

from __future__ import annotations

from importlib.resources import files

import mdtraj
import numpy as np
import pytest

from thalweg.geometry.internal import dihedrals
from thalweg.geometry.residues import residue_of_atoms
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.interop.files.trajectories import read_topology
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.campaign import drive
from thalweg.sampling.chimeras import chimeras
from thalweg.sampling.policies.markov_restarts import MarkovRestarts
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store
from thalweg.studies.tables.study import load

PEPTIDE = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
TOPOLOGY = read_topology(PEPTIDE)
TORSIONS = backbone_dihedrals(TOPOLOGY)


def turned(positions, atoms, angle):
    """Positions with all that comes after the bond in the middle of a torsion turned about it."""
    i, j = int(atoms[1]), int(atoms[2])
    axis = (positions[j] - positions[i]) / np.linalg.norm(positions[j] - positions[i])
    arms, moved = positions[j + 1 :] - positions[j], positions.copy()
    along = np.outer(arms @ axis, axis)
    moved[j + 1 :] = (
        positions[j] + along + np.cos(angle) * (arms - along) + np.sin(angle) * np.cross(axis, arms)
    )
    return moved


def angle(positions, atoms):
    return float(dihedrals(positions[:, :, None], np.asarray(atoms)[None])[0, 0])


@pytest.fixture(scope="module")
def forms():
    """Two forms that differ in a torsion near either end, and are moved and turned as a whole."""
    first = mdtraj.load(str(PEPTIDE)).xyz[0].astype(float)
    second = turned(turned(first, TORSIONS["psi"][0], 0.7), TORSIONS["phi"][-1], -0.9)
    second = second @ np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).T + [3.0, -1.0, 0.5]
    return np.stack([first, second])


def test_every_combination_has_the_torsions_of_the_structures_its_parts_are_from(forms):
    found = chimeras(forms, TOPOLOGY, [[0], [4]], beside=1)
    assert found.tried == 6
    assert sorted(map(tuple, found.parents.tolist())) == [
        (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0)
    ]  # fmt: skip
    for positions, (core, _, end) in zip(found.positions, found.parents):
        # the first residue is laid by the second, the last by the fourth
        np.testing.assert_allclose(
            positions[TOPOLOGY.names.index("SD")], positions[TOPOLOGY.names.index("SD")]
        )
        inner = TORSIONS["psi"][1]
        assert angle(positions, inner) == pytest.approx(angle(forms[core], inner), abs=1e-6)
        last = TORSIONS["phi"][-1]
        assert angle(positions, last) == pytest.approx(angle(forms[end], last), abs=0.02)
    assert found.stretched.max() < 0.01


def test_what_is_torn_or_runs_into_itself_is_left_out(forms):
    far = np.stack([forms[0], forms[0] + np.where(residue_of_atoms(TOPOLOGY) == 4, 1.0, 0.0)[:, None]])
    torn = chimeras(far, TOPOLOGY, [[4]], beside=4, stretched=0.05)
    assert torn.tried == 2
    assert torn.parents.tolist() == [[1, 0]]  # the whole end mends the torn structure
    assert not len(chimeras(forms, TOPOLOGY, [[0], [4]], beside=1, closest=5.0).positions)


@pytest.mark.parametrize(
    ("fragments", "words"),
    [
        ([], "give one or more"),
        ([[0], [0, 1]], "overlap"),
        ([range(5)], "leave no core"),
        ([[7]], "residues 0 to 4"),
    ],
)
def test_fragments_that_make_no_sense_are_refused(forms, fragments, words):
    with pytest.raises(ValueError, match=words):
        chimeras(forms, TOPOLOGY, fragments)


def test_one_structure_is_refused(forms):
    with pytest.raises(ValueError, match="two or more"):
        chimeras(forms[:1], TOPOLOGY, [[0]])


def test_the_first_swarm_begins_at_given_frames(toy, tmp_path):
    places = np.array([[[-0.5, 1.4]], [[0.6, 0.0]], [[-0.05, 0.47]], [[-0.1, 0.5]]])
    np.save(tmp_path / "seeds.npy", places)
    policy = MarkovRestarts(
        ApparatusRecipe("toy_campaign.muller_brown"), seeds=(0, 1), walkers=4, swarms=2, length=0.04,
        save_every=0.004, lagtime=0.004, states=5, frames=str(tmp_path / "seeds.npy"),
    )  # fmt: skip
    store = Store(tmp_path / "store")
    drive(store, policy)
    for seed in policy.seeds:
        first = Segment.read(store, policy.entries(seed)[0])
        np.testing.assert_allclose(first.features[:, 0], places[:, 0], atol=0.3)
        assert store.has(policy.entries(seed)[1])
    assert store.problems() == []


def test_frames_of_a_study_lie_beside_it(tmp_path):
    (tmp_path / "study.toml").write_text(
        '[system]\nmolecule = "alanine_dipeptide"\n[campaign]\nkind = "MarkovRestarts"\nframes = "seeds.npy"\n'
    )
    assert load(tmp_path / "study.toml").campaign.frames == str(tmp_path / "seeds.npy")
