"""Walkers of a learned potential stop where it is unsure, each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.labeling.geometries.exploration import DOUBT, explore
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.systems.configuration import Configuration
from thalweg.units import thermal_energy

BOND = LearnedPotential({1: 0.0}, (morse((1,), [400.0], [20.0], [0.074], cutoff=0.5),))


def pair(distance):
    return Configuration(np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))


def length(frame):
    return np.linalg.norm(frame.positions[1] - frame.positions[0])


class Beyond:
    """Raised over pairs farther apart than a limit."""

    def __init__(self, limit):
        self.limit = limit

    def raised(self, configurations):
        return np.array([length(frame) > self.limit for frame in configurations], bool)


def test_each_walker_stops_at_its_first_doubtful_look_and_what_it_saw_before_was_sure():
    walks = explore(BOND, [pair(0.074)] * 16, Beyond(0.0785), 300.0, 0.3, every=0.005, seed=1)
    lengths = np.linalg.norm(walks.positions[:, :, 1] - walks.positions[:, :, 0], axis=-1)
    looks = lengths.shape[1]
    doubtful = lengths > 0.0785
    first = np.where(doubtful.any(1), doubtful.argmax(1), looks)
    assert sum(walks.whole < 60) > 4
    np.testing.assert_array_equal(np.minimum(walks.whole, looks), first)
    assert all(length(frame) > 0.0785 for frame in walks.stopped())
    assert all(length(frame) <= 0.0785 for frame in walks.visited())
    assert len(walks.stopped()) == sum(why == DOUBT for why in walks.reasons.values())


def test_a_torn_bond_stops_a_walker_without_any_alarm():
    hot = np.zeros((2, 2, 3))
    hot[0, 1, 2] = 40.0  # 800 kJ/mol in one atom of the first walker, twice the depth of the well
    walks = explore(
        BOND, [pair(0.074)] * 2, Beyond(np.inf), 300.0, 0.05, every=0.005, friction=0.1, momenta=hot
    )
    assert set(walks.reasons) == {0}
    assert "bond" in walks.reasons[0]
    assert walks.stopped() == []
    assert walks.times[1] == pytest.approx(0.05)


def test_walkers_that_never_stop_are_thermal():
    walks = explore(BOND, [pair(0.074)] * 40, Beyond(np.inf), 300.0, 0.6, every=0.02, friction=20.0, seed=2)
    heat = (walks.momenta**2).sum((1, 2)) / (2 * 1.008)
    expected = 3 * thermal_energy(300.0)  # six components of half kT
    assert abs(heat.mean() - expected) < 4 * expected / np.sqrt(3 * 40)


def test_starts_of_other_atoms_are_refused():
    other = Configuration(np.array([1, 8]), np.eye(3)[:2] * 0.1)
    with pytest.raises(ValueError, match="start 1"):
        explore(BOND, [pair(0.074), other], Beyond(1.0), 300.0, 0.1)
