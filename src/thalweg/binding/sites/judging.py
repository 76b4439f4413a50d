"""How well pockets meet a known ligand: by distances and by the room that both share.

DCA is the distance of the center of a pocket to the nearest atom of the ligand [krivak2018], DCC that to the ligand's
center, DVO the share of volume that both have of that which either has [jimenez2017].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.sites.pockets import Pocket
from thalweg.shapes import Float

NEAR = 0.4
"""A pocket is a hit if it is nearer to the ligand [nm]."""

CELL = 0.1
"""Volumes are counted in cubes of this edge [nm]."""


def ligand_distance(pocket: Pocket, ligand: Float[np.ndarray, "atoms 3"]) -> float:
    """From the center of a pocket to the nearest of the atoms of a ligand, DCA [nm]."""
    return float(np.linalg.norm(ligand - pocket.center, axis=1).min())


def center_distance(pocket: Pocket, ligand: Float[np.ndarray, "atoms 3"]) -> float:
    """From the center of a pocket to that of a ligand, DCC [nm]."""
    return float(np.linalg.norm(ligand.mean(0) - pocket.center))


def volume_overlap(pocket: Pocket, ligand: TypedAtoms) -> float:
    """Volume that pocket and ligand share over that of both together, DVO.

    A pocket is what is within a cube's half diagonal of its points, a ligand what is within van der Waals radii.

    Examples
    --------
    >>> carbon = TypedAtoms(np.zeros((1, 3)), np.array([6]), np.ones((1, 8), bool))
    >>> inside = np.argwhere(np.ones((7, 7, 7))) * 0.05 - 0.15
    >>> inside = inside[np.linalg.norm(inside, axis=1) < 0.15]
    >>> volume_overlap(Pocket(1.0, inside, np.ones(len(inside)), 0.01, ()), carbon) > 0.5
    True
    """
    everything = np.concatenate([pocket.points, ligand.positions])
    low = everything.min(0) - 0.3
    shape = np.ceil((everything.max(0) + 0.3 - low) / CELL).astype(int)
    cells = low + CELL * np.argwhere(np.ones(shape))
    gaps, _ = KDTree(pocket.points).query(cells)
    own = gaps <= np.sqrt(3) / 2 * CELL
    theirs = np.zeros(len(cells), bool)
    for radius in np.unique(ligand.radii):
        gaps, _ = KDTree(ligand.positions[ligand.radii == radius]).query(cells)
        theirs |= gaps <= radius
    return float((own & theirs).sum() / max((own | theirs).sum(), 1))


def hit_within(distances: Sequence[float], first: int, near: float = NEAR) -> bool:
    """Whether one of the ``first`` pockets, by rank, is nearer than ``near`` [nm].

    Examples
    --------
    >>> hit_within([0.9, 0.3], 1), hit_within([0.9, 0.3], 2)
    (False, True)
    """
    return any(distance < near for distance in distances[:first])
