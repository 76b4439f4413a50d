"""Files about binding sites: molecules bound in a structure, folders of complexes to learn from, pockets as atoms.

A folder of complexes holds pairs ``NAME_protein.pdb`` and ``NAME_ligands.sdf`` (or ``NAME_ligand.sdf``), or structures
(PDB, mmCIF) with their ligands inside, at any depth; all may be compressed (``.gz``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

from thalweg.binding.complexes import CHANNELS, TypedAtoms
from thalweg.binding.sites.pockets import Pocket
from thalweg.interop.complexes.ligands import read_ligands
from thalweg.interop.complexes.proteins import (
    WATERS,
    ProteinStructure,
    chosen_model,
    open_structure,
    read_protein,
    residue_label,
    single_location,
)
from thalweg.units import ANGSTROM

ADDITIVES = frozenset(
    "GOL EDO PEG PGE PG4 1PE P6G MPD DMS BME SO4 PO4 ACT CIT FMT NO3 CL BR IOD TRS MES EPE IMD NAG MAN BMA FUC GAL ACE "
    "NME NMA NH2 IVA SIN TLA DTT".split()
)
"""Names of what crystals are grown with, sugars on the surface and caps of chains: no ligands."""

STRUCTURES = (".pdb", ".ent", ".cif", ".mmcif")

TOUCHING = 0.5
"""A molecule is bound if one of its atoms is that near to the protein [nm]."""


@dataclass(frozen=True, eq=False)
class BoundMolecule:
    """A molecule bound in a structure, its chemistry unknown.

    Attributes
    ----------
    name : such as ``"A:BEN1"``
    atoms : heavy ones; of channels only that they take up room is known
    """

    name: str
    atoms: TypedAtoms


def read_bound_molecules(
    path: str | Path, least: int = 7, additives: Sequence[str] | None = None
) -> tuple[BoundMolecule, ...]:
    """Molecules of at least so many heavy atoms that touch the protein of a PDB or mmCIF file.

    Waters, metals, ``additives`` (`ADDITIVES` unless given) and amino acids are none; chains of peptides count as
    protein.

    Raises
    ------
    UnreadableFile
        If the file is no structure.
    ValueError
        If there is no protein in it.
    """
    protein = read_protein(path)
    left_out = set(protein.others)
    names = ADDITIVES if additives is None else frozenset(additives)
    model, _ = chosen_model(open_structure(path), None, path)
    tree = KDTree(protein.atoms.positions)
    found = []
    for chain in model:
        for residue in chain:
            label = residue_label(chain, residue)
            if label not in left_out or residue.name in names or residue.name in WATERS:
                continue
            atoms, _ = single_location(residue)
            positions = np.array([atom.pos.tolist() for atom in atoms]).reshape(-1, 3) * ANGSTROM
            if len(atoms) >= least and tree.query(positions)[0].min() < TOUCHING:
                numbers = np.array([atom.element.atomic_number for atom in atoms])
                channels = np.array([[name == "any" for name in CHANNELS]] * len(atoms))
                found.append(BoundMolecule(label, TypedAtoms(positions, numbers, channels)))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class SiteComplex:
    """A protein and the molecules that it binds.

    Attributes
    ----------
    name : of its files
    protein : as read, ligands left out
    ligands : typed atoms of each
    """

    name: str
    protein: ProteinStructure
    ligands: tuple[TypedAtoms, ...]

    @property
    def positions(self) -> np.ndarray:
        """Of the heavy atoms of all ligands, (atoms, 3) [nm]."""
        return np.concatenate([each.positions for each in self.ligands])


def site_complexes(folder: str | Path) -> Iterator[SiteComplex]:
    """The complexes below a folder, in the order of their names; structures without ligands are passed over.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    UnreadableFile
        If a file is damaged.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(
            2, "there is no such folder; give one of complexes, as PDB files", str(folder)
        )
    for file in sorted(root.rglob("*")):
        plain = file.name.lower().removesuffix(".gz")
        if not file.is_file() or not plain.endswith(STRUCTURES):
            continue
        found = site_complex(file)
        if found is not None:
            yield found


def site_complex(file: Path) -> SiteComplex | None:
    """The complex of one structure and the ligands beside or inside it; nothing where there are none.

    Raises
    ------
    UnreadableFile
        If a file is damaged.
    ValueError
        If there is no protein in it.
    """
    poses = _poses_beside(file)
    ligands = read_ligands(poses) if poses is not None else read_bound_molecules(file)
    if not ligands:
        return None
    return SiteComplex(file.name, read_protein(file), tuple(each.atoms for each in ligands))


def pocket_atoms(pockets: Sequence[Pocket]) -> str:
    """Points of pockets as a PDB file: a residue ``STP`` each, numbered by rank, scores of points as B factors.

    Scores are in per cent of the highest one of their pocket.

    Examples
    --------
    >>> one = Pocket(1.0, np.array([[0.1, 0.2, 0.3]]), np.ones(1), 0.1, ())
    >>> print(pocket_atoms([one]).splitlines()[0])
    HETATM    1  O   STP P   1       1.000   2.000   3.000  1.00100.00           O
    """
    lines = []
    for rank, pocket in enumerate(pockets, 1):
        largest = max(float(pocket.point_scores.max()), 1e-9)
        for (x, y, z), score in zip((pocket.points / ANGSTROM).tolist(), pocket.point_scores / largest):
            lines.append(
                f"HETATM{(len(lines) + 1) % 100000:5d}  O   STP P{rank % 10000:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
                f"{1.0:6.2f}{100 * score:6.2f}           O"
            )
    return "\n".join([*lines, "END", ""])


def _poses_beside(protein):
    """The file of ligands that goes with ``NAME_protein.pdb``, if there is one."""
    stem = protein.name.split(".")[0]
    if not stem.endswith("_protein"):
        return None
    for ending in ("_ligands.sdf", "_ligand.sdf", "_ligands.sdf.gz", "_ligand.sdf.gz"):
        beside = protein.with_name(stem.removesuffix("_protein") + ending)
        if beside.exists():
            return beside
    return None
