"""What is read from a store is what was put there, and errors say what is wrong with it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from thalweg.collective_variables.covariances.covariance_pass import CovariancePass
from thalweg.geometry.variables import Distances
from thalweg.interop import StoredArray, StoredFeatures, write_trajectory
from thalweg.interop.cluster import stored_files
from thalweg.interop.measured.frame_features import feature_trajectories
from thalweg.machine.reading import UnreadableFile
from thalweg.systems.topology import Topology
from thalweg.time_series import Trajectories, gathered, shares

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (thalweg[cluster])")
X = np.random.default_rng(0).standard_normal((5000, 3)).astype(np.float32)


@pytest.fixture(params=["file", "store"])
def address(request, tmp_path):
    """Where an array lies."""
    np.save(tmp_path / "x.npy", X)
    if request.param == "file":
        return str(tmp_path / "x.npy")
    stored_files._piece.cache_clear()
    files = fsspec.filesystem("memory")
    files.pipe_file("/runs/x.npy", (tmp_path / "x.npy").read_bytes())
    return "memory://runs/x.npy"


def test_any_stretch_is_that_of_the_array(address, monkeypatch):
    monkeypatch.setattr(stored_files, "AT_ONCE", 1000)
    array = StoredArray(address)
    assert (array.shape, array.dtype, len(array)) == ((5000, 3), np.float32, 5000)
    for chosen in (
        slice(0, 10),
        slice(77, 1234),
        slice(4990, 6000),
        slice(10, 100, 7),
        slice(5, 5),
        slice(-3, None),
    ):
        np.testing.assert_array_equal(array[chosen], X[chosen])
    np.testing.assert_array_equal(np.concatenate(list(array)), X)


def test_sums_over_a_store_are_those_of_the_array_to_the_last_bit(address):
    ours, whole = (
        gathered(CovariancePass(5), shares(Trajectories([block]), 5, frames=2048)).blocks.s0t
        for block in (StoredArray(address), X)
    )
    np.testing.assert_array_equal(ours, whole)


def test_what_is_sent_to_workers_is_the_address(address):
    assert len(pickle.dumps(shares(Trajectories([StoredArray(address)]), 5)[0])) < 2000


def test_a_trajectory_in_a_store_is_fetched_while_it_is_read(tmp_path):
    topology = Topology(("O", "H"), ("O", "H"), ("OH", "OH"), (1, 1), (0, 0), np.array([[0, 1]]))
    positions = np.random.default_rng(0).random((300, 2, 3))
    features = Distances(np.array([[0, 1]]), topology)
    files = fsspec.filesystem("memory")
    for suffix in ("dcd", "xtc"):
        write_trajectory(tmp_path / f"run.{suffix}", positions, topology)
        files.pipe_file(f"/runs/run.{suffix}", (tmp_path / f"run.{suffix}").read_bytes())
        near = feature_trajectories([tmp_path / f"run.{suffix}"], topology, features, dt=1.0)
        far = Trajectories([StoredFeatures(f"memory://runs/run.{suffix}", topology, features)])
        assert far.lengths.tolist() == [300]
        ours, whole = (gathered(CovariancePass(5), shares(one, 5)).c0t for one in (far, near))
        np.testing.assert_array_equal(ours, whole)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[:-40], "copy it again"),
        (lambda data: b"nothing like it", "no .npy array"),
    ],
)
def test_a_damaged_array_is_told(tmp_path, damage, told):
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.npy").write_bytes(damage((tmp_path / "x.npy").read_bytes()))
    with pytest.raises(UnreadableFile, match=told):
        StoredArray(str(tmp_path / "x.npy"))


def test_an_array_by_columns_and_one_that_is_not_there_are_told(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    with pytest.raises(UnreadableFile, match="row by row"):
        StoredArray(str(tmp_path / "x.npy"))
    with pytest.raises(FileNotFoundError):
        StoredArray("memory://runs/none.npy")
