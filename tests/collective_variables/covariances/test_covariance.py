"""Covariances do not depend on how the data were cut, stored or added up."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.time_series.trajectories import Trajectories

LENGTHS = (9000, 3, 700, 5000, *range(15, 60))


@pytest.fixture(params=[np.float64, np.float32])
def runs(request):
    random = np.random.default_rng(1)
    return [(0.1 * random.standard_normal((n, 4)).cumsum(axis=0) + 50).astype(request.param) for n in LENGTHS]


def directly(runs, lagtime, weights):
    x = np.concatenate([r[:-lagtime] for r in runs if len(r) > lagtime]).astype(float)
    y = np.concatenate([r[lagtime:] for r in runs if len(r) > lagtime]).astype(float)
    w = np.concatenate([v[:-lagtime] for v, r in zip(weights, runs) if len(r) > lagtime])
    w = w / w.sum()
    x, y = x - w @ x, y - w @ y
    return x.T * w @ x, x.T * w @ y, y.T * w @ y


@pytest.mark.parametrize("lagtime", [1, 30, 4000])
@pytest.mark.parametrize("n_blocks", [1, 20])
def test_one_pass_gives_the_textbook_sums(runs, lagtime, n_blocks):
    sums = covariances(runs, lagtime, n_blocks)
    exact = directly(runs, lagtime, [np.ones(len(r)) for r in runs])
    tolerance = 1e-12 if runs[0].dtype == np.float64 else 3e-7
    for ours, theirs in zip((sums.c00, sums.c0t, sums.ctt), exact):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_weights_of_frames_enter_as_in_the_textbook(runs):
    weights = [np.random.default_rng(2).random(len(r)) for r in runs]
    sums = covariances(Trajectories(runs, weights=weights), 10)
    tolerance = 1e-12 if runs[0].dtype == np.float64 else 3e-7
    for ours, theirs in zip((sums.c00, sums.c0t, sums.ctt), directly(runs, 10, weights)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


class Chunked:
    def __init__(self, frames, size):
        self.frames, self.size = frames, size

    def __iter__(self):
        return (self.frames[k : k + self.size] for k in range(0, len(self.frames), self.size))


def test_arrays_chunks_files_and_merged_pieces_agree(runs, tmp_path):
    whole = covariances(runs, 10, n_blocks=1)
    chunked = covariances([Chunked(r, 333) for r in runs], 10, n_blocks=1)
    for k, r in enumerate(runs):
        np.save(tmp_path / f"{k}.npy", r)
    mapped = covariances(
        [np.load(tmp_path / f"{k}.npy", mmap_mode="r") for k in range(len(runs))], 10, n_blocks=1
    )
    merged = covariances(runs[:2], 10, n_blocks=1) + covariances(runs[2:], 10, n_blocks=1)
    for other in (chunked, mapped, merged):
        for name in ("mean_0", "mean_t", "c00", "c0t", "ctt"):
            exact = getattr(whole, name)
            np.testing.assert_allclose(getattr(other, name), exact, rtol=0, atol=1e-10 * np.abs(exact).max())
    assert merged.report.used.tolist() == whole.report.used.tolist()


def test_a_resampled_block_counts_as_data_seen_that_often(runs):
    both = covariances(runs[:1], 10, n_blocks=1) + covariances(runs[3:4], 10, n_blocks=1)
    doubled = covariances([runs[0], runs[0], runs[3]], 10, n_blocks=1)
    np.testing.assert_allclose(both.resampled(np.array([2.0, 1.0])).c0t, doubled.c0t, rtol=1e-9)


def test_zero_lag_gives_the_covariance_of_all_frames():
    x = np.random.default_rng(0).standard_normal((3000, 3))
    np.testing.assert_allclose(covariances(x).c00, np.cov(x.T, bias=True), rtol=1e-12)


def test_covariances_of_different_kinds_do_not_add(runs):
    with pytest.raises(ValueError, match=r"lagtime=5, dt=1\.0 and at lagtime=6"):
        covariances(runs, 5) + covariances(runs, 6)
    with pytest.raises(ValueError, match="4 and 2 features"):
        covariances(runs, 5) + covariances([r[:, :2] for r in runs], 5)


def test_weights_of_zero_are_refused():
    with pytest.raises(ValueError, match="weights of all pairs are zero"):
        covariances(Trajectories([np.ones((10, 1))], weights=[np.zeros(10)]), 1)
