"""Learned potentials in ASE: units, stress, cells, uncertainty, and i-PI's socket."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, diamond100
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.socketio import SocketClient, SocketIOCalculator

from thalweg.interop.ase.calculator import PotentialCalculator
from thalweg.learned_potentials.parametric.stillinger_weber import (
    StillingerWeberTerm,
    stillinger_weber_silicon,
)
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Spread
from thalweg.learning.deviation_map import DeviationMap
from thalweg.units import ELECTRONVOLT


@dataclass(frozen=True)
class Unsure:
    """A silicon that doubts every force component by 96.5 kJ/mol/nm: 0.1 eV/Å."""

    term: StillingerWeberTerm

    def bind(self, numbers, box=None, periodic=None):
        return self.term.bind(numbers, box, periodic)

    def evaluate(self, configurations):
        return self.term.evaluate(configurations)

    def spread(self, configurations):
        return Spread(
            np.ones(len(configurations)), tuple(np.full((len(f), 3), ELECTRONVOLT) for f in configurations)
        )


SILICON = LearnedPotential({14: 10.0}, (Unsure(stillinger_weber_silicon()),), DeviationMap(2.0))


@pytest.fixture
def crystal():
    """A primitive cell, half as wide as twice the cutoff, sheared and rattled."""
    atoms = bulk("Si")
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * np.tri(3)), scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = PotentialCalculator(SILICON)
    return atoms


def test_forces_and_stress_are_derivatives_in_cells_smaller_than_the_cutoff(crystal):
    np.testing.assert_allclose(crystal.get_forces(), calculate_numerical_forces(crystal, 1e-4), atol=1e-5)
    np.testing.assert_allclose(crystal.get_stress(), calculate_numerical_stress(crystal, 1e-5), atol=1e-6)


def test_energy_follows_atoms_cell_and_composition_as_they_change(crystal):
    one = crystal.get_potential_energy()
    doubled = crystal * (2, 1, 1)
    doubled.calc = crystal.calc
    assert doubled.get_potential_energy() == pytest.approx(2 * one, rel=1e-10)
    assert crystal.get_potential_energy() == pytest.approx(one, rel=1e-10)
    free = Atoms("Si2", [[0, 0, 0], [0, 0, 2.4]], calculator=crystal.calc)
    alone = SILICON.bind(free.numbers)(free.positions * 0.1)
    assert free.get_potential_energy() == pytest.approx(float(alone) / ELECTRONVOLT, rel=1e-5)
    assert "stress" not in free.calc.results


def test_uncertainty_of_forces_is_calibrated_and_in_electronvolts_per_angstrom(crystal):
    np.testing.assert_allclose(crystal.calc.get_property("forces_uncertainty", crystal), 0.2)
    assert crystal.calc.get_property("energy_uncertainty", crystal) == pytest.approx(2 / ELECTRONVOLT)
    assert crystal.calc.results["energy"] == pytest.approx(crystal.get_potential_energy())


def test_a_socket_carries_energies_forces_and_stress(crystal, tmp_path):
    name, client_atoms = f"thalweg-{tmp_path.name}-{id(crystal)}", crystal.copy()
    client_atoms.calc = PotentialCalculator(SILICON)
    expected = crystal.get_potential_energy(), crystal.get_forces(), crystal.get_stress()
    with SocketIOCalculator(unixsocket=name, timeout=60) as server:
        client = SocketClient(unixsocket=name, timeout=60)
        thread = threading.Thread(target=client.run, args=(client_atoms, True))
        thread.start()
        crystal.calc = server
        answer = crystal.get_potential_energy(), crystal.get_forces(), crystal.get_stress()
    thread.join(60)
    for one, other in zip(answer, expected):
        np.testing.assert_allclose(one, other, atol=1e-9)


def slab(vacuum=None):
    """Two layers of silicon, open along the third vector, which is missing unless there is a ``vacuum``."""
    atoms = diamond100("Si", (2, 2, 4), vacuum=vacuum)
    atoms.rattle(0.03, seed=2)
    atoms.calc = PotentialCalculator(SILICON)
    return atoms


def test_a_slab_whose_third_vector_is_missing_has_the_energy_of_one_with_vacuum():
    bare, padded = slab(), slab(6.0)
    assert not bare.cell.array[2].any()
    assert bare.get_potential_energy() == pytest.approx(padded.get_potential_energy())
    np.testing.assert_allclose(bare.get_forces(), padded.get_forces(), atol=1e-9)
    with pytest.raises(PropertyNotImplementedError, match="a cell of three vectors; give a slab a third one"):
        bare.get_stress()


def test_stress_of_a_slab_is_over_its_cell_as_in_ase():
    atoms = slab(6.0)
    wanted = calculate_numerical_stress(atoms, 1e-5)
    np.testing.assert_allclose(atoms.get_stress()[[0, 1, 5]], wanted[[0, 1, 5]], atol=1e-6)


def test_atoms_periodic_along_a_vector_that_is_zero_are_refused():
    atoms = slab()
    atoms.pbc = True
    with pytest.raises(ValueError, match="periodic along a cell vector that is zero"):
        atoms.get_potential_energy()
