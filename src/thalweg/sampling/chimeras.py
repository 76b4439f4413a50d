"""Structures to begin from that nobody has solved: parts of given ones put together.

Of a protein that is known in several forms, each form may come from a different crystal. Where parts, such as a loop
and a terminus, move on their own, combinations of their forms are new places from which walks are started [schen2019]:
each part of one structure is laid onto another by the backbone of the residues beside it and takes the place of that
structure's own. Combinations whose parts do not fit, by torn bonds or atoms that run into each other, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from thalweg.geometry.residues import residue_of_atoms
from thalweg.learning.models import Model
from thalweg.shapes import Shaped
from thalweg.systems.topology import Topology

BACKBONE = ("N", "CA", "C", "O")
"""Atoms that a part is laid onto another structure by."""

REACH = 0.4
"""Distance up to which atoms are looked for [nm]."""

MOST = 100_000
"""Combinations that are tried."""


@dataclass(frozen=True, eq=False)
class Chimeras(Model):
    """Combinations of parts of structures that fit.

    Attributes
    ----------
    positions : (chimeras, atoms, 3) [nm]; to be minimized before dynamics
    parents : (chimeras, 1 + fragments), the structure that the core and each fragment are from
    stretched : (chimeras,), how far a bond between parts is, at most, from its shortest in the structures [nm]
    closest : (chimeras,), shortest distance of heavy atoms of different parts, of residues not bound [nm]
    tried : combinations that were tried
    """

    positions: Shaped[np.ndarray, "chimeras atoms 3"]
    parents: Shaped[np.ndarray, "chimeras parts"]
    stretched: Shaped[np.ndarray, " chimeras"]
    closest: Shaped[np.ndarray, " chimeras"]
    tried: int

    def headline(self) -> dict[str, object]:
        """How many fit."""
        return {"chimeras": len(self.positions), "tried": self.tried}


def chimeras(
    structures: Shaped[np.ndarray, "structures atoms 3"],
    topology: Topology,
    fragments: Sequence[Sequence[int]],
    beside: int = 3,
    stretched: float = 0.1,
    closest: float = 0.15,
) -> Chimeras:
    """All new combinations of a core and of fragments, each of any of the structures, that fit.

    Parameters
    ----------
    structures : (structures, atoms, 3) [nm], of the same atoms, molecules whole
    topology : of the atoms
    fragments : residues of each, counted from 0 in file order; all others are the core
    beside : residues of the core on either side of a fragment by whose backbone it is laid
    stretched : most that a bond between parts may differ from its shortest in the structures [nm]
    closest : least distance of heavy atoms of different parts whose residues are not bound [nm]; side chains that are a
        little too close give way when energy is minimized

    Raises
    ------
    ValueError
        If there are fewer than two structures, fragments overlap, are empty or leave no core beside them, or there are
        too many combinations.

    Examples
    --------
    >>> from importlib.resources import files
    >>> import mdtraj
    >>> from thalweg.interop.files.trajectories import read_topology
    >>> file = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
    >>> closed = mdtraj.load(str(file)).xyz[0]
    >>> structures = np.stack([closed, closed + [1.0, 0.0, 0.0]])
    >>> found = chimeras(structures, read_topology(file), [[0], [4]])
    >>> found.parents.tolist()
    [[0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0]]
    """
    frames = np.asarray(structures, float)
    residue = residue_of_atoms(topology)
    parts = _parts(frames, residue, fragments)
    count = len(frames) ** (1 + len(fragments))
    if count > MOST:
        raise ValueError(
            f"{len(frames)} structures and {len(fragments)} fragments have {count} combinations, {MOST} can be tried: "
            "give fewer structures, such as one of each form"
        )
    anchors = [_anchors(topology, residue, part, parts, beside, k) for k, part in enumerate(parts[1:])]
    across = np.array([pair for pair in topology.bonds.tolist() if _part_of(parts, residue, pair)], int)
    lengths = np.linalg.norm(frames[:, across[:, 0]] - frames[:, across[:, 1]], axis=2).min(axis=0)
    bound = {tuple(sorted(residue[list(pair)].tolist())) for pair in topology.bonds.tolist()}
    laid = {
        (onto, k, by): _laid(frames[by], frames[onto], anchors[k])
        for onto, by in product(range(len(frames)), repeat=2)
        for k in range(len(fragments))
    }
    found, parents, stretches, gaps = [], [], [], []
    atoms = [np.flatnonzero(np.isin(residue, part)) for part in parts]
    for onto, *by in product(range(len(frames)), repeat=1 + len(fragments)):
        if all(one == onto for one in by):
            continue
        whole = frames[onto].copy()
        for k, one in enumerate(by):
            whole[atoms[k + 1]] = laid[onto, k, one][atoms[k + 1]]
        apart = np.linalg.norm(whole[across[:, 0]] - whole[across[:, 1]], axis=1)
        stretch = float(np.abs(apart - lengths).max(initial=0.0))
        gap = _closest(whole, atoms, residue, topology, bound, max(REACH, closest))
        if stretch <= stretched and gap >= closest:
            found.append(whole)
            parents.append((onto, *by))
            stretches.append(stretch)
            gaps.append(gap)
    return Chimeras(
        np.array(found).reshape(-1, *frames.shape[1:]),
        np.array(parents, int).reshape(-1, 1 + len(fragments)),
        np.array(stretches),
        np.array(gaps),
        count - len(frames),
    )


def _parts(frames: np.ndarray, residue: np.ndarray, fragments: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Residues of the core and of each fragment."""
    if frames.ndim != 3 or len(frames) < 2 or frames.shape[1:] != (len(residue), 3):
        raise ValueError(
            f"structures have shape {frames.shape}; needed are two or more of (atoms, 3) with {len(residue)} atoms"
        )
    count = int(residue[-1]) + 1
    own = [np.unique(np.asarray(each, int)) for each in fragments]
    if not own or any(not len(each) or each[0] < 0 or each[-1] >= count for each in own):
        raise ValueError(f"fragments are {fragments}; give one or more, of residues 0 to {count - 1}")
    together = np.concatenate(own)
    if len(np.unique(together)) < len(together):
        raise ValueError("fragments overlap; a residue is part of one at most")
    core = np.setdiff1d(np.arange(count), together)
    if not len(core):
        raise ValueError("fragments leave no core; leave out the residues that all structures have in common")
    return [core, *own]


