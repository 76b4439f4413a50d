"""Free energies known by quadrature, found by dynamics under biases that grow and are then held, within errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.variables import Coordinates
from thalweg.potentials.energy import Energy
from thalweg.sampling.bias.adaptive_force import AdaptiveBiasingForce
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.bias.opes import OPES, OPESExplore
from thalweg.sampling.reweighted import reweighted
from thalweg.systems.state import thermal_state
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.wells import DoubleWell


class Ring(Energy):
    """A particle on a line with the energy of a ring."""

    def __call__(self, positions, box=None):
        return 4 * jnp.cos(positions[0, 0]) + jnp.sin(positions[0, 0])


class Angle(eqx.Module):
    """The coordinate of a particle on a line, seen as an angle."""

    names = ("angle",)
    units = ("rad",)
    periods = (2 * np.pi,)

    def __call__(self, positions, box=None):
        x = positions[0]
        return x - 2 * jnp.pi * jnp.round(x / (2 * jnp.pi))


def ring_difference():
    x = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    weight = np.exp(-4 * np.cos(x) - np.sin(x))
    return -np.log(weight[np.sin(x) > 0].sum() / weight[np.sin(x) < 0].sum())


CASES = {
    "angle": (Ring(), [-3.0], 2e-3, 15_000, Angle(), ([-np.pi], [np.pi], [0.2]), 9.0,
              lambda x: np.sin(x[:, 0, 0]) > 0, ring_difference()),
    "double well": (DoubleWell(5.0, 0.5), [-1.0], 1e-3, 40_000, Coordinates([0], dims=1), ([-2.0], [2.0], [0.1]), 7.0,
                    lambda x: x[:, 0, 0] > 0, 0.9494),
    "Müller-Brown": (MullerBrown(10.0), [-0.558, 1.442], 2e-4, 120_000, Coordinates([0], dims=2),
                     ([-1.8, -0.6], [1.4, 2.4], [0.1, 0.1]), 12.0, lambda x: x[:, 0, 1] < 0.75, 3.634),
}  # fmt: skip
"""Potential, start, dt, steps, variable, limits, barrier, region, and F of the region less F of the rest [kT]."""
METHODS = {
    "OPES": lambda barrier, dt: OPES(barrier=barrier, stride=100 * dt),
    "OPESExplore": lambda barrier, dt: OPESExplore(barrier=barrier, stride=100 * dt),
    "AdaptiveBiasingForce": lambda barrier, dt: AdaptiveBiasingForce(stride=50 * dt),
}


@pytest.mark.long
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("case", CASES)
def test_the_exact_difference_is_found_within_errors(case, name):
    potential, place, dt, steps, variable, limits, barrier, region, exact = CASES[case]
    engine = NativeEngine.for_potential(potential, np.ones(1), Overdamped(kT=1.0, dt=dt))
    bias = METHODS[name](barrier, dt).on(variable, Limits(*(np.array(x) for x in limits)), 1.0, dt)
    x = jnp.broadcast_to(jnp.asarray(place, jnp.float32)[None, :, None], (1, len(place), 16))
    growing = engine.run(
        thermal_state(x, np.ones(1), 1.0, jax.random.key(0)), steps, save_every=50, bias=bias
    )
    held = FrozenBias(bias, growing.bias_state)
    produced = engine.run(growing.state, steps, save_every=50, bias=held)
    frames = reweighted([growing, produced], [bias, held], kT=1.0)
    found = frames.difference(region)
    assert abs(found.value - exact) < 3 * found.error < 0.9
    assert min(found.crossings) > 5
