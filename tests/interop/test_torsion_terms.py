"""MMFF94 term by term, torsions and their types, and terms of torsions in files and in OpenMM."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rdkit")

import openmm
from rdkit import Chem

from thalweg.interop.openmm.checked_xml import system_document
from thalweg.interop.rdkit.conformers import conformers
from thalweg.interop.rdkit.mmff import MMFF94, TERMS, molecule_in_order
from thalweg.interop.rdkit.torsion_types import proper_torsions, scaffold, turnable_torsion
from thalweg.interop.smirnoff.torsion_terms import (
    read_offxml,
    torsion_force,
    with_torsions,
    write_offxml,
    write_system,
)
from thalweg.learned_potentials.torsions.fourier_terms import FourierTerms
from thalweg.units import KILOCALORIE

SMILES = "CC(=O)NC(CO)c1ccccc1"


@pytest.fixture(scope="module")
def frames():
    return conformers(SMILES, 3)


@pytest.fixture(scope="module")
def terms():
    torsions = proper_torsions(SMILES)
    types = tuple(sorted(set(torsions.types)))
    values = np.random.default_rng(0).normal(size=(len(types), 6))
    values[0, 2:] = 0.0
    return FourierTerms(types, values, values, (True,) * len(types), 1.0, 1.0)


def test_terms_of_mmff94_sum_to_its_energy_and_forces_are_its_slope(frames):
    level = MMFF94(SMILES)
    labeled = [level.label(frame) for frame in frames]
    np.testing.assert_allclose(level.terms(frames).sum(1), [each.energy for each in labeled], atol=1e-6)
    step = np.zeros(frames[0].positions.shape)
    step[3, 1] = 1e-5
    # forces are of the frame asked about, whichever was asked about before
    for frame in frames[::-1]:
        np.testing.assert_allclose(level.label(frame).forces, MMFF94(SMILES).label(frame).forces, atol=1e-9)
        assert np.abs(level.label(frame).forces).max() < 10
    up, down = (
        level.label(replace(frames[0], positions=frames[0].positions + sign * step)) for sign in (1, -1)
    )
    assert (down.energy - up.energy) / 2e-5 == pytest.approx(labeled[0].forces[3, 1], abs=0.05)
    # conformers are at minima of the same force field
    assert np.abs(labeled[0].forces).max() < 10


def test_torsion_terms_of_mmff94_are_those_that_rdkit_sums(frames):
    torsions = proper_torsions(SMILES)
    own = FourierTerms((), np.zeros((0, 6)), np.zeros((0, 6)), (), 0.0, 0.0)
    energies = own.energies(torsions, np.stack([frame.positions for frame in frames]))
    np.testing.assert_allclose(
        energies, MMFF94(SMILES).terms(frames)[:, TERMS.index("torsion")], atol=1e-3 * KILOCALORIE
    )


def test_every_torsion_matches_its_own_type_and_no_other():
    torsions, molecule = proper_torsions(SMILES), molecule_in_order(SMILES)
    for name in set(torsions.types):
        found = molecule.GetSubstructMatches(Chem.MolFromSmarts(name), uniquify=False, maxMatches=10**4)
        matched = {min(each, each[::-1]) for each in found if len(each) == 4}
        own = [tuple(map(int, four)) for four, kind in zip(torsions.atoms, torsions.types) if kind == name]
        assert matched == {min(each, each[::-1]) for each in own}


def test_atoms_may_be_numbered_in_the_order_of_a_file():
    assert proper_torsions("[H:3][O:1][O:2][H:4]").atoms.tolist() in ([[2, 0, 1, 3]], [[3, 1, 0, 2]])
    with pytest.raises(ValueError, match="number all"):
        MMFF94("[CH3:1]O")


def test_scaffolds_are_rings_and_what_links_them():
    assert scaffold(SMILES) == "c1ccccc1"
    assert scaffold("CCc1ccc(cc1)CC2CC2") == scaffold("c1ccc(cc1)CC2CC2")
    with pytest.raises(ValueError, match="no single bond"):
        turnable_torsion("c1ccccc1")


def test_a_smirnoff_file_reads_back_equal(tmp_path, terms):
    again = read_offxml(write_offxml(tmp_path / "torsions.offxml", terms))
    assert again.types == terms.types
    np.testing.assert_array_equal(again.amplitudes, terms.amplitudes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]><SMIRNOFF/>', "document type"),
        ("<SMIRNOFF><Angles/></SMIRNOFF>", "no torsions"),
        ("<SMIRNOFF>", "no XML"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, text, words):
    file = tmp_path / "strange.offxml"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_offxml(file)


def _energies(system, frames):
    context = openmm.Context(system, openmm.VerletIntegrator(1e-3), openmm.Platform.getPlatform("Reference"))
    found = []
    for frame in frames:
        context.setPositions(frame.positions)
        found.append(context.getState(energy=True).getPotentialEnergy()._value)
    return np.array(found)


def test_openmm_has_the_same_energies_and_old_terms_of_the_molecule_are_gone(tmp_path, terms, frames):
    torsions, system = proper_torsions(SMILES), openmm.System()
    for _ in frames[0].numbers:
        system.addParticle(12.0)
    old = openmm.PeriodicTorsionForce()
    old.addTorsion(*map(int, torsions.atoms[0][::-1]), 2, 0.5, 7.0)
    improper = [int(k) for k in (torsions.atoms[0][1], torsions.atoms[0][0], *torsions.atoms[0][2:])]
    old.addTorsion(*improper, 2, 0.5, 3.0)
    system.addForce(old)
    changed = with_torsions(system, terms, torsions)
    expected = terms.energies(torsions, np.stack([frame.positions for frame in frames]))
    alone = openmm.System()
    for _ in frames[0].numbers:
        alone.addParticle(12.0)
    alone.addForce(torsion_force(terms, torsions))
    np.testing.assert_allclose(_energies(alone, frames), expected, atol=1e-4)
    kept = openmm.System()
    for _ in frames[0].numbers:
        kept.addParticle(12.0)
    only = openmm.PeriodicTorsionForce()
    only.addTorsion(*improper, 2, 0.5, 3.0)
    kept.addForce(only)
    read = system_document(write_system(tmp_path / "system.xml", changed))
    np.testing.assert_allclose(_energies(read, frames), expected + _energies(kept, frames), atol=1e-4)
    with pytest.raises(ValueError, match="particles"):
        with_torsions(openmm.System(), terms, torsions)
