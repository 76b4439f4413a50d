"""Which atoms there are and how they are bonded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thalweg.shapes import Int


@dataclass(frozen=True)
class Topology:
    """Atoms, residues and bonds of a system, in file order.

    Attributes
    ----------
    names : (atoms,) atom names, such as ``"CA"``
    elements : (atoms,) element symbols, such as ``"C"``; ``""`` for a particle that is no atom
    residue_names : (atoms,) name of the residue of each atom, such as ``"ALA"``
    residue_ids : (atoms,) residue number of each atom as in the file
    chains : (atoms,) index of the chain of each atom
    bonds : (bonds, 2) int, pairs of atom indices
    """

    names: tuple[str, ...]
    elements: tuple[str, ...]
    residue_names: tuple[str, ...]
    residue_ids: tuple[int, ...]
    chains: tuple[int, ...]
    bonds: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def heavy_atoms(self) -> np.ndarray:
        """Indices of all atoms but hydrogens."""
        return np.array([i for i, element in enumerate(self.elements) if element not in ("H", "D", "")], int)

    def label(self, atom: int) -> str:
        """A name people recognise, such as ``ALA2-CA``."""
        return f"{self.residue(atom)}-{self.names[atom]}"

    def residue(self, atom: int) -> str:
        """The residue of an atom, ``ALA2``, or ``ALA2.B`` where chains have residues of the same name and number."""
        kind = self.residue_names[atom], self.residue_ids[atom]
        name = f"{kind[0]}{kind[1]}"
        return f"{name}.{_letter(self.chains[atom])}" if kind in self._in_many_chains else name

    @cached_property
    def _in_many_chains(self) -> frozenset[tuple[str, int]]:
        """Names and numbers of residues that more than one chain has."""
        residues = set(zip(self.residue_names, self.residue_ids, self.chains))
        times = Counter((name, number) for name, number, _ in residues)
        return frozenset(kind for kind, chains in times.items() if chains > 1)


def _letter(chain: int) -> str:
    """A, B, ... of a chain, its number after Z."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[chain] if chain < 26 else str(chain)


def molecules_of(symbols: tuple[str, ...], bonds: Int[np.ndarray, "bonds 2"]) -> Topology:
    """A topology where nothing but elements and bonds is known: a residue ``MOL`` for every molecule.

    Parameters
    ----------
    symbols : (atoms,) of the elements, ``""`` for a particle that is no atom
    bonds : (bonds, 2) pairs of atoms

    Examples
    --------
    >>> two = molecules_of(("H", "H", "O"), np.array([[0, 1]]))
    >>> two.names, two.residue_ids
    (('H1', 'H2', 'O3'), (1, 1, 2))
    """
    count, bonds = len(symbols), np.asarray(bonds, int).reshape(-1, 2)
    linked = coo_array((np.ones(len(bonds)), bonds.T), (count, count))
    return Topology(
        names=tuple(f"{symbol or 'X'}{k}" for k, symbol in enumerate(symbols, 1)),
        elements=symbols,
        residue_names=("MOL",) * count,
        residue_ids=tuple(int(number) + 1 for number in connected_components(linked, directed=False)[1]),
        chains=(0,) * count,
        bonds=np.sort(bonds, axis=1),
    )
