"""Molecules by their SMILES as numbers: counts of substructures, descriptors, padded graphs.

Fingerprints count atoms' surroundings up to two bonds [rogers2010], pairs of atoms and how far they are apart, and
torsions, each folded to `COLUMNS` columns. Descriptors are RDKit's numbers of whole molecules but those that cost more
than all others together. Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.binding.ligands.features import LigandFeatures, PaddedGraphs
from thalweg.shapes import Float, Shaped

COLUMNS = 2048
"""Of each fingerprint."""

MOST = 255
"""Counts above are this one."""

SLOW = ("qed", "BCUT2D", "EStateIndex", "Ipc", "SPS", "BertzCT", "BalabanJ")
"""Parts of names of descriptors that cost the most and are not computed."""

ELEMENTS = (5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53)
"""Atomic numbers with a feature of their own in graphs; all others share one."""


def ligand_features(smiles: Sequence[str], graphs: bool = False) -> LigandFeatures:
    """Fingerprints and descriptors of molecules, and their graphs if these are asked for.

    Raises
    ------
    ValueError
        If a SMILES is none; `audit` finds these.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> found = ligand_features(["CCO", "c1ccccc1"])
    >>> sorted(found.counts), int(found.counts["morgan"][0].sum()), bool(np.isfinite(found.descriptors).all())
    (['atom pairs', 'morgan', 'torsions'], 6, True)
    """
    molecules = [parsed(each) for each in smiles]
    counts = {name: _counts(generator, molecules) for name, generator in fingerprint_generators().items()}
    return LigandFeatures(counts, _descriptors(molecules), _graphs(molecules) if graphs else None)


def descriptor_names() -> tuple[str, ...]:
    """Names of the descriptors of `ligand_features`, in order.

    Examples
    --------
    >>> "MolLogP" in descriptor_names(), "qed" in descriptor_names()
    (True, False)
    """
    return tuple(name for name, _ in _functions())


def molecular_graphs(smiles: Sequence[str]) -> PaddedGraphs:
    """Graphs of molecules with the features of atoms and bonds that networks read [yang2019].

    Of atoms: element, bonds, charge, hydrogens, hybridization, aromaticity, ring, chirality, mass; of bonds: order,
    conjugation, ring.

    Raises
    ------
    ValueError
        If a SMILES is none.

    Examples
    --------
    >>> graphs = molecular_graphs(["CCO", "C"])
    >>> graphs.atom_counts.tolist(), graphs.ends[0, :2].tolist()
    ([3, 1], [[0, 1], [1, 0]])
    """
    return _graphs([parsed(each) for each in smiles])


def fingerprint_generators() -> dict[str, Any]:
    """RDKit's generators of counts, by the name of the fingerprint."""
    from rdkit.Chem import rdFingerprintGenerator as made

    return {
        "morgan": made.GetMorganGenerator(radius=2, fpSize=COLUMNS),
        "atom pairs": made.GetAtomPairGenerator(fpSize=COLUMNS),
        "torsions": made.GetTopologicalTorsionGenerator(fpSize=COLUMNS),
    }


def _counts(generator, molecules) -> Shaped[np.ndarray, "molecules columns"]:
    found = [
        np.minimum(generator.GetCountFingerprintAsNumPy(each), MOST).astype(np.uint8) for each in molecules
    ]
    return np.stack(found)


def _functions() -> list[tuple[str, Callable]]:
    from rdkit.Chem import Descriptors

    return [(name, of) for name, of in Descriptors.descList if not any(part in name for part in SLOW)]


def _descriptors(molecules) -> Float[np.ndarray, "molecules descriptors"]:
    """Zeros where a descriptor is not defined, such as partial charges of elements that have no parameters."""
    from rdkit import rdBase

    functions = _functions()
    with rdBase.BlockLogs():
        found = np.array([[of(each) for _, of in functions] for each in molecules], float)
    return np.clip(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0), -1e6, 1e6)


def _graphs(molecules) -> PaddedGraphs:
    atoms = [np.array([_of_atom(atom) for atom in each.GetAtoms()], np.float32) for each in molecules]
    ends, bonds = [], []
    for each in molecules:
        own = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), _of_bond(bond)) for bond in each.GetBonds()]
        ends.append([pair for a, b, _ in own for pair in ((a, b), (b, a))])
        bonds.append([features for _, _, features in own for _ in range(2)])
    atom_counts, bond_counts = np.array([len(each) for each in atoms]), np.array([len(each) for each in ends])
    most_atoms, most_bonds = max(atom_counts, default=1), max(int(max(bond_counts, default=1)), 1)
    padded = PaddedGraphs(
        np.zeros((len(atoms), most_atoms, len(ELEMENTS) + 24), np.float32),
        np.zeros((len(atoms), most_bonds, 6), np.float32),
        np.zeros((len(atoms), most_bonds, 2), np.int32),
        atom_counts,
        bond_counts,
    )
    for k, (own, pairs, features) in enumerate(zip(atoms, ends, bonds)):
        padded.atoms[k, : len(own)] = own
        if pairs:
            padded.ends[k, : len(pairs)] = pairs
            padded.bonds[k, : len(pairs)] = features
    return padded


def _of_atom(atom) -> list[float]:
    number, hybridization = atom.GetAtomicNum(), str(atom.GetHybridization())
    return [
        *(float(number == each) for each in ELEMENTS),
        float(number not in ELEMENTS),
        *(float(atom.GetDegree() == k) for k in range(6)),
        *(float(atom.GetTotalNumHs() == k) for k in range(4)),
        *(float(hybridization == each) for each in ("SP", "SP2", "SP3", "SP3D", "SP3D2")),
        *(float(np.clip(atom.GetFormalCharge(), -1, 1) == k) for k in (-1, 1)),
        float(atom.GetIsAromatic()),
        float(atom.IsInRing()),
        *(float(str(atom.GetChiralTag()) == each) for each in ("CHI_TETRAHEDRAL_CW", "CHI_TETRAHEDRAL_CCW")),
        float(atom.GetNumRadicalElectrons() > 0),
        atom.GetMass() / 100,
    ]


def _of_bond(bond) -> list[float]:
    order = bond.GetBondTypeAsDouble()
    return [
        *(float(order == each) for each in (1, 2, 3, 1.5)),
        float(bond.GetIsConjugated()),
        float(bond.IsInRing()),
    ]


def parsed(smiles: str) -> Any:
    """RDKit's molecule of a SMILES.

    Raises
    ------
    ValueError
        If it is none.
    ImportError
        If RDKit is not installed.
    """
    from rdkit import rdBase

    try:
        from rdkit import Chem
    except ImportError as error:
        raise ImportError("molecules by SMILES need RDKit; pip install 'thalweg[drug]'") from error
    with rdBase.BlockLogs():
        found = Chem.MolFromSmiles(smiles) if smiles.strip() else None
    if found is None or not found.GetNumAtoms():
        raise ValueError(
            f"{smiles!r} is no molecule; give a SMILES such as CCO, or leave out what `audit` finds"
        )
    return found
