"""Dispersion by its authors' libraries: two argon atoms, forces and stresses as derivatives, engines, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.potentials.energy import energy_and_forces
from thalweg.systems.configuration import Configuration
from thalweg.units import BOHR, HARTREE

pytest.importorskip("pyscf.dispersion")

from thalweg.interop.quantum.dispersion import CUTOFFS, Dispersion

METHANE_AND_OXYGEN = Configuration(
    np.array([6, 1, 1, 1, 1, 8]),
    0.06 * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1], [5.8, 0, 0]]),
)
CELL = replace(
    METHANE_AND_OXYGEN,
    box=np.array([[0.6, 0, 0], [0.05, 0.62, 0], [0, 0.03, 0.58]]),
    periodic=(True, True, True),
)


def test_two_far_argon_atoms_attract_by_c6_over_the_sixth_power():
    r = np.array([1.5, 2.0])
    pairs = [Configuration(np.array([18, 18]), np.array([[0, 0, 0], [d, 0, 0]])) for d in r]
    # U = -C6/r^6 - C8/r^8: what multiplies 1/r^6 is a line in 1/r^2, and C6 where it meets zero
    slope, c6 = np.polyfit(
        1 / r**2, -Dispersion("pbe0").evaluate(pairs).energies * r**6 / (HARTREE * BOHR**6), 1
    )
    # 64.65 hartree bohr^6 in the tables of D3 for an atom alone
    assert slope > 0
    assert c6 == pytest.approx(64.65, rel=0.01)


@pytest.mark.parametrize("version", CUTOFFS)
def test_forces_and_stresses_are_derivatives_of_the_energy(version):
    term, step, random = Dispersion("pbe0", version), 1e-4, np.random.default_rng(0)
    for one in (METHANE_AND_OXYGEN, CELL):
        label, way = term.evaluate([one]), random.normal(size=(6, 3))
        low, high = term.evaluate(
            [replace(one, positions=one.positions + s * step * way) for s in (-1, 1)]
        ).energies
        assert (high - low) / (2 * step) == pytest.approx(-(label.forces[0] * way).sum(), rel=1e-3)
    strain = random.normal(size=(3, 3))
    strain = strain + strain.T
    ways = (np.eye(3) - step * strain, np.eye(3) + step * strain)
    low, high = term.evaluate(
        [replace(CELL, positions=CELL.positions @ way, box=CELL.box @ way) for way in ways]
    ).energies
    virial = (label.stresses[0] * strain).sum() * CELL.volume
    assert (high - low) / (2 * step) == pytest.approx(virial, rel=1e-3)


def test_in_an_engine_it_has_the_energy_and_forces_of_the_labels():
    term, one = Dispersion("pbe0"), METHANE_AND_OXYGEN
    label = term.evaluate([one])
    energy, forces = energy_and_forces(term.bind(one.numbers), np.asarray(one.positions, np.float32))
    assert float(energy) == pytest.approx(label.energies[0], rel=1e-5)
    np.testing.assert_allclose(forces, label.forces[0], atol=1e-3)


def test_an_unknown_version_or_functional_is_refused_with_those_known():
    with pytest.raises(ValueError, match="use one of d3bj, d3zero, d4"):
        Dispersion("pbe0", "d5")
    with pytest.raises(ValueError, match="no parameters for 'unheard'"):
        Dispersion("unheard").evaluate([METHANE_AND_OXYGEN])
