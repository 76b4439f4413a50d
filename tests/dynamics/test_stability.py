"""The stability check tells sound potentials from those that drift, tear, collapse or melt."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from thalweg.dynamics.stability import Stability, stability
from thalweg.dynamics.structure_watch import StructureWatch
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.local import SiteTerm
from thalweg.systems.configuration import Configuration

A = 0.5431
LATTICE = Configuration(
    np.full(8, 14),
    A
    / 4
    * np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]),
    A * np.eye(3),
    (True,) * 3,
)
SILICON = LearnedPotential({14: -4e5}, (stillinger_weber_silicon(),))
NITROGEN = Configuration(np.array([7, 7]), np.array([[0, 0, 0], [0, 0, 0.11]]))
SHORT = Stability(temperature=300.0, duration=1.0, dt=1e-3, steps=(1e-3,), drift_duration=0.4, replicas=2)
BREAKING = replace(SHORT, steps=())
"""The Langevin run alone."""


class Hole(SiteTerm):
    """An attraction without end at short distance: what a fit may do where it has no data."""

    elements: tuple[int, ...] = eqx.field(static=True, default=(7,))
    cutoff: float = eqx.field(static=True, default=0.5)

    def site_energies(self, environments):
        r = environments.distances
        near = (r < self.cutoff) * (r - self.cutoff) ** 2
        return -3e4 * near.sum(0)


@pytest.mark.long
def test_a_sound_crystal_keeps_its_energy_and_its_lattice():
    report = stability(SILICON, LATTICE, SHORT, reference=SILICON)
    assert report.stable
    assert report.drifts[0] < 1e-3
    assert report.largest_step == 1e-3
    assert 0 < report.displacement < 0.1
    assert report.force_error == 0
    assert 0 < report.temperature < 1000  # one instant of 16 atoms
    assert "all replicas" in str(report)


def test_collapse_is_found_with_its_time_and_its_atoms():
    report = stability(LearnedPotential({7: 0.0}, (Hole(),)), NITROGEN, BREAKING)
    assert set(report.failures) == {0, 1}
    assert 0 < report.time_of_failure < 1.0
    assert "N0-N1" in str(report) or "broke after" in str(report)


def test_a_bond_without_strength_is_seen_to_tear():
    weak = LearnedPotential({7: 0.0}, (morse((7,), [0.5], [20.0], [0.11], cutoff=0.5),))
    report = stability(weak, NITROGEN, BREAKING)
    assert not report.stable
    assert "times as long" in str(report)
    assert report.longest_bond > 2


def test_measures_of_a_structure_know_images_and_drifting_centers():
    watch = StructureWatch.of(LATTICE)
    assert watch.crystal
    assert len(watch.bonds) == 16
    moved = LATTICE.positions + np.array([1.0, 0.0, 0.0])
    assert watch.displacement(moved) == pytest.approx(0, abs=1e-12)
    assert watch.stretch(moved)[0] == pytest.approx(1)
    assert watch.complaint(moved) is None
    shaken = LATTICE.positions + 0.03 * np.random.default_rng(0).normal(size=(8, 3))
    assert "melted" in watch.complaint(shaken)
    assert not StructureWatch.of(NITROGEN).crystal
