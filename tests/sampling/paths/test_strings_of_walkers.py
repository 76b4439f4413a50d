"""Strings that walkers pull along: both find the way that entropy moves off that of least energy, and its height."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Coordinates, Dihedrals
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.paths.finite_temperature_string import FiniteTemperatureString
from thalweg.sampling.paths.free_energy_path import FreeEnergyPath
from thalweg.sampling.paths.reparametrization import arc_lengths, spread_evenly
from thalweg.sampling.paths.string_in_variables import StringInVariables
from thalweg.sampling.paths.walkers_on_string import StringUnits, settled
from thalweg.systems.state import State
from thalweg.testsystems.muller_brown import WithHarmonicDimensions
from thalweg.testsystems.narrowing import WithNarrowingDimension
from thalweg.testsystems.wells import DoubleWell
from thalweg.units import thermal_energy

WELL = DoubleWell(4.0)
NARROWING = WithNarrowingDimension(WithHarmonicDimensions(WELL, 1, 30.0), growth=(0.0, 8.0), stiffness=100.0)
"""Least energy along y = 0; least free energy, ``4 (x^2 - 1)^2 + 15 y^2 + 4 y``, along y = -2/15."""

FLOOR = -2 / 15
GUESS = [[-1.0, 0.0], [0.0, 0.2], [1.0, 0.0]]


class Plane(Coordinates):
    """The first two of three coordinates."""

    def __init__(self):
        super().__init__([0], dims=2)

    def __call__(self, positions, box=None):
        return positions[0, :2]


def plane():
    engine = NativeEngine.for_potential(NARROWING, np.ones(1), Overdamped(kT=1.0, dt=5e-4))
    return Apparatus(engine, Plane(), np.array([[-1.0, 0.0, 0.0]]), np.ones(1), kT=1.0)


def exact_cells(images):
    """Free energies of cells and their means, by sums on a grid."""
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(-2, 2, 401), np.linspace(-1.8, 1.4, 321)))
    points = np.stack([x, y])
    weight = np.exp(-NARROWING.free_energy(points, 1.0) - 1.0)
    own = ((points.T[:, None] - images) ** 2).sum(-1).argmin(1)
    weights = np.bincount(own, weight, len(images))
    means = np.stack([np.bincount(own, weight * p, len(images)) / weights for p in points], axis=1)
    return -np.log(weights / weights[0]), means


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_a_string_of_springs_finds_the_way_of_least_free_energy_and_its_height(seed):
    method = StringInVariables(
        (60.0, 60.0), images=15, moves=60, step=1.0, equilibrate=0.05, average=0.25, produce=12.0, pull=0.9,
        save_every=0.01, seed=seed,
    )  # fmt: skip
    path = method.connect(plane(), Plane(), GUESS)
    # the way of least energy is 0.13 away
    np.testing.assert_allclose(path.images[:, 1], FLOOR, atol=0.05)
    exact = NARROWING.free_energy(path.images.T, 1.0)
    off = path.free_energy - (exact - exact[0])
    assert path.errors.max() < 0.2
    np.testing.assert_array_less(np.abs(off[1:]), 4 * path.errors[1:])
    # slopes are means of those of the free energy, and the metric of coordinates is the inverse mass
    np.testing.assert_allclose(path.metrics, np.broadcast_to(np.eye(2), (15, 2, 2)), atol=1e-5)
    barrier, error = path.barrier
    assert barrier == pytest.approx(WELL.barrier, abs=4 * error)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_confined_walkers_find_the_tube_and_the_weights_of_its_cells(seed):
    method = FiniteTemperatureString(
        (1.0, 1.0), images=9, walkers=16, moves=16, average=0.3, produce=4.0, pull=0.36, save_every=0.01,
        seed=seed,
    )  # fmt: skip
    path = method.connect(plane(), Plane(), GUESS)
    np.testing.assert_allclose(path.images[:, 1], FLOOR, atol=0.07)
    exact, _ = exact_cells(path.images)
    assert path.errors.max() < 0.5
    np.testing.assert_array_less(np.abs(path.free_energy - exact)[1:], 4 * path.errors[1:])


def test_a_string_that_follows_exact_means_of_its_cells_comes_to_the_floor():
    """The moves of `FiniteTemperatureString`, without noise."""

    def move(string: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        return 0.5 * (exact_cells(string)[1] - string), state

    units = StringUnits(np.ones(2), (None, None))
    nobody = State(*(np.zeros((1, 3, 1), np.float32),) * 2, jax.random.key(0), jnp.zeros((), jnp.int32))
    string, _, drift = settled(units.first(GUESS, 9), nobody, move, 24, 0.2)
    np.testing.assert_allclose(string[:, 1], FLOOR, atol=0.02)
    assert drift < 0.05


@pytest.mark.long
def test_mean_forces_on_torsions_are_the_same_through_openmm_and_the_native_engine():
    system = alanine_dipeptide("vacuum")
    rows = [tuple(int(a) for a in backbone_dihedrals(system.topology)[name][0]) for name in ("phi", "psi")]
    torsions, kT = Dihedrals(rows), thermal_energy(300.0)
    integrator = Langevin(kT=kT, dt=0.002, friction=5.0)
    method = StringInVariables(
        (150.0, 150.0), images=3, walkers=2, moves=1, equilibrate=1.0, average=1.0, produce=12.0, pull=3.6,
        ends="keep", save_every=0.02,
    )  # fmt: skip
    found = []
    for engine in (NativeEngine(system, integrator), OpenMMEngine(system, integrator)):
        apparatus = Apparatus(
            engine,
            torsions,
            np.asarray(system.positions, float),
            np.asarray(system.masses, float),
            kT,
            constraints=system.constraints,
        )
        # over the border of a period and back
        found.append(method.connect(apparatus, torsions, [[-1.4, 2.9], [-1.4, -2.9]]))
    first, second = found
    np.testing.assert_allclose(first.images, second.images, atol=0.06)
    assert abs(first.images[-1, 1] - first.images[0, 1]) < 1.0
    np.testing.assert_allclose(
        first.metrics, second.metrics, rtol=0.1, atol=0.05 * np.abs(first.metrics).max()
    )
    apart = np.abs(first.free_energy - second.free_energy)[1:]
    np.testing.assert_array_less(apart, 4 * np.hypot(first.errors, second.errors)[1:] + 0.1)


def test_images_are_spread_evenly_and_go_on_beyond_a_period():
    units = StringUnits(np.array([0.5]), (2 * np.pi,))
    string = units.first([[3.0], [-3.0]], 5)
    np.testing.assert_allclose(np.diff(arc_lengths(string)), (2 * np.pi - 6.0) / 0.5 / 4)
    assert float(string[-1, 0]) == pytest.approx((2 * np.pi - 3.0) / 0.5)
    assert float(units.away(np.array([[-3.1]]), string[-1:])[0, 0]) == pytest.approx(-0.2)
    circle = np.stack([np.cos(t := np.array([0.0, 0.1, 0.5, 1.0, 1.6, 2.1, 2.5, 3.0])), np.sin(t)], axis=1)
    np.testing.assert_allclose(np.linalg.norm(spread_evenly(circle, 9), axis=1), 1.0, atol=0.01)


def test_what_no_string_can_go_through_is_refused():
    method = StringInVariables((50.0, 50.0))
    with pytest.raises(ValueError, match=r"points of shape \(2, 1\); give \(points, 2\)"):
        method.connect(plane(), Plane(), [[0.0], [1.0]])
    with pytest.raises(ValueError, match="through one point twice running"):
        method.connect(plane(), Plane(), [[0.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match=r"stiffness = \(50.0,\) for the values 0 x, 0 y; give 2"):
        StringInVariables((50.0,)).connect(plane(), Plane(), GUESS)
    with pytest.raises(ValueError, match=r"widths = .*; give 2 positive numbers"):
        FiniteTemperatureString((1.0, -1.0)).connect(plane(), Plane(), GUESS)
    with pytest.raises(ValueError, match=r"produce = 0.04 ps is 2 frames; give at least 4"):
        StringInVariables((50.0, 50.0), produce=0.04)


def test_a_path_keeps_what_it_is_in_a_file_and_tells_a_string_that_moves_on(tmp_path):
    free_energy = np.array([0.0, 3.0, 4.0, 3.0, 0.0])
    path = FreeEnergyPath(
        np.zeros((5, 1)), free_energy, np.full(5, 0.1), ("s",), ("",), (None,), "string", 0.7, 10.0,
        notes=("the string still moved",),
    )  # fmt: skip
    path.save(tmp_path / "path.tree")
    again = FreeEnergyPath.load(tmp_path / "path.tree")
    assert again.barrier == path.barrier == (4.0, 0.1)
    assert "still moved" in str(again)
