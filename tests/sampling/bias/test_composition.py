"""Walls, sums, static, moving and committor biases: what they are in closed form, and free energies from pulling."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.free_energies.work import free_energy_from_work
from thalweg.geometry.variables import Coordinates, Dihedrals, Distances
from thalweg.sampling.bias.kolmogorov import Kolmogorov
from thalweg.sampling.bias.moving import MovingRestraint
from thalweg.sampling.bias.static import StaticBias
from thalweg.sampling.bias.sum_of_biases import SumOfBiases
from thalweg.sampling.bias.walls import Walls
from thalweg.systems.state import thermal_state
from thalweg.testsystems.wells import HarmonicWell

LINE = Coordinates([0], dims=1)
ANGLE = Dihedrals([[0, 1, 2, 3]])


def test_walls_of_an_angle_may_reach_through_the_border():
    walls = Walls(ANGLE, [2.0], [4.0], [10.0])
    energies = walls.energy((), jnp.array([[3.0, 4.0 - 2 * np.pi + 0.1, 1.5, -2.5]]))
    np.testing.assert_allclose(energies, [0.0, 5 * 0.01, 5 * 0.25, 0.0], atol=1e-5)


class Counted(eqx.Module):
    """A bias that counts its updates."""

    variable: Distances
    stride: int = eqx.field(static=True)

    def init(self):
        return jnp.zeros((), jnp.int32)

    def energy(self, bias_state, values):
        return bias_state * values[0]

    def update(self, bias_state, values):
        return bias_state + 1


def test_members_of_a_sum_grow_at_their_own_strides():
    d = Distances([[0, 1]])
    both = SumOfBiases(Counted(d, 4), Walls(d, [0.0], [9.0], [1.0]), Counted(d, 6))
    assert both.stride == 2
    state = both.init()
    for _ in range(12):
        state = both.update(state, jnp.ones((3, 1)))
    assert [int(x) for x in state.members if np.ndim(x) == 0 and not isinstance(x, tuple)] == [6, 4]


@pytest.mark.parametrize("variable", [LINE, ANGLE], ids=["line", "angle"])
def test_a_bias_against_a_free_energy_leaves_none_of_it(variable):
    at = (np.arange(64) + 0.5) * 2 * np.pi / 64 - np.pi
    free = 5 * np.cos(at) + 2 * np.sin(2 * at)
    surface = FreeEnergySurfaceModel((at,), free - free.min(), np.zeros(64))
    bias = StaticBias.against(variable, surface)
    values = np.linspace(-2.5, 2.5, 301)
    left = (
        bias.energy((), jnp.asarray(values, jnp.float32)[None]) + 5 * np.cos(values) + 2 * np.sin(2 * values)
    )
    assert np.ptp(left) < 0.02


def test_a_surface_of_another_period_is_refused():
    surface = FreeEnergySurfaceModel((np.linspace(0, 1, 20),), np.zeros(20), np.zeros(20))
    with pytest.raises(ValueError, match=r"has period 6\.28"):
        StaticBias.against(ANGLE, surface)


def test_pulling_there_and_back_gives_the_free_energy_of_two_springs():
    """Of k x^2 / 2 and K (x - c)^2 / 2 together F(c) = k K c^2 / 2 (k + K): 2.0 for c = 2, k = 2, K = 2."""
    engine = NativeEngine.for_potential(HarmonicWell(2.0), np.ones(1), Overdamped(kT=1.0, dt=0.01))
    there = MovingRestraint(LINE, [0.0], [2.0], [2.0], jumps=40, stride=5)
    works = []
    for way, mean in ((there, 0.0), (there.reversed(), 1.0)):
        # the ensemble held at the start is a normal density of variance kT / (k + K)
        x = mean + 0.5 * jax.random.normal(jax.random.key(1), (1, 1, 500))
        start = thermal_state(x, np.ones(1), 1.0, jax.random.key(0))
        works.append(way.work(engine.run(start, way.steps, save_every=way.stride, bias=way))[:, -1])
    both = free_energy_from_work(works[0], 1.0, works[1])
    assert abs(both.value - 2.0) < 3 * both.error < 0.3
    one_way = free_energy_from_work(works[0], 1.0)
    assert abs(one_way.value - 2.0) < 3 * one_way.error
    with pytest.raises(ValueError, match="save_every=5"):
        way.work(engine.run(start, way.steps, save_every=10, bias=way))


def test_works_that_one_pull_carries_are_told():
    works = np.array([0.0, 40.0, 41.0, 42.0])
    assert "1.0 of 4 pulls" in str(free_energy_from_work(works, 1.0))


class Step(eqx.Module):
    """``q = (1 + tanh(x / 0.2)) / 2`` of a particle on a line."""

    names, units, periods = ("q",), ("",), (None,)

    def __call__(self, positions, box=None):
        return 0.5 * (1 + jnp.tanh(positions[0, :1] / 0.2))


def test_the_committor_bias_is_the_logarithm_of_the_squared_slope():
    bias = Kolmogorov(strength=1.5, floor=1e-3).on(Step(), None, kT=2.0, dt=0.01)
    x = jnp.array([[[0.0, 0.1, -3.0]]])
    slope = 2.5 / np.cosh(np.array([0.0, 0.1, -3.0]) / 0.2) ** 2
    np.testing.assert_allclose(bias.energy((), bias.variable(x)), -3.0 * np.log(slope**2 + 1e-3), rtol=1e-4)
    assert np.isfinite(jax.grad(lambda x: bias.energy((), bias.variable(x)).sum())(x)).all()
