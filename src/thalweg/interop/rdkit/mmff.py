"""The Merck molecular force field MMFF94 of a molecule, as a level of theory and term by term [halgren1996, tosco2014].

RDKit types the atoms, so that all elements and bonds that MMFF94 has parameters for are known, and gives energies and
gradients. It works in Å and kcal/mol; units end here. Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from thalweg.labeling.level import LabelFailed, formula, geometry_trouble
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, KILOCALORIE

if TYPE_CHECKING:
    from rdkit import Chem

TERMS = ("bond", "angle", "stretch-bend", "out of plane", "torsion", "van der Waals", "electrostatic")
"""What its energy is a sum of."""

SETTERS = ("Bond", "Angle", "StretchBend", "Oop", "Torsion", "VdW", "Ele")
"""As RDKit calls them."""


@dataclass(frozen=True)
class MMFF94:
    """MMFF94 of one molecule.

    Parameters
    ----------
    smiles : with all its atoms, hydrogens too, numbered by atom maps from 1 on in the order of frames; or plain, for
        frames of `conformers`, which have RDKit's own order
    variant : "MMFF94", or "MMFF94s" with planar nitrogens

    Raises
    ------
    ValueError
        If the SMILES is none, is numbered in part, or MMFF94 has no parameters for it.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> MMFF94("[Fe]")
    Traceback (most recent call last):
        ...
    ValueError: MMFF94 has no parameters for '[Fe]'; use another level
    """

    smiles: str
    variant: str = "MMFF94"

    def __post_init__(self):
        _properties(molecule_in_order(self.smiles), self.smiles, self.variant)

    @property
    def name(self) -> str:
        """As one writes it."""
        return self.variant

    def provenance(self) -> Mapping[str, str]:
        return {"program": "RDKit", "version": importlib.metadata.version("rdkit"), "level": self.name}

    def check(self, frame: Configuration) -> None:
        """Whether a frame is of this molecule, atom by atom.

        Raises
        ------
        ValueError
            If not.
        """
        if _numbers(self.smiles) != tuple(map(int, frame.numbers)):
            raise ValueError(f"the frame is {formula(frame)}, in another order or not {self.smiles!r}")

    def seconds(self, frame: Configuration) -> float:
        return 1e-3

    def label(self, frame: Configuration) -> Configuration:
        """Energy and forces.

        Raises
        ------
        LabelFailed
            If atoms are on top of each other.
        """
        if trouble := geometry_trouble(frame):
            raise LabelFailed(trouble)
        self.check(frame)
        _, field = _placed(self.smiles, self.variant, tuple(SETTERS))
        places = _places(frame)
        # RDKit keeps distances of the last energy, and gradients are of these: the energy goes first
        energy = field.CalcEnergy(places)
        gradient = np.array(field.CalcGrad(places)).reshape(-1, 3)
        return replace(
            frame,
            energy=energy * KILOCALORIE,
            forces=-gradient * KILOCALORIE / ANGSTROM,
            stress=None,
            properties={},
        )

    def terms(self, frames: Sequence[Configuration]) -> Float[np.ndarray, "frames 7"]:
        """Each of the `TERMS` of the energy of frames [kJ/mol]."""
        energies = np.zeros((len(frames), len(TERMS)))
        for frame in frames[:1]:
            self.check(frame)
        for column, one in enumerate(SETTERS):
            _, field = _placed(self.smiles, self.variant, (one,))
            energies[:, column] = [field.CalcEnergy(_places(frame)) for frame in frames]
        return energies * KILOCALORIE


def molecule_in_order(smiles: str) -> Chem.Mol:
    """RDKit's molecule with hydrogens, its atoms in the order of their maps where they have such.

    Raises
    ------
    ValueError
        If the SMILES is none, or its atoms are numbered in part.
    ImportError
        If RDKit is not installed.
    """
    try:
        from rdkit import Chem
    except ImportError as error:
        raise ImportError(
            "MMFF94 needs RDKit, which is not installed; pip install 'thalweg[drug]'"
        ) from error
    settings = Chem.SmilesParserParams()
    settings.removeHs = False
    molecule = Chem.MolFromSmiles(smiles, settings)
    if molecule is None or not molecule.GetNumAtoms():
        raise ValueError(f"{smiles!r} is no molecule; give a SMILES such as CCO")
    maps = [atom.GetAtomMapNum() for atom in molecule.GetAtoms()]
    if not any(maps):
        return Chem.AddHs(molecule)
    if sorted(maps) != list(range(1, len(maps) + 1)) or Chem.AddHs(molecule).GetNumAtoms() != len(maps):
        raise ValueError(
            f"{smiles!r} numbers some of its atoms only; number all, hydrogens too, from 1 on, or none"
        )
    ordered = Chem.RenumberAtoms(molecule, np.argsort(maps).tolist())
    for atom in ordered.GetAtoms():
        atom.SetAtomMapNum(0)
    return ordered


def _properties(molecule, smiles, variant):
    """RDKit's typing of a molecule."""
    from rdkit.Chem import rdForceFieldHelpers

    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule, mmffVariant=variant)
    if properties is None:
        raise ValueError(f"MMFF94 has no parameters for {smiles!r}; use another level")
    return properties


@lru_cache(maxsize=64)
def _placed(smiles, variant, terms):
    """A molecule with some of the terms, atoms far apart, and its force field, which needs it to live as long."""
    from rdkit.Chem import Conformer, rdForceFieldHelpers

    molecule = molecule_in_order(smiles)
    properties = _properties(molecule, smiles, variant)
    for each in SETTERS:
        getattr(properties, f"SetMMFF{each}Term")(each in terms)
    conformer = Conformer(molecule.GetNumAtoms())
    conformer.SetPositions(10.0 * np.arange(3.0 * molecule.GetNumAtoms()).reshape(-1, 3))
    molecule.AddConformer(conformer)
    # all pairs: by default those beyond 100 Å are left out
    return molecule, rdForceFieldHelpers.MMFFGetMoleculeForceField(molecule, properties, nonBondedThresh=1e9)


@lru_cache(maxsize=64)
def _numbers(smiles):
    return tuple(atom.GetAtomicNum() for atom in molecule_in_order(smiles).GetAtoms())


def _places(frame):
    return (np.asarray(frame.positions, float) / ANGSTROM).ravel().tolist()
