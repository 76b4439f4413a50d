"""SHAKE and RATTLE: lengths kept, momenta distributed as constraints allow, redundant input refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.temperature import kinetic_energy, kinetic_temperature, thermal_start
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.systems.state import State, thermal_state
from thalweg.systems.system import Constraints, System
from thalweg.systems.topology import Topology

MANY, SOME = 20000, 256
"""Replicas: the same few numbers everywhere, since each is compiled anew."""
KT = 2.5


class Springs(eqx.Module):
    """Weak springs to the origin, and strong tension along constraints, which changes nothing but the forces."""

    stiffness: jax.Array
    pairs: np.ndarray
    tension: float

    def __call__(self, positions, box=None):
        i, j = self.pairs.T
        lengths = jnp.sqrt(((positions[i] - positions[j]) ** 2).sum(1))
        return 0.5 * jnp.tensordot(self.stiffness, (positions**2).sum(1), 1) + self.tension * lengths.sum(0)

    def refreshed(self, positions, box=None):
        return self


def system(masses, positions, pairs):
    """Atoms with these pairs held at their present distances."""
    masses, positions, pairs = np.asarray(masses, float), np.asarray(positions, float), np.asarray(pairs)
    n = len(masses)
    topology = Topology(("A",) * n, ("C",) * n, ("MOL",) * n, (1,) * n, (0,) * n, pairs)
    lengths = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    energy = Springs(jnp.linspace(10.0, 40.0, n, dtype=jnp.float32), pairs, 2000.0)
    return System(topology, positions, masses, energy, Constraints(pairs, lengths))


def rigid_water():
    half = np.radians(104.52) / 2
    legs = 0.09572 * np.array([[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]])
    return system([15.999, 1.008, 1.008], legs, [[0, 1], [0, 2], [1, 2]])


def methane_and_a_rod():
    """A cluster of four constraints, one of a single constraint, a free atom and one that never moves."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.109 / np.sqrt(3)
    rest = [[0.3, 0, 0], [0.3, 0.1, 0.05], [0, 0.4, 0], [0.5, 0.5, 0.5]]
    positions = np.concatenate([[[0, 0, 0]], corners, rest])
    return system([12, 1, 1, 1, 1, 14, 1, 16, 0], positions, [[0, 1], [2, 0], [0, 3], [4, 0], [5, 6]])


SYSTEMS = pytest.mark.parametrize(
    "molecule", [rigid_water, methane_and_a_rod], ids=["water", "methane+rod"], indirect=True
)


@pytest.fixture
def molecule(request):
    return request.param()


def projector(molecule):
    """``1 - G^T (G M^-1 G^T)^-1 G M^-1`` on flat momenta, by dense linear algebra."""
    n, pairs, x = len(molecule.masses), molecule.constraints.pairs, molecule.positions
    rows = np.zeros((len(pairs), n, 3))
    for k, (i, j) in enumerate(pairs):
        rows[k, i], rows[k, j] = x[i] - x[j], x[j] - x[i]
    gradients = rows.reshape(len(pairs), -1)
    weights = np.repeat(np.divide(1, molecule.masses, out=np.zeros(n), where=molecule.masses > 0), 3)
    metric = gradients @ (weights[:, None] * gradients.T)
    return np.eye(3 * n) - gradients.T @ np.linalg.solve(metric, gradients * weights)


@SYSTEMS
def test_rattle_is_the_projection_of_linear_algebra(molecule):
    bonds = BondConstraints.build(molecule.constraints, molecule.masses)
    with jax.enable_x64(True):
        x = jnp.asarray(molecule.positions)[:, :, None]
        p = thermal_state(x, molecule.masses, KT, jax.random.key(0)).momenta
        projected = bonds.projected(p, bonds.tangents(x))
        np.testing.assert_allclose(projected.ravel(), projector(molecule) @ p.ravel(), atol=1e-12)


@SYSTEMS
def test_shake_restores_lengths_to_the_precision_of_the_numbers(molecule):
    bonds = BondConstraints.build(molecule.constraints, molecule.masses)
    start = thermal_start(molecule, KT, jax.random.key(0), SOME)
    tangents = bonds.tangents(start.positions)
    for dt in (0.002, 0.004):
        free = start.positions + dt * bonds.velocities(start.momenta)
        assert float(bonds.violation(free).max()) > 1e-3
        kept, momenta = bonds.restored(free, start.momenta, tangents, dt)
        assert float(bonds.violation(kept).max()) < 5e-6
        np.testing.assert_allclose(
            momenta - start.momenta, np.asarray(kept - free) * molecule.masses[:, None, None] / dt, atol=2e-2
        )


