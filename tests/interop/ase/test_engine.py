"""The border to ASE: units, calculators in both directions, constraints."""

import ase
import jax
import numpy as np
import pytest
from ase.calculators.lj import LennardJones

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.temperature import kinetic_energy, thermal_start
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.ase.calculator import EnergyCalculator
from thalweg.interop.ase.engine import ASEEngine
from thalweg.potentials.harmonic import harmonic_bonds
from thalweg.systems.system import Constraints, System
from thalweg.systems.topology import Topology
from thalweg.units import ANGSTROM, ELECTRONVOLT

KT = 1.0


def argon(constraints=None):
    """Two argon atoms 0.4 nm apart."""
    topology = Topology(("Ar", "Ar"), ("Ar", "Ar"), ("AR", "AR"), (1, 2), (0, 0), np.zeros((0, 2), int))
    bond = harmonic_bonds(np.array([[0, 1]]), np.array([0.38]), np.array([2000.0]))
    held = constraints or Constraints.none()
    return System(topology, np.array([[0, 0, 0], [0, 0, 0.4]]), np.full(2, 39.948), bond, held)


def test_energies_and_forces_of_ours_reach_ase_in_its_units():
    atoms = ase.Atoms("Ar2", [[0, 0, 0], [0.3, 0, 4.0]], calculator=EnergyCalculator(argon().energy))
    length = np.hypot(0.03, 0.4)
    assert atoms.get_potential_energy() == pytest.approx(
        1000.0 * (length - 0.38) ** 2 / ELECTRONVOLT, rel=1e-4
    )
    pull = -2000.0 * (length - 0.38) * 0.4 / length  # kJ/mol/nm
    assert atoms.get_forces()[1, 2] == pytest.approx(pull * ANGSTROM / ELECTRONVOLT, rel=1e-4)


def test_any_ase_calculator_is_an_engine():
    """Two argon atoms oscillate about the Lennard-Jones minimum, in our units, and keep their energy."""
    calculator = LennardJones(sigma=3.4, epsilon=0.0104, rc=20.0)
    engine = ASEEngine(argon(), VelocityVerlet(0.002), calculator)
    start = thermal_start(argon(), 0.05, jax.random.key(0), 2)
    recording = engine.run(start, 1500, save_every=10)
    apart = np.linalg.norm(recording.positions[:, :, 0] - recording.positions[:, :, 1], axis=-1)
    assert (apart.min(1) < 2 ** (1 / 6) * 0.34).all()
    assert (apart.max(1) <= 0.43).all()

    def total(x, p):
        r = np.linalg.norm(np.asarray(x)[0] - np.asarray(x)[1], axis=0) / 0.34
        lj = 4 * 0.0104 * ELECTRONVOLT * (r**-12 - r**-6)
        return lj + np.asarray(kinetic_energy(p, np.full(2, 39.948)))

    before, after = (
        total(start.positions, start.momenta),
        total(recording.state.positions, recording.state.momenta),
    )
    np.testing.assert_allclose(after, before, atol=2e-3)


def test_the_bath_warms_the_center_of_mass_too():
    engine = ASEEngine(argon(), Langevin(KT, 0.004, friction=20.0))
    start = thermal_start(argon(), KT, jax.random.key(0), 6)
    squares = []
    for _ in range(6):
        recording = engine.run(start, 60, save_every=60)
        start = recording.state
        squares.append(np.asarray(start.momenta.sum(0)) ** 2 / (2 * 39.948))
    squares = np.array(squares)
    assert abs(squares.mean() - KT) < 4 * KT * np.sqrt(2 / squares.size)


def test_constraints_hold():
    held = argon(Constraints(np.array([[0, 1]]), np.array([0.4])))
    recording = ASEEngine(held, Langevin(KT, 0.004)).run(
        thermal_start(held, KT, jax.random.key(1), 2), 40, save_every=10
    )
    apart = np.linalg.norm(recording.positions[:, :, 0] - recording.positions[:, :, 1], axis=-1)
    np.testing.assert_allclose(apart, 0.4, rtol=1e-6)


def test_overdamped_dynamics_is_refused():
    with pytest.raises(ValueError, match="native engine"):
        ASEEngine(argon(), Overdamped(KT, 1e-4))
