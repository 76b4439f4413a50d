"""Cutoffs by number of neighbors."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.learned_potentials.frames.typical_cutoff import cutoff_with_neighbors, with_neighbors
from thalweg.representations.expansions.soap import SOAP
from thalweg.systems.configuration import Configuration


def face_centered(lattice):
    fractions = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return Configuration(np.full(4, 29), lattice * fractions, lattice * np.eye(3), (True,) * 3)


@pytest.mark.parametrize("lattice", [0.3, 0.361, 0.5])
def test_cutoffs_of_crystals_of_one_kind_are_as_their_lattices(lattice):
    frames = [face_centered(lattice)]
    assert cutoff_with_neighbors(frames, 12) == pytest.approx(lattice / 2**0.5, abs=1.1e-3)
    assert cutoff_with_neighbors(frames, 42) == pytest.approx(lattice * 1.5**0.5, abs=1.1e-3)
    assert with_neighbors(SOAP(), frames, 18).cutoff == pytest.approx(lattice, abs=1.1e-3)


def test_without_a_number_of_neighbors_a_representation_stays_as_it_is():
    assert with_neighbors(SOAP(cutoff=0.43), [face_centered(0.4)], None).cutoff == 0.43


def test_a_molecule_with_too_few_atoms_is_refused():
    pair = Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0.074, 0, 0]]))
    with pytest.raises(ValueError, match=r"atoms have 1 neighbors within 2.0 nm on average, wanted 5"):
        cutoff_with_neighbors([pair], 5)