@SYSTEMS
def test_thermal_momenta_have_the_covariance_that_constraints_leave(molecule):
    start = thermal_start(molecule, KT, jax.random.key(1), MANY)
    flat = np.asarray(start.momenta, float).reshape(-1, MANY)
    side = projector(molecule)
    expected = KT * side @ np.diag(np.repeat(molecule.masses, 3)) @ side.T
    errors = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / MANY)
    assert (np.abs(flat @ flat.T / MANY - expected) < 4.5 * errors + 1e-4).all()


@pytest.mark.parametrize(
    "molecule",
    [rigid_water, pytest.param(methane_and_a_rod, marks=pytest.mark.long)],
    ids=["water", "methane+rod"],
    indirect=True,
)
def test_langevin_keeps_lengths_and_gives_every_degree_of_freedom_its_share(molecule):
    engine = NativeEngine(molecule, Langevin(KT, 0.002, friction=20.0))
    state = thermal_start(molecule, 0.2 * KT, jax.random.key(2), SOME)
    temperatures = []
    for _ in range(12):
        recording = engine.run(state, 150, save_every=150)
        assert recording.diverged == {}
        state = recording.state
        temperatures.append(kinetic_temperature(state.momenta, molecule.masses, molecule.degrees_of_freedom))
        assert float(engine.bonds.violation(state.positions).max()) < 5e-6
    each = np.array(temperatures[1:]).mean(0)
    assert abs(each.mean() - KT) < 4 * each.std() / np.sqrt(each.size)
    still = molecule.masses == 0
    np.testing.assert_allclose(
        state.positions[still], np.repeat(molecule.positions[still][..., None], SOME, 2), rtol=1e-6
    )


def test_the_rotation_of_rigid_water_conserves_energy_and_angular_momentum():
    molecule = rigid_water()
    with jax.enable_x64(True):
        start = thermal_start(molecule, KT, jax.random.key(3), 16)
        start = jax.tree.map(lambda a: a.astype(float) if a.dtype == np.float32 else a, start)
        engine = NativeEngine(
            molecule, VelocityVerlet(0.001), Springs(jnp.zeros(3), molecule.constraints.pairs, 2000.0)
        )
        end = engine.run(start, 2000, save_every=2000).state

        def spin(state):
            x, p = (np.moveaxis(np.asarray(a), 2, 0) for a in (state.positions, state.momenta))
            return np.cross(x, p).sum(1)

        before, after = (kinetic_energy(s.momenta, molecule.masses) for s in (start, end))
        np.testing.assert_allclose(after, before, rtol=1e-3)
        np.testing.assert_allclose(spin(end), spin(start), atol=1e-3)


def test_a_structure_off_its_lengths_is_put_right_before_the_first_step():
    molecule = rigid_water()
    start = thermal_start(molecule, KT, jax.random.key(4), SOME)
    stretched = State(start.positions * 1.08, start.momenta, start.key, start.step)
    engine = NativeEngine(molecule, Langevin(KT, 0.002))
    recording = engine.run(stretched, 10, save_every=10)
    assert recording.diverged == {}
    assert float(engine.bonds.violation(recording.state.positions).max()) < 5e-6
    assert (kinetic_energy(recording.state.momenta, molecule.masses) < 10 * KT).all()


@pytest.mark.parametrize(
    ("pairs", "masses", "complaint"),
    [([[0, 1], [1, 0]], [1, 1, 1], "twice"), ([[0, 1]], [0, 0, 1], "no mass")],
)
def test_constraints_that_cannot_be_solved_are_refused(pairs, masses, complaint):
    constraints = Constraints(np.array(pairs), np.ones(len(pairs)))
    with pytest.raises(ValueError, match=complaint):
        BondConstraints.build(constraints, np.array(masses, float))


def test_overdamped_dynamics_refuses_constraints():
    with pytest.raises(ValueError, match="use Langevin"):
        NativeEngine(rigid_water(), Overdamped(KT, 1e-5))


def test_thermal_start_wants_one_structure_or_as_many_as_replicas():
    with pytest.raises(ValueError, match="positions of 3 replicas"):
        thermal_start(rigid_water(), KT, jax.random.key(0), 5, np.zeros((3, 3, 3)))
