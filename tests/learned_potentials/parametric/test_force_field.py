"""A force field under a learned term is the force field."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.learned_potentials.parametric.force_field import ForceFieldTerm
from thalweg.learned_potentials.parametric.pair_terms import lennard_jones
from thalweg.learned_potentials.terms.term import Term
from thalweg.potentials.energy import Sum
from thalweg.potentials.harmonic import harmonic_bonds
from thalweg.systems.configuration import Configuration

WATER = np.array([8, 1, 1])
BONDS = harmonic_bonds(np.array([[0, 1], [0, 2]]), np.array([0.1, 0.1]), np.array([4e5, 4e5]))
POINTS = np.array([[0, 0, 0], [0.103, 0, 0], [0, 0.1, 0]])


def test_labels_are_those_of_the_energy():
    term = ForceFieldTerm(BONDS, WATER)
    assert isinstance(term, Term)
    labels = term.evaluate([Configuration(WATER, POINTS)] * 3)
    np.testing.assert_allclose(labels.energies, 0.5 * 4e5 * 0.003**2, rtol=1e-9)
    np.testing.assert_allclose(labels.forces[2][1], [-4e5 * 0.003, 0, 0], atol=1e-6)
    assert term.bind(WATER) is BONDS


def test_stress_of_a_box_is_that_of_the_same_energy_as_a_local_term():
    local = lennard_jones((1, 8), [0.2, 0.5, 0.6], [0.08, 0.09, 0.1], cutoff=0.4)
    box = np.array([[0.9, 0, 0], [0.1, 0.8, 0], [0, 0.1, 1.0]])
    frame = Configuration(WATER, POINTS, box, (True,) * 3)
    expected = local.evaluate([frame])
    labels = ForceFieldTerm(Sum((local.bind(WATER, box),)), WATER).evaluate([frame])
    np.testing.assert_allclose(labels.energies, expected.energies, rtol=1e-9)
    np.testing.assert_allclose(labels.stresses[0], expected.stresses[0], rtol=1e-6, atol=1e-6)


def test_another_molecule_is_refused():
    with pytest.raises(ValueError, match="this force field is for 3 atoms"):
        ForceFieldTerm(BONDS, WATER).bind(np.array([1, 8, 1]))
