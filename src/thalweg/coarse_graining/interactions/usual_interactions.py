"""Which interactions beads usually have: bonds, angles and torsions along what atoms are bonded by, pairs beyond.

Beads are bonded where atoms of one lead to atoms of the other by bonds over atoms of neither: every atom belongs to the
bead that is fewest bonds away, and a bond between atoms of two beads bonds these. So CA atoms of neighboring residues
are bonded, and N, CA, C of a backbone as atoms are. Terms of the same kinds of beads share their functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import shortest_path

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.interactions.functions import AngleWaves, BSplines, Powers
from thalweg.coarse_graining.interactions.interaction import (
    BondedInteraction,
    Interaction,
    InternalCoordinate,
    PairInteraction,
)
from thalweg.coarse_graining.interactions.kernel import KernelPoints
from thalweg.coarse_graining.mapping import BeadMapping
from thalweg.shapes import Int
from thalweg.systems.topology import Topology
from thalweg.units import AtLeast, Count, Nanometers

APART = 4
"""Bonds between two beads of a molecule from which on they are a pair."""


def bead_bonds(mapping: BeadMapping, topology: Topology) -> Int[np.ndarray, "bonds 2"]:
    """Pairs of beads that are bonded, each once.

    Examples
    --------
    >>> from thalweg.systems.topology import molecules_of
    >>> chain = molecules_of(("C",) * 5, np.array([[0, 1], [1, 2], [2, 3], [3, 4]]))
    >>> bead_bonds(BeadMapping.slices([0, 2, 4], np.full(5, 12.0)), chain).tolist()
    [[0, 1], [1, 2]]
    """
    atoms, bonds = len(topology), np.asarray(topology.bonds, int).reshape(-1, 2)
    owner = np.full(atoms, -1)
    table = coo_array(mapping.weights)
    owner[table.col] = table.row
    front = np.flatnonzero(owner >= 0)
    links = csr_array((np.ones(2 * len(bonds)), (bonds.ravel(), bonds[:, ::-1].ravel())), (atoms, atoms))
    # breadth first from all beads at once: the first to come owns an atom
    while len(front):
        found = []
        for atom in front:
            near = links.indices[links.indptr[atom] : links.indptr[atom + 1]]
            new = near[owner[near] < 0]
            owner[new] = owner[atom]
            found += new.tolist()
        front = np.unique(np.array(found, int))
    pairs = owner[bonds]
    pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & (pairs >= 0).all(1)]
    return np.unique(np.sort(pairs, 1), axis=0).reshape(-1, 2)


@dataclass(frozen=True)
class UsualInteractions:
    """How fine the functions of usual interactions are.

    Parameters
    ----------
    waves : of each torsion, cosines and sines of so many multiples
    coupled : the same of products of two torsions that share three beads; none of these with 0
    cutoff : of pairs
    splines : intervals of pairs, from the least distance seen to the cutoff
    kernels : points of a Gaussian process of all bonds, angles and torsions on top; none with 0
    length : of these kernels, in deviations of each coordinate

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.arange(4)[:, None] * [0.15, 0, 0] + rng.normal(0, 0.02, (50, 4, 3))
    >>> made = UsualInteractions().of(np.array([[0, 1], [1, 2], [2, 3]]), BeadFrames(x, kT=2.5))
    >>> [one.name for one in made]
    ['bond 1-2', 'bond 2-3', 'bond 3-4', 'angle 1-2-3', 'angle 2-3-4', 'torsion 1-2-3-4']
    """

    waves: Count = 3
    coupled: Annotated[int, AtLeast(0)] = 3
    cutoff: Nanometers = 1.0
    splines: Count = 12
    kernels: Annotated[int, AtLeast(0)] = 0
    length: float = 3.0

    def of(self, bonds: Int[np.ndarray, "bonds 2"], frames: BeadFrames) -> tuple[Interaction, ...]:
        """Interactions of beads bonded like this, their functions around what ``frames`` show.

        Raises
        ------
        ValueError
            If there are none: beads without bonds, in no box.
        """
        found: list[Interaction] = []
        coordinates = self.coordinates(bonds, frames)
        for name, one in coordinates.items():
            if name.startswith("pair "):
                pairs = BSplines(self._least(one, frames), self.cutoff, self.splines, zero_at_end=True)
                one = InternalCoordinate("distance", one.beads, pairs)
            found.append(BondedInteraction(one, name=name))
        if self.coupled:
            found += self._coupled(bonds, frames)
        if self.kernels:
            bonded = [one for name, one in coordinates.items() if not name.startswith("pair ")]
            found.append(KernelPoints(bonded, frames, self.kernels, self.length))
        if frames.boxes is not None:
            found += self.pairs(frames).values()
        if not found:
            raise ValueError(
                "these beads have no interactions: none are bonded, and without a box they are no liquid; give bonds, "
                "or frames with their boxes"
            )
        return tuple(found)

    def count(self, bonds: Int[np.ndarray, "bonds 2"], frames: BeadFrames) -> int:
        """How many functions bonded interactions and pairs of one molecule have at most, before any is made.

        Examples
        --------
        >>> frames = BeadFrames(np.arange(4)[None, :, None] * np.array([0.15, 0, 0]), kT=2.5)
        >>> UsualInteractions(waves=2).count(np.array([[0, 1], [1, 2], [2, 3]]), frames)
        14
        """
        each = {"bond": 2, "angle": 2, "torsion": 2 * self.waves, "pair": self.splines}
        terms = _terms(bonds, frames)
        number = sum(each[place] * len(_by_kinds(place, own, frames)) for place, own in terms.items())
        if self.coupled:
            number += (2 * self.coupled) ** 2 * len(
                _by_kinds("map", _five_in_a_row(terms["torsion"]), frames)
            )
        return number + self.kernels

    def coordinates(
        self, bonds: Int[np.ndarray, "bonds 2"], frames: BeadFrames
    ) -> dict[str, InternalCoordinate]:
        """Bonds, angles, torsions and pairs by name, terms of the same kinds together."""
        places = {"bond": "distance", "angle": "angle", "torsion": "dihedral", "pair": "distance"}
        found = {}
        for place, terms in _terms(bonds, frames).items():
            for name, own in _by_kinds(place, terms, frames).items():
                beads, kind = np.array(own), places[place]
                functions: Powers | AngleWaves = AngleWaves(self.waves)
                if kind != "dihedral":
                    q = InternalCoordinate(kind, beads, Powers(0.0)).values(frames.positions, frames.boxes)
                    functions = Powers(float(q.mean()), max(float(q.std()), 1e-6))
                one = InternalCoordinate(kind, beads, functions)
                if place != "pair" or self._least(one, frames) < self.cutoff:
                    found[name] = one
        return found

    def pairs(self, frames: BeadFrames) -> dict[str, PairInteraction]:
        """Pairs of different molecules of a liquid, of any two kinds, by name.

        Raises
        ------
        ValueError
            If the frames have no boxes.
        """
        if frames.boxes is None:
            raise ValueError(
                "pairs of different molecules need the box they are in; give trajectories that hold it"
            )
        kinds = np.asarray(frames.kinds)
        found = {}
        for a in np.unique(kinds):
            for b in np.unique(kinds[kinds >= a]):
                wide = BSplines(0.0, self.cutoff, 4)
                every = PairInteraction(wide, self.cutoff, kinds, (int(a), int(b)), frames.molecules)
                seen = [every.distances(x, box)[3] for x, box in zip(frames.positions[:20], frames.boxes)]
                lengths = np.concatenate(seen)
                if len(lengths) == 0:
                    continue
                splines = BSplines(float(lengths.min()), self.cutoff, self.splines, zero_at_end=True)
                name = f"pairs {a}-{b}"
                found[name] = PairInteraction(
                    splines, self.cutoff, kinds, (int(a), int(b)), frames.molecules, name=name
                )
        return found

    def _least(self, one: InternalCoordinate, frames: BeadFrames) -> float:
        return float(one.values(frames.positions, frames.boxes).min())

    def _coupled(self, bonds, frames) -> list[BondedInteraction]:
        """Products of neighboring torsions, of five beads in a row."""
        rows = _five_in_a_row(_terms(bonds, frames)["torsion"])
        found = []
        for name, own in _by_kinds("map", rows, frames).items():
            five, waves = np.array(own), AngleWaves(self.coupled)
            both = (InternalCoordinate("dihedral", five[:, k : k + 4], waves) for k in range(2))
            found.append(BondedInteraction(*both, name=name))
        return found


def _terms(bonds, frames: BeadFrames) -> dict[str, list[tuple[int, ...]]]:
    """Bonds, angles, torsions as paths of beads, and pairs of one molecule farther apart than these."""
    count = frames.positions.shape[1]
    near: list[list[int]] = [[] for _ in range(count)]
    for a, b in np.asarray(bonds, int).reshape(-1, 2).tolist():
        near[a].append(b)
        near[b].append(a)
    paths: list[tuple[int, ...]] = [(a, b) for a in range(count) for b in near[a]]
    found: dict[str, list[tuple[int, ...]]] = {}
    for place in ("bond", "angle", "torsion"):
        found[place] = sorted(path for path in paths if path[0] < path[-1])
        paths = [(*path, c) for path in paths for c in near[path[-1]] if c not in path]
    links = np.zeros((count, count))
    for a, b in found["bond"]:
        links[a, b] = 1
    apart = shortest_path(csr_array(links), directed=False, unweighted=True)
    far = np.isfinite(apart) & (apart >= APART)
    found["pair"] = [(int(a), int(b)) for a, b in zip(*np.nonzero(np.triu(far)))]
    return found


def _five_in_a_row(torsions: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Beads of two torsions that share three."""
    return [
        (*first, second[3])
        for a in torsions
        for first in (a, a[::-1])
        for b in torsions
        for second in (b, b[::-1])
        if first[1:] == second[:3] and first[0] < second[3]
    ]


def _by_kinds(
    place: str, terms: Sequence[tuple[int, ...]], frames: BeadFrames
) -> dict[str, list[tuple[int, ...]]]:
    """Terms of the same kinds in the same or the opposite order, by a name of the kinds."""
    kinds = np.asarray(frames.kinds)
    found: dict[str, list[tuple[int, ...]]] = {}
    for term in terms:
        own = tuple(int(kind) for kind in kinds[list(term)])
        if own > own[::-1]:
            own, term = own[::-1], term[::-1]
        found.setdefault(f"{place} {'-'.join(map(str, own))}", []).append(term)
    return found
