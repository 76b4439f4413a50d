"""Pockets over frames: a gate that opens with a known probability, sites told apart, overlap that size does not buy."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.sites.pockets import BuriedPockets, Pocket
from thalweg.binding.sites.pockets_in_states import (
    PocketTracking,
    docking_frames,
    opening_free_energy,
    overlapping_volumes,
    residue_overlap,
)


def pocket(residues: str, volume: float = 0.2, score: float = 1.0) -> Pocket:
    return Pocket(score, np.zeros((1, 3)), np.ones(1), volume, tuple(residues.split()))


def test_a_cavity_that_a_plug_fills_is_closed_and_its_neighbor_stays_open(shell):
    walls = TypedAtoms.together(
        [shell(0.6, name="A:LEU1"), shell(0.6, center=(2.5, 0.0, 0.0), name="A:VAL2")]
    )
    plug = shell(0.2, 60.0, name="A:LEU1")
    opened = BuriedPockets().find(walls)
    closed = BuriedPockets().find(TypedAtoms.together([walls, plug]))
    tracked = PocketTracking().fit([opened, closed, opened, closed])
    assert [site.core for site in tracked.sites] == [("A:VAL2",), ("A:LEU1",)]
    assert tracked.sites[1].is_open().tolist() == [True, False, True, False]
    assert tracked.sites[1].volumes[0] == pytest.approx(4 / 3 * np.pi * 0.43**3, rel=0.06)


def test_the_free_energy_of_a_gate_is_that_of_its_probability_within_errors_over_runs():
    generator, exact = np.random.default_rng(0), -np.log(0.1 / 0.9)
    off = []
    for _ in range(60):
        runs = [generator.random(50) < 0.1 for _ in range(20)]
        found = opening_free_energy(runs, 1.0, samples=100)
        off.append((found.value - exact) / found.error)
    # a variance of one, within four standard errors of a chi square with 60 degrees of freedom
    assert np.mean(np.square(off)) == pytest.approx(1.0, abs=4 * np.sqrt(2 / 60))


def test_weights_undo_where_runs_were_started():
    runs = [np.array([True] * 50 + [False] * 50)] * 10
    weights = [np.array([0.1] * 50 + [0.9] * 50)] * 10
    assert opening_free_energy(runs, 2.5, weights).value == pytest.approx(2.5 * np.log(9))
    assert opening_free_energy(runs, 2.5).value == pytest.approx(0.0)


def test_what_was_never_open_has_no_free_energy_and_says_so():
    found = opening_free_energy([np.zeros(10, bool)] * 8, 1.0)
    assert np.isinf(found.value)
    assert "0 runs have an open frame" in found.shortcomings[0]
    with pytest.raises(ValueError, match="do not fit"):
        opening_free_energy([np.zeros(3, bool)], 1.0, [np.ones(2)])
    with pytest.raises(ValueError, match="not negative"):
        opening_free_energy([np.zeros(2, bool)], 1.0, [np.array([1.0, -1.0])])
    with pytest.raises(ValueError, match="no frames"):
        PocketTracking().fit([])


def test_a_pocket_that_swallows_everything_is_not_the_site_although_it_has_all_of_its_residues():
    site = "A:LEU1 A:VAL2 A:ILE3"
    whole = site + "".join(f" A:GLY{k}" for k in range(4, 40))
    frames = [[pocket(site, 0.3)], [pocket(whole, 9.0)], []]
    assert overlapping_volumes(frames, site.split()).tolist() == [0.3, 0.0, 0.0]
    first, second = PocketTracking().fit(frames).sites
    assert {len(first.core), len(second.core)} == {3, 39}


def test_sites_follow_residues_as_their_pockets_breathe():
    generator, names = np.random.default_rng(3), [f"A:LEU{k}" for k in range(40)]
    frames = []
    for _ in range(30):
        own = [name for name in names[:12] if generator.random() < 0.8]
        other = [name for name in names[20:32] if generator.random() < 0.8]
        frames.append([pocket(" ".join(own)), pocket(" ".join(other), score=0.9)][: generator.integers(1, 3)])
    tracked = PocketTracking().fit(frames)
    assert len(tracked.sites) == 2
    site, overlap = tracked.best_match(names[:12])
    assert set(site.core) == set(names[:12])
    assert overlap == 1.0
    assert site.is_open().all()
    assert residue_overlap(tracked.sites[1].core, names[20:32]) == 1.0


def test_frames_to_dock_to_are_open_and_of_every_state_that_opens():
    volumes, states = np.array([0.0, 0.2, 0.4, 0.6, 0.0, 0.3, 0.0]), np.array([0, 0, 0, 0, 1, 1, 2])
    assert docking_frames(volumes, states, each=3).tolist() == [1, 2, 3, 5]
    assert docking_frames(volumes, states, each=1).tolist() == [2, 5]
