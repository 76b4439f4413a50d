"""The door for integrators: one new file, named by the user, brings one, and every engine knows what to do with it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import registry
from thalweg.dynamics.integrator import Integrator, PathWeighted, thermal_reach
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.recording import check_integrator
from thalweg.interop.ase.engine import ASEEngine
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.systems.state import thermal_state
from thalweg.systems.system import Constraints
from thalweg.testsystems.wells import HarmonicWell

PLUGIN = '''
"""Langevin dynamics by OBABO: velocity Verlet between two half steps of the thermostat ."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from thalweg.dynamics import Phase, thermal_reach
from thalweg.units import KilojoulesPerMole, PerPicosecond, Picoseconds


class OBABO(eqx.Module):
    kT: KilojoulesPerMole
    dt: Picoseconds
    friction: PerPicosecond = 1.0
    supports_constraints: ClassVar[bool] = False

    def step(self, phase, forces_at, bonds, noise):
        dt, keep = self.dt, jnp.exp(-self.friction * self.dt / 2)
        width = jnp.sqrt((1.0 - keep**2) * self.kT * bonds.masses)[:, None, None]
        before, after = noise((2, *phase.momenta.shape), phase.momenta.dtype)
        momenta = keep * phase.momenta + width * before + dt / 2 * phase.forces
        positions = phase.positions + dt * bonds.velocities(momenta)
        forces = forces_at(positions)
        momenta = keep * (momenta + dt / 2 * forces) + width * after
        return Phase(positions, momenta, forces)

    def reach(self, masses):
        return thermal_reach(masses, self.kT, self.dt)
'''
IN_OPENMM = """
import openmm

from thalweg.interop.openmm.engine import openmm_integrator


@openmm_integrator.register
def obabo_in_openmm(integrator: OBABO) -> openmm.Integrator:
    steps = openmm.CustomIntegrator(integrator.dt)
    steps.addGlobalVariable("keep", float(jnp.exp(-integrator.friction * integrator.dt / 2)))
    steps.addGlobalVariable("kT", integrator.kT)
    steps.addComputePerDof("v", "keep*v + sqrt((1 - keep^2)*kT/m)*gaussian + dt/2*f/m")
    steps.addComputePerDof("x", "x + dt*v")
    steps.addComputePerDof("v", "keep*(v + dt/2*f/m) + sqrt((1 - keep^2)*kT/m)*gaussian")
    return steps
"""
KT, MASS, STIFFNESS = 2.5, 4.0, 100.0


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A plug-in file of the user, under a name, with what it says."""
    monkeypatch.setenv(registry.WITH, "")

    def write(name, text):
        file = tmp_path / f"{name}.py"
        file.write_text(text, encoding="utf-8")
        registry.name_files([file])
        return registry.resolve(f"{name}.OBABO")

    return write


def test_an_integrator_of_ones_own_file_samples_the_oscillator_as_its_theory_says(named):
    OBABO = named("obabo", PLUGIN)
    frequency = np.sqrt(STIFFNESS / MASS)
    integrator = OBABO(kT=KT, dt=0.8 / frequency, friction=2.0)
    assert isinstance(integrator, Integrator)
    engine = NativeEngine.for_potential(HarmonicWell(STIFFNESS), np.full(1, MASS), integrator)
    start = thermal_state(jnp.zeros((1, 1, 4000)), np.full(1, MASS), KT, jax.random.key(0))
    recording = engine.run(start, 2000, save_every=100)
    squares = (recording.positions[:, 10:].astype(float) ** 2).mean((1, 2, 3))
    expected = KT / STIFFNESS / (1 - 0.8**2 / 4)  # of the energy that velocity Verlet keeps
    assert abs(squares.mean() - expected) < 4 * squares.std() / np.sqrt(len(squares))
    heat = np.asarray(recording.state.momenta, float).ravel() ** 2 / MASS
    assert abs(heat.mean() - KT) < 4 * heat.std() / np.sqrt(len(heat))


def test_it_is_called_by_its_name_and_engines_that_lack_it_say_so(named):
    OBABO = named("obabo_alone", PLUGIN)
    assert registry.name_of(OBABO) == "obabo_alone.OBABO"
    assert "obabo_alone.OBABO" in registry.known()
    free = alanine_dipeptide(constraints="none")
    for engine, name in ((OpenMMEngine, "OpenMM"), (ASEEngine, "ASE")):
        with pytest.raises(
            ValueError, match=f"{name}'s engine has no OBABO dynamics; use Langevin, or the nat"
        ):
            engine(free, OBABO(KT, 0.001))


def test_it_refuses_bonds_that_it_does_not_keep(named):
    OBABO = named("obabo_held", PLUGIN)
    with pytest.raises(ValueError, match="OBABO dynamics given with 12 constraints, which it does not keep"):
        NativeEngine(alanine_dipeptide(), OBABO(KT, 0.001))


def test_the_same_file_may_teach_openmm_the_dynamics(named):
    OBABO = named("obabo_taught", PLUGIN + IN_OPENMM)
    free = alanine_dipeptide(constraints="none")
    engine = OpenMMEngine(free, OBABO(kT=KT, dt=0.0005, friction=50.0))
    at = jnp.asarray(free.positions, jnp.float32)[:, :, None].repeat(4, 2)
    start = thermal_state(at, free.masses, KT, jax.random.key(1))
    momenta = np.asarray(engine.run(start, 400, save_every=400).state.momenta, float)
    heat = (momenta**2 / free.masses[:, None, None]).mean()
    assert abs(heat / KT - 1) < 4 * np.sqrt(2 / momenta.size)


def test_what_is_no_integrator_is_refused_with_a_word():
    with pytest.raises(ValueError, match="float is no integrator; give one, such as Langevin"):
        check_integrator(0.002, Constraints.none())


def test_an_atom_may_get_as_far_as_with_a_thousand_times_its_heat():
    reach = thermal_reach(np.array([1.0, 16.0, 0.0]), KT, 0.002)
    np.testing.assert_allclose(reach, [0.1, 0.025, np.inf])


def test_dynamics_without_path_weights_does_not_offer_them(named):
    assert not isinstance(named("obabo_paths", PLUGIN)(KT, 0.1), PathWeighted)
