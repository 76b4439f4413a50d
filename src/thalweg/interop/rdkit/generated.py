"""What generated molecules are worth: whether they are any, new, and can be made; and numbers to optimize.

Validity, uniqueness and novelty are as in the benchmark of generative models [polykovskiy2020]. The synthetic
accessibility is between 1 (easy) and 10 (hard) [ertl2009], the drug-likeness QED between 0 and 1 [bickerton2012], the
penalized logP is logP less accessibility and less the atoms by which the largest ring is larger than six [gomez2018].
Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from thalweg.interop.rdkit.ligand_features import parsed
from thalweg.interop.rdkit.line_notations import canonical_smiles
from thalweg.learning.models import Model
from thalweg.shapes import Float

RING = 6
"""Atoms of a ring beyond which the penalty counts."""


@dataclass(frozen=True, repr=False)
class GeneratedMolecules(Model):
    """How good a set of generated strings is, each a fraction.

    Attributes
    ----------
    smiles : canonical ones of all that are molecules, in order, repeats included
    validity : of all strings, those that are molecules
    uniqueness : of molecules, those that are not one before
    novelty : of unique molecules, those that were not known
    """

    smiles: tuple[str, ...]
    validity: float
    uniqueness: float
    novelty: float

    @staticmethod
    def of(strings: Sequence[str], known: Collection[str] = ()) -> GeneratedMolecules:
        """Those of SMILES; ``known`` are canonical ones, of the training set.

        Examples
        --------
        >>> GeneratedMolecules.of(["CCO", "OCC", "CCC", "C("], known={"CCC"})
        GeneratedMolecules(validity=0.75, uniqueness=0.666667, novelty=0.5)
        """
        found = [canonical_smiles(each) for each in strings]
        molecules = tuple(each for each in found if each is not None)
        unique = set(molecules)
        new = unique.difference(known)
        return GeneratedMolecules(
            molecules,
            len(molecules) / max(len(strings), 1),
            len(unique) / max(len(molecules), 1),
            len(new) / max(len(unique), 1),
        )

    def headline(self) -> dict[str, object]:
        """The fractions."""
        return {"validity": self.validity, "uniqueness": self.uniqueness, "novelty": self.novelty}


PROPERTIES = ("logP", "QED", "synthetic accessibility", "penalized logP")
"""Columns of `drug_properties`."""


def drug_properties(smiles: Sequence[str]) -> Float[np.ndarray, "molecules 4"]:
    """`PROPERTIES` of molecules, NaN where a string is none.

    Examples
    --------
    >>> drug_properties(["CCO", "C("]).round(2).tolist()
    [[-0.0, 0.41, 1.98, -1.98], [nan, nan, nan, nan]]
    """
    return np.array([_properties(each) for each in smiles], float).reshape(-1, len(PROPERTIES))


def _properties(smiles):
    from rdkit.Chem import QED
    from rdkit.Chem.rdMolDescriptors import CalcCrippenDescriptors

    try:
        molecule = parsed(smiles)
    except ValueError:
        return [np.nan] * len(PROPERTIES)
    lipophilic, hard = CalcCrippenDescriptors(molecule)[0], _accessibility().calculateScore(molecule)
    largest = max((len(ring) for ring in molecule.GetRingInfo().AtomRings()), default=0)
    return [lipophilic, QED.qed(molecule), hard, lipophilic - hard - max(largest - RING, 0)]


@cache
def _accessibility() -> ModuleType:
    """RDKit's own contribution, which is no part of its package."""
    from rdkit.Chem import RDConfig

    file = Path(RDConfig.RDContribDir) / "SA_Score" / "sascorer.py"
    if not file.is_file():
        raise ImportError(
            f"this RDKit has no {file}, which scores synthetic accessibility; install it by pip install rdkit"
        )
    spec = importlib.util.spec_from_file_location("sascorer", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
