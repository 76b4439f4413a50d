"""Learned potentials in OpenMM: on a part, on everything, in a box, beside an engine's own forces."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.learned import embedded_system, learned_force
from thalweg.interop.openmm.system import system_from_openmm
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.systems.configuration import Configuration
from thalweg.systems.state import State
from thalweg.systems.topology import Topology

TRIATOMIC = LearnedPotential(
    {1: 5.0, 8: 7.0},
    (morse((1, 8), [30.0, 400.0, 50.0], [10.0, 25.0, 12.0], [0.15, 0.1, 0.2], cutoff=0.4),),
)
NUMBERS = np.array([8, 1, 1])
WATER = np.array([[0, 0, 0], [0.0957, 0, 0], [-0.024, 0.0927, 0]])


def waters(count: int) -> openmm.System:
    """Flexible waters with charges, bonds, angles; the first held by a constraint between its hydrogens."""
    system = openmm.System()
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    pairs = openmm.NonbondedForce()
    pairs.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    pairs.setCutoffDistance(0.9)
    for k in range(count):
        for mass, charge, width, depth in ((16, -0.8, 0.31, 0.6), (1, 0.4, 0.1, 0.0), (1, 0.4, 0.1, 0.0)):
            system.addParticle(mass)
            pairs.addParticle(charge, width, depth)
        o = 3 * k
        for h in (1, 2):
            bonds.addBond(o, o + h, 0.1, 4e5)
            pairs.addException(o, o + h, 0, 1, 0)
        pairs.addException(o + 1, o + 2, 0, 1, 0)
        angles.addAngle(o + 1, o, o + 2, 1.9, 400.0)
    system.addConstraint(1, 2, 0.151)
    for force in (bonds, angles, pairs):
        system.addForce(force)
    system.setDefaultPeriodicBoxVectors(*(2.0 * np.eye(3)))
    return system


def labels(system, positions):
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def test_a_part_gets_the_potential_and_keeps_its_surroundings():
    count = 4
    random = np.random.default_rng(0)
    positions = np.concatenate([WATER + np.array([0.3 * k, 0.35 * (k % 2), 0.1 * k]) for k in range(count)])
    positions += 0.004 * random.normal(size=positions.shape)
    system, part = waters(count), [3, 4, 5]
    mixed = labels(embedded_system(system, TRIATOMIC, NUMBERS, part), positions)

    whole, inside = (
        labels(system, positions),
        labels(waters(1), positions[part]),
    )  # no constraint acts on forces
    ours = TRIATOMIC.evaluate([Configuration(NUMBERS, positions[part])])
    expected = whole[1].copy()
    expected[part] += ours.forces[0] - inside[1]
    assert mixed[0] == pytest.approx(whole[0] - inside[0] + ours.energies[0], abs=2e-3)
    np.testing.assert_allclose(mixed[1], expected, atol=0.05)


def test_constraints_within_the_part_go():
    assert embedded_system(waters(2), TRIATOMIC, NUMBERS, [0, 1, 2]).getNumConstraints() == 0
    assert embedded_system(waters(2), TRIATOMIC, NUMBERS, [3, 4, 5]).getNumConstraints() == 1


def test_a_force_of_unknown_share_is_refused():
    system = waters(1)
    system.addForce(openmm.CustomExternalForce("x"))
    with pytest.raises(ValueError, match="CustomExternalForce"):
        embedded_system(system, TRIATOMIC, NUMBERS, [0, 1, 2])


def test_a_periodic_crystal_in_openmm_has_our_energy_and_forces():
    a = 0.5431
    cell = (
        a
        / 4
        * np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]])
    )
    positions = cell + 0.01 * np.random.default_rng(0).normal(size=cell.shape)
    silicon = LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),))
    system = openmm.System()
    for _ in range(8):
        system.addParticle(28.085)
    system.setDefaultPeriodicBoxVectors(*(a * np.eye(3)))
    system.addForce(learned_force(silicon, [14] * 8, periodic=True, precision="double"))
    energy, forces = labels(system, positions)
    ours = silicon.evaluate([Configuration(np.full(8, 14), positions, a * np.eye(3), (True,) * 3)])
    assert energy == pytest.approx(ours.energies[0], rel=1e-9)
    np.testing.assert_allclose(forces, ours.forces[0], atol=1e-6)


def test_an_engine_runs_a_learned_energy_with_lists_beside_its_own_forces():
    system = openmm.System()
    count = 40
    for _ in range(count):
        system.addParticle(16.0)
    names = ("O",) * count
    topology = Topology(names, names, names, tuple(range(count)), (0,) * count, np.zeros((0, 2), int))
    grid = 0.25 * np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), -1).reshape(-1, 3)[:count]
    learned = morse((8,), [20.0], [12.0], [0.25], cutoff=0.4)
    ours = system_from_openmm(system, topology, grid)
    engine = OpenMMEngine(ours, VelocityVerlet(0.001), added=learned.bind(np.full(count, 8)))
    still = jnp.zeros((count, 3, 1))
    positions = grid + 0.01 * np.random.default_rng(0).normal(size=grid.shape)
    start = State(jnp.asarray(positions[..., None], jnp.float32), still, jax.random.key(0), jnp.int32(0))
    run = engine.run(start, 100, save_every=100)
    kinetic = 0.5 * float((run.state.momenta**2).sum()) / 16.0
    before = learned.evaluate([Configuration(np.full(count, 8), positions)]).energies[0]
    assert kinetic > 5
    assert run.energy[0, -1] + kinetic == pytest.approx(before, abs=0.5)
