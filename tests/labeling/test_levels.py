"""Levels of theory: what they are asked, what they refuse, and geometries that are made by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.labeling.geometries.crystals import strained_frames
from thalweg.labeling.geometries.normal_modes import normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import LabelFailed, Level, charge_and_unpaired, geometry_trouble
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.units import BOLTZMANN, HBAR, WAVENUMBER

DEPTH, RATE, LENGTH = 400.0, 20.0, 0.074
BOND = KnownPotential(morse((1,), [DEPTH], [RATE], [LENGTH], cutoff=2.0), "Morse")
HYDROGEN = Configuration(np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.02, 0.079]]))


def test_a_known_potential_is_a_level():
    assert isinstance(BOND, Level)
    labeled = BOND.label(HYDROGEN)
    assert labeled.energy == pytest.approx(BOND.term.evaluate([HYDROGEN]).energies[0])
    assert labeled.stress is None


def test_the_vibration_of_a_morse_bond_is_its_curvature_over_its_reduced_mass():
    modes = normal_modes(nearest_minimum(HYDROGEN, BOND, force=1e-6), BOND)
    curvature, reduced = 2 * DEPTH * RATE**2, MASSES[1] / 2
    assert len(modes.wavenumbers) == 1
    assert modes.wavenumbers[0] == pytest.approx(np.sqrt(curvature / reduced) / WAVENUMBER, rel=1e-4)


@pytest.mark.parametrize("quantum", [True, False])
def test_bonds_are_drawn_as_wide_as_an_oscillator_is(quantum):
    modes = normal_modes(nearest_minimum(HYDROGEN, BOND, force=1e-6), BOND)
    frames = modes.frames(4000, temperature=2000.0, seed=3, quantum=quantum)
    lengths = [np.linalg.norm(frame.positions[1] - frame.positions[0]) for frame in frames]
    omega, kT = modes.wavenumbers[0] * WAVENUMBER, BOLTZMANN * 2000.0
    mean_square = HBAR / (2 * omega) / np.tanh(HBAR * omega / (2 * kT)) if quantum else kT / omega**2
    assert np.std(lengths) == pytest.approx(np.sqrt(mean_square / (MASSES[1] / 2)), rel=0.05)
    assert np.mean(lengths) == pytest.approx(LENGTH, rel=0.01)


def test_modes_of_a_saddle_draw_nothing():
    bent = Configuration(
        np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, LENGTH + np.log(2) / RATE + 0.02]])
    )
    with pytest.raises(ValueError, match="imaginary frequency"):
        normal_modes(bent, BOND).frames(2)


def test_atoms_on_top_of_each_other_get_no_label_and_are_named():
    crushed = replace(HYDROGEN, positions=0.1 * HYDROGEN.positions)
    with pytest.raises(LabelFailed, match=r"atoms 0 \(H\) and 1 \(H\) are 0.008 nm apart"):
        BOND.label(crushed)
    assert geometry_trouble(replace(HYDROGEN, positions=np.full((2, 3), np.nan))) == (
        "coordinates are not all finite numbers"
    )


@pytest.mark.parametrize(
    ("info", "electrons"),
    [
        ({}, (0, 0)),
        ({"charge": 2}, (2, 0)),
        ({"multiplicity": 3}, (0, 2)),
        ({"charge": 1, "unpaired": 1}, (1, 1)),
    ],
)
def test_a_frame_says_its_electrons(info, electrons):
    water = Configuration(np.array([8, 1, 1]), np.eye(3), info=info)
    assert charge_and_unpaired(water) == electrons


@pytest.mark.parametrize("info", [{"charge": 1}, {"multiplicity": 2}, {"charge": 10}, {"charge": "one"}])
def test_electrons_that_do_not_pair_are_told(info):
    with pytest.raises(ValueError, match=r"which do not pair|give one number"):
        charge_and_unpaired(Configuration(np.array([8, 1, 1]), np.eye(3), info=info))


def test_a_strained_crystal_keeps_its_shape_on_average():
    copper = Configuration(np.array([29]), np.zeros((1, 3)), 0.36 * np.eye(3), (True,) * 3)
    boxes = np.array([frame.box for frame in strained_frames(copper, 2000, strain=0.02, seed=1)])
    np.testing.assert_allclose(boxes.mean(0), copper.box, atol=1e-3)
    np.testing.assert_allclose(boxes[:, 0, 0].std(), 0.36 * 0.02, rtol=0.05)
    np.testing.assert_allclose(boxes, np.swapaxes(boxes, 1, 2), atol=1e-12)  # strain turns nothing


def test_only_cells_are_strained():
    with pytest.raises(ValueError, match="give a crystal"):
        strained_frames(HYDROGEN, 2)
