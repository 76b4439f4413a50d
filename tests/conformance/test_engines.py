"""What every engine must do, tried on each with a bent flexible molecule of three atoms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from thalweg.dynamics.engine import Engine, StopRun
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.ase.engine import ASEEngine
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.system import system_from_openmm
from thalweg.systems.state import State, thermal_state
from thalweg.systems.topology import Topology

ENGINES = (NativeEngine, OpenMMEngine, ASEEngine)
KT = 2.5
LENGTH, ANGLE = 0.1, 1.9


@pytest.fixture(scope="module")
def molecule():
    system = openmm.System()
    for mass in (16.0, 2.0, 2.0):
        system.addParticle(mass)
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    bonds.addBond(0, 1, LENGTH, 4e5)
    bonds.addBond(0, 2, LENGTH, 4e5)
    angles.addAngle(1, 0, 2, ANGLE, 400.0)
    system.addForce(bonds)
    system.addForce(angles)
    topology = Topology(
        ("O", "H1", "H2"), ("O", "H", "H"), ("HOH",) * 3, (1,) * 3, (0,) * 3, np.array([[0, 1], [0, 2]])
    )
    half = ANGLE / 2
    positions = LENGTH * np.array(
        [[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]]
    )
    return system_from_openmm(system, topology, positions)


@pytest.fixture(scope="module", params=ENGINES, ids=lambda engine: engine.__name__)
def engine(request, molecule):
    return request.param(molecule, Langevin(kT=KT, dt=0.0005, friction=5.0))


def start(molecule, replicas=3, seed=0):
    positions = jnp.repeat(jnp.asarray(molecule.positions, jnp.float32)[:, :, None], replicas, 2)
    return thermal_state(positions, molecule.masses, KT, jax.random.key(seed))


class Separation(eqx.Module):
    """Distance of the two hydrogens."""

    names = ("separation",)
    units = ("nm",)
    periods = (None,)

    def __call__(self, positions, box=None):
        return jnp.sqrt(((positions[1] - positions[2]) ** 2).sum(0))[None]


class Spring(eqx.Module):
    """A spring on a variable that counts its deposits."""

    variable: Separation
    center: jax.Array
    stiffness: jax.Array
    stride: int | None = eqx.field(static=True, default=None)

    def init(self):
        return jnp.zeros(())

    def energy(self, bias_state, values):
        return 0.5 * self.stiffness * (values[0] - self.center) ** 2

    def update(self, bias_state, values):
        return bias_state + jnp.isfinite(values[0]).sum()


def test_it_is_an_engine(engine):
    assert isinstance(engine, Engine)


def test_a_recording_has_replicas_first_and_frames_second(engine, molecule):
    recording = engine.run(start(molecule), 40, save_every=10)
    assert recording.positions.shape == (3, 4, 3, 3)
    assert recording.positions.dtype == np.float32
    assert recording.energy.shape == recording.bias_energy.shape == (3, 4)
    assert recording.values.shape == (3, 4, 0)
    assert recording.valid.tolist() == [4, 4, 4]
    assert recording.diverged == {}
    assert recording.dt_frames == pytest.approx(0.005)
    assert recording.state.positions.shape == (3, 3, 3)
    assert int(recording.state.step) == 40
    np.testing.assert_allclose(
        np.moveaxis(recording.state.positions, 2, 0), recording.positions[:, -1], rtol=1e-6
    )


def test_frames_carry_the_energy_of_their_positions(engine, molecule):
    recording = engine.run(start(molecule), 20, save_every=5)
    energies = molecule.energy(jnp.asarray(recording.positions).transpose(2, 3, 0, 1))
    np.testing.assert_allclose(recording.energy, energies, rtol=1e-3, atol=1e-2)


def test_the_same_state_gives_the_same_run(engine, molecule):
    first, second = (engine.run(start(molecule), 20, save_every=5) for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.state.momenta, second.state.momenta)
    assert jax.random.key_data(first.state.key).tolist() == jax.random.key_data(second.state.key).tolist()


def test_another_key_and_a_continued_run_see_other_noise(engine, molecule):
    state = start(molecule)
    first = engine.run(state, 20, save_every=20)
    other = State(state.positions, state.momenta, jax.random.key(77), state.step)
    assert np.abs(engine.run(other, 20, save_every=20).positions - first.positions).max() > 1e-4
    again = State(state.positions, state.momenta, first.state.key, state.step)
    assert np.abs(engine.run(again, 20, save_every=20).positions - first.positions).max() > 1e-4


def test_observers_see_every_frame_once_and_change_nothing(engine, molecule):
    seen = []
    watched = engine.run(start(molecule), 40, save_every=10, observers=[lambda *look: seen.append(look)])
    np.testing.assert_array_equal(watched.positions, engine.run(start(molecule), 40, save_every=10).positions)
    np.testing.assert_array_equal(
        np.concatenate([chunk.positions for *_, chunk in seen], 1), watched.positions
    )
    assert seen[-1][:2] == (40, 40)


def test_an_observer_may_stop_the_run_and_what_was_done_is_kept(engine, molecule):
    def enough(done, total, chunk):
        raise StopRun

    recording = engine.run(start(molecule), 10**9, save_every=10, observers=[enough])
    assert 1 <= recording.positions.shape[1] < 10**6
    assert np.isfinite(recording.positions).all()


def test_a_bias_pulls_and_its_values_and_energies_are_recorded(engine, molecule):
    bias = Spring(Separation(), jnp.float32(0.12), jnp.float32(2e5), stride=10)
    recording = engine.run(start(molecule), 400, save_every=20, bias=bias)
    assert recording.values.shape == (3, 20, 1)
    separation = np.linalg.norm(recording.positions[:, :, 1] - recording.positions[:, :, 2], axis=-1)
    np.testing.assert_allclose(recording.values[..., 0], separation, rtol=1e-4)
    np.testing.assert_allclose(recording.bias_energy, 1e5 * (separation - 0.12) ** 2, rtol=2e-2, atol=1e-2)
    assert abs(separation[:, 10:].mean() - 0.12) < 0.01  # free, it is 0.163
    assert float(recording.bias_state) == 3 * 400 / 10


def test_a_bias_state_goes_on_where_it_was(engine, molecule):
    bias = Spring(Separation(), jnp.float32(0.16), jnp.float32(10.0), stride=10)
    recording = engine.run(start(molecule), 20, save_every=20, bias=bias, bias_state=jnp.float32(100.0))
    assert float(recording.bias_state) == 106.0


@pytest.mark.parametrize(("steps", "save_every"), [(25, 10), (5, 10), (10, 0), (0, 10)])
def test_steps_that_are_no_whole_number_of_frames_are_refused(engine, molecule, steps, save_every):
    with pytest.raises(ValueError, match="whole number of frames"):
        engine.run(start(molecule), steps, save_every=save_every)


def test_positions_that_are_not_numbers_are_refused_and_named(engine, molecule):
    state = start(molecule)
    broken = State(state.positions.at[1, 0, 2].set(jnp.nan), state.momenta, state.key, state.step)
    with pytest.raises(ValueError, match="atom 1 of replica 2"):
        engine.run(broken, 10, save_every=10)


def test_positions_of_another_system_are_refused(engine):
    other = thermal_state(jnp.zeros((5, 3, 2)), np.ones(5), KT, jax.random.key(0))
    with pytest.raises(ValueError, match="system of 3 atoms"):
        engine.run(other, 10, save_every=10)


def test_a_replica_that_breaks_is_named_and_the_others_go_on(engine, molecule):
    state = start(molecule)
    stretched = state.positions.at[2, 1, 1].add(3.0)
    recording = engine.run(State(stretched, state.momenta, state.key, state.step), 40, save_every=10)
    assert list(recording.diverged) == [1]
    assert "HOH1" in recording.diverged[1]
    assert recording.valid.tolist() == [4, 0, 4]
    assert np.isfinite(recording.positions).all()
    np.testing.assert_array_equal(recording.positions[1, 0], np.asarray(stretched[:, :, 1]))


def test_when_all_replicas_break_the_run_ends(engine, molecule):
    state = start(molecule)
    state = State(state.positions.at[2].add(3.0), state.momenta, state.key, state.step)
    recording = engine.run(state, 1000, save_every=10)
    assert sorted(recording.diverged) == [0, 1, 2]
    assert recording.positions.shape[1] < 100
    assert recording.valid.sum() == 0


def test_a_broken_replica_deposits_nothing(engine, molecule):
    state = start(molecule)
    state = State(state.positions.at[2, 1, 1].add(3.0), state.momenta, state.key, state.step)
    bias = Spring(Separation(), jnp.float32(0.16), jnp.float32(0.0), stride=10)
    recording = engine.run(state, 40, save_every=10, bias=bias)
    assert float(recording.bias_state) == 2 * 4


@pytest.mark.parametrize("make", ENGINES)
def test_without_a_bath_energy_is_conserved(make, molecule):
    engine = make(molecule, VelocityVerlet(dt=0.0002))
    state = start(molecule)
    recording = engine.run(state, 500, save_every=500)

    def total(positions, momenta):
        kinetic = (np.asarray(momenta, float) ** 2 / molecule.masses[:, None, None]).sum((0, 1)) / 2
        return kinetic + np.asarray(molecule.energy(positions))

    before = total(state.positions, state.momenta)
    after = total(recording.state.positions, recording.state.momenta)
    np.testing.assert_allclose(after, before, atol=0.02 * KT)


@pytest.mark.parametrize("make", [NativeEngine, OpenMMEngine])
def test_overdamped_replicas_fluctuate_about_the_minimum(make, molecule):
    engine = make(molecule, Overdamped(kT=KT, dt=1e-6, diffusion=1.0))
    recording = engine.run(start(molecule), 2000, save_every=20)
    stretch = (
        np.linalg.norm(recording.positions[:, 20:, 0] - recording.positions[:, 20:, 1], axis=-1) - LENGTH
    )
    assert abs(stretch.mean()) < 0.002
    assert 0.5 < stretch.var() / (KT / 4e5) < 2.0


def test_only_the_native_engine_takes_a_bias_with_a_window_for_each_replica(engine, molecule):
    windows = Spring(Separation(), jnp.array([0.155, 0.16, 0.165]), jnp.float32(1e5))
    if isinstance(engine, NativeEngine):
        values = engine.run(start(molecule), 400, save_every=20, bias=windows).values[:, 10:, 0].mean(1)
        assert values[0] < values[1] < values[2]
    else:
        with pytest.raises(ValueError, match="run each window by itself"):
            engine.run(start(molecule), 20, save_every=20, bias=windows)
