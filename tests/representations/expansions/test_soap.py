"""The power spectrum of smeared neighbors: its length, and how an atom fades whose neighbors leave."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.representations.expansions.ace import ACE
from thalweg.representations.expansions.bispectrum import Bispectrum
from thalweg.representations.expansions.soap import FAINT, SOAP
from thalweg.systems.configuration import Configuration


def lengths(distances, **settings) -> np.ndarray:
    """Of the spectra of an atom with one neighbor at each of the ``distances`` [nm]."""
    pairs = [Configuration(np.array([29, 29]), np.array([[0.0, 0, 0], [x, 0, 0]])) for x in distances]
    found = SOAP(0.5, elements=(29,), **settings).features(pairs)
    return np.array([np.linalg.norm(features[0]) for features in found])


def test_an_atom_whose_neighbor_leaves_fades_over_an_angstrom_and_not_at_once():
    near, *course = lengths([0.25, 0.34, 0.36, 0.38, 0.40, 0.42, 0.44, 0.499])
    assert near == pytest.approx(1, abs=1e-3)
    assert max(-np.diff(course)) < 0.45  # in a fifth of an Angstrom
    assert course[0] > 0.95
    assert course[-1] < 1e-6


def test_spectra_are_faint_below_a_part_of_that_of_one_neighbor_half_way_to_the_cutoff():
    bare, scaled = lengths([0.25, 0.4], normalized=False), lengths([0.25, 0.4])
    assert scaled == pytest.approx(bare / np.hypot(bare, FAINT * bare[0]))


def test_the_cutoff_comes_first_and_elements_are_named():
    for kind in (SOAP, ACE, Bispectrum):
        assert kind(0.4).cutoff == 0.4
        assert kind(0.4).elements is None
        with pytest.raises(TypeError):
            kind((29,), elements=(29,), cutoff=0.4)
