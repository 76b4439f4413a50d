"""A bias for each replica: what the others do does not matter, and escape times are those without bias."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.variables import Coordinates
from thalweg.kinetics.reactions.exit_times import exit_times
from thalweg.sampling.bias.independent_biases import IndependentBiases
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.systems.state import thermal_state
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import DoubleWell

X = Coordinates([0], dims=1)
KT, DT, RUNS = 1.0, 1e-3, 40


def metadynamics(stride):
    return WellTemperedMetadynamics(X, -2.0, 2.0, 0.1, height=0.5, bias_factor=6.0, kT=KT, stride=stride)


def flooding(barrier):
    limits = Limits(np.array([-2.0]), np.array([2.0]), np.array([0.05]))
    return OPES(barrier=barrier, stride=0.2, capacity=64).on(X, limits, kT=KT, dt=DT)


@pytest.mark.parametrize("bias", [metadynamics(100), flooding(4.0)], ids=["metadynamics", "OPES"])
def test_each_replica_grows_what_it_would_grow_alone_and_feels_the_same_force(bias):
    walks = np.array([[-1.0, -1.1, -0.9, -0.8], [1.0, 1.1, 0.3, 0.5]])
    many, alone = IndependentBiases(bias, 2), [bias.init(), bias.init()]
    state = many.init()
    for values in walks.T:
        state = many.update(state, jnp.asarray(values)[None])
        alone = [bias.update(one, jnp.array([[value]])) for one, value in zip(alone, values)]
    here = jnp.array([[-0.95, 0.9]])

    def slopes(energy):
        return jax.grad(lambda values: energy(values).sum())(here)[0]

    own = [slopes(lambda values, one=one: bias.energy(one, values))[k] for k, one in enumerate(alone)]
    np.testing.assert_allclose(slopes(lambda values: many.energy(state, values)), own, rtol=1e-5)


def test_energies_are_zero_where_nothing_was_deposited():
    for bias in (metadynamics(100), flooding(4.0)):
        many = IndependentBiases(bias, 2)
        state = many.update(many.init(), jnp.array([[-1.0, 1.0]]))
        energies = np.asarray(many.energy(state, jnp.array([[-1.0, -1.0]])))
        assert energies[0] > 0.4
        assert abs(energies[1]) < 1e-4


def test_a_bias_that_does_not_say_where_it_is_zero_is_refused():
    with pytest.raises(
        ValueError, match="2 replicas of HarmonicRestraint; give at least one, of WellTempered"
    ):
        IndependentBiases(HarmonicRestraint(X, [0.0], [1.0]), 2)


def escapes(bias, seed, most=12):
    """Of runs from the left well of a barrier of 8 kT until all have left."""
    engine = NativeEngine.for_potential(DoubleWell(8.0), np.ones(1), Overdamped(kT=KT, dt=DT))
    state = thermal_state(-jnp.ones((1, 1, RUNS), jnp.float32), np.ones(1), KT, jax.random.key(seed))
    grown, energies, outside = None, [], []
    for _ in range(most):
        run = engine.run(state, 6000, save_every=5, bias=IndependentBiases(bias, RUNS), bias_state=grown)
        state, grown = run.state, run.bias_state
        energies.append(run.bias_energy)
        outside.append(run.positions[:, :, 0, 0] > 0.5)
        gone = np.concatenate(outside, axis=1)
        if gone.any(axis=1).all():
            break
    return exit_times(list(np.concatenate(energies, axis=1)), list(gone), KT, run.dt_frames)


def exact():
    generator = Generator(DoubleWell(8.0), ((-2.0, 2.0),), 800)
    times = generator.mean_first_passage_time(lambda x: x[0] > 0.5)
    return float(generator.interpolated(times, np.array([[-1.0]]))[0])


@pytest.mark.long
@pytest.mark.parametrize("bias", [metadynamics(2000), flooding(4.5)], ids=["metadynamics", "OPES flooding"])
def test_escape_times_are_those_without_bias(bias):
    """Some ten or eighty times faster, over four seeds of 40 runs within three errors of the exact mean."""
    found = [escapes(bias, seed) for seed in range(4)]
    assert sum(not one.shortcomings for one in found) >= 3
    z = np.array([np.log(one.mean / exact()) * np.sqrt(one.exits) for one in found])
    assert abs(z.mean()) < 3 / np.sqrt(4)
    assert all(one.acceleration > 5 for one in found)


@pytest.mark.long
def test_a_bias_that_is_deposited_too_fast_is_refused():
    found = escapes(metadynamics(20), 1)
    assert found.mean > 2 * exact()
    assert "are not those of one constant rate" in str(found)
