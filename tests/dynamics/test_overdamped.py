"""Euler-Maruyama: its known discretization error, and the right one in the limit."""

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.systems.state import thermal_state
from thalweg.testsystems.potential import Potential


class Well(Potential):
    stiffness: float = 40.0

    @property
    def domain(self):
        return ((-2.0, 2.0),)

    def energy(self, x):
        return 0.5 * self.stiffness * x[0] ** 2


def test_the_variance_of_a_harmonic_well_has_exactly_the_error_of_the_step():
    kT, diffusion, stiffness = 2.0, 0.5, 40.0
    dt = 0.5 * 2 * kT / (diffusion * stiffness) / 2  # a quarter of the largest stable step
    engine = NativeEngine.for_potential(Well(), np.ones(1), Overdamped(kT, dt, diffusion))
    start = thermal_state(jnp.zeros((1, 1, 512)), np.ones(1), kT, jax.random.key(0))
    recording = engine.run(start, 6000, save_every=10)
    squares = (recording.positions[:, 20:].astype(float) ** 2).mean((1, 2, 3))
    expected = kT / stiffness / (1 - diffusion * stiffness * dt / (2 * kT))
    error = squares.std() / np.sqrt(squares.size)
    assert abs(squares.mean() - expected) < 4 * error
    assert error < 0.01 * expected
    assert abs(squares.mean() - kT / stiffness) > 20 * error


def test_momenta_are_left_alone():
    engine = NativeEngine.for_potential(Well(), np.ones(1), Overdamped(2.0, 1e-3))
    start = thermal_state(jnp.zeros((1, 1, 8)), np.ones(1), 2.0, jax.random.key(0))
    np.testing.assert_array_equal(engine.run(start, 10, save_every=10).state.momenta, start.momenta)
