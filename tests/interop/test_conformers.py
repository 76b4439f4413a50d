"""Molecules by their SMILES."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.interop.rdkit.conformers import conformers

pytest.importorskip("rdkit")


def torsion(x):
    a, b, c = x[1] - x[0], x[2] - x[1], x[3] - x[2]
    n, m = np.cross(a, b), np.cross(b, c)
    return np.degrees(np.arctan2(np.dot(np.cross(n, m), b / np.linalg.norm(b)), np.dot(n, m)))


def test_ethanol_has_three_conformers_by_its_hydroxyl_group():
    found = conformers("CCO", 10)
    angles = sorted(abs(round(torsion(frame.positions[[0, 1, 2, 8]]) / 10) * 10) for frame in found)
    assert angles == [60, 60, 180]
    assert found[0].info["smiles"] == "CCO"
    assert found[0].info["MMFF94 [kJ/mol]"] == 0


@pytest.mark.parametrize(
    ("smiles", "charge", "unpaired"), [("[NH4+]", 1, 0), ("[CH3]", 0, 1), ("[Cl-]", -1, 0)]
)
def test_charge_and_unpaired_electrons_are_those_of_the_smiles(smiles, charge, unpaired):
    info = conformers(smiles, 1)[0].info
    assert (info["charge"], info["unpaired"]) == (charge, unpaired)


def test_the_same_seed_gives_the_same_atoms():
    first, again = conformers("CC(C)CO", 3, seed=2), conformers("CC(C)CO", 3, seed=2)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)


@pytest.mark.parametrize(
    ("smiles", "words"),
    [
        ("C(C)(C)(C)(C)C", "greater than permitted"),
        ("xyz", "grammar"),
        ("", "grammar"),
        ("C.O", "several molecules"),
    ],
)
def test_what_is_no_molecule_is_said(smiles, words):
    with pytest.raises(ValueError, match=words):
        conformers(smiles)
