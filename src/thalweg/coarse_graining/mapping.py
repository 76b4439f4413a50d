"""Which atoms make a bead, and which of their forces push it.

A mapping is linear, ``R_I = sum_i C_Ii r_i`` with ``sum_i C_Ii = 1``: a slice (one atom), a center of mass, or any
weights. What the beads feel on average is the mean of mapped forces ``F_I = sum_i W_Ii f_i`` for *every* ``W`` with

    W C^T = 1,

where atoms held at fixed distances from each other must enter alike [ciccotti2005]: the many such ``W`` differ in noise
alone. `ForceMap.basic` adds up the forces on the atoms of a bead [noid2008]; `ForceMap.optimal` is the ``W`` of least
variance [kramer2023], by generalized least squares

    W = (A G^-1 A^T)^-1 A G^-1,    G_ij = <f_i . f_j>,

with ``A`` the mapping summed over atoms held together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from thalweg.shapes import Float, Int
from thalweg.systems.box import minimum_image
from thalweg.systems.topology import Topology

RIGID = 1e-3
"""Atoms whose distance varies by less than this [nm] are held together."""

NEAR = 0.3
"""Atoms farther apart than this [nm] are never taken to be held together."""

FLOOR = 1e-4
"""Added to the diagonal of ``G``, relative to its mean: forces of few frames leave directions undecided."""


@dataclass(frozen=True)
class BeadMapping:
    """Beads as weighted means of atoms.

    Attributes
    ----------
    weights : (beads, atoms) sparse ``C``; every row sums to one
    masses : (beads,) [amu], those of atoms in the bead
    names : (beads,) names of beads
    kinds : (beads,) int from 1; beads of one kind interact alike
    molecules : (beads,) int, the molecule each bead belongs to

    Raises
    ------
    ValueError
        If a row does not sum to one, a bead has no atom or no mass, or lengths differ.

    Examples
    --------
    >>> dumbbell = BeadMapping.centers_of_mass([[0, 1], [2, 3]], np.array([12.0, 4, 12, 4]))
    >>> dumbbell.weights.toarray()
    array([[0.75, 0.25, 0.  , 0.  ], [0.  , 0.  , 0.75, 0.25]])
    >>> dumbbell.positions(np.arange(12.0).reshape(1, 4, 3))[0, 0]
    array([0.75, 1.75, 2.75])
    """

    weights: csr_array
    masses: Float[np.ndarray, " beads"]
    names: tuple[str, ...]
    kinds: Int[np.ndarray, " beads"]
    molecules: Int[np.ndarray, " beads"]

    def __post_init__(self):
        beads = self.weights.shape[0]
        lengths = {len(self.masses), len(self.names), len(self.kinds), len(self.molecules)}
        if lengths != {beads}:
            raise ValueError(
                f"{beads} beads need as many masses, names, kinds and molecules; got {sorted(lengths)}"
            )
        sums = np.asarray(self.weights.sum(1)).ravel()
        if beads == 0 or not np.allclose(sums, 1, atol=1e-9):
            wrong = int(np.abs(sums - 1).argmax()) if beads else 0
            raise ValueError(
                "weights of each bead must sum to one, or the bead does not move with its atoms; those of bead "
                f"{wrong} sum to {sums[wrong] if beads else 0:.6g}"
            )
        if not (np.asarray(self.masses) > 0).all():
            raise ValueError(
                "every bead needs a positive mass; one whose atoms have none is a virtual site: map it as a mean of "
                "atoms that have mass"
            )

    @staticmethod
    def slices(
        atoms: Sequence[int],
        masses: Float[np.ndarray, " atoms"],
        names: Sequence[str] | None = None,
        kinds: Sequence[int] | None = None,
        molecules: Sequence[int] | None = None,
    ) -> BeadMapping:
        """Beads at single ``atoms`` of those with ``masses`` [amu], each of a kind of its own unless told."""
        return BeadMapping.linear(
            _indicator([[atom] for atom in atoms], len(masses)), masses, names, kinds, molecules
        )

    @staticmethod
    def centers_of_mass(
        groups: Sequence[Sequence[int]],
        masses: Float[np.ndarray, " atoms"],
        names: Sequence[str] | None = None,
        kinds: Sequence[int] | None = None,
        molecules: Sequence[int] | None = None,
    ) -> BeadMapping:
        """Beads at the centers of mass of ``groups`` of atoms with ``masses`` [amu]."""
        groups_of = [list(group) for group in groups]
        if empty := [k for k, group in enumerate(groups_of) if not group]:
            raise ValueError(f"beads {empty} have no atoms; leave them out or give them some")
        chosen = _indicator(groups_of, len(masses)) @ csr_array(np.diag(np.asarray(masses, float)))
        totals = np.asarray(chosen.sum(1)).ravel()
        if (totals <= 0).any():
            raise ValueError(f"the atoms of bead {int(totals.argmin())} have no mass; give atoms that have")
        return BeadMapping.linear(csr_array(chosen / totals[:, None]), masses, names, kinds, molecules)

    @staticmethod
    def linear(
        weights: np.ndarray | csr_array,
        masses: Float[np.ndarray, " atoms"],
        names: Sequence[str] | None = None,
        kinds: Sequence[int] | None = None,
        molecules: Sequence[int] | None = None,
    ) -> BeadMapping:
        """Beads at any ``weights`` ``(beads, atoms)`` of atoms with ``masses`` [amu], which need not be disjoint.

        The mass of a bead is ``1 / sum_i C_Ii^2 / m_i``, the one its velocities have [noid2008].
        """
        matrix = csr_array(weights)
        matrix.sort_indices()
        masses = np.asarray(masses, float)
        if matrix.shape[1] != len(masses):
            raise ValueError(
                f"weights are of {matrix.shape[1]} atoms, masses of {len(masses)}; they must agree"
            )
        # atoms without mass that a bead does use would make it massless
        inverse = np.divide(1.0, masses, out=np.full(len(masses), np.inf), where=masses > 0)
        used = coo_array(matrix)
        shares = coo_array((used.data**2 * inverse[used.col], (used.row, used.col)), matrix.shape)
        total = np.asarray(shares.sum(1)).ravel()
        of_beads = np.divide(1.0, total, out=np.zeros(len(total)), where=np.isfinite(total) & (total > 0))
        beads = matrix.shape[0]
        return BeadMapping(
            matrix,
            of_beads,
            tuple(names) if names is not None else tuple(f"B{k + 1}" for k in range(beads)),
            np.arange(1, beads + 1) if kinds is None else np.asarray(kinds, int),
            np.zeros(beads, int) if molecules is None else np.asarray(molecules, int),
        )

    @staticmethod
    def per_residue(
        topology: Topology, masses: Float[np.ndarray, " atoms"], atom: str | None = "CA"
    ) -> BeadMapping:
        """A bead a residue: at its ``atom``, or at its center of mass with None; residues of one name are of one kind.

        Raises
        ------
        ValueError
            If no residue has that atom.
        """
        groups = _residues(topology)
        if atom is not None:
            groups = [[i for i in group if topology.names[i] == atom] for group in groups]
            groups = [group for group in groups if group]
            if not groups:
                raise ValueError(
                    f"no residue has an atom {atom!r}; name another, or None for centers of mass"
                )
        first = [group[0] for group in groups]
        return BeadMapping.centers_of_mass(
            groups,
            masses,
            names=[topology.residue(i) for i in first],
            kinds=_numbered([topology.residue_names[i] for i in first]),
            molecules=[topology.chains[i] for i in first],
        )

    @staticmethod
    def per_molecule(topology: Topology, masses: Float[np.ndarray, " atoms"]) -> BeadMapping:
        """A bead a molecule at its center of mass; molecules of the same elements are of one kind."""
        links = coo_array(
            (np.ones(len(topology.bonds)), np.asarray(topology.bonds).reshape(-1, 2).T), (len(topology),) * 2
        )
        _, labels = connected_components(links, directed=False)
        groups = [np.flatnonzero(labels == k).tolist() for k in range(labels.max() + 1)]
        formulas = ["".join(sorted(topology.elements[i] for i in group)) for group in groups]
        return BeadMapping.centers_of_mass(
            groups,
            masses,
            names=[topology.residue(group[0]) for group in groups],
            kinds=_numbered(formulas),
            molecules=list(range(len(groups))),
        )

    def __len__(self) -> int:
        return self.weights.shape[0]

    @property
    def atoms(self) -> int:
        return self.weights.shape[1]

    def positions(
        self,
        positions: Float[np.ndarray, "frames atoms 3"],
        boxes: Float[np.ndarray, "frames 3 3"] | None = None,
    ) -> Float[np.ndarray, "frames beads 3"]:
        """Where the beads are [nm]; with ``boxes``, atoms of a bead are first brought next to each other."""
        x = np.asarray(positions, float)
        self._check(x)
        if boxes is None:
            return _applied(self.weights, x)
        table = coo_array(self.weights)
        # R_I = r_a + sum_i C_Ii (r_i - r_a), differences as nearest images of the bead's first atom a
        first = self.weights.indices[self.weights.indptr[:-1]]
        anchor = x[:, first]
        mapped = np.array(anchor)
        for k, box in enumerate(np.broadcast_to(boxes, (len(x), 3, 3))):
            apart = _nearest(x[k][table.col] - anchor[k][table.row], box)
            np.add.at(mapped[k], table.row, table.data[:, None] * apart)
        return mapped

    def _check(self, positions):
        if positions.ndim != 3 or positions.shape[1] != self.atoms:
            raise ValueError(
                f"this mapping is of {self.atoms} atoms and wants (frames, {self.atoms}, 3); got {positions.shape}"
            )


@dataclass(frozen=True)
class ForceMap:
    """Forces on beads as sums of forces on atoms, ``F_I = sum_i W_Ii f_i``.

    Attributes
    ----------
    weights : (beads, atoms) sparse ``W`` with ``W C^T = 1``
    """

    weights: csr_array

    @staticmethod
    def basic(mapping: BeadMapping, held: Int[np.ndarray, "pairs 2"] | None = None) -> ForceMap:
        """All forces on the atoms of a bead, and on atoms ``held`` to them.

        Raises
        ------
        ValueError
            If these are not unbiased: beads share atoms, or atoms of two beads are held together.
        """
        groups = _held_groups(mapping.atoms, held)
        touched = (mapping.weights != 0).astype(float) @ groups
        weights = csr_array((touched != 0).astype(float) @ groups.T)
        made = ForceMap(weights)
        if made.bias(mapping) > 1e-6:
            raise ValueError(
                "the sum of forces on the atoms of a bead is not the force on it here: beads share atoms, or atoms "
                "of two beads are held at a fixed distance; use ForceMap.optimal, or a mapping whose beads are apart"
            )
        return made

    @staticmethod
    def optimal(
        mapping: BeadMapping,
        forces: Float[np.ndarray, "frames atoms 3"],
        held: Int[np.ndarray, "pairs 2"] | None = None,
    ) -> ForceMap:
        """The unbiased map whose forces vary least over frames of ``forces``; molecules of one make share theirs.

        Raises
        ------
        ValueError
            If no map is unbiased: more beads than atoms that can move apart.
        """
        f = np.asarray(forces, float)
        mapping._check(f)
        groups = _held_groups(mapping.atoms, held)
        pieces = _pieces(mapping.weights, groups)
        rows, columns, values = [], [], []
        for alike in pieces:
            c = mapping.weights[alike[0][0]][:, alike[0][1]].toarray()
            r = groups[alike[0][1]].toarray()
            r = r[:, r.any(0)]
            gram = sum(_gram(f[:, atoms]) for _, atoms in alike) / len(alike)
            solved = _least_noise(c, r, gram)
            for beads, atoms in alike:
                rows.append(np.repeat(beads, len(atoms)))
                columns.append(np.tile(atoms, len(beads)))
                values.append(solved.ravel())
        table = coo_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), mapping.weights.shape
        )
        return ForceMap(csr_array(table))

    def bias(self, mapping: BeadMapping) -> float:
        """The largest entry of ``|W C^T - 1|``: zero where mean forces are those of the mapped free energy."""
        product = (self.weights @ mapping.weights.T).toarray()
        return float(np.abs(product - np.eye(len(product))).max())

    def __call__(self, forces: Float[np.ndarray, "frames atoms 3"]) -> Float[np.ndarray, "frames beads 3"]:
        """Forces on beads [kJ/mol/nm]."""
        return _applied(self.weights, np.asarray(forces, float))


def held_together(
    positions: Float[np.ndarray, "frames atoms 3"], boxes: Float[np.ndarray, "frames 3 3"] | None = None
) -> Int[np.ndarray, "pairs 2"]:
    """PairInteraction of atoms whose distance stays the same in all frames: bonds that a simulation held fixed.

    Raises
    ------
    ValueError
        With fewer than ten frames, in which a stiff bond may look fixed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> free = rng.normal(0, 0.01, (20, 2, 3)) + [[0, 0, 0], [0.2, 0, 0]]
    >>> rigid = free[:, :1] + [[0, 0.1, 0]]
    >>> held_together(np.concatenate([free, rigid], 1)).tolist()
    [[0, 2]]
    """
    x = np.asarray(positions, float)
    if len(x) < 10:
        raise ValueError(f"ten frames or more show which distances stay the same; got {len(x)}")
    pairs = _close_pairs(x[0], None if boxes is None else np.asarray(boxes, float)[0])
    kept = []
    for block in np.array_split(pairs, max(1, len(pairs) * len(x) // 2_000_000 + 1)):
        apart = x[:, block[:, 1]] - x[:, block[:, 0]]
        if boxes is not None:
            cells = np.broadcast_to(boxes, (len(x), 3, 3))
            apart = np.stack([_nearest(d, cell) for d, cell in zip(apart, cells)])
        lengths = np.linalg.norm(apart, axis=2)
        kept.append(block[np.ptp(lengths, axis=0) < RIGID])
    return np.concatenate(kept) if kept else np.zeros((0, 2), int)


def _nearest(displacements, box):
    """Nearest images, in 64 bits."""
    with jax.enable_x64(True):
        return np.asarray(minimum_image(displacements, np.asarray(box, float)))


def _close_pairs(x, box):
    """PairInteraction within `NEAR` in one frame, as rows with the smaller index first."""
    if box is None or np.count_nonzero(box - np.diag(np.diagonal(box))):
        tree = KDTree(x)
    else:
        edges = np.diagonal(box)
        tree = KDTree(np.mod(x, edges), boxsize=edges)
    return np.sort(tree.query_pairs(NEAR, output_type="ndarray"), axis=1).reshape(-1, 2)


def _least_noise(c, r, gram):
    """``W`` of one molecule: mapping ``c`` (beads, atoms), groups held together ``r`` (atoms, groups), ``G``."""
    a, g = c @ r, r.T @ gram @ r
    g += FLOOR * np.trace(g) / len(g) * np.eye(len(g))
    through = np.linalg.solve(g, a.T)
    normal = a @ through
    if np.linalg.cond(normal) > 1e12:
        raise ValueError(
            f"{len(c)} beads on {len(g)} groups of atoms that move together: no force map can tell all beads apart; "
            "use fewer beads, or place them on atoms that are not held at fixed distances"
        )
    return np.linalg.solve(normal, through.T) @ r.T


def _gram(f):
    return np.einsum("fix,fjx->ij", f, f) / len(f)


def _pieces(weights: csr_array, groups: csr_array):
    """Beads and atoms that hang together, those of the same make side by side: lists of (beads, atoms)."""
    beads, atoms = weights.shape
    touched = coo_array(((weights != 0).astype(float) @ groups) @ groups.T)
    links = coo_array(
        (np.ones(len(touched.row)), (touched.row, beads + touched.col)), (beads + atoms, beads + atoms)
    )
    _, labels = connected_components(links, directed=False)
    found: dict[tuple, list] = {}
    for label in range(labels[:beads].max() + 1):
        members = np.flatnonzero(labels == label)
        own, inside = members[members < beads], members[members >= beads] - beads
        if not len(own):
            continue
        local = weights[own][:, inside].toarray()
        held = (groups[inside] @ groups[inside].T).toarray()
        key = (local.shape, np.round(local, 9).tobytes(), held.tobytes())
        found.setdefault(key, []).append((own, inside))
    return list(found.values())


def _held_groups(atoms: int, held) -> csr_array:
    """``(atoms, groups)`` one where an atom belongs to a group of atoms held together."""
    pairs = np.zeros((0, 2), int) if held is None else np.asarray(held, int).reshape(-1, 2)
    links = coo_array((np.ones(len(pairs)), pairs.T), (atoms, atoms))
    count, labels = connected_components(links, directed=False)
    return csr_array((np.ones(atoms), (np.arange(atoms), labels)), (atoms, count))


def _applied(weights: csr_array, x: np.ndarray) -> np.ndarray:
    """A sparse (beads, atoms) on every frame and dimension of (frames, atoms, 3)."""
    flat = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    return np.moveaxis((weights @ flat).reshape(-1, len(x), 3), 0, 1)


def _indicator(groups, atoms: int) -> csr_array:
    rows = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    columns = np.concatenate([np.asarray(group, int) for group in groups]) if groups else np.zeros(0, int)
    if len(columns) and not (columns.min() >= 0 and columns.max() < atoms):
        raise ValueError(f"beads name atoms {columns.min()} to {columns.max()}; there are {atoms}, from 0 on")
    return csr_array((np.ones(len(columns)), (rows, columns)), (len(groups), atoms))


def _residues(topology: Topology) -> list[list[int]]:
    found: dict[tuple, list[int]] = {}
    for i in range(len(topology)):
        found.setdefault((topology.chains[i], topology.residue_ids[i], topology.residue_names[i]), []).append(
            i
        )
    return list(found.values())


def _numbered(names: Sequence[str]) -> list[int]:
    order = {name: k + 1 for k, name in enumerate(dict.fromkeys(names))}
    return [order[name] for name in names]
