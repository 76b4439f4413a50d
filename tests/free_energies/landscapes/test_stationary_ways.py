"""Minima, saddles, paths and the graph of them, where all are known: the potential of Müller and Brown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from thalweg.free_energies.landscapes.critical_points import critical_points
from thalweg.free_energies.landscapes.disconnectivity import DisconnectivityGraph, disconnectivity_graph
from thalweg.free_energies.landscapes.interpolated import Interpolated
from thalweg.free_energies.landscapes.minimum_path import minimum_path
from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.potential import Potential
from thalweg.testsystems.stationary_points import stationary_points


@dataclass(frozen=True)
class Known:
    """A model potential as a landscape."""

    potential: Potential
    periods: tuple[None, ...] = (None, None)

    def energy(self, points: Any) -> Any:
        return self.potential.energy(points.T)


MULLER_BROWN = Known(MullerBrown())


def gridded(bins: int = 90) -> FreeEnergySurfaceModel:
    """The potential on a grid, unknown above 150 kJ/mol over its minimum."""
    domain = MullerBrown().domain
    ticks = tuple(low + (high - low) * (np.arange(bins) + 0.5) / bins for low, high in domain)
    energy = np.asarray(MullerBrown().energy(np.stack(np.meshgrid(*ticks, indexing="ij")).reshape(2, -1)))
    energy = energy.reshape(bins, bins) - energy.min()
    return FreeEnergySurfaceModel(ticks, np.where(energy < 150, energy, np.inf), np.zeros_like(energy))


def starts(count: int = 24) -> np.ndarray:
    """Points below 150 kJ/mol, as frames would be."""
    lower, upper = np.array(MullerBrown().domain).T
    points = np.random.default_rng(0).uniform(lower, upper, (40 * count, 2))
    return points[np.asarray(MullerBrown().energy(points.T)) < 0][:count]


def test_minima_and_saddles_are_those_that_newton_finds_from_a_grid():
    exact = stationary_points(MullerBrown())
    for order in (0, 1):
        known = exact.of_order(order)
        low = known.energies < 0
        found = critical_points(MULLER_BROWN, starts(), order, highest=0.0)
        np.testing.assert_allclose(found.positions, known.positions[low], atol=1e-5)
        np.testing.assert_allclose(found.energies, known.energies[low], atol=1e-6)


def test_the_string_between_the_deep_minima_goes_over_the_higher_saddle():
    exact = stationary_points(MullerBrown())
    minima, saddles = exact.of_order(0), exact.of_order(1)
    path = minimum_path(MULLER_BROWN, minima.positions[0], minima.positions[1], steps=200)
    top = saddles.energies[saddles.energies < 0].max()
    assert path.converged
    assert path.barrier == pytest.approx(top - minima.energies[0], abs=1e-6)
    # on its way it passes the third minimum
    away = np.linalg.norm(path.images - minima.positions[2], axis=1)
    assert away.min() < 0.03


@cache
def graph(highest: float) -> DisconnectivityGraph:
    return disconnectivity_graph(MULLER_BROWN, starts(), highest)


def test_branches_meet_at_the_lowest_saddle_between_them():
    exact = stationary_points(MullerBrown())
    saddles = np.sort(exact.of_order(1).energies[:2])
    tree = graph(0.0)
    assert tree.headline() == {"minima": 3, "saddles": 2, "parts": 1}
    # minima 1 and 2 share the lower saddle; both meet the deepest at the higher one
    np.testing.assert_allclose(
        [tree.barrier(1, 2), tree.barrier(0, 1), tree.barrier(0, 2)],
        [saddles[0], saddles[1], saddles[1]],
        atol=1e-6,
    )


def test_a_surface_on_a_grid_has_the_saddles_of_what_it_was_made_from():
    surface = gridded()
    between = Interpolated.of(surface, (None, None))
    exact, zero = stationary_points(MullerBrown()).of_order(1), MullerBrown().energy
    known = exact.energies[:2] - stationary_points(MullerBrown()).energies.min()
    found = critical_points(between, starts(), 1, highest=140.0)
    # the zero of the grid is its lowest bin, some tenths above the minimum
    np.testing.assert_allclose(np.sort(found.energies)[:2], known, atol=0.5)
    assert zero(exact.positions[0]) < 0


def test_minima_without_a_way_between_them_are_told():
    tree = graph(-100.0)
    assert tree.headline()["parts"] == 2
    assert "fall into 2 parts" in tree.notes[0]
    assert tree.barrier(0, 1) == np.inf


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="order=2"):
        critical_points(MULLER_BROWN, starts(3), 2)
    with pytest.raises(ValueError, match=r"starts of shape \(2, 3\)"):
        critical_points(MULLER_BROWN, np.zeros((2, 3)), 0)
    with pytest.raises(ValueError, match="begins and ends"):
        minimum_path(MULLER_BROWN, np.zeros(2), np.zeros(2))
