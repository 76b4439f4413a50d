"""COLVAR files of PLUMED and Colvars as trajectories."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.interop.files.colvar import colvar_trajectories, read_colvar

HEAD = "#! FIELDS time phi d\n#! SET min_phi -pi\n#! SET max_phi pi\n"


def rows(first, last, value=0.5):
    return "".join(f" {0.5 * k:.6f} {0.1 * k:.6f} {value:.6f}\n" for k in range(first, last))


def test_columns_are_named_and_those_that_repeat_become_sine_and_cosine(tmp_path):
    (tmp_path / "COLVAR").write_text(HEAD + rows(0, 8))
    data = colvar_trajectories([tmp_path / "COLVAR"])
    assert (data.names, data.dt, data.lengths.tolist()) == (("sin phi", "cos phi", "d"), 0.5, [8])
    np.testing.assert_allclose(data.blocks[0][:, 0], np.sin(0.1 * np.arange(8)), atol=1e-12)


def test_of_frames_written_twice_around_a_restart_the_later_ones_count(tmp_path):
    (tmp_path / "COLVAR").write_text(HEAD + rows(0, 6) + HEAD + rows(4, 9, value=0.7))
    found = read_colvar(tmp_path / "COLVAR")
    np.testing.assert_allclose(found.clock, 0.5 * np.arange(9))
    np.testing.assert_allclose(found.values[:, 1], [0.5] * 4 + [0.7] * 5)


def test_half_a_last_line_is_left_out(tmp_path):
    (tmp_path / "COLVAR").write_text(HEAD + rows(0, 5) + " 2.5 0.")
    assert len(read_colvar(tmp_path / "COLVAR").clock) == 5


def test_trajectories_of_colvars_are_read_alike(tmp_path):
    (tmp_path / "run.colvars.traj").write_text("# step phi d\n" + rows(0, 5))
    assert read_colvar(tmp_path / "run.colvars.traj").names == ("phi", "d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + rows(0, 3) + " 1.5 abc 0.5\n" + rows(4, 6),
            r"line 7, is not readable as numbers: 'abc' is no number",
        ),
        (HEAD + rows(0, 3) + " 1.5 0.3\n" + rows(4, 6), "line 7: 2 numbers for 3 columns"),
        (HEAD + rows(0, 3) + " 1.5 nan 0.5\n" + rows(4, 6), "phi is not finite in frame 3"),
        (HEAD + rows(0, 3) + "#! FIELDS time psi\n", "line 7: other columns than before"),
        (rows(0, 3), "line 1: numbers before a line of FIELDS"),
        ("", "has no frames under a line of FIELDS"),
        (HEAD + rows(0, 3) + rows(5, 9), "not evenly spaced at frame 3"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_or_frame(tmp_path, text, message):
    (tmp_path / "COLVAR").write_text(text)
    with pytest.raises(ValueError, match=message):
        colvar_trajectories([tmp_path / "COLVAR"])


def test_a_time_that_is_not_that_of_the_file_is_refused(tmp_path):
    (tmp_path / "COLVAR").write_text(HEAD + rows(0, 8))
    with pytest.raises(ValueError, match=r"frames are 0\.5 apart, wanted 2 ps"):
        colvar_trajectories([tmp_path / "COLVAR"], dt=2.0)
