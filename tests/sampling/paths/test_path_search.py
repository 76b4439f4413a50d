"""Paths found by trial: they join the ends, go over the lowest saddle, and tell when there are none."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.geometry.variables import Coordinates, Dihedrals, Distances
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.sampling.paths.elastic_band import NudgedElasticBand
from thalweg.sampling.paths.path_search import PathSearch
from thalweg.systems.configuration import Configuration
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.wells import QuadrupleWell

PLANE = Coordinates([0], dims=2)


@pytest.mark.long
def test_a_path_found_by_trial_leads_a_band_to_the_saddles_of_muller_brown():
    found = PathSearch(push=0.12, pushes=40, rounds=20, seed=1).connect(
        MullerBrown(), PLANE, [-0.558, 1.442], [0.6235, 0.028]
    )
    assert found.arrived[1:].max() > 0.5, found.arrived
    band = NudgedElasticBand(tolerance=0.5).relax(MullerBrown(), found.positions)
    assert band.converged
    assert band.energies.max() == pytest.approx(-40.6648, abs=0.01)
    np.testing.assert_allclose(band.saddle[0], [-0.8220, 0.6243], atol=0.01)


def test_a_path_begins_and_ends_where_it_should_and_counts_what_it_asked_for():
    search = PathSearch(push=0.4, pushes=12, tries=4, rounds=3, images=9)
    ends = [-1.0, -1.0], [1.0, -1.0]
    found = search.connect(QuadrupleWell(), PLANE, *ends)
    np.testing.assert_allclose(found.positions[[0, -1], 0], ends)
    np.testing.assert_allclose(found.energies, QuadrupleWell().energy(found.positions[:, 0].T))
    steps = np.linalg.norm(np.diff(found.positions[:, 0], axis=0), axis=1)
    assert steps.max() < 1.2 * steps.min()
    # the images of the guess and of each try that arrived, starts of all tries, and at most all pushes
    lines = 1 + round(4 * found.arrived.sum())
    assert 9 * lines + 3 * 4 < found.calls <= 9 * lines + 3 * 4 * 13
    again = search.connect(QuadrupleWell(), PLANE, *ends)
    np.testing.assert_array_equal(again.positions, found.positions)


def test_a_search_that_never_arrives_says_so_and_hands_on_the_straight_line():
    search = PathSearch(push=0.01, pushes=3, tries=2, rounds=2, images=5)
    found = search.connect(QuadrupleWell(), PLANE, [-1.0, -1.0], [1.0, -1.0])
    assert "none of 4 tries arrived: this is the straight line" in found.notes[0]
    np.testing.assert_allclose(found.positions[2, 0], [0.0, -1.0])


def test_pushes_along_distances_move_no_atom_farther_than_told():
    pair = morse([1], [400.0], [20.0], [0.08], 0.6)
    frames = [Configuration(np.array([1, 1]), np.array([[0.0, 0, 0], [r, 0, 0]])) for r in (0.08, 0.2)]
    search = PathSearch(push=0.02, pushes=10, tries=4, rounds=2, images=5)
    found = search.connect(pair, Distances([[0, 1]]), *frames)
    assert found.positions.shape == (5, 2, 3)
    assert np.isfinite(found.energies).all()


def test_periodic_values_are_refused():
    with pytest.raises(ValueError, match="have periods; give values that have none, such as distances"):
        PathSearch(push=0.1).connect(
            QuadrupleWell(), Dihedrals([[0, 1, 2, 3]]), np.zeros((4, 3)), np.ones((4, 3))
        )
