"""Which atoms there are and how they are bonded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
        return f"{self.residue_names[atom]}{self.residue_ids[atom]}-{self.names[atom]}"
