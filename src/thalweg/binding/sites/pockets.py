"""Pockets: groups of points that belong together, ranked, with what lines them.

A score at every point, of whatever finder, becomes pockets by one rule: points above a threshold that touch each other
are a pocket, whose score is the sum over its points. Without data, the score is the burial: of points that lie deep
among others that lie deep, which walls and shallow grooves are not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.ndimage import distance_transform_edt, label
from scipy.spatial import KDTree

from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.sites.probe_points import ProbeGrid, ProbePoints
from thalweg.binding.sites.surroundings import mean_nearby
from thalweg.shapes import Float

LINING = 0.45
"""Residues with an atom that near to a point line its pocket [nm]."""


@dataclass(frozen=True, eq=False)
class Pocket:
    """Points that belong together.

    Attributes
    ----------
    score : sum over its points of what they score: larger pockets that score higher come first
    points : (points, 3) [nm]
    point_scores : (points,)
    volume : of what probes at its points fill [nm^3]
    residues : labels of those that line it, in the order of the structure
    """

    score: float
    points: Float[np.ndarray, "points 3"]
    point_scores: Float[np.ndarray, " points"]
    volume: float
    residues: tuple[str, ...]

    @property
    def center(self) -> Float[np.ndarray, " 3"]:
        """Mean of its points, weighed by their scores [nm]."""
        return np.average(self.points, axis=0, weights=self.point_scores)


@runtime_checkable
class PocketFinder(Protocol):
    """What finds pockets of a protein."""

    def find(self, atoms: TypedAtoms) -> tuple[Pocket, ...]:
        """The pockets, the highest score first; none where nothing lies deep."""
        ...

    def residue_scores(self, atoms: TypedAtoms) -> dict[str, float]:
        """How much each residue looks like one that lines a pocket, by its label."""
        ...


@dataclass(frozen=True)
class BuriedPockets:
    """Pockets by burial alone: needs no data, knows no chemistry.

    The score of a point is its burial cubed, smoothed over the lattice.

    Parameters
    ----------
    width : of smoothing [spacings of the lattice]
    threshold : of scores of points in a pocket
    least : volume of a pocket [nm^3]
    grid : of points and rays

    Examples
    --------
    >>> from thalweg.testsystems.hollow_shell import hollow_shell
    >>> shell = TypedAtoms(hollow_shell(0.7), np.full(197, 6), np.ones((197, 8), bool), ("A:ALA1",) * 197)
    >>> (cavity,) = BuriedPockets().find(shell)
    >>> bool(abs(cavity.volume / (4 / 3 * np.pi * 0.53**3) - 1) < 0.1), cavity.residues
    (True, ('A:ALA1',))
    """

    width: float = 1.5
    threshold: float = 0.25
    least: float = 0.05
    grid: ProbeGrid = field(default_factory=ProbeGrid)

    def find(self, atoms: TypedAtoms) -> tuple[Pocket, ...]:
        """The pockets, the highest score first.

        Raises
        ------
        ValueError
            As `ProbeGrid.points`.
        """
        points = self.grid.points(atoms)
        return pockets_of(atoms, points, self._scores(points), self.threshold, self.grid.probe, self.least)

    def residue_scores(self, atoms: TypedAtoms) -> dict[str, float]:
        """Of each residue, the highest score of a point that it lines, by its label."""
        points = self.grid.points(atoms)
        return lining_scores(atoms, points.positions, self._scores(points))

    def _scores(self, points):
        return mean_nearby(points, points.burial**3, self.width)


def pockets_of(
    atoms: TypedAtoms,
    points: ProbePoints,
    scores: Float[np.ndarray, " points"],
    threshold: float,
    probe: float,
    least: float,
) -> tuple[Pocket, ...]:
    """Groups of touching points that score above ``threshold``, the highest sum first.

    Parameters
    ----------
    probe : radius of what fills a pocket from its points [nm]
    least : volume of a pocket [nm^3]
    """
    chosen = scores > threshold
    inside = np.zeros(points.room.shape, bool)
    inside[tuple(points.cells[chosen].T)] = True
    groups, count = label(inside)
    own = groups[tuple(points.cells[chosen].T)]
    places, values = points.positions[chosen], scores[chosen]
    found = []
    for number in range(1, count + 1):
        members = own == number
        volume = _filled(points, points.cells[chosen][members], probe)
        if volume >= least:
            lining = lining_residues(atoms, places[members])
            found.append(
                Pocket(float(values[members].sum()), places[members], values[members], volume, lining)
            )
    return tuple(sorted(found, key=lambda pocket: -pocket.score))


def lining_residues(atoms: TypedAtoms, places: Float[np.ndarray, "places 3"]) -> tuple[str, ...]:
    """Labels of residues with an atom within `LINING` of a place [nm], in the order of the structure."""
    gaps, _ = KDTree(places).query(atoms.positions, distance_upper_bound=LINING)
    return tuple(
        dict.fromkeys(atoms.residues[k] for k in np.flatnonzero(np.isfinite(gaps)) if atoms.residues)
    )


def lining_scores(
    atoms: TypedAtoms, places: Float[np.ndarray, "places 3"], scores: Float[np.ndarray, " places"]
) -> dict[str, float]:
    """The highest score of places within `LINING` of an atom of each residue, by its label; zero where there are none.

    Examples
    --------
    >>> two = TypedAtoms(np.array([[0.0, 0, 0], [2, 0, 0]]), np.full(2, 6), np.ones((2, 8), bool), ("A:GLY1", "A:GLY2"))
    >>> lining_scores(two, np.array([[0.3, 0, 0], [0.4, 0, 0]]), np.array([0.5, 0.7]))
    {'A:GLY1': 0.7, 'A:GLY2': 0.0}
    """
    highest = dict.fromkeys(atoms.residues, 0.0)
    if len(places):
        near = KDTree(atoms.positions).sparse_distance_matrix(KDTree(places), LINING, output_type="ndarray")
        of_atoms = np.zeros(len(atoms))
        np.maximum.at(of_atoms, near["i"], scores[near["j"]])
        for residue, score in zip(atoms.residues, of_atoms.tolist()):
            highest[residue] = max(highest[residue], score)
    return highest


def _filled(points, cells, probe):
    """Volume outside of all atoms and within ``probe`` of some of the points [nm^3]."""
    margin = int(np.ceil(probe / points.spacing)) + 1
    low, high = np.maximum(cells.min(0) - margin, 0), cells.max(0) + margin + 1
    part = tuple(slice(a, b) for a, b in zip(low, high))
    empty = np.ones(tuple(high - low), bool)
    empty[tuple((cells - low).T)] = False
    room, reach = points.room[part], probe + points.spacing / 2
    near = distance_transform_edt(empty)[tuple(slice(0, n) for n in room.shape)] * points.spacing <= reach
    return float((near & room).sum() * points.spacing**3)
