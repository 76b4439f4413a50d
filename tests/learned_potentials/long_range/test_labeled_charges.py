"""Charges from labels: what surroundings say is found again, dipoles decide, and far away it is Coulomb's law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.long_range.labeled_charges import LabeledCharges
from thalweg.systems.configuration import Configuration
from thalweg.units import COULOMB

WATER = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
NUMBERS = np.array([8, 1, 1])
VOLUMES = np.array([0.3e-3, 0.8e-3])
"""Of hydrogen and oxygen [nm^3]."""


FLOW = 6.0
"""Charge that leaves a hydrogen atom with a longer bond [e/nm]."""


def waters(count=30, seed=0):
    """Bent and stretched molecules; the charge of a hydrogen follows its bond."""
    random = np.random.default_rng(seed)
    labeled = []
    for _ in range(count):
        frame = Configuration(NUMBERS, WATER + 0.006 * random.normal(size=(3, 3)))
        bonds = np.linalg.norm(frame.positions[1:] - frame.positions[0], axis=1)
        hydrogens = 0.4 + FLOW * (bonds - 0.0957)
        charges = np.array([-hydrogens.sum(), *hydrogens])
        labeled.append(
            replace(
                frame,
                properties={
                    "charges": charges,
                    "dipole": charges @ frame.positions,
                    "polarizability": (2 * VOLUMES[0] + VOLUMES[1]) * np.eye(3),
                },
            )
        )
    return labeled


def charges_of(term, frame):
    parts = next(iter(term.by_parameter([frame])))
    charges = parts @ np.concatenate([term.constants, term.slopes.ravel()])
    return charges - charges.mean()


def test_charges_of_molecules_not_seen_are_those_of_their_shapes():
    frames = waters()
    fit = LabeledCharges().fit(frames[:20])
    found = np.array([charges_of(fit.term, frame) for frame in frames[20:]])
    truth = np.array([frame.properties["charges"] for frame in frames[20:]])
    assert np.abs(found - truth).max() < 0.1 * truth.std(0).max()
    assert [note.split()[0] for note in fit.info.notes] == ["Charges", "Dipoles", "Polarizabilities"]


def test_dipoles_decide_where_they_and_charges_do_not_agree():
    """By 0.3 of a dipole: nine tenths of that are followed."""
    frames = [
        replace(f, properties=f.properties | {"dipole": 1.3 * f.properties["dipole"]}) for f in waters()
    ]
    term = LabeledCharges().fit(frames).term
    found = np.array([charges_of(term, frame) @ frame.positions for frame in frames])
    wanted = np.array([frame.properties["dipole"] for frame in frames])
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.1 * (0.3 / 1.3) * np.sqrt(np.mean(wanted**2))


def test_polarizabilities_of_elements_add_up_to_those_of_molecules():
    both = waters(4)
    hydrogen = Configuration(
        np.array([1, 1]),
        np.array([[0, 0, 0], [0, 0, 0.074]]),
        properties={"charges": np.zeros(2), "polarizability": 2 * VOLUMES[0] * np.eye(3)},
    )
    term = LabeledCharges().fit([*both, hydrogen]).term
    np.testing.assert_allclose(term.polarizabilities, VOLUMES, rtol=1e-6)
    bare = [replace(frame, properties={"charges": frame.properties["charges"]}) for frame in both]
    np.testing.assert_array_equal(LabeledCharges().fit(bare).term.polarizabilities, [0.0, 0.0])


def test_far_away_molecules_feel_each_other_by_coulombs_law():
    frames = waters()
    term = (
        LabeledCharges()
        .fit([replace(f, properties={"charges": f.properties["charges"]}) for f in frames])
        .term
    )
    shift = np.array([1.2, 0.3, -0.2])
    together = Configuration(
        np.tile(NUMBERS, 2), np.concatenate([frames[0].positions, frames[1].positions + shift])
    )
    q, p = charges_of(term, frames[0]), charges_of(term, frames[1])
    apart = np.linalg.norm(frames[0].positions[:, None] - (frames[1].positions + shift)[None], axis=2)
    expected = COULOMB * (q[:, None] * p[None] / apart).sum()
    energies = term.evaluate([together, *frames[:2]]).energies
    assert energies[0] - energies[1:].sum() == pytest.approx(expected, rel=2e-3)


def test_frames_without_labels_of_charges_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"1 frames given, none with .*LatentCharges"):
        LabeledCharges().fit([Configuration(NUMBERS, WATER)])
