"""Energies and forces of frames that have nothing in common but their elements: pairs tell whether units were mixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.frames.force_consistency import force_scale
from thalweg.learned_potentials.frames.inspection import inspect
from thalweg.learned_potentials.frames.pair_consistency import pair_scale
from thalweg.learned_potentials.parametric.pair_terms import lennard_jones
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.systems.configuration import Configuration

SITES = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4


def labeled(term, frames):
    labels = term.evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=forces)
        for frame, energy, forces in zip(frames, labels.energies, labels.forces)
    ]


def crystals(numbers, constant, sites, count=30, rattle=0.015, seed=0):
    """Frames of different cells, sizes and compositions."""
    random = np.random.default_rng(seed)
    frames = []
    for k in range(count):
        box = constant * (np.eye(3) + 0.05 * random.normal(size=(3, 3)))
        copies = np.array([1, 1, 1 + k % 2])
        cells = np.stack(np.meshgrid(*map(np.arange, copies), indexing="ij"), -1).reshape(-1, 1, 3)
        points = (cells + sites).reshape(-1, 3) @ box + rattle * random.normal(
            size=(len(cells) * len(sites), 3)
        )
        frames.append(
            Configuration(random.choice(numbers, len(points)), points, copies[:, None] * box, (True,) * 3)
        )
    return frames


@pytest.fixture(scope="module")
def alloy():
    """Two kinds of atoms that differ in depth and size, and have energies of their own."""
    pairs = lennard_jones((18, 36), [1.0, 1.4, 1.8], [0.30, 0.31, 0.33], cutoff=0.5)
    frames = labeled(pairs, crystals([18, 36], 0.5, SITES[:4]))
    return [
        replace(
            frame,
            energy=frame.energy - 700.0 * np.sum(frame.numbers == 18) - 900.0 * np.sum(frame.numbers == 36),
        )
        for frame in frames
    ]


def test_energies_of_pairs_rise_as_their_forces_say(alloy):
    assert force_scale(alloy) is None
    scale = pair_scale(alloy)
    assert scale.low == pytest.approx(1.0, abs=0.15)
    assert scale.high == pytest.approx(1.0, abs=0.15)
    assert not inspect(alloy).errors


@pytest.mark.parametrize(
    ("factor", "words"),
    [(51.4221, "Hartree/bohr read as eV/Å"), (27.2114, "Hartree read as eV"), (96.485, "eV read as kJ/mol")],
)
def test_forces_in_other_units_are_told_without_near_frames(alloy, factor, words):
    (finding,) = inspect([replace(frame, forces=frame.forces / factor) for frame in alloy]).errors
    assert words in finding.message
    scale = pair_scale([replace(frame, energy=frame.energy / factor) for frame in alloy])
    assert scale.factor == pytest.approx(1 / factor, rel=0.2)
    assert not scale.consistent


def test_gradients_in_place_of_forces_are_told_without_near_frames(alloy):
    (finding,) = inspect([replace(frame, forces=-frame.forces) for frame in alloy]).errors
    assert "wrong sign" in finding.message


def test_energies_of_angles_do_not_make_a_crystal_suspect():
    silicon = labeled(stillinger_weber_silicon(), crystals([14], 0.5431, SITES))
    scale = pair_scale(silicon)
    assert scale is None or scale.consistent
    far = pair_scale([replace(frame, forces=frame.forces / 51.4221) for frame in silicon])
    assert far is None or not far.consistent


def test_unrelated_energies_and_few_frames_say_nothing(alloy):
    random = np.random.default_rng(0)
    assert pair_scale([replace(frame, energy=float(random.normal())) for frame in alloy]) is None
    assert pair_scale(alloy[:6]) is None
    assert pair_scale([replace(frame, forces=None) for frame in alloy]) is None
