"""Molecules as numbers, audits of tables, and activity cliffs."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")

from thalweg.interop.rdkit.activity_cliffs import _edits_at_most, activity_cliffs
from thalweg.interop.rdkit.audit import audit, standard_molecule
from thalweg.interop.rdkit.ligand_features import descriptor_names, ligand_features, molecular_graphs


def test_features_do_not_depend_on_how_a_smiles_is_written():
    first, second = ligand_features(["OC(=O)c1ccccc1"]), ligand_features(["c1ccccc1C(O)=O"])
    for name, counts in first.counts.items():
        assert (counts == second.counts[name]).all()
    np.testing.assert_allclose(first.descriptors, second.descriptors, rtol=1e-6)


def test_counts_grow_with_the_chain_and_descriptors_name_its_mass():
    found = ligand_features(["CCCCC", "CCCCCCCC"])
    assert all(counts[1].sum() > counts[0].sum() for counts in found.counts.values())
    mass = found.descriptors[:, descriptor_names().index("MolWt")]
    np.testing.assert_allclose(mass, [72.15, 114.23], atol=0.01)


def test_descriptors_are_finite_where_charges_are_not_defined():
    assert np.isfinite(ligand_features(["[Na+].[Cl-]", "C[Si](C)(C)[Pt]"]).descriptors).all()


def test_graphs_know_bonds_twice_the_reverse_next():
    graphs = molecular_graphs(["C1CC1", "[He]", "CC(=O)N"])
    assert graphs.atom_counts.tolist() == [3, 1, 4]
    assert graphs.bond_counts.tolist() == [6, 0, 6]
    np.testing.assert_array_equal(graphs.ends[:, ::2], graphs.ends[:, 1::2, ::-1])
    assert not graphs.bonds[1].any()


@pytest.mark.parametrize("smiles", ["", "C(", "c1ccc", "C(C)(C)(C)(C)C"])
def test_what_is_no_smiles_is_told(smiles):
    with pytest.raises(ValueError, match="is no molecule"):
        ligand_features(["CCO", smiles])


@pytest.mark.parametrize(
    ("given", "standard", "removed"),
    [
        ("C[NH+](C)C.[Cl-]", "CN(C)C", ("[Cl-]",)),
        ("[Na+].CC(=O)[O-]", "CC(=O)O", ("[Na+]",)),
        ("C[N+](C)(C)C", "C[N+](C)(C)C", ()),
        ("C[N+](=O)[O-]", "C[N+](=O)[O-]", ()),
        ("CCO.CCCO", "CCCO", ("CCO",)),
    ],
)
def test_standard_molecules_are_neutral_and_without_counterions(given, standard, removed):
    found = standard_molecule(given)
    assert (found.smiles, found.removed) == (standard, removed)
    assert standard_molecule(found.smiles).smiles == found.smiles


def test_an_audit_finds_what_was_put_in():
    smiles = ["CCO", "OCC", "CC(=O)O", "CC(=O)[O-].[Na+]", "X", "CCC", "CCN"]
    labels = np.array(
        [[1.0, 0.0], [1.2, np.nan], [0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [np.nan] * 2, [2.0, 2.0]]
    )
    found = audit(smiles, labels, tolerance=0.5)
    assert set(found.unreadable) == {4}
    assert found.duplicates == {1: 0, 3: 2}
    assert found.contradicting == {3: 1.0}
    assert found.salts == {3: ("[Na+]",)}
    assert found.unlabeled == (5,)
    assert found.clean.tolist() == [0, 6]
    assert found.readable.tolist() == [0, 1, 2, 3, 5, 6]
    assert any(line.startswith("line 6: 'X' is no molecule") for line in found.lines())
    assert "line 5: the molecule of line 4 again, labels 1 apart" in found.lines()


def test_labels_in_two_units_are_told_and_in_one_are_not():
    labels = np.array([1.0, 2.0])
    assert "1 in nM, 1 in pKd" in audit(["C", "CC"], labels, units=["nM", "pKd"]).lines()[0]
    assert audit(["C", "CC"], labels, units=["nM", "nM "]).lines() == []
    with pytest.raises(ValueError, match="1 units for 2"):
        audit(["C", "CC"], labels, units=["nM"])


def test_edit_distances_are_those_of_the_definition():
    generator = np.random.default_rng(0)

    def distance(a, b):
        if not a or not b:
            return max(len(a), len(b))
        return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))

    words = ["".join(generator.choice(list("CON"), generator.integers(1, 6))) for _ in range(60)]
    first, second = words[:30], words[30:]
    for fraction in (0.2, 0.5):
        expected = [distance(a, b) <= fraction * max(len(a), len(b)) + 1e-9 for a, b in zip(first, second)]
        assert _edits_at_most(first, second, fraction).tolist() == expected


def test_a_cliff_needs_likeness_and_a_difference():
    smiles = ["CCCCCCCCCCCO", "CCCCCCCCCCCN", "c1ccc2ccccc2c1"]
    assert activity_cliffs(smiles, np.array([5.0, 6.5, 9.0])).tolist() == [True, True, False]
    assert not activity_cliffs(smiles, np.array([5.0, 5.9, 9.0])).any()
