"""Velocity Verlet in 64 bits: its order, its reversibility, energies that do not drift."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.systems.state import State
from thalweg.testsystems.wells import DoubleWell

MASSES = np.array([1.3])


@pytest.fixture(autouse=True)
def in_64_bits():
    with jax.enable_x64(True):
        yield


def start(replicas=16):
    random = np.random.default_rng(1)
    x = jnp.asarray(1 + 0.2 * random.normal(size=(1, 1, replicas)))
    p = jnp.asarray(random.normal(size=(1, 1, replicas)))
    return State(x, p, jax.random.key(0), jnp.zeros((), jnp.int32))


def run(state, dt, steps):
    engine = NativeEngine.for_potential(DoubleWell(), MASSES, VelocityVerlet(dt))
    return engine.run(state, steps, save_every=steps).state


def total(state):
    return np.asarray(DoubleWell()(state.positions) + (state.momenta**2).sum((0, 1)) / (2 * MASSES[0]))


def test_halving_the_time_step_divides_the_error_by_four():
    exact = run(start(), 1e-4, 10000)
    errors = [
        np.abs(run(start(), dt, round(1 / dt)).positions - exact.positions).mean() for dt in (0.02, 0.01)
    ]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.03)


def test_running_back_with_opposite_momenta_returns_to_the_start():
    there = run(start(), 0.02, 500)
    turned = State(there.positions, -there.momenta, there.key, there.step)
    back = run(turned, 0.02, 500)
    np.testing.assert_allclose(back.positions, start().positions, atol=1e-9)
    np.testing.assert_allclose(back.momenta, -start().momenta, atol=1e-9)


def test_energy_wobbles_by_second_order_but_does_not_drift():
    energies = []
    state = start()
    for _ in range(10):
        state = run(state, 0.02, 10000)
        energies.append(total(state))
    drift = np.polyfit(np.arange(10) * 200.0, np.array(energies) - total(start()), 1)[0]
    assert np.abs(drift).max() < 1e-4
    assert np.abs(energies - total(start())).max() < 0.1
