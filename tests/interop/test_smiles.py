"""Molecules as graphs, by SMILES and by atoms in space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.interop.rdkit.conformers import conformers
from thalweg.interop.rdkit.smiles import MolecularGraph, molecular_graph, smiles_of
from thalweg.systems.configuration import Configuration

pytest.importorskip("rdkit")


@pytest.mark.parametrize("smiles", ["CCO", "C[NH3+]", "CC(=O)[O-]", "C#N", "C[N+](=O)[O-]", "O=C(O)c1ccccc1"])
def test_smiles_graph_and_geometry_say_the_same(smiles):
    graph, frame = molecular_graph(smiles), conformers(smiles, 1)[0]
    found = molecular_graph(frame)
    assert smiles_of(graph) == smiles_of(frame) == smiles
    np.testing.assert_array_equal(found.adjacency, graph.adjacency)
    np.testing.assert_array_equal(found.numbers, graph.numbers)
    assert graph.charges.sum() == frame.info["charge"]


def test_orders_of_carbon_dioxide_are_two_and_valences_are_four():
    graph = molecular_graph("O=C=O")
    assert graph.orders.tolist() == [[0, 2, 0], [2, 0, 2], [0, 2, 0]]
    assert molecular_graph("c1ccccc1").orders[:6].sum(1).tolist() == [4] * 6


def test_what_is_no_molecule_is_refused():
    with pytest.raises(ValueError, match="no molecule"):
        molecular_graph("C(C)(C)(C)(C)C")
    with pytest.raises(ValueError, match="order 4"):
        smiles_of(MolecularGraph(np.array([6, 6]), 4 * (1 - np.eye(2, dtype=int)), np.zeros(2, int)))
    with pytest.raises(ValueError, match="no bonds of"):
        smiles_of(replace(conformers("C[NH3+]", 1)[0], info={}))
    with pytest.raises(ValueError, match="cell"):
        smiles_of(Configuration(np.array([1]), np.zeros((1, 3)), np.eye(3), (True,) * 3))
