"""What every integrator must do, tried on each with particles in harmonic wells and a rigid water molecule."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.aboba import ABOBA
from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.integrator import Integrator, PathWeighted
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.phase import Phase
from thalweg.dynamics.temperature import thermal_start
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.potentials.energy import Energy
from thalweg.systems.state import State
from thalweg.systems.system import Constraints, System
from thalweg.systems.topology import Topology
from thalweg.testsystems.wells import HarmonicWell

KT, STIFFNESS, MASS = 2.5, 40.0, 2.0
EXAMPLES = {
    "Langevin": Langevin(KT, 0.01, 2.0),
    "ABOBA": ABOBA(KT, 0.01, 2.0),
    "Overdamped": Overdamped(KT, 0.01, 0.05),
    "VelocityVerlet": VelocityVerlet(0.01),
}
"""A small example of each integrator; steps are short beside the period, 1.4 ps, and the relaxation, 1.25 ps."""

MASSES = np.array([2.0, 16.0, 0.0])
"""The last atom never moves."""


@pytest.fixture(params=EXAMPLES)
def integrator(request):
    return EXAMPLES[request.param]


def phase(dtype=jnp.float32, replicas=4):
    rng = np.random.default_rng(0)
    positions, momenta = (jnp.asarray(rng.normal(0, size, (3, 3, replicas)), dtype) for size in (0.1, 2.0))
    return Phase(positions, momenta.at[2].set(0), force(positions))


def force(positions):
    return -STIFFNESS * positions


def drawn(shape, dtype):
    return jax.random.normal(jax.random.key(0), shape, dtype)


def silence(shape, dtype):
    return jnp.zeros(shape, dtype)


def free():
    bonds = BondConstraints.build(Constraints.none(), MASSES)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), bonds)


def test_every_integrator_has_an_example_here(public, without_example):
    assert not without_example(public(Integrator, "dynamics", "interop"), EXAMPLES)


def test_it_is_an_integrator(integrator):
    assert isinstance(integrator, Integrator)
    assert isinstance(integrator.supports_constraints, bool)


def test_a_step_is_a_function_of_what_it_is_given(integrator):
    before = phase()
    kept = jax.tree.map(np.array, before)
    first, second = (integrator.step(before, force, free(), drawn) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    jax.tree.map(np.testing.assert_array_equal, before, kept)
    compiled = jax.jit(lambda phase: integrator.step(phase, force, free(), drawn))(before)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), first, compiled)


def test_a_step_keeps_shapes_and_precision(integrator):
    after = jax.eval_shape(lambda phase: integrator.step(phase, force, free(), drawn), phase())
    for array in (after.positions, after.momenta, after.forces):
        assert (array.shape, array.dtype) == ((3, 3, 4), jnp.float32)


def test_an_atom_of_zero_mass_never_moves(integrator):
    after = integrator.step(phase(), force, free(), drawn)
    np.testing.assert_array_equal(after.positions[2], phase().positions[2])
    assert np.isfinite(after.positions).all()


def test_replicas_do_not_know_each_other(integrator):
    def one(array):
        return array[..., 1:2]

    whole = integrator.step(phase(), force, free(), silence)
    alone = integrator.step(jax.tree.map(one, phase()), force, free(), silence)
    np.testing.assert_allclose(one(whole.positions), alone.positions, rtol=1e-6, atol=1e-7)


def test_reach_has_a_positive_length_for_every_atom_that_the_step_keeps_to(integrator):
    reach = np.asarray(integrator.reach(MASSES))
    assert reach.shape == (3,)
    assert (reach > 0).all()
    moved = integrator.step(phase(), force, free(), drawn).positions - phase().positions
    assert (np.linalg.norm(moved, axis=1) < reach[:, None]).all()


def test_what_is_distributed_by_boltzmann_stays_so(integrator):
    """Short steps: their errors, of the variance of 1 % at most here, are smaller than the bound."""
    replicas = 20_000
    engine = NativeEngine.for_potential(HarmonicWell(STIFFNESS), np.full(1, MASS), integrator)
    keys = jax.random.split(jax.random.key(1))
    positions, momenta = (
        jnp.sqrt(variance) * jax.random.normal(key, (1, 1, replicas))
        for variance, key in zip((KT / STIFFNESS, MASS * KT), keys)
    )
    start = State(positions, momenta, jax.random.key(2), jnp.int32(0))
    after = engine.run(start, 300, save_every=300).state
    for array, variance in ((after.positions, KT / STIFFNESS), (after.momenta, MASS * KT)):
        measured = float((np.asarray(array, float) ** 2).mean()) / variance
        assert abs(measured - 1) < 4 * np.sqrt(2 / replicas) + 0.01


def test_bonds_hold_or_are_refused_as_it_says(integrator):
    water = rigid_water()
    if not integrator.supports_constraints:
        with pytest.raises(ValueError, match="3 constraints, which it does not keep"):
            NativeEngine(water, integrator)
        return
    engine = NativeEngine(water, type(integrator)(**{**vars(integrator), "dt": 0.002}))
    recording = engine.run(thermal_start(water, KT, jax.random.key(0), 8), 100, save_every=10)
    for (i, j), length in zip(water.constraints.pairs, water.constraints.distances):
        apart = np.linalg.norm(recording.positions[:, :, i] - recording.positions[:, :, j], axis=-1)
        np.testing.assert_allclose(apart, length, rtol=1e-4)


def test_weights_of_paths_average_to_one(integrator):
    """Of a step under a linear bias, over its noise, if the integrator has them."""
    if not isinstance(integrator, PathWeighted):
        pytest.skip("has no path weights")
    bonds, before = free(), phase()
    assert integrator.place_of_force(before, bonds).shape == before.positions.shape
    shift = np.asarray(integrator.response(bonds)) * 3.0
    assert (shift >= 0).all()
    assert shift[2] == 0
    noise = np.random.default_rng(0).standard_normal((200_000, 3))
    weights = np.exp(-(noise * shift + shift**2 / 2).sum(1))
    assert abs(weights.mean() - 1) < 4 * weights.std() / np.sqrt(len(weights))


class Nothing(Energy):
    """Free particles."""

    def __call__(self, positions, box=None):
        return jnp.zeros_like(positions[0, 0])


def rigid_water():
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0.03, 0.095, 0]])
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    lengths = np.linalg.norm(corners[pairs[:, 0]] - corners[pairs[:, 1]], axis=1)
    names = ("O", "H1", "H2")
    topology = Topology(names, ("O", "H", "H"), ("HOH",) * 3, (1,) * 3, (0,) * 3, pairs[:2])
    return System(topology, corners, np.array([16.0, 2.0, 2.0]), Nothing(), Constraints(pairs, lengths))
