"""One pass over the data gives the same sums wherever its parts are added."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from thalweg.collective_variables.bases.kernels import Landmarks
from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.time_series.trajectories import Trajectories


class Chunks:
    """A trajectory that can only be read from its start."""

    def __init__(self, frames):
        self.frames = frames

    def __iter__(self):
        return iter(np.array_split(self.frames, 5))


@pytest.fixture(scope="module")
def runs():
    random = np.random.default_rng(0)
    return [random.standard_normal((n, 3)).cumsum(axis=0) for n in (5000, 3000, 40, 7, 900)]


def test_arrays_chunks_a_split_and_threads_give_the_same_covariances(runs):
    whole = covariances(Trajectories(runs), 10)
    chunked = covariances(Trajectories([Chunks(run) for run in runs]), 10)
    merged = covariances(Trajectories(runs[:2]), 10) + covariances(Trajectories(runs[2:]), 10)
    with ThreadPoolExecutor(2) as pool:
        spread = covariances(Trajectories(runs), 10, executor=pool)
    assert spread.report.used.tolist() == whole.report.used.tolist()
    for other in (chunked, merged, spread):
        scale = np.abs(whole.c0t).max()
        np.testing.assert_allclose(other.c0t, whole.c0t, rtol=0, atol=1e-10 * scale)
        np.testing.assert_allclose(other.c00, whole.c00, rtol=0, atol=1e-10 * scale)
        np.testing.assert_allclose(other.mean_t, whole.mean_t, rtol=1e-10)
    np.testing.assert_array_equal(spread.blocks.weight, whole.blocks.weight)


def test_a_dask_cluster_finds_the_same_slow_coordinates(runs):
    distributed = pytest.importorskip("distributed", reason="distributed is not installed (thalweg[cluster])")
    data = Trajectories([run % 30 for run in runs], weights=[np.full(len(run), 0.5) for run in runs])
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        for method in (TICA(5, dim=2), VAC(5, 2, Landmarks(20))):
            here, there = method.fit(data), method.fit(data, executor=client.get_executor())
            np.testing.assert_allclose(there.timescales, here.timescales, rtol=1e-8, equal_nan=True)
            assert there.estimate == here.estimate
