"""Biased runs of the native engine know how likely their paths are without the bias; ABOBA samples what it should."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.aboba import ABOBA
from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.variables import Coordinates
from thalweg.systems.state import thermal_state
from thalweg.systems.system import Constraints
from thalweg.testsystems.wells import DoubleWell
from thalweg.time_series.path_weights import langevin_response, overdamped_response

KT, MASSES, REPLICAS = 1.0, np.array([2.0]), 4000


class Push:
    """A linear bias ``-f x`` that does not grow."""

    variable, stride = Coordinates([0]), None

    def __init__(self, force):
        self.force = force

    def init(self):
        return jnp.zeros(())

    def energy(self, bias_state, values):
        return -self.force * values[0]

    def update(self, bias_state, values):
        return bias_state


class Growing(Push):
    stride = 5


def run(integrator, bias=None, steps=60, every=20, seed=0):
    engine = NativeEngine.for_potential(DoubleWell(), MASSES, integrator)
    start = thermal_state(-jnp.ones((1, 1, REPLICAS)), MASSES, KT, jax.random.key(seed))
    return engine.run(start, steps, save_every=every, bias=bias)


INTEGRATORS = {"overdamped": Overdamped(KT, 5e-3, 1.0), "ABOBA": ABOBA(KT, 0.02, 2.0)}


@pytest.mark.parametrize("name", INTEGRATORS)
def test_weighted_paths_of_a_pushed_run_move_as_those_of_a_free_one(name):
    free = run(INTEGRATORS[name], seed=1).positions[:, :, 0, 0].astype(float)
    pushed = run(INTEGRATORS[name], Push(1.5))
    x, weights = pushed.positions[:, :, 0, 0].astype(float), np.exp(pushed.log_path)
    for frame in range(x.shape[1]):
        values, w = x[:, frame], weights[:, frame]
        assert abs(w.mean() - 1) < 4 * w.std() / np.sqrt(REPLICAS)
        error = np.hypot((w * values).std(), free[:, frame].std()) / np.sqrt(REPLICAS)
        assert abs((w * values).mean() - free[:, frame].mean()) < 4 * error
    unweighted = np.hypot(values.std(), free[:, -1].std()) / np.sqrt(REPLICAS)
    assert values.mean() - free[:, -1].mean() > 6 * unweighted


def test_weights_do_not_depend_on_how_often_frames_are_saved():
    rare, often = (run(INTEGRATORS["ABOBA"], Push(0.5), every=every).log_path for every in (20, 5))
    np.testing.assert_allclose(rare, often[:, 3::4], atol=1e-5)


@pytest.mark.parametrize("integrator", INTEGRATORS.values())
def test_a_force_is_worth_as_much_noise_as_in_theory(integrator):
    bonds = BondConstraints.build(Constraints.none(), np.array([2.0, 12.0]))
    expected = (
        np.full(2, overdamped_response(1.0, 5e-3, KT))
        if isinstance(integrator, Overdamped)
        else langevin_response(np.array([2.0, 12.0]), 2.0, 0.02, KT)
    )
    np.testing.assert_allclose(integrator.response(bonds), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("integrator", "bias"),
    [(Langevin(KT, 0.02), Push(1.0)), (ABOBA(KT, 0.02), None), (ABOBA(KT, 0.02), Growing(1.0))],
)
def test_paths_without_weights_have_none(integrator, bias):
    assert run(integrator, bias, steps=10, every=10).log_path is None


def test_aboba_samples_the_well_and_the_velocities():
    held = run(ABOBA(KT, 0.05, 2.0), steps=3000, every=100)
    x = held.positions[:, 10:, 0, 0].astype(float)
    grid = np.linspace(-3, 3, 2001)
    weight = np.exp(-np.asarray(DoubleWell().energy(grid[None])) / KT)
    exact = (weight * grid**2).sum() / weight.sum()
    each = (x**2).mean(1)
    assert abs(each.mean() - exact) < 4 * each.std() / np.sqrt(REPLICAS) + 0.01
    kinetic = np.asarray(held.state.momenta, float)[0, 0] ** 2 / MASSES[0]
    assert abs(kinetic.mean() - KT) < 4 * kinetic.std() / np.sqrt(REPLICAS)
