"""Sums over shares are the sums over all, to the last bit wherever, in whatever order and after whatever loss."""

from __future__ import annotations

import threading
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.covariances.covariance_pass import CovariancePass
from thalweg.collective_variables.linear.tica import TICA
from thalweg.time_series.histogram_pass import HistogramPass
from thalweg.time_series.one_pass import DataPass, gathered, shares
from thalweg.time_series.trajectories import Trajectories

LAG = 10


class Chunks:
    """A trajectory that can only be read from its start."""

    def __init__(self, frames):
        self.frames = frames

    def __iter__(self):
        return iter(np.array_split(self.frames, 5))


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    runs = [random.standard_normal((n, 3)).cumsum(axis=0) % 40 for n in (5000, 3000, 40, 7, 900)]
    return Trajectories(runs, weights=[random.random(len(run)) for run in runs])


class Backwards(Executor):
    """Does what it is given when no more comes, the last first."""

    def __init__(self):
        self.waiting, self.timer = [], None

    def submit(self, function, /, *arguments):
        promised: Future = Future()
        self.waiting.append((promised, partial(function, *arguments)))
        if self.timer is not None:
            self.timer.cancel()
        self.timer = threading.Timer(0.05, self.work)
        self.timer.start()
        return promised

    def work(self):
        while self.waiting:
            promised, task = self.waiting.pop()
            promised.set_result(task())

    def shutdown(self, wait=True, *, cancel_futures=False):
        pass


class Dying(Backwards):
    """Loses all its workers for good after three tasks."""

    def __init__(self):
        super().__init__()
        self.left = 3

    def work(self):
        while self.waiting:
            promised, task = self.waiting.pop()
            self.left -= 1
            if self.left < 0:
                promised.set_exception(BrokenExecutor("killed"))
            else:
                promised.set_result(task())


@dataclass(frozen=True)
class Counted:
    """A pass that counts how often it is asked, and fails after some shares."""

    one_pass: DataPass
    asked: list
    fails_after: int = 10**9

    def of(self, share):
        if len(self.asked) >= self.fails_after:
            raise KeyboardInterrupt
        self.asked.append(share.number)
        return self.one_pass.of(share)

    def merged(self, first, second):
        return self.one_pass.merged(first, second)

    def result(self, total):
        return self.one_pass.result(total)

    def __reduce__(self):
        return Counted, (self.one_pass, [])


def test_every_pair_starts_in_one_share(data):
    cut = shares(data, LAG, frames=700)
    assert sum(len(share.data.blocks[0]) - LAG for share in cut) == data.report(LAG).used.sum()
    assert [share.number for share in cut] == list(range(len(cut)))
    assert max(len(share.data.blocks[0]) for share in cut) == 700 + LAG


def test_shares_of_sources_are_whole_trajectories(data):
    sources = Trajectories([Chunks(run) for run in data.blocks])
    assert len(shares(sources, LAG, frames=100)) == 4
    ours, whole = (
        gathered(CovariancePass(LAG), shares(one, LAG, frames=100))
        for one in (sources, Trajectories(data.blocks))
    )
    np.testing.assert_allclose(ours.c0t, whole.c0t, rtol=1e-10, atol=1e-10 * np.abs(whole.c0t).max())


def test_covariances_of_shares_are_those_of_all(data):
    whole, ours = covariances(data, LAG), gathered(CovariancePass(LAG), shares(data, LAG, frames=700))
    scale = np.abs(whole.c0t).max()
    for name in ("c00", "c0t", "ctt", "mean_0", "mean_t"):
        np.testing.assert_allclose(getattr(ours, name), getattr(whole, name), rtol=0, atol=1e-10 * scale)
    assert (ours.n_pairs, ours.effective_share) == (
        whole.n_pairs,
        pytest.approx(whole.effective_share, rel=1e-12),
    )
    np.testing.assert_allclose(ours.drifts.sum(axis=0), whole.drifts.sum(axis=0), atol=1e-9)


