"""Trajectories are checked once and read the same way wherever their frames lie."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import Trajectories, pair_report


class Chunked:
    """A trajectory handed out in chunks of changing lengths."""

    def __init__(self, frames, sizes):
        self.frames, self.sizes = frames, sizes

    def __iter__(self):
        start = 0
        while start < len(self.frames):
            for size in self.sizes:
                yield self.frames[start : start + size]
                start += size


@pytest.fixture
def frames():
    return np.random.default_rng(0).standard_normal((5000, 3))


def pairs_of(data, lagtime):
    parts = list(data.pairs(segments(pair_report(data.lengths, lagtime).used, 7), lagtime))
    return np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts])


@pytest.mark.parametrize("lagtime", [1, 10, 2500])
def test_pairs_are_the_frames_a_lag_time_apart(frames, lagtime):
    x, y = pairs_of(Trajectories([frames, frames[:5], frames[::2]]), lagtime)
    lengths = (5000, 5, 2500)
    sources = (frames, frames[:5], frames[::2])
    np.testing.assert_array_equal(
        x, np.concatenate([s[: max(n - lagtime, 0)] for s, n in zip(sources, lengths)])
    )
    np.testing.assert_array_equal(y, np.concatenate([s[lagtime:] for s in sources]))


@pytest.mark.parametrize("lagtime", [1, 300, 4000])
def test_chunks_of_any_length_give_the_same_pairs_as_the_array(frames, lagtime):
    source = Trajectories([Chunked(frames, (1, 700, 0, 1999))])
    assert source.lengths.tolist() == [5000]
    for ours, whole in zip(pairs_of(source, lagtime), pairs_of(Trajectories([frames]), lagtime)):
        np.testing.assert_array_equal(ours, whole)


def test_pairs_of_an_array_are_views(frames):
    part = next(Trajectories([frames]).pairs(segments(np.array([4990]), 1), 10))
    assert np.shares_memory(part.x, frames)
    assert np.shares_memory(part.y, frames)


def test_a_memory_map_is_read_where_it_lies(frames, tmp_path):
    np.save(tmp_path / "x.npy", frames)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    x, _ = pairs_of(Trajectories([mapped]), 10)
    np.testing.assert_array_equal(x, frames[:-10])


@pytest.mark.parametrize("kind", [bool, int, np.float16])
def test_contacts_and_counts_are_read_as_numbers(frames, kind):
    given = (frames > 0).astype(kind)
    x, _ = pairs_of(Trajectories([given]), 10)
    assert x.dtype.kind == "f"
    np.testing.assert_array_equal(x, (frames > 0)[:-10])


def test_one_giant_and_thousands_of_tiny_trajectories_are_dealt_out_evenly():
    lengths = np.array([10**6, *[200] * 5000])
    work = segments(lengths, 40)
    sizes = np.bincount([s.block for s in work], [s.stop - s.start for s in work])
    assert sizes.sum() == lengths.sum()
    assert sizes.max() < 1.3 * sizes.mean()
    assert sizes.min() > 0.7 * sizes.mean()


def test_segments_cover_every_pair_once():
    work = segments(np.array([100, 0, 7, 33, 1]), 10)
    for k, count in enumerate([100, 0, 7, 33, 1]):
        covered = np.concatenate([np.arange(s.start, s.stop) for s in work if s.trajectory == k] or [[]])
        np.testing.assert_array_equal(covered, np.arange(count))
    assert {s.block for s in work} == set(range(max(s.block for s in work) + 1))


def test_strided_frames_are_evenly_spread(frames):
    sample = Trajectories([frames, frames[:777]]).strided(600)
    np.testing.assert_array_equal(sample, np.concatenate([frames, frames[:777]])[::10])


@pytest.mark.parametrize(
    ("blocks", "options", "message"),
    [
        ([], {}, "got no trajectories"),
        ([np.zeros(5)], {}, r"shape \(5,\); give \(frames, features\); write x\[:, None\]"),
        ([np.zeros((5, 2)), np.zeros((5, 3))], {}, "trajectory 1 has 3 features, trajectory 0 has 2"),
        ([np.zeros((5, 2)), np.zeros((0, 2))], {}, "trajectory 1 .* nothing in it"),
        ([np.array([["a"]])], {}, "features must be real numbers"),
        ([iter([np.zeros((5, 2))])], {}, "readable only once"),
        ([[np.zeros((5, 2)), np.zeros((5, 3))]], {}, "unequal numbers of features"),
        ([3.0], {}, "is a float; give an array or a source"),
        ([np.zeros((5, 2))], {"dt": 0.0}, "dt=0.0 must be a positive time"),
        ([np.zeros((5, 2))], {"dt": np.nan}, "dt=nan"),
        ([np.zeros((5, 2))], {"weights": [np.ones(4)]}, r"shape \(4,\), needed is \(5,\)"),
        ([np.zeros((5, 2))], {"weights": [-np.ones(5)]}, "finite and not negative"),
        ([np.zeros((5, 2))], {"weights": []}, "weights for 0 trajectories"),
        ([np.zeros((5, 2))], {"names": ["phi"]}, "1 names for 2 features"),
    ],
)
def test_wrong_data_are_answered_with_what_is_needed(blocks, options, message):
    with pytest.raises(ValueError, match=message):
        Trajectories(blocks, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_frame_that_is_not_finite_is_named_when_read(bad):
    x = np.zeros((5000, 2))
    x[4321, 1] = bad
    with pytest.raises(ValueError, match=r"feature 1 \(psi\) is -?(nan|inf) in trajectory 1, frame 4321"):
        list(Trajectories([np.zeros((3, 2)), x], names=["phi", "psi"]).chunks())


def test_a_source_that_ends_early_is_named():
    with pytest.raises(ValueError, match="trajectory 0 ended after 10 of 20 frames"):
        list(Trajectories([Shaped(np.zeros((10, 2)), 20)]).chunks())


class Shaped(Chunked):
    """A source that promises more frames than it has."""

    def __init__(self, frames, promised):
        super().__init__(frames, (4,))
        self.shape = (promised, frames.shape[1])


@pytest.mark.parametrize(
    ("lagtime", "error", "message"),
    [
        (200, ValueError, "lagtime=200 leaves no pairs in a trajectory of 150 frames; use lagtime < 150"),
        (0, ValueError, "at least one frame"),
        (-3, ValueError, "at least one frame"),
        (True, TypeError, "whole number of frames"),
    ],
)
def test_a_lag_time_that_cannot_be_used_is_explained(lagtime, error, message):
    with pytest.raises(error, match=message):
        pair_report(np.array([150]), lagtime)


def test_pairs_used_and_lost_are_reported_per_trajectory():
    report = pair_report(np.array([100, 5, 20]), 10)
    assert report.used.tolist() == [90, 0, 10]
    assert report.lost.tolist() == [10, 5, 10]


def test_an_array_given_twice_is_told():
    x = np.random.default_rng(0).standard_normal((50, 2))
    assert Trajectories([x, x.copy()]).notes(1) == ()
    assert Trajectories([x[:20], x[20:]]).notes(1) == ()
    (note,) = Trajectories([x.copy(), x, x[:]]).notes(1)
    assert note.startswith("trajectory 2 is the array of trajectory 1 once more (1 of 3 are repeated)")
