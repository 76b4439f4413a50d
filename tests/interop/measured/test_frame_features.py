"""Features along files: any set by name, streamed, stored, the numbers of MDTraj."""

from __future__ import annotations

from importlib.resources import files

import jax
import mdtraj
import numpy as np
import pytest

from thalweg.dynamics.engine import Variable
from thalweg.geometry.composed_variables import Concatenate
from thalweg.interop.files import trajectories as mdtraj_files
from thalweg.interop.files.trajectories import TrajectoryFile, topology_from_mdtraj, write_trajectory
from thalweg.interop.measured.feature_sets import FEATURE_SETS, feature_set
from thalweg.interop.measured.frame_features import (
    FeaturesAlongFile,
    JointMeasurement,
    Measurement,
    feature_trajectories,
    values_of_frames,
)
from thalweg.interop.measured.mdtraj_features import SecondaryContent, SecondaryStructure, SolventExposure
from thalweg.systems.box import wrapped
from thalweg.systems.topology import Topology

STRUCTURE = mdtraj.load(str(files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"))
TOPOLOGY = topology_from_mdtraj(STRUCTURE.topology)
NOISE = np.random.default_rng(0).normal(scale=0.01, size=(12, STRUCTURE.n_atoms, 3))
FRAMES = (STRUCTURE.xyz[0] + NOISE).astype(np.float32)
MEASURED = {"secondary-structure", "exposure"}


@pytest.fixture
def file(tmp_path) -> TrajectoryFile:
    write_trajectory(tmp_path / "run.dcd", FRAMES, TOPOLOGY)
    return TrajectoryFile(tmp_path / "run.dcd", TOPOLOGY)


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_every_set_names_its_columns_and_their_atoms(name):
    features = feature_set(TOPOLOGY, name)
    assert isinstance(features, Measurement if name in MEASURED else Variable)
    values = values_of_frames(features, FRAMES[:2])
    counts = {len(features.names), len(features.units), len(features.periods), len(features.atoms)}
    assert counts == {values.shape[1]}
    assert len(set(features.names)) == len(features.names)
    assert np.isfinite(values).all()
    assert all(0 <= atom < len(TOPOLOGY) for row in features.atoms for atom in row)


def test_torsions_hold_the_backbone_and_every_chi_of_mdtraj():
    features = feature_set(TOPOLOGY, "torsions")
    theirs = [
        getattr(mdtraj, f"compute_{kind}")(STRUCTURE)[1] for kind in ("phi", "psi", "chi1", "chi2", "chi3")
    ]
    angles = np.concatenate(theirs, axis=1)[0]
    half = len(features.names) // 2
    ours = values_of_frames(features, STRUCTURE.xyz)[0]
    np.testing.assert_allclose(np.sort(ours[:half]), np.sort(np.sin(angles)), atol=1e-5)
    assert "sin chi3 MET5" in features.names


def test_secondary_structure_is_that_of_mdtraj():
    trajectory = mdtraj.Trajectory(FRAMES, STRUCTURE.topology)
    letters = mdtraj.compute_dssp(trajectory)
    ours = SecondaryStructure(TOPOLOGY).of_frames(FRAMES, None).reshape(12, 5, 3)
    np.testing.assert_array_equal(np.array(list("HEC"))[ours.argmax(2)], letters)
    assert (ours.sum(2) == 1).all()
    shares = SecondaryContent(TOPOLOGY).of_frames(FRAMES, None)
    np.testing.assert_allclose(
        shares, [[(row == kind).mean() for kind in "HEC"] for row in letters], rtol=1e-6
    )


def test_exposure_is_that_of_mdtraj():
    theirs = mdtraj.shrake_rupley(mdtraj.Trajectory(FRAMES[:2], STRUCTURE.topology), mode="residue")
    np.testing.assert_allclose(SolventExposure(TOPOLOGY).of_frames(FRAMES[:2], None), theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "box", [np.diag([1.5, 1.6, 1.4]), np.array([[1.6, 0, 0], [0.5, 1.5, 0], [-0.5, 0.7, 1.4]])]
)
def test_exposure_and_structure_are_the_same_of_molecules_that_a_box_cuts(box):
    with jax.enable_x64(True):
        cut = np.stack(
            [np.asarray(wrapped(frame + 0.7, box), np.float32) for frame in FRAMES[:2].astype(float)]
        )
    assert np.abs(cut - FRAMES[:2] - 0.7).max() > 1.0
    whole = SolventExposure(TOPOLOGY).of_frames(FRAMES[:2], None)
    # the grid of points is fixed in space, so a surface moves by a few points where coordinates are rounded
    np.testing.assert_allclose(SolventExposure(TOPOLOGY).of_frames(cut, box), whole, atol=5e-3)
    np.testing.assert_array_equal(
        SecondaryStructure(TOPOLOGY).of_frames(cut, box),
        SecondaryStructure(TOPOLOGY).of_frames(FRAMES[:2], None),
    )


def test_water_and_ions_shade_nothing_unless_asked_to():
    wet = mdtraj.Topology.copy(STRUCTURE.topology)
    chain = wet.add_chain()
    water, ion = wet.add_residue("HOH", chain), wet.add_residue("NA", chain)
    for name, element, residue in (
        ("O", "O", water),
        ("H1", "H", water),
        ("H2", "H", water),
        ("NA", "Na", ion),
    ):
        wet.add_atom(name, mdtraj.element.Element.getBySymbol(element), residue)
    near = FRAMES[:1, :1] + np.array([[[0.3, 0, 0], [0, 0.3, 0], [0, 0, 0.3], [-0.3, 0, 0]]], np.float32)
    frames, topology = np.concatenate([FRAMES[:1], near], axis=1), topology_from_mdtraj(wet)
    dry = SolventExposure(TOPOLOGY).of_frames(FRAMES[:1], None)
    np.testing.assert_allclose(SolventExposure(topology).of_frames(frames, None), dry, rtol=1e-6)
    shaded = SolventExposure(topology, np.arange(len(topology))).of_frames(frames, None)
    assert shaded.sum() < dry.sum()


def test_atoms_on_top_of_each_other_are_named_and_the_process_lives():
    collapsed = FRAMES[:2].copy()
    collapsed[1, 5] = collapsed[1, 4]
    with pytest.raises(ValueError, match=r"lie on top of each other in frame 1"):
        SolventExposure(TOPOLOGY).of_frames(collapsed, None)


def test_features_of_a_file_read_in_chunks_are_those_of_all_frames(file, monkeypatch):
    monkeypatch.setattr(mdtraj_files, "CHUNK_NUMBERS", 5 * 3 * len(TOPOLOGY))
    both = JointMeasurement((feature_set(TOPOLOGY, "backbone"), SecondaryContent(TOPOLOGY)))
    source = FeaturesAlongFile(file, both)
    chunks = list(source)
    assert len(chunks) == 3
    assert source.shape == (12, len(both.names))
    np.testing.assert_allclose(np.concatenate(chunks), both.of_frames(FRAMES, None), atol=1e-5)


def test_features_are_stored_once_and_read_back_as_a_memory_map(file, tmp_path):
    source = FeaturesAlongFile(file, feature_set(TOPOLOGY, "alpha-carbons"))
    stored = source.stored(tmp_path / "features.npy")
    assert isinstance(stored, np.memmap)
    np.testing.assert_array_equal(stored, np.concatenate(list(source)))
    assert [path.name for path in tmp_path.glob("*.npy")] == ["features.npy"]


def test_trajectories_of_files_carry_the_names_and_the_time_step(file):
    variable = Concatenate(feature_set(TOPOLOGY, "backbone"), feature_set(TOPOLOGY, "burial"))
    other = file.path.with_stem("other")
    write_trajectory(other, FRAMES[::-1], TOPOLOGY, dt=2.0)
    runs = feature_trajectories([file.path, other], TOPOLOGY, variable, dt=2.0)
    assert (len(runs), runs.dt, runs.names) == (2, 2.0, variable.names)
    assert runs.lengths.tolist() == [12, 12]
    assert np.concatenate([frames for *_, frames in runs.chunks()]).shape == (24, len(variable.names))


def test_a_file_counts_once_and_its_frames_are_as_far_apart_as_they_are(file):
    variable = feature_set(TOPOLOGY, "backbone")
    with pytest.raises(ValueError, match="have the same content"):
        feature_trajectories([file.path, file.path], TOPOLOGY, variable)
    with pytest.raises(ValueError, match="does not say the time between its frames"):
        feature_trajectories([file.path], TOPOLOGY, variable)
    write_trajectory(timed := file.path.with_suffix(".xtc"), FRAMES, TOPOLOGY, dt=2.0)
    assert feature_trajectories([timed], TOPOLOGY, variable).dt == 2.0
    with pytest.raises(ValueError, match="frames are 2 ps apart, you said 3 ps"):
        feature_trajectories([timed], TOPOLOGY, variable, dt=3.0)


def test_what_is_not_there_is_said():
    water = Topology(("O", "H"), ("O", "H"), ("HOH",) * 2, (1, 1), (0, 0), np.array([[0, 1]]))
    with pytest.raises(ValueError, match="no feature set 'phi'; known are backbone"):
        feature_set(TOPOLOGY, "phi")
    with pytest.raises(ValueError, match="no protein residue"):
        feature_set(water, "exposure")
    with pytest.raises(ValueError, match="0 features of the kind 'backbone'"):
        feature_set(water, "backbone")
