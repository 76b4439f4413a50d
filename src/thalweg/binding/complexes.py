"""Molecules as what binds sees them: atoms in space, typed by what they may do to each other.

An atom counts in one or several of eight pharmacophoric channels [jimenez2018]: it is hydrophobic, aromatic, accepts
or donates a hydrogen bond, is charged, is a metal; and whatever it is it takes up room. Hydrogens are no atoms here:
that an atom donates says all of them. Structures and chemistry are read in `thalweg.interop`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from scipy.spatial import KDTree

from thalweg.shapes import Bool, Float, Int

CHANNELS = ("hydrophobic", "aromatic", "acceptor", "donor", "positive", "negative", "metal", "any")
"""What an atom may be, in the order of the columns of `TypedAtoms.channels`."""

VAN_DER_WAALS_RADII = MappingProxyType(
    {
        3: 0.182, 5: 0.192, 6: 0.170, 7: 0.155, 8: 0.152, 9: 0.147, 11: 0.227, 12: 0.173, 14: 0.210, 15: 0.180,
        16: 0.180, 17: 0.175, 19: 0.275, 20: 0.231, 34: 0.190, 35: 0.185, 53: 0.198,
    }
)  # fmt: skip
"""By atomic number [nm], of Bondi's and later tables [mantina2009]; others count as `OTHER_RADIUS`."""

OTHER_RADIUS = 0.17
"""Van der Waals radius of what no table knows, such as transition metals [nm]."""


@dataclass(frozen=True, eq=False)
class TypedAtoms:
    """The heavy atoms of a molecule, or of several.

    Attributes
    ----------
    positions : (atoms, 3) [nm]
    numbers : (atoms,) atomic numbers
    channels : (atoms, 8) which of `CHANNELS` an atom is in
    residues : (atoms,) what people call the part that it belongs to, such as ``"A:HIS57"``; empty where nothing is
        known
    rotatable_bonds : single bonds that turn; zero where none are counted, as in proteins

    Raises
    ------
    ValueError
        If lengths differ, or a position is no number.

    Examples
    --------
    >>> sulfur = TypedAtoms(np.zeros((1, 3)), np.array([16]), np.array([[1, 0, 0, 0, 0, 0, 0, 1]], bool))
    >>> len(sulfur), sulfur.radii.tolist()
    (1, [0.18])
    """

    positions: Float[np.ndarray, "atoms 3"]
    numbers: Int[np.ndarray, " atoms"]
    channels: Bool[np.ndarray, "atoms 8"]
    residues: tuple[str, ...] = ()
    rotatable_bonds: int = 0

    def __post_init__(self) -> None:
        lengths = {len(self.positions), len(self.numbers), len(self.channels)}
        if len(lengths) > 1 or (self.residues and len(self.residues) != len(self.numbers)):
            raise ValueError(
                f"{len(self.positions)} positions, {len(self.numbers)} elements, {len(self.channels)} rows of channels "
                f"and {len(self.residues)} residues do not speak of the same atoms"
            )
        if not np.isfinite(self.positions).all():
            bad = np.flatnonzero(~np.isfinite(self.positions).all(1))
            raise ValueError(
                f"atoms {bad[:5].tolist()} have no position; give numbers for all, or leave them out"
            )

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def radii(self) -> Float[np.ndarray, " atoms"]:
        """Van der Waals radii [nm]."""
        return np.array([VAN_DER_WAALS_RADII.get(int(number), OTHER_RADIUS) for number in self.numbers])

    @property
    def center(self) -> Float[np.ndarray, " 3"]:
        """The mean position [nm].

        Raises
        ------
        ValueError
            If there are no atoms.
        """
        if not len(self):
            raise ValueError("a molecule without heavy atoms has no center")
        return self.positions.mean(0)

    def taken(self, chosen: np.ndarray) -> TypedAtoms:
        """The ``chosen`` atoms, by their indices or a mask."""
        rows = np.arange(len(self))[chosen]
        residues = tuple(self.residues[k] for k in rows) if self.residues else ()
        return TypedAtoms(
            self.positions[rows], self.numbers[rows], self.channels[rows], residues, self.rotatable_bonds
        )

    @staticmethod
    def together(parts: Sequence[TypedAtoms]) -> TypedAtoms:
        """The atoms of several molecules as one, such as chains of a protein; labels are kept where all have them."""
        labeled = all(each.residues for each in parts)
        return TypedAtoms(
            np.concatenate([each.positions for each in parts]),
            np.concatenate([each.numbers for each in parts]),
            np.concatenate([each.channels for each in parts]),
            tuple(name for each in parts for name in each.residues) if labeled else (),
            sum(each.rotatable_bonds for each in parts),
        )

    def moved(self, positions: Float[np.ndarray, "atoms 3"]) -> TypedAtoms:
        """The same atoms elsewhere, such as in another pose."""
        return TypedAtoms(positions, self.numbers, self.channels, self.residues, self.rotatable_bonds)


@dataclass(frozen=True, eq=False)
class Ligand:
    """A small molecule in one pose.

    Attributes
    ----------
    name : as its file has it
    smiles : canonical, as drawn
    skeleton : the same for all protomers, tautomers, stereoisomers and poses of one compound; what splits keep together
    atoms : typed, in space
    properties : what its file says of it, such as a measured free energy
    """

    name: str
    smiles: str
    skeleton: str
    atoms: TypedAtoms
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Complex:
    """A ligand in its protein.

    Attributes
    ----------
    protein, ligand : typed atoms of both, in one frame of coordinates
    name : to be told apart by
    """

    protein: TypedAtoms
    ligand: TypedAtoms
    name: str = ""

    def pocket(self, reach: float = 1.2) -> TypedAtoms:
        """The atoms of the protein within ``reach`` [nm] of any atom of the ligand.

        Raises
        ------
        ValueError
            If there are none: then the two are not in one frame of coordinates.
        """
        gaps, _ = KDTree(self.ligand.positions).query(self.protein.positions, distance_upper_bound=reach)
        near = np.isfinite(gaps)
        if not near.any():
            raise ValueError(
                f"no atom of the protein is within {reach:g} nm of the ligand {self.name!r}: the pocket is empty; are "
                "both in the same frame of coordinates and units (nm)?"
            )
        return self.protein.taken(near)
