"""Biases as PLUMED input: what its manual says the lines do is what ours does."""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType

import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from thalweg.geometry.variables import Dihedrals, Distances
from thalweg.interop.files.hills import hills_of, write_hills
from thalweg.interop.formulas.plumed_biases import gromacs_lines, plumed_bias_input, write_plumed_grid
from thalweg.interop.openmm.plumed_force import plumed_force
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.bias.moving import MovingRestraint
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.bias.sum_of_biases import SumOfBiases
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.bias.walls import Walls
from thalweg.sampling.exchange.ladder import Ladder

PHI, D = Dihedrals([[0, 1, 2, 3]]), Distances([[0, 3]])


def keys(text, label):
    """Keywords of the action of that label."""
    line = re.search(rf"^{label}: (\w+) (.*)$", text, re.M)
    return {"action": line[1]} | dict(word.partition("=")[::2] for word in line[2].split())


@pytest.fixture(scope="module")
def grown():
    """Metadynamics of a distance, in which two walkers have deposited."""
    bias = WellTemperedMetadynamics(D, 0.2, 1.0, 0.05, 1.5, 10.0, 2.494, stride=500)
    values = np.random.default_rng(0).uniform(0.3, 0.9, (2, 30, 1)).astype(np.float32)
    state = bias.init()
    for standing in np.moveaxis(values, 1, 0):
        state = bias.update(state, jnp.asarray(standing.T))
    return bias, state, values


def test_metadynamics_has_the_keywords_of_metad_and_walls_beyond_its_limits(grown):
    bias, _, _ = grown
    text = plumed_bias_input(bias, walkers=(1, 4), print_every=100)
    found = keys(text, "metad")
    assert found["action"] == "METAD"
    assert float(found["TEMP"]) == pytest.approx(2.494 / 0.00831446, rel=1e-5)
    assert [float(found[key]) for key in ("SIGMA", "HEIGHT", "BIASFACTOR", "PACE")] == [0.05, 1.5, 10.0, 500]
    assert (found["WALKERS_N"], found["WALKERS_ID"]) == ("4", "1")
    # the grid has room beyond the walls, which PLUMED does not go on without
    assert float(found["GRID_MIN"]) < 0.2 < 1.0 < float(found["GRID_MAX"])
    upper, lower = keys(text, "uwall"), keys(text, "lwall")
    x = 1.07
    assert float(upper["KAPPA"]) * (x - float(upper["AT"])) ** 2 == pytest.approx(
        float(bias.potential(bias.init(), jnp.array([x]))), rel=1e-5
    )
    assert float(lower["AT"]) == pytest.approx(0.2)
    assert "PRINT ARG=cv,*.bias STRIDE=100" in text


def test_a_periodic_grid_ends_where_the_variable_does_letter_by_letter():
    bias = WellTemperedMetadynamics(PHI, -np.pi, np.pi, 0.3, 1.0, 6.0, 2.5, stride=100)
    text = plumed_bias_input(bias)
    low, high = re.search(r"PERIODIC=(\S+),(\S+)", text).groups()
    found = keys(text, "metad")
    assert (found["GRID_MIN"], found["GRID_MAX"]) == (low, high)
    assert "WALL" not in text


def test_a_grid_file_has_value_and_slope_of_the_bias_first_value_fastest(grown, tmp_path):
    bias, state, _ = grown
    text = write_plumed_grid(tmp_path / "grid", bias, state).read_text()
    table = np.array([row.split() for row in text.splitlines() if row and row[0] != "#"], float)
    assert f"#! SET nbins_cv {len(table) - 1}" in text
    inside = (table[:, 0] > 0.25) & (table[:, 0] < 0.95)
    exact = np.asarray(bias.potential(state, jnp.asarray(table[inside, 0][None], jnp.float32)))
    np.testing.assert_allclose(table[inside, 1], exact, atol=1e-4)
    slopes = np.gradient(table[:, 1], table[:, 0])[inside]
    np.testing.assert_allclose(table[inside, 2], slopes, atol=0.15 * np.abs(slopes).max())
    frozen = plumed_bias_input(FrozenBias(bias, state), grid="grid")
    assert keys(frozen, "metad") == {"action": "EXTERNAL", "ARG": "cv", "FILE": "grid"}
    two = WellTemperedMetadynamics(
        Dihedrals([[0, 1, 2, 3], [1, 2, 3, 4]]),
        [-np.pi] * 2,
        [np.pi] * 2,
        0.8 * np.ones(2),
        1.0,
        6.0,
        2.5,
        100,
    )
    rows = write_plumed_grid(tmp_path / "two", two, two.init()).read_text().splitlines()
    assert rows[0] == "#! FIELDS cv1 cv2 metad.bias der_cv1 der_cv2"
    body = [row.split() for row in rows if not row.startswith("#")]
    assert float(body[1][0]) > float(body[0][0])
    assert body[1][1] == body[0][1]
    assert body[two.grid.bins[0]] == []


