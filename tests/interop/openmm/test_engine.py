"""The OpenMM engine: what it refuses, the platform it takes, and that it samples what the native engine samples."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import kinetic_energy, kinetic_temperature, thermal_start
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.potentials.energy import Energy
from thalweg.units import thermal_energy

KT = thermal_energy(300.0)
BATH = Langevin(KT, 0.002, friction=5.0)


@pytest.fixture(scope="module")
def alanine():
    return alanine_dipeptide("vacuum")


@pytest.fixture(scope="module")
def native(alanine):
    return NativeEngine(alanine, BATH)


def changed(system, change):
    """The system with its OpenMM ``System`` changed."""
    theirs = openmm.XmlSerializer.deserialize(system.openmm_xml)
    change(theirs)
    return replace(system, openmm_xml=openmm.XmlSerializer.serialize(theirs))


@pytest.mark.long
def test_both_engines_sample_the_same_energies_and_temperatures(alanine, native):
    """Mean energies within four standard errors, from blocks of 20 ps of as many replicas."""
    state = thermal_start(alanine, KT, jax.random.key(0), 64)
    warm = native.run(state, 5000, save_every=5000).state
    ours = native.run(warm, 10000, save_every=100)
    few = thermal_start(alanine, KT, jax.random.key(1), 16, np.asarray(warm.positions)[..., :16])
    theirs = OpenMMEngine(alanine, BATH).run(few, 12000, save_every=100)

    blocks = [recording.energy[:, -100:].astype(float).mean(1) for recording in (ours, theirs)]
    errors = [block.std(ddof=1) / np.sqrt(len(block)) for block in blocks]
    assert abs(blocks[0].mean() - blocks[1].mean()) < 4 * np.hypot(*errors)
    assert np.hypot(*errors) < 1.5
    ratio = ours.energy[:, -100:].std() / theirs.energy[:, -100:].std()
    assert 0.85 < ratio < 1.15


def test_the_kinetic_temperature_counts_constraints(alanine, native):
    state = native.run(thermal_start(alanine, KT, jax.random.key(3), 16), 1500, save_every=1500).state
    temperatures = []
    for _ in range(5):
        state = native.run(state, 300, save_every=300).state
        temperatures.append(kinetic_temperature(state.momenta, alanine.masses, alanine.degrees_of_freedom))
    temperatures = np.array(temperatures).mean(0)
    # twelve constraints left out of 54 degrees of freedom would be 18 per cent
    assert temperatures.std() / np.sqrt(16) < 0.04 * KT
    assert abs(temperatures.mean() - KT) < 4 * temperatures.std() / np.sqrt(16) + 0.003 * KT
    assert float(native.bonds.violation(state.positions).max()) < 5e-6


@pytest.mark.long
def test_alanine_dipeptide_conserves_energy_without_a_bath(alanine, native):
    """Drift below 0.1 kT per degree of freedom and nanosecond at 1 fs, hydrogens constrained."""
    warm = native.run(thermal_start(alanine, KT, jax.random.key(4), 16), 1000, save_every=1000).state
    engine = NativeEngine(alanine, VelocityVerlet(0.001))
    state = engine.run(warm, 10, save_every=10).state
    totals = []
    for _ in range(10):
        recording = engine.run(state, 1000, save_every=1000)
        state = recording.state
        totals.append(recording.energy[:, -1] + np.asarray(kinetic_energy(state.momenta, alanine.masses)))
    drift = np.polyfit(np.arange(10), np.array(totals, float), 1)[0]  # kJ/mol per ps
    error = drift.std() / np.sqrt(len(drift))
    assert abs(drift.mean()) * 1000 < 0.1 * KT * alanine.degrees_of_freedom + 4000 * error
    assert np.std(totals, axis=0).max() < 0.5 * KT


def test_an_energy_of_ours_can_be_added(alanine):
    class Anchor(Energy):
        def __call__(self, positions, box=None):
            return 0.5 * 5000.0 * ((positions[0] - jnp.ones((3,) + (1,) * (positions.ndim - 2))) ** 2).sum(0)

    engine = OpenMMEngine(alanine, BATH, added=Anchor())
    near = alanine.positions - alanine.positions[0] + 0.97
    recording = engine.run(thermal_start(alanine, KT, jax.random.key(0), 2, near), 700, save_every=50)
    anchor = recording.positions[:, 5:, 0]
    assert np.abs(anchor - 1.0).max() < 0.2
    apart = 2500.0 * ((anchor - 1.0) ** 2).sum(-1)
    free = OpenMMEngine(alanine, BATH)
    x = jnp.asarray(recording.positions[:, 5:]).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(recording.energy[:, 5:] - apart, free.system.energy(x), rtol=1e-2, atol=0.5)


def test_platforms_are_chosen_by_size_and_unknown_ones_refused(alanine):
    assert OpenMMEngine(alanine, BATH).platform == "Reference"
    assert OpenMMEngine(alanine, BATH, platform="CPU").platform == "CPU"
    with pytest.raises(ValueError, match="there are Reference, CPU"):
        OpenMMEngine(alanine, BATH, platform="Abacus")


def test_a_system_that_openmm_did_not_make_is_refused(alanine):
    with pytest.raises(ValueError, match="build_system"):
        OpenMMEngine(replace(alanine, openmm_xml=None), BATH)


def test_motion_removers_are_taken_out(alanine):
    engine = OpenMMEngine(changed(alanine, lambda s: s.addForce(openmm.CMMotionRemover(1))), BATH)
    start = thermal_start(alanine, KT, jax.random.key(0), 1)
    moving = engine.run(start, 10, save_every=10).state.momenta.sum(0)
    assert np.abs(moving).max() > 0.1


def test_a_second_thermostat_is_refused(alanine):
    with pytest.raises(ValueError, match="AndersenThermostat beside Langevin dynamics; remove it"):
        OpenMMEngine(changed(alanine, lambda s: s.addForce(openmm.AndersenThermostat(300.0, 1.0))), BATH)