def _anchors(
    topology: Topology,
    residue: np.ndarray,
    part: np.ndarray,
    parts: list[np.ndarray],
    beside: int,
    number: int,
) -> np.ndarray:
    """Backbone atoms of the residues of the core that are nearest in sequence to the ends of a fragment."""
    core, chosen = parts[0], []
    ends = np.flatnonzero(np.diff(part) > 1)
    for first, last in zip(part[[0, *(ends + 1)]], part[[*ends, -1]]):
        chosen += [
            core[(core < first) & (core >= first - beside)],
            core[(core > last) & (core <= last + beside)],
        ]
    near = np.concatenate(chosen)
    named = np.isin(topology.names, BACKBONE)
    atoms = np.flatnonzero(np.isin(residue, near) & named)
    if len(atoms) < 3:
        raise ValueError(
            f"fragment {number} has {len(atoms)} backbone atoms of the core within {beside} residues of its ends; "
            "three are needed to lay it"
        )
    return atoms


def _part_of(parts: list[np.ndarray], residue: np.ndarray, pair: Sequence[int]) -> bool:
    """Whether both atoms are of different parts."""
    owners = [next(k for k, part in enumerate(parts) if residue[atom] in part) for atom in pair]
    return owners[0] != owners[1]


def _laid(moving: np.ndarray, target: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """A structure turned and moved onto another by its anchors."""
    about, onto = moving[anchors].mean(axis=0), target[anchors].mean(axis=0)
    turn, _ = Rotation.align_vectors(target[anchors] - onto, moving[anchors] - about)
    return turn.apply(moving - about) + onto


def _closest(
    positions: np.ndarray,
    atoms: list[np.ndarray],
    residue: np.ndarray,
    topology: Topology,
    bound: set,
    reach: float,
) -> float:
    """Shortest distance of heavy atoms of different parts whose residues are not bound; infinite beyond ``reach``."""
    heavy = [np.intersect1d(each, topology.heavy_atoms) for each in atoms]
    found = np.inf
    for k, one in enumerate(heavy):
        for other in heavy[k + 1 :]:
            if not len(one) or not len(other):
                continue
            near = KDTree(positions[one]).sparse_distance_matrix(
                KDTree(positions[other]), reach, output_type="ndarray"
            )
            for i, j, distance in near:
                pair = tuple(sorted((int(residue[one[i]]), int(residue[other[j]]))))
                if pair not in bound:
                    found = min(found, float(distance))
    return found
