"""Molecules as strings of symbols: SMILES, and SELFIES, of which every string is a molecule [krenn2020].

Needs the extra ``drug`` (rdkit, selfies).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from thalweg.interop.rdkit.ligand_features import parsed

SYMBOL = re.compile(r"\[[^\]]+\]|Br|Cl|%\d\d|.")
"""Of SMILES: an atom in brackets, one of two letters, a ring of two digits, or any other character."""


def smiles_symbols(smiles: str) -> tuple[str, ...]:
    """The symbols that a SMILES is made of.

    Examples
    --------
    >>> smiles_symbols("C[NH+]Cl")
    ('C', '[NH+]', 'Cl')
    """
    return tuple(SYMBOL.findall(smiles))


def selfies_symbols(smiles: str) -> tuple[str, ...]:
    """The symbols of the SELFIES of a SMILES.

    Raises
    ------
    ValueError
        If it has none: the grammar of SELFIES does not hold the molecule.
    ImportError
        If selfies is not installed.

    Examples
    --------
    >>> selfies_symbols("C=O")
    ('[C]', '[=O]')
    """
    selfies = _selfies()
    try:
        return tuple(selfies.split_selfies(selfies.encoder(smiles)))
    except selfies.EncoderError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{smiles!r} has no SELFIES: {reason}") from None


def smiles_of_selfies(symbols: Sequence[str]) -> str:
    """The SMILES that symbols of SELFIES say, empty where they say nothing.

    Examples
    --------
    >>> smiles_of_selfies(("[C]", "[=O]"))
    'C=O'
    """
    return _selfies().decoder("".join(symbols))


def canonical_smiles(smiles: str) -> str | None:
    """The canonical form, None where the string is no molecule.

    Examples
    --------
    >>> canonical_smiles("OCC"), canonical_smiles("C1CC")
    ('CCO', None)
    """
    from rdkit import Chem

    try:
        return Chem.MolToSmiles(parsed(smiles))
    except ValueError:
        return None


def _selfies():
    try:
        import selfies
    except ImportError as error:
        raise ImportError("SELFIES need their package; pip install 'thalweg[drug]'") from error
    return selfies
