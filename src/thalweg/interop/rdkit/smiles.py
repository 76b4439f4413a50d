"""Molecules as graphs: from SMILES to bond orders between atoms, from these or from atoms in space to SMILES.

Bonds of atoms in space are found by their distances, their orders by the valences that the total charge leaves
[kim2015]. Orders are those of one Kekulé structure, so that a graph says all that a SMILES does but stereochemistry.
Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.labeling.level import formula
from thalweg.shapes import Int
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM


@dataclass(frozen=True, eq=False)
class MolecularGraph:
    """Atoms, hydrogens included, and the bonds between them.

    Attributes
    ----------
    numbers : (atoms,) atomic numbers
    orders : (atoms, atoms) bond orders 1, 2, 3, zero where there is no bond
    charges : (atoms,) formal charges [e]
    """

    numbers: Int[np.ndarray, " atoms"]
    orders: Int[np.ndarray, "atoms atoms"]
    charges: Int[np.ndarray, " atoms"]

    @property
    def adjacency(self) -> Int[np.ndarray, "atoms atoms"]:
        """One where there is a bond, of whatever order."""
        return (self.orders > 0).astype(int)


def molecular_graph(molecule: str | Configuration) -> MolecularGraph:
    """The graph of a SMILES, or of atoms in space with the total charge ``info["charge"]``, in their order.

    Raises
    ------
    ValueError
        If the SMILES is none, or no bonds of these atoms fit their valences and charge.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> molecular_graph("C=O").orders.tolist()
    [[0, 2, 1, 1], [2, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    """
    made = _of_smiles(molecule) if isinstance(molecule, str) else _of_frame(molecule)
    _chem().Kekulize(made, clearAromaticFlags=True)
    atoms = made.GetNumAtoms()
    orders = np.zeros((atoms, atoms), int)
    for bond in made.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        orders[i, j] = orders[j, i] = round(bond.GetBondTypeAsDouble())
    numbers = np.array([atom.GetAtomicNum() for atom in made.GetAtoms()])
    return MolecularGraph(numbers, orders, np.array([atom.GetFormalCharge() for atom in made.GetAtoms()]))


def smiles_of(molecule: MolecularGraph | Configuration) -> str:
    """The canonical SMILES of a graph, or of atoms in space; several molecules with dots between them.

    Raises
    ------
    ValueError
        If no bonds of these atoms fit their valences and charge.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> smiles_of(molecular_graph("OCC"))
    'CCO'
    """
    from rdkit import rdBase

    chem = _chem()
    with rdBase.BlockLogs():
        made = _of_frame(molecule) if isinstance(molecule, Configuration) else _of_graph(molecule)
        try:
            chem.SanitizeMol(made)
        except ValueError as error:
            raise ValueError(f"these bond orders are of no molecule: {error}") from error
        bare = chem.RemoveHs(made)
        chem.RemoveStereochemistry(bare)
        return chem.MolToSmiles(bare)


def _of_smiles(smiles):
    from rdkit import rdBase

    chem = _chem()
    with rdBase.BlockLogs():
        bare = chem.MolFromSmiles(smiles) if smiles.strip() else None
    if bare is None:
        raise ValueError(
            f"{smiles!r} is no molecule: it does not follow the grammar of SMILES or breaks a valence"
        )
    return chem.AddHs(bare)


def _of_frame(frame):
    from rdkit import rdBase
    from rdkit.Chem import rdDetermineBonds
    from rdkit.Geometry import Point3D

    if any(frame.periodic):
        raise ValueError(f"{formula(frame)} has a cell; bonds are found for molecules without one")
    chem = _chem()
    made = _atoms(frame.numbers, np.zeros(len(frame), int))
    places = chem.Conformer(len(frame))
    for k, x in enumerate(np.asarray(frame.positions, float) / ANGSTROM):
        places.SetAtomPosition(k, Point3D(*map(float, x)))
    made.AddConformer(places)
    charge = round(float(np.asarray(frame.info.get("charge", 0)).reshape(())))
    with rdBase.BlockLogs():
        try:
            rdDetermineBonds.DetermineBonds(made, charge=charge)
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"no bonds of {formula(frame)} fit valences and the charge {charge}; say its charge in "
                "info['charge'], or relax the geometry; radicals are not understood"
            ) from error
    return made


def _of_graph(graph):
    chem = _chem()
    made = _atoms(graph.numbers, graph.charges)
    kinds = {1: chem.BondType.SINGLE, 2: chem.BondType.DOUBLE, 3: chem.BondType.TRIPLE}
    for i, j in zip(*np.nonzero(np.triu(graph.orders))):
        order = int(graph.orders[i, j])
        if order not in kinds:
            raise ValueError(f"the bond of atoms {i} and {j} has the order {order}; wanted is 1, 2 or 3")
        made.AddBond(int(i), int(j), kinds[order])
    return made


def _atoms(numbers, charges):
    """Atoms without bonds, to which no hydrogens are added."""
    chem = _chem()
    made = chem.RWMol()
    for number, charge in zip(numbers, charges):
        atom = chem.Atom(int(number))
        atom.SetFormalCharge(int(charge))
        atom.SetNoImplicit(True)
        made.AddAtom(atom)
    return made


def _chem():
    try:
        from rdkit import Chem
    except ImportError as error:
        raise ImportError(
            "molecules by SMILES need RDKit, which is not installed; pip install 'thalweg[drug]'"
        ) from error
    return Chem
