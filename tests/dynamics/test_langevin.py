"""BAOAB against theory, in standard errors: harmonic and quartic wells, diffusion, memory of velocities."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.systems.state import thermal_state

KT, MASS = 2.5, 3.0
REPLICAS = 512


class Polynomial(eqx.Module):
    """``U = a x^2 / 2 + b x^4 / 4`` in every direction."""

    quadratic: jax.Array
    quartic: jax.Array

    def __call__(self, positions, box=None):
        return (self.quadratic * positions**2 / 2 + self.quartic * positions**4 / 4).sum((0, 1))

    def refreshed(self, positions, box=None):
        return self


def recorded(quadratic, quartic, dt, friction=1.0, frames=400, every=10, seed=0):
    well = Polynomial(jnp.float32(quadratic), jnp.float32(quartic))
    engine = NativeEngine.for_potential(well, np.full(2, MASS), Langevin(KT, dt, friction))
    start = thermal_state(jnp.zeros((2, 1, REPLICAS)), np.full(2, MASS), KT, jax.random.key(seed))
    warm = engine.run(start, 100 * every, save_every=100 * every).state
    return engine.run(warm, frames * every, save_every=every)


def mean_and_error(values):
    """Mean over replicas of the mean along each, and its standard error."""
    each = np.asarray(values, float).reshape(len(values), -1).mean(1)
    return each.mean(), each.std(ddof=1) / np.sqrt(len(each))


@pytest.mark.parametrize("fraction", [0.25, 1.0])
def test_a_harmonic_well_has_the_exact_variance_at_any_time_step(fraction):
    stiffness = 30.0
    dt = fraction * np.sqrt(MASS / stiffness)
    mean, error = mean_and_error(recorded(stiffness, 0.0, dt).positions ** 2)
    assert abs(mean - KT / stiffness) < 4 * error
    assert error < 0.01 * KT / stiffness


def test_momenta_in_a_harmonic_well_are_too_small_by_the_known_second_order():
    stiffness, dt = 30.0, 0.5 * np.sqrt(MASS / 30.0)
    states = [recorded(stiffness, 0.0, dt, frames=1, seed=seed).state.momenta for seed in range(20)]
    squares = np.concatenate([np.asarray(p, float).ravel() ** 2 for p in states])
    expected = MASS * KT * (1 - dt**2 * stiffness / (4 * MASS))
    assert abs(squares.mean() - expected) < 4 * squares.std() / np.sqrt(squares.size)
    assert abs(squares.mean() - MASS * KT) > 4 * squares.std() / np.sqrt(squares.size)


@pytest.mark.parametrize("dt", [0.1, 0.2])
def test_a_quartic_well_has_the_right_configurations_at_two_time_steps(dt):
    x = np.linspace(-4, 4, 20001)
    weight = np.exp(-(x**2 / 2 + 8 * x**4 / 4) / KT)
    expected = (x**2 * weight).sum() / weight.sum()
    mean, error = mean_and_error(recorded(1.0, 8.0, dt, friction=5.0).positions ** 2)
    assert abs(mean - expected) < 4 * error
    assert error < 0.006 * expected


def test_a_free_particle_diffuses_and_forgets_its_velocity_as_einstein_says():
    friction, dt, steps = 2.0, 0.05, 400
    engine = NativeEngine.for_potential(
        Polynomial(jnp.float32(0), jnp.float32(0)), np.full(2, MASS), Langevin(KT, dt, friction)
    )
    start = thermal_state(jnp.zeros((2, 1, REPLICAS)), np.full(2, MASS), KT, jax.random.key(5))
    recording = engine.run(start, steps, save_every=steps)
    time = steps * dt
    spread = recording.positions[:, -1].astype(float) ** 2
    diffusion = KT / (MASS * friction)
    expected = 2 * diffusion * (time - (1 - np.exp(-friction * time)) / friction)
    assert abs(spread.mean() - expected) < 4 * expected * np.sqrt(2 / spread.size)

    few = engine.run(start, 10, save_every=10).state
    memory = np.asarray(start.momenta * few.momenta, float) / (MASS * KT)
    assert abs(memory.mean() - np.exp(-friction * 10 * dt)) < 4 * memory.std() / np.sqrt(memory.size)
