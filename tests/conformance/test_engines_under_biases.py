"""Every bias acts alike on every engine: its energy, its force, its growth, on four atoms that nothing else moves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from conformance.test_biases import EXAMPLES, VARIABLE, grown

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.ase.engine import ASEEngine
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.system import system_from_openmm
from thalweg.learning.perceptron import Perceptron
from thalweg.sampling.bias.kolmogorov import Kolmogorov
from thalweg.sampling.bias.static import StaticBias
from thalweg.systems.state import State
from thalweg.systems.topology import Topology

ENGINES = (NativeEngine, OpenMMEngine, ASEEngine)
DT = 0.001
MASS = 12.0
NETWORK = Perceptron.init((2, 8, 1), jax.random.key(0), last=10.0)
BIASES = EXAMPLES | {
    # of a distance it is the same everywhere
    "KolmogorovBias": Kolmogorov().on(VARIABLE.variables[1], None, 2.5, DT),
    "a network": StaticBias(VARIABLE, lambda values: NETWORK(jnp.moveaxis(values, 0, -1))[..., 0]),
}
PLACES = np.array([[0.0, 0.0, 0.0], [0.52, 0.0, 0.0], [0.6, 0.5, 0.0], [0.9, 0.6, 0.4]])


@pytest.fixture(scope="module")
def atoms():
    """Four carbon atoms, and a torsion of no strength, which OpenMM needs to be asked for energies."""
    system, torsion = openmm.System(), openmm.PeriodicTorsionForce()
    for _ in range(4):
        system.addParticle(MASS)
    torsion.addTorsion(0, 1, 2, 3, 1, 0.0, 0.0)
    system.addForce(torsion)
    chain = np.array([[0, 1], [1, 2], [2, 3]])
    topology = Topology(("C1", "C2", "C3", "C4"), ("C",) * 4, ("UNK",) * 4, (1,) * 4, (0,) * 4, chain)
    return system_from_openmm(system, topology, PLACES)


@pytest.fixture(scope="module", params=ENGINES, ids=lambda engine: engine.__name__)
def engine(request, atoms):
    return request.param(atoms, VelocityVerlet(dt=DT))


@pytest.fixture(params=BIASES)
def bias(request):
    return BIASES[request.param]


def at_rest():
    positions = jnp.asarray(PLACES, jnp.float32)[:, :, None]
    return State(positions, jnp.zeros_like(positions), jax.random.key(0), jnp.zeros((), jnp.int32))


def exactly(bias, state, positions):
    """Energy and forces in 64 bits."""
    with jax.enable_x64(True):
        state = jax.tree.map(jnp.asarray, state)

        def energy(x):
            return bias.energy(state, bias.variable(x))

        value, slope = jax.value_and_grad(energy)(jnp.asarray(positions, jnp.float64))
        return float(value), -np.asarray(slope)


def test_a_step_from_rest_has_the_momentum_of_its_force(engine, bias):
    state = grown(bias)
    run = engine.run(at_rest(), 1, save_every=1, bias=bias, bias_state=state)
    before = exactly(bias, state, PLACES.astype(np.float32))[1]
    energy, after = exactly(bias, state, run.positions[0, 0])
    force = (before + after) / 2
    largest = np.abs(force).max()
    assert largest > 1e-2
    np.testing.assert_allclose(run.state.momenta[:, :, 0] / DT, force, atol=1e-5 * largest)
    if bias.stride != 1:
        np.testing.assert_allclose(run.bias_energy[0, 0], energy, rtol=1e-5, atol=1e-5)


@pytest.mark.long
def test_it_grows_by_what_was_recorded(engine, bias):
    if bias.stride is None:
        pytest.skip("a static bias")
    run = engine.run(at_rest(), 2 * bias.stride, save_every=bias.stride, bias=bias)
    state = bias.init()
    for values in np.moveaxis(run.values, 1, 0):
        state = bias.update(state, jnp.asarray(values.T))
    places = jnp.asarray(run.values[0].T)
    ours, theirs = bias.energy(state, places), bias.energy(run.bias_state, places)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
