"""A trajectory counts once, and its frames are as far apart as they say."""

from __future__ import annotations

import mdtraj
import numpy as np
import pytest

from thalweg.interop.files.evidence_of_files import check_given_once, time_between_frames
from thalweg.interop.files.trajectories import TrajectoryFile, topology_to_mdtraj
from thalweg.systems.topology import Topology

PAIR = Topology(("N", "O"), ("N", "O"), ("X", "X"), (1, 1), (0, 0), np.array([[0, 1]]))


def run(path, times, seed=0):
    """A trajectory of two atoms at these times [ps]."""
    frames = np.random.default_rng(seed).normal(size=(len(times), 2, 3))
    mdtraj.Trajectory(frames, topology_to_mdtraj(PAIR), time=np.array(times, float)).save(str(path))
    return TrajectoryFile(path, PAIR)


def test_the_same_content_under_two_names_is_refused(tmp_path):
    first = run(tmp_path / "a.xtc", range(10))
    (tmp_path / "b.xtc").write_bytes(first.path.read_bytes())
    other = run(tmp_path / "c.xtc", range(10), seed=1)
    check_given_once([first.path, other.path])
    with pytest.raises(
        ValueError, match=r"b\.xtc and .*a\.xtc have the same content, which would count twice"
    ):
        check_given_once([first.path, other.path, tmp_path / "b.xtc"])
    with pytest.raises(ValueError, match="have the same content"):
        check_given_once([first.path, first.path])


def test_files_that_differ_in_one_byte_at_the_front_are_two(tmp_path):
    content = bytes(200_000)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(b"\1" + content[1:])
    check_given_once([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("suffix", [".xtc", ".trr"])
def test_the_time_between_frames_is_what_the_files_say(tmp_path, suffix):
    files = [run(tmp_path / f"{k}{suffix}", 1e6 + 2.5 * np.arange(30), k) for k in range(2)]
    assert time_between_frames(files) == (2.5, ())
    assert time_between_frames(files, 2.5) == (2.5, ())


def test_a_time_that_is_not_that_of_the_file_is_refused_with_both_numbers(tmp_path):
    file = run(tmp_path / "a.xtc", range(10))
    with pytest.raises(ValueError, match="says that its frames are 1 ps apart, you said 50 ps"):
        time_between_frames([file], 50.0)


def test_files_of_two_spacings_are_refused(tmp_path):
    files = [run(tmp_path / "a.xtc", range(10)), run(tmp_path / "b.xtc", range(0, 20, 2))]
    with pytest.raises(ValueError, match=r"b\.xtc says that its frames are 2 ps apart, .*a\.xtc says 1 ps"):
        time_between_frames(files)


@pytest.mark.parametrize("times", [np.zeros(10), [0.0]], ids=["all zero", "one frame"])
def test_where_nobody_says_a_time_it_is_asked_for(tmp_path, times):
    file = run(tmp_path / "a.xtc", times)
    with pytest.raises(ValueError, match=r"does not say the time between its frames; give it \(--dt\)"):
        time_between_frames([file])
    assert time_between_frames([file], 3.0) == (3.0, ())


def test_a_gap_and_a_repeated_frame_are_told_with_their_place(tmp_path):
    times = np.arange(20.0)
    times[8:] += 5.0
    _, (note,) = time_between_frames([run(tmp_path / "a.xtc", times)])
    assert "frame 8 comes 6 ps after the one before and not 1 ps (1 such places)" in note
    _, (note,) = time_between_frames([run(tmp_path / "b.xtc", [0, 1, 2, 2, 3, 4])], 1.0)
    assert "frame 3 comes 0 ps after" in note
