"""The backbone of proteins and nothing of their side chains: what a sequence is designed for.

Of each residue the atoms N, CA, C and O are given, and where CB would be follows from them [dauparas2022], in glycine,
too:

    b = CA - N,   c = C - CA,   CB = CA - 0.58273431 b x c / Å + 0.56802827 b - 0.54067466 c

so that whether there is one tells nothing. A residue is bonded to the one before if both are of one chain and the
distance of C to N is that of a bond; where it is not, torsions are unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.shapes import Bool, Float, Int

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
"""One-letter codes; a residue is known by its place in them."""

UNKNOWN = -1
"""Stands for residues that are none of them, and for those to be designed."""

ATOMS = ("N", "CA", "C", "O")
"""Of each residue, in this order."""

PEPTIDE_BOND = 0.2
"""The longest distance of C to N that counts as bonded [nm]."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """Residues of all chains of a protein or of several that are in contact.

    Attributes
    ----------
    positions : (residues, 4, 3) of `ATOMS` [nm]
    residues : (residues,) places in `AMINO_ACIDS`, or `UNKNOWN`
    chains : (residues,) names
    names : (residues,) what people call them, such as ``"A:HIS57"``

    Raises
    ------
    ValueError
        If lengths differ, an atom has no position, or bonds are so long or short that positions cannot be in nm.

    Examples
    --------
    >>> Backbone(10 * extended_backbone(3), np.zeros(3, int), ("A",) * 3)
    Traceback (most recent call last):
    ...
    ValueError: N and CA are 1.46 apart in the median; they are 0.146 nm apart in proteins: positions are in nm
    """

    positions: Float[np.ndarray, "residues 4 3"]
    residues: Int[np.ndarray, " residues"]
    chains: tuple[str, ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.positions)
        if {len(self.residues), len(self.chains), len(self.names) or count} != {count} or not count:
            raise ValueError(
                f"{count} backbones, {len(self.residues)} residues, {len(self.chains)} chains and {len(self.names)} "
                "names do not speak of the same residues, of which there is at least one"
            )
        if bad := np.flatnonzero(~np.isfinite(self.positions).all((1, 2))).tolist():
            raise ValueError(
                f"{', '.join(self.name(k) for k in bad[:5])} lack atoms of the backbone; all of {', '.join(ATOMS)} "
                "are needed: build them, or leave these residues out"
            )
        bond = float(np.median(np.linalg.norm(self.positions[:, 1] - self.positions[:, 0], axis=-1)))
        if not 0.1 < bond < 0.2:
            raise ValueError(
                f"N and CA are {bond:.3g} apart in the median; they are 0.146 nm apart in proteins: positions are in nm"
            )

    def __len__(self) -> int:
        return len(self.residues)

    def name(self, residue: int) -> str:
        """What people call it; its number, where no names are given."""
        return self.names[residue] if self.names else f"residue {residue}"

    @property
    def sequence(self) -> str:
        """In one-letter codes, X for what is unknown, chains one after the other."""
        return sequence_of(self.residues)

    @property
    def bonded(self) -> Bool[np.ndarray, " residues"]:
        """Whether each residue is bonded to the one before."""
        gaps = np.linalg.norm(self.positions[1:, 0] - self.positions[:-1, 2], axis=-1)
        same = np.array([a == b for a, b in zip(self.chains, self.chains[1:])], bool)
        return np.r_[False, same & (gaps < PEPTIDE_BOND)]

    @property
    def breaks(self) -> tuple[str, ...]:
        """Residues before which part of their chain is missing."""
        apart = ~self.bonded
        inside = np.r_[False, [a == b for a, b in zip(self.chains, self.chains[1:])]].astype(bool)
        return tuple(self.name(int(k)) for k in np.flatnonzero(apart & inside))

    def with_sequence(self, sequence: str) -> Backbone:
        """The same backbone of another sequence.

        Raises
        ------
        ValueError
            If its length is another, or a letter is no amino acid (X for unknown).
        """
        if len(sequence) != len(self):
            raise ValueError(f"{len(sequence)} letters for {len(self)} residues; give one for each")
        return Backbone(self.positions, residues_of(sequence), self.chains, self.names)


def residues_of(sequence: str) -> Int[np.ndarray, " residues"]:
    """Places in `AMINO_ACIDS` of one-letter codes; X is unknown.

    Raises
    ------
    ValueError
        If a letter is neither.

    Examples
    --------
    >>> residues_of("CAX").tolist()
    [1, 0, -1]
    """
    if wrong := sorted(set(sequence) - set(AMINO_ACIDS) - {"X"}):
        raise ValueError(
            f"{', '.join(map(repr, wrong))}: no amino acids; the letters are {AMINO_ACIDS} and X"
        )
    return np.array([AMINO_ACIDS.find(letter) for letter in sequence], int)


def sequence_of(residues: Int[np.ndarray, " residues"]) -> str:
    """One-letter codes.

    Examples
    --------
    >>> sequence_of(np.array([1, 0, -1]))
    'CAX'
    """
    return "".join(AMINO_ACIDS[k] if k >= 0 else "X" for k in residues)


def extended_backbone(count: int) -> Float[np.ndarray, "residues 4 3"]:
    """Positions of an extended chain, for tests and examples [nm]: flat, with a bond between any two residues.

    Examples
    --------
    >>> bool(Backbone(extended_backbone(4), np.zeros(4, int), ("A",) * 4).bonded[1:].all())
    True
    """
    # N, CA, C, O of one residue; the next is half a turn about the long axis, and further along
    own = np.array([[0.0, 0.0, 0.0], [0.121, 0.082, 0.0], [0.242, 0.0, 0.0], [0.242, -0.123, 0.0]])
    turn = np.array([1.0, -1.0, -1.0])
    along = np.array([0.363, 0.0, 0.0])
    return np.array([own * turn**k + k * along + [0.0, 0.037 * (k % 2), 0.0] for k in range(count)])
