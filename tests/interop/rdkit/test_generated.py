"""Strings of molecules and what generated ones are worth."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("selfies")

from thalweg.interop.rdkit.generated import PROPERTIES, GeneratedMolecules, drug_properties
from thalweg.interop.rdkit.line_notations import (
    canonical_smiles,
    selfies_symbols,
    smiles_of_selfies,
    smiles_symbols,
)

MOLECULES = ("C[C@H](Br)c1ccc([N+](=O)[O-])cc1", "ClCC%12CCCCC%12", "O=C(O)/C=C/c1cc[nH]c1")


@pytest.mark.parametrize("smiles", MOLECULES)
def test_symbols_write_the_molecule_that_they_were_read_from(smiles):
    assert "".join(smiles_symbols(smiles)) == smiles
    assert canonical_smiles(smiles_of_selfies(selfies_symbols(smiles))) == canonical_smiles(smiles)


def test_any_order_of_symbols_of_selfies_is_a_molecule():
    symbols = sorted({symbol for each in MOLECULES for symbol in selfies_symbols(each)})
    generator = np.random.default_rng(0)
    drawn = [smiles_of_selfies([str(s) for s in generator.choice(symbols, 15)]) for _ in range(50)]
    found = GeneratedMolecules.of([each for each in drawn if each])
    assert found.validity > 0.95


def test_a_molecule_without_selfies_is_told():
    with pytest.raises(ValueError, match="has no SELFIES"):
        selfies_symbols("C*")


def test_penalized_logp_is_logp_less_accessibility_and_large_rings():
    logp, hard, penalized = (
        PROPERTIES.index(name) for name in ("logP", "synthetic accessibility", "penalized logP")
    )
    six, eight = drug_properties(["C1CCCCC1", "C1CCCCCCC1"])
    assert six[penalized] == pytest.approx(six[logp] - six[hard])
    assert eight[penalized] == pytest.approx(eight[logp] - eight[hard] - 2)


def test_published_accessibility_of_a_simple_and_a_hard_molecule():
    # ertl2009 scores lie near 1 for benzene-like and above 4 for densely fused stereochemistry
    easy, hard = drug_properties(["c1ccccc1", "CC12CCC3C(CCC4CC(O)CCC43C)C1CCC2C1CCC(=O)C1"])[:, 2]
    assert easy < 1.5
    assert hard > 3.5
