"""Which torsions a molecule has, read off its bonds.

Peptide backbones, caps and cyclic peptides included, are recognized by the amide bonds C-N between residues,
so that any capping group works whatever its atoms are called. Torsions are rows of four atom indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from thalweg.geometry.bond_graph import bonded_atoms, in_ring
from thalweg.systems.topology import Topology

CHI = {
    "chi1": ("N CA CB CG", "N CA CB CG1", "N CA CB OG", "N CA CB OG1", "N CA CB SG"),
    "chi2": (
        *("CA CB CG CD", "CA CB CG CD1", "CA CB CG1 CD1", "CA CB CG1 CD"),
        *("CA CB CG OD1", "CA CB CG ND1", "CA CB CG SD"),
    ),
    "chi3": ("CB CG CD CE", "CB CG CD NE", "CB CG CD OE1", "CB CG SD CE"),
    "chi4": ("CG CD CE NZ", "CG CD NE CZ"),
    "chi5": ("CD NE CZ NH1",),
}
"""Atoms of the side-chain torsions of the amino acids [iupac1970]."""


def backbone_dihedrals(topology: Topology) -> dict[str, np.ndarray]:
    """Backbone torsions ``phi`` (C-N-CA-C), ``psi`` (N-CA-C-N) and ``omega`` (CA-C-N-CA), each ``(torsions,
    4)``.

    A cap has no phi or psi of its own but completes those of its neighbor. There is an omega for every amide
    bond between residues, the methyl carbon of ACE or NME taking the place of CA.

    Raises
    ------
    ValueError
        If the topology has no bonds.

    Examples
    --------
    >>> dipeptide = Topology(
    ...     names=("CH3", "C", "N", "CA", "C", "N", "C"), elements=tuple("CCNCCNC"),
    ...     residue_names=("ACE",) * 2 + ("ALA",) * 3 + ("NME",) * 2, residue_ids=(1, 1, 2, 2, 2, 3, 3),
    ...     chains=(0,) * 7, bonds=np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6]]))
    >>> backbone_dihedrals(dipeptide)["phi"]
    array([[1, 2, 3, 4]])
    """
    bonded, name = bonded_atoms(topology), topology.names
    phi, psi, omega = [], [], []
    for carbon, nitrogen in _amide_bonds_between_residues(topology):
        before = _attached_carbon(topology, bonded, carbon)
        after = _attached_carbon(topology, bonded, nitrogen, besides=carbon)
        if before is not None and after is not None:
            omega.append((before, carbon, nitrogen, after))
        if after is not None and name[after] == "CA":
            phi += [(carbon, nitrogen, after, end) for end in bonded[after] if name[end] == "C"]
        if before is not None and name[before] == "CA":
            psi += [(start, before, carbon, nitrogen) for start in bonded[before] if name[start] == "N"]
    return {"phi": _table(sorted(phi)), "psi": _table(sorted(psi)), "omega": _table(sorted(omega))}


def side_chain_dihedrals(topology: Topology) -> dict[str, np.ndarray]:
    """Side-chain torsions ``chi1`` to ``chi5`` of the amino acids, found by the names of their atoms."""
    residues: dict[tuple, dict[str, int]] = {}
    for atom, name in enumerate(topology.names):
        residues.setdefault(_residue(topology, atom), {})[name] = atom

    def rows(quad: str) -> list[list[int]]:
        names = quad.split()
        return [[atoms[n] for n in names] for atoms in residues.values() if all(n in atoms for n in names)]

    return {chi: _table(sorted(row for quad in quads for row in rows(quad))) for chi, quads in CHI.items()}


def rotatable_dihedrals(topology: Topology) -> np.ndarray:
    """One torsion for each bond that a molecule turns about: heavy atoms on both sides, in no ring, no amide.

    It is the bond's phi, psi or chi where it has one, else that through the lowest-numbered heavy neighbors.
    Bonds have no order here, so an isolated C=C counts as rotatable; leave it out by hand.

    Raises
    ------
    ValueError
        If the topology has no bonds.
    """
    bonded, heavy = bonded_atoms(topology), set(topology.heavy_atoms.tolist())
    named = {tuple(sorted(quad[1:3])): quad for quad, _ in _named_dihedrals(topology)}
    quads = []
    for i, j in sorted((min(bond), max(bond)) for bond in topology.bonds.tolist()):
        starts = [k for k in bonded[i] if k in heavy and k != j]
        ends = [k for k in bonded[j] if k in heavy and k != i]
        turns = {i, j} <= heavy and starts and ends and not in_ring(bonded, i, j)
        if turns and not _is_amide(topology, bonded, i, j) and not _is_amide(topology, bonded, j, i):
            quads.append(named.get((i, j), (starts[0], i, j, ends[0])))
    return _table(quads)


def torsions_about(topology: Topology, quads: np.ndarray) -> np.ndarray:
    """All torsions about the middle bonds of ``quads (torsions, 4)``, hydrogens included, a bond after the other.

    One torsion says how a bond is turned; the others, how the atoms at its ends lie out of their planes, on which a
    committor depends, too.

    Examples
    --------
    >>> from thalweg.interop.openmm.molecules import alanine_dipeptide
    >>> topology = alanine_dipeptide().topology
    >>> phi = backbone_dihedrals(topology)["phi"]
    >>> len(torsions_about(topology, phi))      # C and H at one end; C, CB and HA at the other
    6
    """
    bonded = bonded_atoms(topology)
    bonds = dict.fromkeys((int(i), int(j)) for i, j in np.asarray(quads)[:, 1:3])
    return _table([(k, i, j, m) for i, j in bonds for k in bonded[i] if k != j for m in bonded[j] if m != i])


def dihedral_names(topology: Topology, quads: np.ndarray) -> tuple[str, ...]:
    """Names of torsions: ``"phi ALA2"`` where they have one, else their four atoms.

    Atoms of one residue are ``"C1-C4-C9-O1 LIG7"``, those of several as by `atoms_name`.
    """
    known: dict[tuple, str] = {}
    for quad, name in _named_dihedrals(topology):
        known[quad] = known[quad[::-1]] = name
    return tuple(known.get(tuple(quad)) or _four_atoms(topology, quad) for quad in quads.tolist())


def _four_atoms(topology: Topology, quad: Sequence[int]) -> str:
    if len({_residue(topology, atom) for atom in quad}) > 1:
        return atoms_name(topology, quad)
    return f"{'-'.join(topology.names[atom] for atom in quad)} {topology.residue(quad[0])}"


def atoms_name(topology: Topology | None, atoms: Sequence[int]) -> str:
    """Atoms one after the other, ``"ALA2-CA..NME3-N"``; by number without a topology.

    Examples
    --------
    >>> atoms_name(None, (8, 16))
    '8..16'
    """
    return "..".join(str(atom) if topology is None else topology.label(atom) for atom in atoms)


def _named_dihedrals(topology: Topology) -> Iterator[tuple[tuple, str]]:
    """All backbone and side-chain torsions with their names; phi belongs to the residue of its N-CA bond."""
    if len(topology.bonds):
        for kind, table in (backbone_dihedrals(topology) | side_chain_dihedrals(topology)).items():
            for quad in map(tuple, table.tolist()):
                owner = quad[2] if kind == "phi" else quad[1]
                yield quad, f"{kind} {topology.residue(owner)}"


def _table(quads: Sequence) -> np.ndarray:
    return np.array(quads, int).reshape(-1, 4)


def _residue(topology: Topology, atom: int) -> tuple:
    return topology.chains[atom], topology.residue_ids[atom], topology.residue_names[atom]


def _amide_bonds_between_residues(topology: Topology) -> Iterator[tuple[int, int]]:
    """Bonds from an atom C of one residue to an atom N of another."""
    name = topology.names
    for i, j in topology.bonds.tolist():
        carbon, nitrogen = (i, j) if name[i] == "C" else (j, i)
        between = _residue(topology, carbon) != _residue(topology, nitrogen)
        if between and (name[carbon], name[nitrogen]) == ("C", "N"):
            yield carbon, nitrogen


def _attached_carbon(
    topology: Topology, bonded: list[list[int]], atom: int, besides: int | None = None
) -> int | None:
    """The carbon bonded to ``atom``: CA if there is one (proline's N has CD too), else the first."""
    carbons = [k for k in bonded[atom] if k != besides and topology.elements[k] == "C"]
    return min(carbons, key=lambda k: topology.names[k] != "CA", default=None)


def _is_amide(topology: Topology, bonded: list[list[int]], carbon: int, nitrogen: int) -> bool:
    """Whether the bond joins a nitrogen to a planar carbon that carries a terminal oxygen."""
    element = topology.elements
    carbonyl = any(element[k] == "O" and len(bonded[k]) == 1 for k in bonded[carbon])
    return (element[carbon], element[nitrogen]) == ("C", "N") and len(bonded[carbon]) == 3 and carbonyl


def named_torsions(topology: Topology) -> dict[str, np.ndarray]:
    """Every torsion that has a name people know, such as ``"phi ALA2"``, with its four atoms."""
    backbone = backbone_dihedrals(topology)
    quads = np.concatenate([backbone["phi"], backbone["psi"], rotatable_dihedrals(topology)])
    return dict(zip(dihedral_names(topology, quads), quads))
