"""From a SMILES to atoms in space: conformers by distance geometry, minimized in a force field [riniker2015].

Needs the extra ``drug`` (rdkit). RDKit works in Å and kcal/mol; units end here.
"""

from __future__ import annotations

import re

import numpy as np

from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, KILOCALORIE, Count

CLOSER = 0.02
"""Conformers are one whose atoms, but for hydrogens on carbon, are nearer than this root mean square distance [nm]."""

STARTS = 20
"""Places of atoms that are tried at least."""


def conformers(smiles: str, count: Count = 10, seed: int = 0) -> list[Configuration]:
    """Up to ``count`` different conformers of a molecule with its hydrogens, the lowest in MMFF94 first.

    Each has ``info`` with the SMILES, its total charge and number of unpaired electrons, and the energy in the force
    field above the lowest, ``"MMFF94 [kJ/mol]"``, where that knows the molecule.

    Raises
    ------
    ValueError
        If the SMILES is none, is of several molecules, or no atoms can be placed as it says.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> conformers("C(C)(C)(C)(C)C")
    Traceback (most recent call last):
        ...
    ValueError: 'C(C)(C)(C)(C)C' is no molecule: Explicit valence for atom # 0 C, 5, is greater than permitted; ...
    """
    chem, place, field = _rdkit()
    molecule = _molecule(smiles)
    settings = place.ETKDGv3()
    settings.randomSeed, settings.pruneRmsThresh = (
        1 + seed,
        -1.0,
    )  # which would merge rotamers of hydroxyl groups
    found = list(place.EmbedMultipleConfs(molecule, STARTS + 5 * count, settings))
    if not found:
        settings.useRandomCoords = True
        found = list(place.EmbedMultipleConfs(molecule, STARTS + 5 * count, settings))
    if not found:
        raise ValueError(f"RDKit finds no place for the atoms of {smiles!r}; is a strained ring meant?")
    energies = np.full(len(found), np.nan)
    if field.MMFFHasAllMoleculeParams(molecule):
        energies = np.array(
            [energy for _, energy in field.MMFFOptimizeMoleculeConfs(molecule, maxIters=2000)]
        )
    chosen = _different(molecule, found, energies)[:count]
    info = {
        "smiles": chem.MolToSmiles(chem.RemoveHs(molecule)),
        "charge": chem.GetFormalCharge(molecule),
        "unpaired": sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()),
    }
    lowest = np.nanmin(energies) if np.isfinite(energies).any() else np.nan
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    made = []
    for k in chosen:
        own = {} if np.isnan(energies[k]) else {"MMFF94 [kJ/mol]": float(energies[k] - lowest) * KILOCALORIE}
        positions = np.array(molecule.GetConformer(found[k]).GetPositions()) * ANGSTROM
        made.append(Configuration(numbers, positions, info=info | own))
    return made


def _molecule(smiles):
    """RDKit's molecule with hydrogens."""
    from rdkit import rdBase

    chem, *_ = _rdkit()
    with rdBase.BlockLogs():
        bare = chem.MolFromSmiles(smiles, sanitize=False) if smiles.strip() else None
        problems = [] if bare is None else [each.Message() for each in chem.DetectChemistryProblems(bare)]
    if bare is None or problems:
        said = re.sub(r"\s+", " ", "; ".join(problems)) or "it does not follow the grammar of SMILES"
        raise ValueError(f"{smiles!r} is no molecule: {said}; give a SMILES such as CCO")
    chem.SanitizeMol(bare)
    if "." in chem.MolToSmiles(bare):
        raise ValueError(f"{smiles!r} is of several molecules; give one, or atoms in space in a file")
    return chem.AddHs(bare)


def _different(molecule, found, energies):
    """Numbers of conformers from the lowest on, without those like a lower one."""
    from rdkit.Chem import rdMolAlign

    chem, *_ = _rdkit()
    compared = _without_hydrocarbons(molecule)
    kept: list[int] = []
    for k in np.argsort(energies, kind="stable"):
        near = (
            rdMolAlign.GetBestRMS(chem.Mol(compared), compared, found[k], found[other]) * ANGSTROM < CLOSER
            for other in kept
        )
        if not any(near):
            kept.append(int(k))
    return kept


def _without_hydrocarbons(molecule):
    """The molecule without hydrogens on carbon, whose exchange is none of a conformer."""
    chem, *_ = _rdkit()
    marked = chem.Mol(molecule)
    for atom in marked.GetAtoms():
        if atom.GetAtomicNum() == 1 and any(other.GetAtomicNum() != 6 for other in atom.GetNeighbors()):
            atom.SetIsotope(1)  # keeps it from being removed
    return chem.RemoveHs(marked) if any(atom.GetAtomicNum() > 1 for atom in marked.GetAtoms()) else molecule


def _rdkit():
    try:
        from rdkit import Chem
        from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
    except ImportError as error:
        raise ImportError(
            "molecules by SMILES need RDKit, which is not installed; pip install 'thalweg[drug]'"
        ) from error
    return Chem, rdDistGeom, rdForceFieldHelpers
