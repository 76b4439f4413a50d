"""What costs no energy: to shift and to turn all atoms together, taken out of forces and tangents of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.shapes import Shaped
from thalweg.systems.configuration import Configuration

FLAT = 1e-6
"""Rotations that move atoms by less than this part of the largest are none: a linear molecule has two."""

Vectors = Shaped[np.ndarray, "images atoms dims"]


@dataclass(frozen=True)
class Freedom:
    """Which motions of an arrangement of atoms count.

    Attributes
    ----------
    shifts : all atoms may be shifted together at no cost
    turns : and turned
    fixed : atoms that do not move
    """

    shifts: bool
    turns: bool
    fixed: tuple[int, ...] = ()

    @staticmethod
    def of(frame: Configuration, fixed: Sequence[int] = ()) -> Freedom:
        """Of a molecule, all; of atoms in a cell, no turns; none where atoms are fixed or elements are unknown."""
        free = bool(np.any(frame.numbers)) and len(frame) > 1 and not len(fixed)
        return Freedom(free, free and not any(frame.periodic), tuple(int(atom) for atom in fixed))

    def projected(self, vectors: Vectors, positions: Vectors) -> np.ndarray:
        """``vectors`` at ``positions`` without what costs nothing, and without fixed atoms."""
        vectors = np.array(vectors, float)
        if self.fixed:
            vectors[:, list(self.fixed)] = 0.0
        if not self.shifts:
            return vectors
        vectors -= vectors.mean(1, keepdims=True)
        return (
            np.stack([_unturned(v, x) for v, x in zip(vectors, positions, strict=True)])
            if self.turns
            else vectors
        )


def _unturned(vectors: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Vectors ``(atoms, 3)`` less their part along the rotations of ``positions`` about its center."""
    centered = positions - positions.mean(0)
    rotations = np.stack([np.cross(axis, centered).ravel() for axis in np.eye(3)])
    _, sizes, basis = np.linalg.svd(rotations, full_matrices=False)
    basis = basis[sizes > FLAT * max(sizes[0], 1e-300)]
    flat = vectors.ravel()
    return (flat - basis.T @ (basis @ flat)).reshape(vectors.shape)
