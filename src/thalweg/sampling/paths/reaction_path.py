"""A path of least energy between two minima: images, energies and forces along it, its saddle and barriers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from thalweg.learning.models import Model
from thalweg.shapes import Shaped
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True, eq=False)
class ReactionPath(Model):
    """Images from one minimum to another, the highest of them at the saddle where ``converged``.

    Attributes
    ----------
    positions : (images, atoms, dims) [nm]; in a cell they go on beyond its border
    energies : (images,) [kJ/mol]
    forces : (images, atoms, dims) of the energy alone [kJ/mol/nm]
    numbers : (atoms,) elements; zero where unknown
    box : (3, 3) cell vectors as rows [nm], or None
    periodic : which of them repeat
    found_by : the method in words
    residual : largest force on an atom of the saddle that should vanish, or a fifth of that on another image
        [kJ/mol/nm]
    converged : whether that is below what was asked for
    iterations : moves of the images
    calls : arrangements whose energy was asked for
    notes : what one should know
    """

    positions: Shaped[np.ndarray, "images atoms dims"]
    energies: Shaped[np.ndarray, " images"]
    forces: Shaped[np.ndarray, "images atoms dims"]
    numbers: Shaped[np.ndarray, " atoms"]
    box: Shaped[np.ndarray, "3 3"] | None
    periodic: tuple[bool, bool, bool]
    found_by: str
    residual: float
    converged: bool
    iterations: int
    calls: int
    notes: tuple[str, ...] = ()

    @staticmethod
    def of_atoms(
        found_by: str,
        like: Configuration,
        positions: Shaped[np.ndarray, "images atoms dims"],
        energies: Shaped[np.ndarray, " images"],
        forces: Shaped[np.ndarray, "images atoms dims"],
        residual: float,
        converged: bool,
        iterations: int,
        calls: int,
        notes: tuple[str, ...],
    ) -> ReactionPath:
        """Images of the atoms and the cell of ``like``; energies and forces are copied."""
        return ReactionPath(
            positions,
            energies.copy(),
            forces.copy(),
            np.asarray(like.numbers),
            None if like.box is None else np.asarray(like.box, float),
            tuple(map(bool, like.periodic)),
            found_by,
            float(residual),
            bool(converged),
            iterations,
            calls,
            notes,
        )

    @property
    def highest(self) -> int:
        """Which image is highest."""
        return int(np.argmax(self.energies))

    @property
    def saddle(self) -> Shaped[np.ndarray, "atoms dims"]:
        """Positions of the highest image [nm]."""
        return self.positions[self.highest]

    @property
    def barrier(self) -> float:
        """Energy of the highest image above the start [kJ/mol]."""
        return float(self.energies.max() - self.energies[0])

    @property
    def barrier_back(self) -> float:
        """Energy of the highest image above the end [kJ/mol]."""
        return float(self.energies.max() - self.energies[-1])

    @property
    def lengths(self) -> Shaped[np.ndarray, " images"]:
        """Length of the path up to each image, over all coordinates [nm]."""
        pieces = np.linalg.norm(np.diff(self.positions, axis=0).reshape(len(self.positions) - 1, -1), axis=1)
        return np.concatenate([[0.0], np.cumsum(pieces)])

    @property
    def minima(self) -> tuple[int, ...]:
        """Images between the ends that lie lower than both their neighbors: the path has several steps."""
        e = self.energies
        return tuple(int(k) for k in range(1, len(e) - 1) if e[k] < e[k - 1] and e[k] < e[k + 1])

    def profile(self, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
        """Lengths [nm] and energies [kJ/mol] between the images as well: cubic, with the slopes that forces give."""
        at = self.lengths
        along = np.gradient(self.positions.reshape(len(at), -1), at, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        slopes = -(self.forces.reshape(len(at), -1) * along).sum(1)
        wanted = np.linspace(0.0, at[-1], points)
        return wanted, CubicHermiteSpline(at, self.energies, slopes)(wanted)

    def frames(self) -> list[Configuration]:
        """All images as labeled frames, to be written to a file."""
        return [
            Configuration(self.numbers, x, self.box, self.periodic, energy=float(e), forces=f)
            for x, e, f in zip(self.positions, self.energies, self.forces, strict=True)
        ]

    def headline(self) -> dict[str, Any]:
        return {
            "images": len(self.energies),
            "barrier [kJ/mol]": self.barrier,
            "barrier back [kJ/mol]": self.barrier_back,
            "residual force [kJ/mol/nm]": self.residual,
            "converged": self.converged,
            "calls": self.calls,
        }

    def __str__(self) -> str:
        return "\n".join([f"path by the {self.found_by}: {self!r}", *self.notes])
