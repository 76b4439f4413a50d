"""Unsound frames are found and named, forces in other units by their factor, and sound frames pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.frames.duplicates import duplicates
from thalweg.learned_potentials.frames.force_consistency import RATIOS, force_scale
from thalweg.learned_potentials.frames.inspection import inspect
from thalweg.systems.configuration import Configuration
from thalweg.units import ELECTRONVOLT


def kinds(findings):
    return {finding.kind: finding.frames for finding in findings.findings}


def crystals(frames, seed=0, amplitude=0.006, stiffness=2e5):
    """A rattled simple cubic crystal with springs to first neighbors and a little anharmonicity, in a sheared cell."""
    random = np.random.default_rng(seed)
    cells = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    box = 0.75 * (np.eye(3) + 0.1 * np.tril(np.ones((3, 3)), -1))
    found = []
    for _ in range(frames):
        moved = amplitude * random.normal(size=(27, 3))
        energy, forces = 0.0, np.zeros((27, 3))
        for axis in range(3):
            step = np.eye(3, dtype=int)[axis]
            other = [int(np.flatnonzero((cells == (cell + step) % 3).all(1))[0]) for cell in cells]
            apart = moved[other] - moved
            energy += np.sum(stiffness * apart**2 / 2 + 20 * stiffness * apart**3 / 3)
            pull = stiffness * apart + 20 * stiffness * apart**2
            forces += pull
            np.subtract.at(forces, other, pull)
        points = (cells / 3) @ box + moved + random.normal(size=3)
        points += random.integers(-1, 2, size=(27, 3)) @ box
        found.append(Configuration(np.full(27, 29), points, box, (True,) * 3, float(energy), forces))
    return found


def test_sound_frames_pass(molecules):
    assert str(inspect(molecules(60))) == "nothing found"
    assert str(inspect(crystals(30))) == "nothing found"


@pytest.mark.parametrize(("words", "ratio"), RATIOS.items())
def test_forces_in_other_units_are_told_by_factor_and_name(molecules, words, ratio):
    frames = molecules(60)
    for factor, name in ((ratio, words), (1 / ratio, " read as ".join(words.split(" read as ")[::-1]))):
        scale = force_scale([replace(frame, forces=frame.forces / factor) for frame in frames])
        assert scale.factor == pytest.approx(factor, rel=0.03)
        assert not scale.consistent
        assert name in scale.readings[:2]


def test_gradients_in_place_of_forces_are_told(molecules):
    frames = [replace(frame, forces=-frame.forces) for frame in molecules(60)]
    (finding,) = inspect(frames).errors
    assert "they are the gradient, with the wrong sign" in finding.message


def test_forces_of_a_crystal_in_other_units_are_told():
    frames = crystals(40)
    assert force_scale(frames).consistent
    scale = force_scale([replace(frame, forces=frame.forces / 51.4221) for frame in frames])
    assert scale.readings[0] == "Hartree/bohr read as eV/Å"


def test_energies_without_forces_or_unrelated_to_them_or_few_frames_say_nothing(molecules):
    frames, random = molecules(60), np.random.default_rng(0)
    assert force_scale([replace(frame, forces=None) for frame in frames]) is None
    assert force_scale([replace(frame, energy=None) for frame in frames]) is None
    assert force_scale([replace(frame, energy=float(random.normal())) for frame in frames]) is None
    assert force_scale(frames[:5]) is None
    assert force_scale([frames[0]] * 40) is None


@pytest.mark.parametrize("amplitude", [0.005, 0.02, 0.04, 0.08])
def test_molecules_rattled_up_repulsive_walls_are_not_accused(molecules, amplitude):
    scale = force_scale(molecules(100, amplitude))
    assert scale is None or scale.consistent


def test_a_scan_of_a_bond_is_enough_to_tell():
    frames = []
    for r in np.linspace(0.28, 0.7, 24):
        attraction = (0.34 / r) ** 6
        slope = 24 * (attraction - 2 * attraction**2) / r
        pull = np.array([[0, 0, slope], [0, 0, -slope]])
        points = np.array([[0, 0, 0], [0, 0, r]])
        frames.append(
            Configuration(np.array([18, 18]), points, energy=4 * (attraction**2 - attraction), forces=pull)
        )
    assert force_scale(frames).consistent
    scale = force_scale([replace(frame, energy=frame.energy / 27.2114) for frame in frames])
    assert scale.readings[0] == "eV read as Hartree"


def test_one_file_in_other_units_is_told_by_its_name(molecules):
    good = [replace(frame, info={"file": "a.xyz"}) for frame in molecules(40)]
    bad = [replace(f, forces=27.2114 * f.forces, info={"file": "b.xyz"}) for f in molecules(40, seed=1)]
    messages = [finding.message for finding in inspect([*good, *bad]).errors]
    assert len(messages) == 1
    assert messages[0].startswith("b.xyz: energies change 0.036")
    assert "eV read as Hartree" in messages[0]


def test_ethanol_passes_and_is_caught_in_hartree_per_bohr(data_set):
    from thalweg.interop.files.configurations import read_configurations

    frames = read_configurations(data_set("potentials", "rmd17", "ethanol_train_01.extxyz.gz"))
    assert str(inspect(frames)) == "nothing found"
    for factor in (51.4221, 27.2114, 23.0605, 96.485, 0.529177, 1.88973):
        for ratio in (factor, -1 / factor):
            scale = force_scale([replace(frame, forces=frame.forces / ratio) for frame in frames])
            assert scale.factor == pytest.approx(ratio, rel=0.03)
            assert not scale.consistent
            assert scale.readings
            assert np.sign(scale.low) == np.sign(ratio)


def test_every_kind_of_broken_frame_is_named(molecules):
    frames = molecules(40)
    one = frames[0]
    broken = {
        "not a number": replace(one, forces=np.full((4, 3), np.nan)),
        "shapes": replace(one, forces=np.zeros((3, 3))),
        "empty frames": Configuration(np.zeros(0, int), np.zeros((0, 3)), energy=0.0),
        "cells": replace(one, periodic=(True, True, True), box=np.zeros((3, 3))),
        "single atoms": Configuration(np.array([1]), np.zeros((1, 3)), energy=0.0),
        "no labels": replace(one, energy=None, forces=None, positions=one.positions * 1.01),
        "coincident atoms": replace(one, positions=one.positions[[0, 0, 2, 3]]),
        "close atoms": replace(frames[1], positions=one.positions * 0.3),
        "duplicates": replace(
            frames[2], positions=frames[2].positions @ np.diag([1.0, -1.0, 1.0]), forces=None
        ),
        "energy outliers": replace(
            frames[3],
            energy=one.energy + 100 * ELECTRONVOLT,
            forces=None,
            positions=frames[3].positions * 1.01,
        ),
        "force outliers": replace(
            frames[4], forces=frames[4].forces * 1e4, positions=frames[4].positions * 1.01
        ),
        "net force": replace(frames[5], forces=frames[5].forces + 300, positions=frames[5].positions * 1.01),
        "net torque": replace(
            frames[6], forces=frames[6].forces[:, [1, 2, 0]], positions=frames[6].positions * 1.01
        ),
    }
    found = inspect([*frames, *broken.values()])
    named = kinds(found)
    for k, kind in enumerate(broken):
        assert len(frames) + k in named[kind], kind
    everything = [*frames, *broken.values()]
    assert found.outliers == {
        len(frames) + list(broken).index(kind) for kind in ("energy outliers", "force outliers")
    }
    assert len(found.kept(everything)) == len(everything) - 8
    assert len(found.kept(everything, keep=("outliers", "repeated"))) == len(everything) - 5
    with pytest.raises(ValueError, match="atoms on top of each other"):
        found.require()


def test_copies_are_found_whatever_was_done_to_them_and_near_copies_are_not():
    random = np.random.default_rng(0)
    frames = crystals(6)
    order = random.permutation(27)
    lattice = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    original = frames[2]
    copies = [
        original,
        replace(original, positions=original.positions[order] + 0.3),
        replace(original, positions=original.positions @ turn, box=original.box @ turn),
        replace(original, box=lattice @ original.box),
        replace(original, positions=original.positions + random.integers(-2, 3, size=(27, 3)) @ original.box),
    ]
    near = replace(original, positions=original.positions + 1e-3 * random.normal(size=(27, 3)))
    assert duplicates([*frames, *copies, near]) == [(2, 6, 7, 8, 9, 10)]


def test_copies_with_other_energies_contradict_each_other(molecules):
    frames = molecules(20)
    found = kinds(inspect([*frames, replace(frames[4], energy=frames[4].energy + ELECTRONVOLT)]))
    assert found["contradictions"] == (4, 20)


def test_a_molecule_and_its_fragments_far_apart_are_not_copies():
    """Only the distance between the two halves tells these frames apart."""
    half = np.array([[0, 0, 0], [0.1, 0, 0]])
    frames = [
        Configuration(np.array([1, 1, 1, 1]), np.concatenate([half, half + np.array([0, 0, far])]))
        for far in (1.0, 2.0)
    ]
    assert duplicates(frames) == []
