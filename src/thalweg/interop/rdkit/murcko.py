"""Scaffolds as benchmarks of ligands split by them: rings and what links them, without stereochemistry [bemis1996].

`thalweg.interop.scaffold` keeps stereochemistry and gives molecules without rings each their own.
"""

from __future__ import annotations

from thalweg.interop.rdkit.ligand_features import parsed


def murcko_scaffold(smiles: str) -> str:
    """The scaffold as SMILES, empty for all molecules without rings, as MoleculeNet groups them [wu2018].

    Raises
    ------
    ValueError
        If the SMILES is none.

    Examples
    --------
    >>> murcko_scaffold("C[C@H]1CCCC[C@@H]1c1ccccc1O"), murcko_scaffold("CCO")
    ('c1ccc(C2CCCCC2)cc1', '')
    """
    from rdkit.Chem.Scaffolds import MurckoScaffold

    return MurckoScaffold.MurckoScaffoldSmiles(mol=parsed(smiles), includeChirality=False)
