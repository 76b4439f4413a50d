"""Points around a protein where a small probe has room, and how deep they lie.

Points are those of a cubic lattice along the principal axes of the protein, so that pockets do not depend on how a
structure is turned. The *clearance* of a point is its distance to the nearest van der Waals surface; a probe has room
where it is at least its radius. How deep a point lies is told by straight rays [hendlich1997]: the *burial* is the
share of directions in which the protein stands in the way, the *enclosure* the share of lines with the protein at both
ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.binding.complexes import TypedAtoms
from thalweg.shapes import Float, Int

MOST_CELLS = 30_000_000
"""Lattices with more points are refused: coordinates are damaged, in other units, or of a whole virus."""


@dataclass(frozen=True, eq=False)
class ProbePoints:
    """Where a probe has room near a protein.

    Attributes
    ----------
    positions : (points, 3) [nm]
    cells : (points, 3) places in the lattice
    clearance : (points,) distance to the nearest van der Waals surface [nm]
    burial : (points,) share of directions that end at the protein
    enclosure : (points,) share of lines that end at the protein on both sides
    free : (points,) mean length of rays over the longest one
    room : (x, y, z) whether a cell of the lattice is outside of all atoms
    spacing : of the lattice [nm]
    """

    positions: Float[np.ndarray, "points 3"]
    cells: Int[np.ndarray, "points 3"]
    clearance: Float[np.ndarray, " points"]
    burial: Float[np.ndarray, " points"]
    enclosure: Float[np.ndarray, " points"]
    free: Float[np.ndarray, " points"]
    room: np.ndarray
    spacing: float

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class ProbeGrid:
    """A lattice around proteins, and rays from its points.

    Parameters
    ----------
    spacing : of the lattice [nm]
    probe : radius of the probe [nm]
    reach : largest clearance of a point [nm]
    lines : through each point, evenly spread; every one gives two rays
    length : of rays [nm]

    Examples
    --------
    >>> from thalweg.testsystems.hollow_shell import hollow_shell
    >>> shell = hollow_shell(0.7)
    >>> points = ProbeGrid().points(TypedAtoms(shell, np.full(197, 6), np.ones((197, 8), bool)))
    >>> deepest = points.positions[points.burial == 1.0]
    >>> bool(np.linalg.norm(deepest, axis=1).max() < 0.5)
    True
    """

    spacing: float = 0.1
    probe: float = 0.12
    reach: float = 0.4
    lines: int = 24
    length: float = 1.0

    def points(self, atoms: TypedAtoms) -> ProbePoints:
        """Points around a protein where the probe has room.

        Raises
        ------
        ValueError
            If there are no atoms, or they spread over more than can be held.
        """
        if not len(atoms):
            raise ValueError("there are no atoms, around which points could lie; read a protein first")
        center, axes = _principal_axes(atoms.positions)
        placed = (atoms.positions - center) @ axes
        margin = self.reach + atoms.radii.max() + 2 * self.spacing
        low = placed.min(0) - margin
        shape = np.ceil((placed.max(0) + margin - low) / self.spacing).astype(int) + 1
        if np.prod(shape.astype(float)) > MOST_CELLS:
            raise ValueError(
                f"{len(atoms)} atoms spread over {' x '.join(f'{x:.0f}' for x in np.ptp(placed, 0))} nm, too much for "
                f"points every {self.spacing:g} nm; are positions in nm? Choose chains, or a larger spacing"
            )
        clearance = _clearances(placed - low, atoms.radii, shape, self.spacing, self.reach)
        cells = np.argwhere((clearance >= self.probe) & (clearance <= self.reach))
        blocked = _ray_steps(clearance < self.spacing / 2, cells, self._directions(), self._steps)
        ends = blocked < self._steps
        both = ends.reshape(len(cells), 2, self.lines)
        return ProbePoints(
            (cells * self.spacing + low) @ axes.T + center,
            cells,
            clearance[tuple(cells.T)].astype(float),
            ends.mean(1),
            both.all(1).mean(1),
            blocked.mean(1) / self._steps,
            clearance > 0,
            self.spacing,
        )

    @property
    def _steps(self) -> int:
        return round(self.length / self.spacing)

    def _directions(self) -> np.ndarray:
        """(2 lines, 3) unit vectors: a spiral over half a sphere, then their opposites."""
        k = np.arange(self.lines) + 0.5
        height, turn = 1 - k / self.lines, np.pi * (1 + np.sqrt(5)) * k
        flat = np.sqrt(1 - height**2)
        half = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)
        return np.concatenate([half, -half])


def _principal_axes(positions):
    """Center and right-handed axes (columns), the same for the same structure turned and moved."""
    center = positions.mean(0)
    away = positions - center
    _, axes = np.linalg.eigh(away.T @ away)
    # the side that reaches out further is positive
    skew = ((away @ axes) ** 3).sum(0)
    axes = axes * np.where(skew < 0, -1.0, 1.0)
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    return center, axes


def _clearances(placed, radii, shape, spacing, reach):
    """Distance to the nearest surface at each cell, infinite beyond ``reach``."""
    clearance = np.full(np.prod(shape), np.inf, np.float32)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    for radius in np.unique(radii):
        own = placed[radii == radius]
        span = int(np.ceil((radius + reach) / spacing))
        steps = np.arange(-span, span + 1)
        offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        offsets = offsets[np.linalg.norm(offsets, axis=1) <= span + 1]
        for part in np.array_split(own, max(1, len(own) // 256)):
            nearest = np.rint(part / spacing).astype(int)
            away = (nearest * spacing - part)[:, None] + offsets * spacing
            gaps = np.sqrt((away**2).sum(-1)) - radius
            place = (nearest @ strides)[:, None] + offsets @ strides
            near = gaps <= reach
            np.minimum.at(clearance, place[near], gaps[near].astype(np.float32))
    return clearance.reshape(shape)


def _ray_steps(inside, cells, directions, steps):
    """(points, directions) steps that a ray goes before it ends at the protein, ``steps`` if it does not."""
    padded = np.pad(inside, steps + 1)
    flat, strides = padded.ravel(), np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    start = (cells + steps + 1) @ strides
    free = np.full((len(cells), len(directions)), steps, np.int16)
    for column, direction in enumerate(directions):
        for step in range(steps, 0, -1):
            hit = flat[start + np.rint(step * direction).astype(int) @ strides]
            free[hit, column] = step - 1
    return free