def test_opes_restraints_and_what_plumed_has_not():
    opes = OPES(barrier=40.0).on(D, _limits(), kT=2.494, dt=0.002)
    found = keys(plumed_bias_input(opes), "opes")
    assert (found["action"], float(found["BARRIER"]), float(found["SIGMA"])) == (
        "OPES_METAD",
        40.0,
        round(float(opes.widths[0]), 7),
    )
    restraint = keys(plumed_bias_input(HarmonicRestraint(D, [0.4], [300.0])), "restraint")
    assert (float(restraint["AT"]), float(restraint["KAPPA"])) == (pytest.approx(0.4), 300.0)
    with pytest.raises(ValueError, match="windows are one file each"):
        plumed_bias_input(HarmonicRestraint(D, [[0.4, 0.5]], [300.0]))
    with pytest.raises(ValueError, match="PLUMED has no Ladder that is the same"):
        plumed_bias_input(Ladder(2.5, 10, HarmonicRestraint(D, [[0.4, 0.5]], [300.0]).windows()))


def test_walls_moving_restraints_and_sums_have_energies_as_the_manual_defines_them():
    both = SumOfBiases(
        HarmonicRestraint(D, [0.4], [300.0]),
        Walls(D, [-np.inf], [0.9], [80.0]),
        HarmonicRestraint(D, [0.5], [100.0]),
    )
    text = plumed_bias_input(both)
    assert text.count("DISTANCE") == 1
    wall = keys(text, "uwall")
    assert float(wall["KAPPA"]) * (1.2 - float(wall["AT"])) ** 2 == pytest.approx(0.5 * 80 * 0.3**2)
    assert [keys(text, label)["ARG"] for label in ("restraint", "uwall", "restraint2")] == [
        "cv1",
        "cv2",
        "cv3",
    ]
    assert "LOWER_WALLS" not in text
    pulled = keys(plumed_bias_input(MovingRestraint(D, [0.3], [0.9], [200.0], jumps=10, stride=50)), "moving")
    assert [float(pulled[key]) for key in ("AT0", "AT1", "KAPPA0", "STEP1")] == [0.3, 0.9, 200.0, 500]
    with pytest.raises(ValueError, match="no walls of a periodic value"):
        plumed_bias_input(Walls(PHI, [-1.0], [1.0], [10.0]))


def test_gromacs_gets_the_same_dynamics():
    lines = dict(
        line.split(" = ") for line in gromacs_lines(0.002, 2.494339, 5000, friction=2.0).splitlines()
    )
    assert (lines["integrator"], float(lines["tau-t"]), float(lines["ref-t"])) == (
        "sd",
        0.5,
        pytest.approx(300.0),
    )


class Spring:
    """A kernel of PLUMED that knows one spring between atoms 1 and 2, and counts its updates."""

    def __init__(self):
        self.said, self.updates = {}, 0

    def cmd(self, command, value=None):
        self.said[command] = value
        if command == "performCalcNoUpdate":
            arm = self.said["setPositions"][0] - self.said["setPositions"][1]
            self.energy = 50.0 * float(arm @ arm)
            self.said["setForces"][0] -= 100.0 * arm
            self.said["setForces"][1] += 100.0 * arm
        self.updates += command == "update"
        if command == "getBias":
            value[0] = self.energy


@pytest.fixture
def pair():
    system = openmm.System()
    for _ in range(2):
        system.addParticle(10.0)
    return system


def context(system):
    made = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    made.setPositions([[0, 0, 0], [0.3, 0, 0]])
    return made


def test_the_kernel_is_told_steps_and_grows_once_a_step_however_often_it_is_asked(pair, monkeypatch):
    spring, module = Spring(), ModuleType("plumed")
    module.Plumed = lambda: spring
    monkeypatch.setitem(sys.modules, "plumed", module)
    pair.addForce(plumed_force("d: DISTANCE ATOMS=1,2", np.full(2, 10.0), 0.001, 2.5))
    running = context(pair)
    state = running.getState(energy=True, forces=True)
    assert state.getPotentialEnergy()._value == pytest.approx(4.5)
    np.testing.assert_allclose(state.getForces(asNumpy=True)._value[:, 0], [30.0, -30.0], rtol=1e-6)
    assert spring.updates == 1
    running.getIntegrator().step(5)
    running.getState(energy=True)
    assert (spring.said["setStep"], spring.updates) == (5, 6)
    assert spring.said["readInputLine"] == "d: DISTANCE ATOMS=1,2"
    assert (spring.said["setKbT"], spring.said["setTimestep"]) == (2.5, 0.001)


def test_without_a_kernel_it_is_said_how_to_get_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "plumed", None)
    with pytest.raises(ImportError, match="set PLUMED_KERNEL"):
        plumed_force("", np.ones(1), 0.001, 2.5)


@pytest.mark.skipif("PLUMED_KERNEL" not in os.environ, reason="PLUMED_KERNEL is not set")
def test_plumed_goes_on_with_gaussians_of_ours(pair, grown, tmp_path, monkeypatch):
    bias, state, values = grown
    monkeypatch.chdir(tmp_path)
    bias = WellTemperedMetadynamics(Distances([[0, 1]]), 0.2, 1.0, 0.05, 1.5, 10.0, 2.494, stride=500)
    write_hills(tmp_path / "HILLS", hills_of(bias, values, 0.001))
    pair.addForce(plumed_force(plumed_bias_input(bias), np.full(2, 10.0), 0.001, 2.494, restart=True))
    energy = context(pair).getState(energy=True).getPotentialEnergy()._value
    assert energy == pytest.approx(float(bias.potential(state, jnp.array([0.3]))), abs=0.02)


def _limits():
    from thalweg.sampling.bias.method import Limits

    return Limits(np.array([0.2]), np.array([1.0]), np.array([0.05]))
