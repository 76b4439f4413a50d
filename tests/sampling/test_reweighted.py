"""Runs under different biases weighed together: exact averages, what is wrong told with its place."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.variables import Coordinates
from thalweg.sampling.bias.metadynamics import Metadynamics
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.reweighted import reweighted
from thalweg.systems.state import thermal_state
from thalweg.testsystems.wells import DoubleWell

EXACT = 0.9494
"""F(x > 0) - F(x < 0) of 5 (x^2 - 1)^2 + x / 2, in kT."""

LINE = Coordinates([0], dims=1)
ENGINE = NativeEngine.for_potential(DoubleWell(5.0, 0.5), np.ones(1), Overdamped(kT=1.0, dt=1e-3))


def start(x, seed=0):
    return thermal_state(jnp.asarray(x, jnp.float32)[None, None], np.ones(1), 1.0, jax.random.key(seed))


def right(positions):
    return positions[:, 0, 0] > 0


@pytest.mark.long
def test_a_growing_bias_a_row_of_windows_and_a_plain_run_give_one_exact_difference():
    limits = Limits(np.array([-2.0]), np.array([2.0]), np.array([0.1]))
    growing = Metadynamics(height=0.3, bias_factor=8.0, stride=0.1).on(LINE, limits, 1.0, 1e-3)
    row = HarmonicRestraint(LINE, np.linspace(-1.0, 1.0, 8)[None], [30.0])
    runs = [
        ENGINE.run(start(np.full(8, -1.0)), 40_000, save_every=50, bias=growing),
        ENGINE.run(start(np.linspace(-1.0, 1.0, 8), 1), 20_000, save_every=50, bias=row),
        ENGINE.run(start(np.full(8, -1.0), 2), 5_000, save_every=50),
    ]
    frames = reweighted(runs, [growing, row, None], kT=1.0)
    assert len(frames.free_energies) == 10
    found = frames.difference(right)
    assert abs(found.value - EXACT) < 3 * found.error < 0.9
    mean, error = frames.mean([walk[:, 0] for walk in frames.along(LINE)])
    x = np.linspace(-2.5, 2.5, 5001)
    weight = np.exp(-5 * (x**2 - 1) ** 2 - x / 2)
    assert abs(mean - x @ weight / weight.sum()) < 3 * error


def test_windows_without_overlap_and_frames_without_value_are_told_with_their_place():
    row = HarmonicRestraint(LINE, np.array([[-1.0, -0.9, -0.3]]), [500.0])
    run = ENGINE.run(start([-1.0, -0.9, -0.3]), 1000, save_every=10, bias=row)
    values = run.values.copy()
    values[2, 80] = np.nan
    frames = reweighted([replace(run, values=values)], [row], kT=1.0)
    told = " ".join(frames.notes)
    assert "undefined at 1 frames, first at frame 80 of replica 0" not in told
    assert "run 2: the variable ('0 x',) is undefined at 1 frames, first at frame 80 of replica 2" in told
    assert "between 1 and 2, which come closest" in told
    assert frames.least_overlap < 0.01
    assert [len(walk) for walk in frames.log_weights] == [75, 75, 74]


@pytest.mark.parametrize(
    ("barrier", "stiffness", "answer"),
    [(15.0, 30.0, "two minima"), (60.0, 30.0, "nobody is on"), (15.0, 200.0, None)],
)
def test_windows_softer_than_the_barrier_bends_down_are_told(barrier, stiffness, answer):
    """All pulled from the left of a barrier that bends down by four times its height."""
    engine = NativeEngine.for_potential(DoubleWell(barrier, 0.5), np.ones(1), Overdamped(kT=1.0, dt=5e-4))
    row = HarmonicRestraint(LINE, np.linspace(-1.2, 1.2, 24)[None], [stiffness])
    run = engine.run(start(np.full(24, -1.0)), 4000, save_every=10, bias=row)
    told = " ".join(reweighted([run], [row], kT=1.0).notes)
    assert (answer in told) if answer else not told


def test_a_bias_that_still_grows_is_told():
    limits = Limits(np.array([-2.0]), np.array([2.0]), np.array([0.1]))
    fast = Metadynamics(height=5.0, bias_factor=30.0, stride=0.01).on(LINE, limits, 1.0, 1e-3)
    run = ENGINE.run(start([-1.0, -1.0]), 2000, save_every=10, bias=fast)
    assert "its bias still grew by" in reweighted([run], [fast], kT=1.0).notes[0]


def test_frames_beyond_the_grid_of_a_bias_are_counted_and_told():
    limits = Limits(np.array([0.0]), np.array([2.0]), np.array([2.0]))
    beside = Metadynamics(height=0.1, bias_factor=8.0, stride=0.1).on(LINE, limits, 1.0, 1e-3)
    run = ENGINE.run(start([-1.0, -1.0]), 1000, save_every=10, bias=beside)
    told = " ".join(reweighted([run], [beside], kT=1.0).notes)
    assert "of 150 frames kept were beyond the limits (0 to 2)" in told
