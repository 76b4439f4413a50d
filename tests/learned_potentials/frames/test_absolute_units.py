"""Whole files in other units are noticed by total energies and by lengths of bonds; sound ones are not accused."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from thalweg.learned_potentials.frames.absolute_units import lengths_in_bohr, unit_of_energies
from thalweg.learned_potentials.frames.inspection import inspect
from thalweg.systems.configuration import Configuration
from thalweg.units import BOHR, ELECTRONVOLT, HARTREE, KILOCALORIE

TOTALS = {
    "water": ([8, 1, 1], -76.4),
    "methane": ([6, 1, 1, 1, 1], -40.5),
    "ethanol": ([6, 6, 8, 1, 1, 1, 1, 1, 1], -154.9),
}
"""Total energies of molecules with all electrons [Hartree]."""


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize(
    ("unit", "size"), [("Ha", HARTREE), ("eV", ELECTRONVOLT), ("kcal/mol", KILOCALORIE), ("kJ/mol", 1.0)]
)
def test_total_energies_tell_their_unit(name, unit, size):
    numbers, total = TOTALS[name]
    written = total * HARTREE / size
    frames = [Configuration(np.array(numbers), np.eye(len(numbers), 3), energy=written * ELECTRONVOLT)] * 12
    assert unit_of_energies(frames) == (None if unit == "eV" else unit)


def test_energies_without_core_electrons_say_nothing():
    # of carbon and oxygen as plane-wave codes print them [eV]
    for z, energy in ((6, -9.1), (6, -155.0), (8, -430.0), (14, -107.0)):
        frames = [Configuration(np.array([z, z]), np.eye(2, 3), energy=2 * energy * ELECTRONVOLT)] * 12
        assert unit_of_energies(frames) is None


@pytest.mark.parametrize("element", ["Cu", "Si", "Li", "Fe", "Na", "W"])
def test_crystals_in_bohr_read_as_angstrom_are_noticed_and_true_ones_not(element):
    atoms = bulk(element)
    for factor, noticed in ((1.0, False), (1.1, False), (0.9, False), (0.1 / BOHR, True)):
        frame = Configuration(
            atoms.numbers, factor * atoms.positions / 10, factor * atoms.cell.array / 10, (True,) * 3
        )
        assert (lengths_in_bohr([frame] * 12) is not None) == noticed


def test_noble_atoms_are_not_judged_by_their_distances():
    frames = [Configuration(np.array([18, 18]), np.array([[0, 0, 0], [0, 0, 0.376]]))] * 12
    assert lengths_in_bohr(frames) is None


def test_molecules_in_bohr_are_an_error_of_the_whole_file():
    random, water = np.random.default_rng(0), np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
    frames = [
        Configuration(
            np.array([8, 1, 1]), (water + 0.003 * random.normal(size=(3, 3))) * 0.1 / BOHR, energy=0.0
        )
        for _ in range(20)
    ]
    (finding,) = inspect(frames).errors
    assert (finding.kind, finding.frames) == ("units", ())
    assert "as if bohr were read as Å" in finding.message
