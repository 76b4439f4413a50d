"""Ligands out of SDF files and PDB entries: bond orders, typed atoms, and one name for all forms of a compound.

Channels come from patterns (SMARTS) over bonds and charges as drawn. A PDB entry has no bond orders; those of a
template given as SMILES are laid over the atoms found, or the ligand is refused. Needs the extra ``drug`` (rdkit,
gemmi).
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from thalweg.binding.complexes import CHANNELS, Ligand, TypedAtoms
from thalweg.interop.complexes.proteins import (
    WATERS,
    chosen_model,
    open_structure,
    residue_label,
    single_location,
)
from thalweg.machine.reading import reading
from thalweg.systems.elements import COVALENT_RADII
from thalweg.units import ANGSTROM

PATTERNS = {
    "hydrophobic": ("[#6;!$([#6]~[!#6;!#1])]", "[#16;X2;H0]", "[F,Cl,Br,I;X1]"),
    "aromatic": ("[a]",),
    "acceptor": (
        "[#8;!+;!a]",
        "[#7;v3;X2;!+]",
        "[#7;X3;!+;!$([#7]~[#6,#16,#15]=[O,S,N]);!$([#7]~a);!a]",
        "[#7;X1]",
    ),
    "donor": ("[#7,#8;!H0]", "[#16;!H0]"),
    "positive": (
        "[+;!$([+]~[-])]",
        "[#7;X3;H2;!$(N~[!#6]);!$(N~[#6]=,:[*])]",
        "[#7;X3;H1;!$(N~[!#6]);!$(N(~[#6])~[#6]=,:*);!a]",
        "[#7;X3;H0;!$(N~[!#6]);!$(N~[#6]=,:*);!$(N~[#6]#*);!a]",
        "[#7]~[#6;$(C(~[#7])(~[#7])~[#7])]",
        "[#7;$(N~[#6](=[#7;!$(N~[!#6])])[#6])]",
    ),
    "negative": (
        "[-;!$([-]~[+])]",
        "[$([OX1]=[#6X3][OX2H1,OX1-]),$([OX2H1,OX1-][#6X3]=[OX1])]",
        "[#8;X1;$(O~[#15,#16](~[O;-,H1]))]",
    ),
}
"""Patterns of atoms by channel; metals are known by their elements. Amines count as charged, amides do not."""

BOND_SLACK = 0.045
"""Two heavy atoms nearer than the sum of their covalent radii and this are bound [nm]."""

SLACKS = (BOND_SLACK, 0.03, 0.015)
"""Tried one after the other where bonds are known: atoms of a strained pose may be near without a bond."""


def read_ligands(path: str | Path) -> list[Ligand]:
    """The ligands of an SDF file in space, in order; it may be compressed (``.gz``).

    Raises
    ------
    UnreadableFile
        If it holds none, or one that breaks valences, has several parts (a salt) or no coordinates in space; the
        message says which.
    ImportError
        If RDKit is not installed.
    """
    chem = _chem()
    from rdkit import rdBase

    with reading(path, "a file of ligands (SDF)"), rdBase.BlockLogs():
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if str(path).endswith(".gz") else content).decode("utf-8", "replace")
        supplier = chem.SDMolSupplier()
        supplier.SetData(text, removeHs=False)
        ligands = []
        for number, molecule in enumerate(supplier, 1):
            if molecule is None:
                raise ValueError(
                    f"molecule {number} breaks a valence or is cut off; correct its bond orders and charges"
                )
            name = molecule.GetProp("_Name") if molecule.HasProp("_Name") else ""
            ligands.append(ligand_of(molecule, name or f"molecule {number}", molecule.GetPropsAsDict()))
        if not ligands:
            raise ValueError("there are no molecules in it")
    return ligands


def read_bound_ligand(
    path: str | Path,
    residue: str,
    smiles: str,
    chain: str | None = None,
    model: int | None = None,
    covalent: bool = False,
) -> Ligand:
    """The ligand ``residue`` of a PDB or mmCIF entry, with bond orders and charges of a template.

    Parameters
    ----------
    residue : its name, such as ``"BEN"``, or with its number, ``"BEN1"``
    smiles : of the same molecule, which says what coordinates do not
    chain, model : where to look; the first ones unless given
    covalent : whether one that is bound to the protein is accepted

    Raises
    ------
    UnreadableFile
        If the file is no structure.
    ValueError
        If there is no such residue, the template is no molecule, a salt or another one than the atoms found, or the
        ligand is bound to the protein.
    ImportError
        If gemmi or RDKit is not installed.
    """
    chem = _chem()
    template = _template(smiles)
    found, _ = chosen_model(open_structure(path), model, path)
    places = [(own, each) for own in found for each in own if each.name not in WATERS]
    wanted = [
        (own, each)
        for own, each in places
        if residue in (each.name, f"{each.name}{each.seqid.num}") and chain in (None, own.name)
    ]
    if not wanted:
        names = sorted({each.name for _, each in places if each.het_flag == "H"})
        raise ValueError(f"{path} has no residue {residue}; small ones in it: {', '.join(names) or 'none'}")
    own, each = wanted[0]
    label = residue_label(own, each)
    atoms, _ = single_location(each)
    drawn = _bound_by_distance(
        np.array([atom.element.atomic_number for atom in atoms], int),
        np.array([atom.pos.tolist() for atom in atoms]) * ANGSTROM,
    )
    if drawn.GetNumAtoms() != template.GetNumAtoms():
        raise ValueError(
            f"{label} has {drawn.GetNumAtoms()} heavy atoms, the SMILES {smiles!r} {template.GetNumAtoms()}; give that "
            "of the bound form (leaving groups off), or repair missing atoms"
        )
    if not covalent and (partner := _bound_to(atoms, each, places)):
        raise ValueError(
            f"{label} is bound to {partner}: a covalent ligand; say covalent=True to take it as it is"
        )
    from rdkit import rdBase
    from rdkit.Chem import AllChem

    with rdBase.BlockLogs():
        try:
            made = AllChem.AssignBondOrdersFromTemplate(template, drawn)
        except ValueError as error:
            raise ValueError(
                f"the atoms of {label} are not bound as in {smiles!r}; is it the same molecule?"
            ) from error
        chem.AssignStereochemistryFrom3D(made)
    return ligand_of(made, label, {})


def ligand_of(molecule: Any, name: str, properties: dict[str, object]) -> Ligand:
    """A molecule of RDKit with coordinates in space as our record of it.

    Raises
    ------
    ValueError
        If it has several parts or no coordinates.
    """
    chem = _chem()
    bare = chem.RemoveHs(molecule)
    if len(parts := chem.GetMolFrags(bare)) > 1:
        raise ValueError(
            f"{name} has {len(parts)} parts ({chem.MolToSmiles(bare)}); leave out counterions and solvent"
        )
    if not bare.GetNumConformers() or not bare.GetConformer().Is3D():
        raise ValueError(f"{name} has no coordinates in space; give a pose, not a drawing")
    return Ligand(name, chem.MolToSmiles(bare), _skeleton(bare), typed_ligand(bare), properties)


def typed_ligand(molecule: Any) -> TypedAtoms:
    """Typed heavy atoms of a molecule of RDKit with coordinates in space."""
    from rdkit.Chem import rdMolDescriptors

    channels = np.zeros((molecule.GetNumAtoms(), len(CHANNELS)), bool)
    for column, name in enumerate(CHANNELS):
        for pattern in _patterns().get(name, ()):
            for match in molecule.GetSubstructMatches(pattern, maxMatches=10_000):
                channels[match[0], column] = True
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], int)
    channels[:, CHANNELS.index("any")] = True
    positions = np.array(molecule.GetConformer().GetPositions(), float) * ANGSTROM
    return TypedAtoms(positions, numbers, channels, (), rdMolDescriptors.CalcNumRotatableBonds(molecule))


def _skeleton(molecule):
    """First block of the InChI key: connections alone, without protons, stereo and (mostly) tautomers."""
    from rdkit import rdBase
    from rdkit.Chem import MolToSmiles, inchi

    with rdBase.BlockLogs():
        return inchi.MolToInchiKey(molecule)[:14] or MolToSmiles(molecule)


def _template(smiles):
    from rdkit import rdBase

    chem = _chem()
    with rdBase.BlockLogs():
        template = chem.MolFromSmiles(smiles) if smiles.strip() else None
    if template is None:
        raise ValueError(
            f"{smiles!r} is no molecule: it does not follow the grammar of SMILES or breaks a valence"
        )
    if "." in smiles:
        raise ValueError(f"{smiles!r} has several parts; leave out counterions and solvent")
    return template


def molecule_of(ligand: Ligand) -> Any:
    """A ligand as a molecule of RDKit: bond orders and charges of its SMILES, atoms in space in the ligand's order.

    Raises
    ------
    ValueError
        If the atoms in space are not bound as the SMILES says.
    ImportError
        If RDKit is not installed.
    """
    template = _template(ligand.smiles)
    from rdkit import rdBase
    from rdkit.Chem import AllChem

    for slack in SLACKS:
        plain = _bound_by_distance(ligand.atoms.numbers, ligand.atoms.positions, slack)
        with rdBase.BlockLogs():
            try:
                made = AllChem.AssignBondOrdersFromTemplate(template, plain)
            except ValueError:
                continue
        if made.GetNumAtoms() == template.GetNumAtoms():
            return made
    raise ValueError(f"the atoms of {ligand.name} in space are not bound as in {ligand.smiles!r}")


def _bound_by_distance(numbers, positions, slack=BOND_SLACK):
    """Single bonds between atoms that are near enough; positions [nm]."""
    from rdkit.Geometry import Point3D

    chem = _chem()
    drawn = chem.RWMol()
    places = chem.Conformer(len(numbers))
    places.Set3D(True)
    for k, (number, place) in enumerate(zip(numbers, positions / ANGSTROM)):
        drawn.AddAtom(chem.Atom(int(number)))
        places.SetAtomPosition(k, Point3D(*place.tolist()))
    radii = COVALENT_RADII[numbers]
    gaps = np.linalg.norm(positions[:, None] - positions, axis=-1)
    for i, j in zip(*np.nonzero(np.triu(gaps < radii[:, None] + radii + slack, 1))):
        drawn.AddBond(int(i), int(j), chem.BondType.SINGLE)
    drawn.AddConformer(places)
    made = drawn.GetMol()
    made.UpdatePropertyCache(strict=False)
    return made


def _bound_to(atoms, own, places):
    """Label of a residue that an atom of the ligand is bound to; empty if none."""
    others = [
        (chain, residue, atom)
        for chain, residue in places
        if residue is not own and len(residue) > 1
        for atom in residue
        if not atom.element.is_hydrogen
    ]
    if not others:
        return ""
    positions = np.array([atom.pos.tolist() for _, _, atom in others]) * ANGSTROM
    radii = COVALENT_RADII[[atom.element.atomic_number for _, _, atom in others]]
    tree = KDTree(positions)
    for atom in atoms:
        place = np.array(atom.pos.tolist()) * ANGSTROM
        for k in tree.query_ball_point(place, 0.25):
            reach = radii[k] + COVALENT_RADII[atom.element.atomic_number] + BOND_SLACK
            if np.linalg.norm(positions[k] - place) < reach and others[k][2].serial != atom.serial:
                return residue_label(others[k][0], others[k][1])
    return ""


@cache
def _patterns():
    chem = _chem()
    compiled = {name: tuple(chem.MolFromSmarts(each) for each in own) for name, own in PATTERNS.items()}
    assert all(each is not None for own in compiled.values() for each in own)
    return compiled


def _chem():
    try:
        from rdkit import Chem
    except ImportError as error:
        raise ImportError(
            "ligands need RDKit, which is not installed; pip install 'thalweg[drug]'"
        ) from error
    return Chem