def test_tica_of_gathered_covariances_is_tica_of_the_frames(data):
    plain = Trajectories(data.blocks)
    sums = gathered(CovariancePass(LAG), shares(plain, LAG, frames=700))
    ours, whole = TICA(LAG, dim=2).fit(sums), TICA(LAG, dim=2).fit(covariances(plain, LAG))
    np.testing.assert_allclose(ours.timescales, whole.timescales, rtol=1e-10)


@pytest.mark.parametrize("frames", [2048, 700, 123])
def test_the_order_in_which_shares_come_changes_no_bit(data, frames):
    cut = shares(data, LAG, frames=frames, n_blocks=5)
    here = gathered(CovariancePass(LAG), cut)
    for executor in (Backwards, lambda: ThreadPoolExecutor(3)):
        there = gathered(CovariancePass(LAG), cut, executor)
        assert all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(vars(here.blocks).values(), vars(there.blocks).values(), strict=True)
        )


def test_lost_workers_are_replaced_and_no_bit_changes(data):
    cut = shares(data, frames=300)
    grid = HistogramPass((np.linspace(0, 40, 9), np.linspace(0, 40, 5)))
    np.testing.assert_array_equal(gathered(grid, cut, Dying), gathered(grid, cut))


def test_workers_lost_without_a_share_done_end_it(data):
    class Dead(Backwards):
        def work(self):
            while self.waiting:
                self.waiting.pop()[0].set_exception(BrokenExecutor("killed"))

    with pytest.raises(BrokenExecutor) as raised:
        gathered(CovariancePass(LAG), shares(data, LAG), Dead)
    assert "3 times in a row" in raised.value.__notes__[0]


def test_what_was_stopped_goes_on_from_its_folder_and_repeats_nothing(data, tmp_path):
    cut = shares(data, frames=300)
    grid = HistogramPass((np.linspace(0, 40, 9),))
    asked: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        gathered(Counted(grid, asked, fails_after=13), cut, folder=tmp_path)
    assert asked == list(range(13))
    assert len(list(tmp_path.glob("*.npz"))) == 3  # 13 = 8 + 4 + 1
    again: list[int] = []
    found = gathered(Counted(grid, again), cut, folder=tmp_path)
    assert again == list(range(13, len(cut)))
    np.testing.assert_array_equal(found, gathered(grid, cut))
    gathered(Counted(grid, again), cut, folder=tmp_path)
    assert len(again) == len(cut) - 13


def test_a_branch_left_beside_the_one_it_was_merged_into_counts_once(data, tmp_path):
    cut = shares(data, frames=300)[:8]
    grid = HistogramPass((np.linspace(0, 40, 9),))
    whole = gathered(grid, cut, folder=tmp_path)
    left = grid.of(cut[3])
    np.savez(tmp_path / "0-3.npz", **left)
    np.testing.assert_array_equal(gathered(grid, cut, folder=tmp_path), whole)
    assert not (tmp_path / "0-3.npz").exists()


def test_a_folder_of_another_pass_or_of_other_data_is_refused(data, tmp_path):
    cut = shares(data, LAG)
    gathered(CovariancePass(LAG), cut, folder=tmp_path)
    with pytest.raises(ValueError, match="another pass or of other data"):
        gathered(CovariancePass(LAG, dt=2.0), cut, folder=tmp_path)
    other = Trajectories([2 * run for run in data.blocks], weights=data.weights)
    with pytest.raises(ValueError, match="another pass or of other data"):
        gathered(CovariancePass(LAG), shares(other, LAG), folder=tmp_path)


def test_an_error_names_the_share(data):
    broken = Trajectories([np.where(np.arange(5000)[:, None] == 4321, np.nan, data.blocks[0])])
    with pytest.raises(ValueError, match="is nan") as raised:
        gathered(CovariancePass(), shares(broken, frames=1000))
    assert raised.value.__notes__ == ["while summing over trajectory 0, frames 4000 to 5000"]


def test_nothing_to_sum_is_said():
    with pytest.raises(ValueError, match="no parts"):
        gathered(CovariancePass(), [])
