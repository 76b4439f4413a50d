"""A forecast is what a larger run takes, and says what it is of."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.collective_variables.covariances.covariance_pass import CovariancePass
from thalweg.studies import SyntheticFrames, forecast
from thalweg.studies.forecasting import TASKS, TILE
from thalweg.time_series import Trajectories, gathered, shares


def synthetic(frames, features=20):
    return Trajectories([SyntheticFrames(frames, features)])


def told(*arguments):
    """What the command prints, as JSON."""
    result = CliRunner().invoke(app, ["forecast", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_synthetic_frames_come_again_after_a_tile():
    one = SyntheticFrames(3 * TILE + 5, 4)
    np.testing.assert_array_equal(one[10:20], one[2 * TILE + 10 : 2 * TILE + 20])
    np.testing.assert_array_equal(one[TILE - 3 : TILE + 4], np.concatenate([one[TILE - 3 : TILE], one[:4]]))
    assert one[3 * TILE :].shape == (5, 4)
    assert sum(map(len, one)) == 3 * TILE + 5


def test_covariances_of_many_tiles_are_those_of_few():
    few, many = (
        gathered(CovariancePass(), shares(synthetic(tiles * TILE), frames=TILE)).c00 for tiles in (1, 16)
    )
    np.testing.assert_allclose(many, few, rtol=0, atol=1e-10 * np.abs(few).max())


@pytest.mark.parametrize("task", [task for task in TASKS if task != "force-matching"])
def test_every_task_is_foretold_in_proportion_to_the_frames(task):
    data = synthetic(60_000, 6)
    found = forecast(task, data, 24e-9 * 1e9, cores=10, clusters=5, landmarks=50, seconds=0.5)
    assert found.frames == pytest.approx(1e9)
    assert found.core_hours == pytest.approx(1e9 / found.frames_per_second / 3600)
    assert found.days == pytest.approx(found.core_hours / 240)
    assert len(found.passes) == {"tica": 1, "counts": 2, "kmeans": 4, "map": 2}[task]
    assert any("1e+09 frames" in line and "core-hours" in line for line in found.in_words())


def test_the_command_reads_arrays_where_they_lie(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((50_000, 10)).astype(np.float32))
    found = told(str(tmp_path / "x.npy"), "--amount", "7.2 PB", "--cores", "1000", "--seconds", "1")
    assert found["frames"] == pytest.approx(7.2e15 / 40, rel=1e-3)
    assert found["days"] == pytest.approx(found["core_hours"] / 24000)
    assert found["core_hours_error"] > 0


def test_the_command_matches_forces_of_a_synthetic_chain():
    found = told("--task", "force-matching", "--amount", "1e6 frames", "--seconds", "0.1")
    assert found["frames"] == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to measure on"),
        (("--task", "magic", "--synthetic", "3"), "use one of tica"),
        (("run.dcd",), "give --topology"),
        (("--synthetic", "3", "--amount", "7.2 XB"), "cannot read"),
    ],
)
def test_what_cannot_be_foretold_is_told(arguments, said):
    result = CliRunner().invoke(app, ["forecast", *arguments])
    assert result.exit_code != 0
    assert said in f"{result.output} {result.exception}"
