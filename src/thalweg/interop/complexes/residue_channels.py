"""What the atoms of residues may do, by their names: the table of twenty amino acids and some that are made of them.

Carbons bound to carbon and hydrogen alone are hydrophobic, as are thioethers; hydroxyls accept and donate; both
nitrogens of histidine do, since which one has the hydrogen is seldom known. Acids are negative, lysine and arginine
positive, histidine where its name or its hydrogens say so.
"""

from __future__ import annotations

import numpy as np

from thalweg.binding.complexes import CHANNELS
from thalweg.shapes import Bool

BACKBONE = "N CA C O"

SIDE_CHAINS = {
    "ALA": "CB", "ARG": "CB CG CD NE CZ NH1 NH2", "ASN": "CB CG OD1 ND2", "ASP": "CB CG OD1 OD2", "CYS": "CB SG",
    "GLN": "CB CG CD OE1 NE2", "GLU": "CB CG CD OE1 OE2", "GLY": "", "HIS": "CB CG ND1 CD2 CE1 NE2",
    "ILE": "CB CG1 CG2 CD1", "LEU": "CB CG CD1 CD2", "LYS": "CB CG CD CE NZ", "MET": "CB CG SD CE",
    "PHE": "CB CG CD1 CD2 CE1 CE2 CZ", "PRO": "CB CG CD", "SER": "CB OG", "THR": "CB OG1 CG2",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2", "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH", "VAL": "CB CG1 CG2",
}  # fmt: skip
"""Heavy atoms of side chains."""

PARENTS = {
    "MSE": "MET", "HID": "HIS", "HIE": "HIS", "HIP": "HIS", "CYX": "CYS", "CYM": "CYS", "ASH": "ASP", "GLH": "GLU",
    "LYN": "LYS", "SEP": "SER", "TPO": "THR", "PTR": "TYR", "CSO": "CYS", "CME": "CYS", "KCX": "LYS", "HYP": "PRO",
}  # fmt: skip
"""Residues whose atoms are named like those of another one."""

SIDE_CHAIN_CHANNELS = {
    "hydrophobic": {
        "ALA": "CB", "ARG": "CB CG", "ASN": "CB", "ASP": "CB", "GLN": "CB CG", "GLU": "CB CG", "HIS": "CB",
        "ILE": "CB CG1 CG2 CD1", "LEU": "CB CG CD1 CD2", "LYS": "CB CG CD", "MET": "CB SD",
        "PHE": "CB CG CD1 CD2 CE1 CE2 CZ", "PRO": "CB CG", "THR": "CG2", "TRP": "CB CG CD2 CE3 CZ2 CZ3 CH2",
        "TYR": "CB CG CD1 CD2 CE1 CE2", "VAL": "CB CG1 CG2",
    },
    "aromatic": {
        "HIS": "CG ND1 CD2 CE1 NE2", "PHE": "CG CD1 CD2 CE1 CE2 CZ", "TRP": "CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
        "TYR": "CG CD1 CD2 CE1 CE2 CZ",
    },
    "acceptor": {
        "ASN": "OD1", "ASP": "OD1 OD2", "GLN": "OE1", "GLU": "OE1 OE2", "HIS": "ND1 NE2", "SER": "OG", "THR": "OG1",
        "TYR": "OH",
    },
    "donor": {
        "ARG": "NE NH1 NH2", "ASN": "ND2", "GLN": "NE2", "HIS": "ND1 NE2", "LYS": "NZ", "SER": "OG", "THR": "OG1",
        "TRP": "NE1", "TYR": "OH",
    },
    "positive": {"ARG": "NE NH1 NH2", "LYS": "NZ"},
    "negative": {"ASP": "OD1 OD2", "GLU": "OE1 OE2"},
}  # fmt: skip

BACKBONE_CHANNELS = {"acceptor": "O OXT", "donor": "N", "negative": "OXT"}

PHOSPHATE = ("O1P", "O2P", "O3P")


def expected_atoms(residue: str) -> frozenset[str]:
    """Names of the heavy atoms that an amino acid in a chain has; empty for what is none of the twenty.

    Examples
    --------
    >>> sorted(expected_atoms("SER"))
    ['C', 'CA', 'CB', 'N', 'O', 'OG']
    """
    if residue not in SIDE_CHAINS:
        return frozenset()
    return frozenset(f"{BACKBONE} {SIDE_CHAINS[residue]}".split())


def residue_channels(residue: str, atom: str, element: str, metal: bool = False) -> Bool[np.ndarray, " 8"]:
    """The channels of one heavy atom of a protein, by the names that structures give.

    What no table knows goes by its element: carbon is hydrophobic, oxygen accepts, nitrogen accepts and donates.

    Parameters
    ----------
    residue, atom : their names, ``"HIS"``, ``"ND1"``
    element : its symbol
    metal : whether the element is one

    Examples
    --------
    >>> [name for name, own in zip(CHANNELS, residue_channels("HIS", "ND1", "N")) if own]
    ['aromatic', 'acceptor', 'donor', 'any']
    """
    found = {"any"}
    parent = PARENTS.get(residue, residue)
    if metal:
        found.add("metal")
    elif parent not in SIDE_CHAINS:
        found |= _by_element(element)
    elif atom in PHOSPHATE:
        found |= {"acceptor", "negative"}
    else:
        found |= {name for name, atoms in BACKBONE_CHANNELS.items() if atom in atoms.split()}
        found |= {
            name for name, table in SIDE_CHAIN_CHANNELS.items() if atom in table.get(parent, "").split()
        }
        found = _corrected(found, residue, parent, atom)
    return np.array([name in found for name in CHANNELS])


def _corrected(found, residue, parent, atom):
    """What names of residues say beyond their parents': no hydrogen on proline, protonation states of others."""
    if parent == "PRO" and atom == "N":
        found -= {"donor"}
    if residue == "HIP" and atom in ("ND1", "NE2"):
        found = (found | {"positive"}) - {"acceptor"}
    if (residue, atom) in (("HID", "NE2"), ("HIE", "ND1")):
        found -= {"donor"}
    if (residue, atom) in (("HID", "ND1"), ("HIE", "NE2")):
        found -= {"acceptor"}
    if (residue, atom) in (("ASH", "OD2"), ("GLH", "OE2")):
        found = (found | {"donor"}) - {"negative"}
    if residue in ("ASH", "GLH"):
        found -= {"negative"}
    if residue == "LYN":
        found -= {"positive"}
    if residue == "MSE" and atom == "SE":
        found |= {"hydrophobic"}
    return found


def _by_element(element):
    return {
        "C": {"hydrophobic"},
        "S": {"hydrophobic"},
        "O": {"acceptor"},
        "N": {"acceptor", "donor"},
    }.get(element.upper(), set())
