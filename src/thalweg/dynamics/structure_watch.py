"""What can go wrong with a structure in a run, as numbers: bonds that tear, atoms that collapse, lattices that melt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import vesin

from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII, SYMBOLS

BONDED = 1.3
"""Atoms nearer than this multiple of the sum of their covalent radii are bonded."""

LONGEST = 2.0
"""A bond is broken beyond this multiple of its length at the start."""

NEAREST = 0.5
"""Atoms have collapsed into each other below this multiple of the sum of their covalent radii."""

LINDEMANN = 0.15
"""A crystal has melted when its atoms are displaced by this fraction of the nearest distance."""


@dataclass(frozen=True)
class StructureWatch:
    """The bonds, and the lattice if it is one, that a structure had at the start.

    Attributes
    ----------
    frame : the start
    bonds : (bonds, 2) pairs of atoms
    shifts : (bonds, 3) what to add to the difference of positions [nm]
    lengths : (bonds,) [nm]
    crystal : whether it must not melt
    """

    frame: Configuration
    bonds: np.ndarray
    shifts: np.ndarray
    lengths: np.ndarray
    crystal: bool

    @staticmethod
    def of(frame: Configuration, crystal: bool | None = None) -> StructureWatch:
        """Watch a run from ``frame``, taken for a crystal if every atom is bonded to one of its own element."""
        i, j, shifts, lengths = _pairs(frame, frame.positions, BONDED)
        alike = frame.numbers[i] == frame.numbers[j]
        if crystal is None:
            crystal = all(frame.periodic) and len({*i[alike].tolist(), *j[alike].tolist()}) == len(frame)
        return StructureWatch(frame, np.stack([i, j], 1), shifts, lengths, bool(crystal))

    def stretch(self, positions: np.ndarray) -> tuple[float, str]:
        """Greatest ratio of a bond's length at ``positions`` (atoms, 3) to that at the start, and which bond."""
        if not len(self.bonds):
            return 0.0, ""
        i, j = self.bonds.T
        ratios = np.linalg.norm(positions[j] - positions[i] + self.shifts, axis=1) / self.lengths
        k = int(ratios.argmax())
        return float(ratios[k]), self._label(*self.bonds[k])

    def closest(self, positions: np.ndarray) -> tuple[float, str]:
        """Least ratio of a distance to the sum of covalent radii (one if none is below), and of which atoms."""
        i, j, _, distances = _pairs(self.frame, positions, 1.0)
        if not len(i):
            return 1.0, ""
        ratios = distances / (COVALENT_RADII[self.frame.numbers[i]] + COVALENT_RADII[self.frame.numbers[j]])
        k = int(ratios.argmin())
        return float(ratios[k]), self._label(i[k], j[k])

    def displacement(self, positions: np.ndarray) -> float:
        """Root mean square displacement from the start over the shortest bond; NaN if it is no crystal."""
        if not self.crystal or not len(self.bonds):
            return float("nan")
        moved = positions - self.frame.positions
        moved = moved - moved.mean(0)
        return float(np.sqrt((moved**2).sum(1).mean()) / self.lengths.min())

    def complaint(self, positions: np.ndarray) -> str | None:
        """What is wrong at ``positions``, or None."""
        ratio, bond = self.stretch(positions)
        if ratio > LONGEST:
            return f"bond {bond} is {ratio:.2g} times as long as at the start"
        ratio, pair = self.closest(positions)
        if ratio < NEAREST:
            return f"atoms {pair} are at {ratio:.2g} of the sum of their covalent radii"
        if self.displacement(positions) > LINDEMANN:
            return f"atoms are displaced by {self.displacement(positions):.2g} of the nearest distance: it has melted"
        return None

    def _label(self, i, j):
        return "-".join(f"{SYMBOLS[self.frame.numbers[k]]}{k}" for k in (i, j))


def _pairs(frame: Configuration, positions: np.ndarray, factor: float):
    """Pairs within ``factor`` times the sum of their covalent radii: indices, shifts, distances."""
    radii = COVALENT_RADII[frame.numbers]
    box = np.zeros((3, 3)) if frame.box is None else np.asarray(frame.box, float)
    periodic = list(map(bool, frame.periodic))
    search = vesin.NeighborList(cutoff=2 * factor * float(radii.max()), full_list=False, n_threads=1)
    i, j, cells, distances = search.compute(
        np.asarray(positions, float), box, periodic if any(periodic) else False, "ijSd"
    )
    near = distances < factor * (radii[i] + radii[j])
    return i[near].astype(int), j[near].astype(int), cells[near] @ box, distances[near]
