"""What is wrong with a table of molecules and labels, before anything is learned from it.

Standard molecules are the largest part of a salt, without its charge where a proton makes it up, so that salts and
protomers of one molecule are found to be the same. Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.interop.rdkit.ligand_features import parsed
from thalweg.learning.models import Model
from thalweg.shapes import Float, Int


@dataclass(frozen=True)
class StandardMolecule:
    """A molecule in its standard form.

    Attributes
    ----------
    smiles : canonical, of the largest organic part, neutral where protons can make it so
    removed : canonical SMILES of all other parts, such as counterions
    """

    smiles: str
    removed: tuple[str, ...] = ()


def standard_molecule(smiles: str) -> StandardMolecule:
    """The standard form of a SMILES.

    Raises
    ------
    ValueError
        If it is no molecule.

    Examples
    --------
    >>> standard_molecule("CC(=O)[O-].[Na+]")
    StandardMolecule(smiles='CC(=O)O', removed=('[Na+]',))
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem.MolStandardize import rdMolStandardize

    molecule = parsed(smiles)
    with rdBase.BlockLogs():
        pieces = list(Chem.GetMolFrags(molecule, asMols=True))
        # organic parts before others, then the largest, then by name so that the order of parts does not matter
        pieces.sort(key=lambda p: (not _has_carbon(p), -p.GetNumAtoms(), Chem.MolToSmiles(p)))
        parent = rdMolStandardize.Uncharger().uncharge(rdMolStandardize.Cleanup(pieces[0]))
    return StandardMolecule(Chem.MolToSmiles(parent), tuple(Chem.MolToSmiles(each) for each in pieces[1:]))


@dataclass(frozen=True, eq=False, repr=False)
class Audit(Model):
    """What was found, by number of the row, counted from zero.

    Attributes
    ----------
    standard : standard molecules, None where there is none
    unreadable : rows whose SMILES is none, with the reason
    salts : rows of several parts, with what was removed
    duplicates : rows whose standard molecule an earlier row has, with that row
    contradicting : those of these whose labels differ by more than the tolerance, with the largest difference
    unlabeled : rows without any label
    units : rows by unit, where units were given
    """

    standard: tuple[StandardMolecule | None, ...]
    unreadable: dict[int, str]
    salts: dict[int, tuple[str, ...]]
    duplicates: dict[int, int]
    contradicting: dict[int, float]
    unlabeled: tuple[int, ...]
    units: dict[str, tuple[int, ...]]

    @property
    def readable(self) -> Int[np.ndarray, " rows"]:
        """Rows that have a molecule."""
        return np.array([k for k, each in enumerate(self.standard) if each is not None], int)

    @property
    def clean(self) -> Int[np.ndarray, " rows"]:
        """Rows to learn from: readable, labeled, first of their molecule, not contradicted by another of it."""
        doubted = (
            {self.duplicates[k] for k in self.contradicting} | set(self.duplicates) | set(self.unlabeled)
        )
        return np.array([k for k in self.readable if k not in doubted], int)

    def headline(self) -> dict[str, object]:
        """How many of each."""
        counted = {"unreadable": self.unreadable, "salts": self.salts, "duplicates": self.duplicates,
                   "contradicting": self.contradicting, "unlabeled": self.unlabeled}  # fmt: skip
        return {"rows": len(self.standard)} | {name: len(each) for name, each in counted.items()}

    def lines(self, first: int = 2) -> list[str]:
        """One sentence for each finding; ``first`` is the line of row 0 in the file, 2 below a header."""
        found = [(k, f"line {k + first}: {reason}") for k, reason in self.unreadable.items()]
        found += [
            (k, f"line {k + first}: besides the molecule there is {', '.join(x)}")
            for k, x in self.salts.items()
        ]
        found += [
            (k, f"line {k + first}: the molecule of line {other + first} again"
             + (f", labels {self.contradicting[k]:.3g} apart" if k in self.contradicting else ""))
            for k, other in self.duplicates.items()
        ]  # fmt: skip
        found += [(k, f"line {k + first}: no label") for k in self.unlabeled]
        lines = [sentence for _, sentence in sorted(found)]
        if len(self.units) > 1:
            counts = ", ".join(f"{len(of)} in {unit or 'no unit'}" for unit, of in self.units.items())
            lines.insert(0, f"labels are in several units ({counts}); bring them to one")
        return lines


def audit(
    smiles: Sequence[str],
    labels: Float[np.ndarray, " molecules *tasks"],
    tolerance: float = 0.5,
    units: Sequence[str] | None = None,
) -> Audit:
    """What is wrong with these molecules and labels; nothing is raised and nothing changed.

    Parameters
    ----------
    labels : NaN where there is none
    tolerance : difference of labels of one molecule above which they contradict each other
    units : of each row, if they may differ; compared as written, without spaces around

    Raises
    ------
    ValueError
        If there is not one label, or unit, for each row.

    Examples
    --------
    >>> rows, labels = ["CCO", "C(", "OCC", "CC(=O)[O-].[Na+]"], np.array([1.0, 2.0, 3.0, np.nan])
    >>> found = audit(rows, labels, units=["nM", "nM", "pKd", "nM"])
    >>> found
    Audit(rows=4, unreadable=1, salts=1, duplicates=1, contradicting=1, unlabeled=1)
    >>> found.lines()[:2]
    ['labels are in several units (3 in nM, 1 in pKd); bring them to one', "line 3: 'C(' is no molecule; ..."]
    """
    labels = np.asarray(labels, float).reshape(len(labels), -1)
    for name, given in (("labels", labels), ("units", smiles if units is None else units)):
        if len(given) != len(smiles):
            raise ValueError(f"{len(given)} {name} for {len(smiles)} molecules; give one for each row")
    standard: list[StandardMolecule | None] = []
    unreadable: dict[int, str] = {}
    for k, each in enumerate(smiles):
        try:
            standard.append(standard_molecule(each))
        except ValueError as error:
            standard.append(None)
            unreadable[k] = str(error)
    first: dict[str, int] = {}
    duplicates: dict[int, int] = {}
    contradicting: dict[int, float] = {}
    for k, found in enumerate(standard):
        if found is None:
            continue
        before = first.setdefault(found.smiles, k)
        if before != k:
            duplicates[k] = before
            apart = np.abs(labels[k] - labels[before])
            if (apart > tolerance).any():
                contradicting[k] = float(np.nanmax(apart))
    rows: dict[str, list[int]] = {}
    for k, unit in enumerate(units or ()):
        rows.setdefault(unit.strip(), []).append(k)
    return Audit(
        tuple(standard),
        unreadable,
        {k: each.removed for k, each in enumerate(standard) if each is not None and each.removed},
        duplicates,
        contradicting,
        tuple(np.flatnonzero(np.isnan(labels).all(1)).tolist()),
        {unit: tuple(of) for unit, of in rows.items()},
    )


def _has_carbon(molecule) -> bool:
    return any(atom.GetAtomicNum() == 6 for atom in molecule.GetAtoms())
