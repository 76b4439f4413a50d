"""Backbones out of PDB and mmCIF files, for the design of sequences: all chains, as they stand together.

Residues that lack an atom of the backbone are left out and named; modified residues count as their parents (such as
selenomethionine), those without one as unknown: they surround others, and cannot be learned from. Needs the extra
``drug`` (gemmi).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.binding.design.backbones import AMINO_ACIDS, ATOMS, UNKNOWN, Backbone
from thalweg.interop.complexes.proteins import chosen_model, open_structure, residue_label, single_location
from thalweg.interop.complexes.residue_channels import PARENTS
from thalweg.units import ANGSTROM

MOST_MISSING = 0.3
"""Share of residues without their backbone above which a file is refused: it is a trace of CA, or damaged."""


@dataclass(frozen=True, eq=False)
class BackboneStructure:
    """What a structure file holds of backbones.

    Attributes
    ----------
    backbone : residues with all atoms of their backbone
    notes : what was left out, replaced, or is missing, a sentence each
    """

    backbone: Backbone
    notes: tuple[str, ...]


def read_backbone(
    path: str | Path, chains: Sequence[str] | None = None, model: int | None = None
) -> BackboneStructure:
    """The backbone in a PDB or mmCIF file, which may be compressed (``.gz``).

    Parameters
    ----------
    chains : names of those wanted; all unless given, since chains that touch decide about each other
    model : number of the model, counted from one; the first unless given

    Raises
    ------
    UnreadableFile
        If the file is no structure.
    ValueError
        If there is no such chain or model, no amino acid, or too many of them lack their backbone.
    ImportError
        If gemmi is not installed.
    """
    found, notes = chosen_model(open_structure(path), model, path)
    known = [chain.name for chain in found]
    if missing := sorted(set(chains or ()) - set(known)):
        raise ValueError(
            f"{path} has no chain {', '.join(missing)}; it has {', '.join(dict.fromkeys(known))}"
        )
    positions, residues, own_chains, names = [], [], [], []
    lacking, replaced, strange = [], [], []
    for chain in found:
        if chains is not None and chain.name not in chains:
            continue
        for residue in chain:
            atoms = {atom.name: atom for atom in single_location(residue)[0]}
            letter = _letter(residue.name)
            # other molecules, and pieces of hydrogens alone
            if not atoms or (letter is None and not set(ATOMS) <= set(atoms)):
                continue
            label = residue_label(chain, residue)
            if not set(ATOMS) <= set(atoms):
                lacking.append(f"{label} ({' '.join(name for name in ATOMS if name not in atoms)})")
                continue
            if letter is None:
                strange.append(label)
            elif residue.name in PARENTS and PARENTS[residue.name] != residue.name:
                replaced.append(label)
            positions.append([atoms[name].pos.tolist() for name in ATOMS])
            residues.append(UNKNOWN if letter is None else AMINO_ACIDS.index(letter))
            own_chains.append(chain.name)
            names.append(label)
    if len(lacking) > MOST_MISSING * (len(lacking) + len(names)):
        raise ValueError(
            f"{len(lacking)} of {len(lacking) + len(names)} residues in {path} lack atoms of the backbone, first "
            f"{lacking[0]}; {', '.join(ATOMS)} are needed: a trace of CA is not enough, rebuild the backbone first"
        )
    if not names:
        raise ValueError(f"{path} holds no protein: no residue of it is an amino acid")
    backbone = Backbone(
        np.array(positions, float) * ANGSTROM, np.array(residues, int), tuple(own_chains), tuple(names)
    )
    for words, labels in (
        ("left out, since atoms of the backbone are missing:", lacking),
        ("taken as their parents:", replaced),
        ("of unknown amino acid:", strange),
        ("residues are missing before", list(backbone.breaks)),
    ):
        if labels:
            more = f" and {len(labels) - 4} more" if len(labels) > 4 else ""
            notes.append(f"{words} {', '.join(labels[:4])}{more}")
    return BackboneStructure(backbone, tuple(notes))


def _letter(name):
    """Of an amino acid or its parent; None for others."""
    import gemmi

    known = gemmi.find_tabulated_residue(PARENTS.get(name, name))
    letter = known.one_letter_code.upper() if known.is_amino_acid() else ""
    return letter if letter and letter in AMINO_ACIDS else None
