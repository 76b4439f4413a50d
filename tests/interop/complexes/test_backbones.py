"""Backbones out of structure files: what stands there, what is left out, and what is refused."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from thalweg.interop.complexes.backbones import read_backbone

pytest.importorskip("gemmi")

PEPTIDE = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
ATOM = (
    "ATOM  {serial:>5} {name:<4} {residue:>3} {chain}{number:>4}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00"
    "           {element}\n"
)
PLACES = {"N": (0.0, 0.0), "CA": (1.21, 0.82), "C": (2.42, 0.0), "O": (2.42, -1.23)}


def chain(residues: list[str], name: str = "A", kept=("N", "CA", "C", "O"), apart: float = 0.0) -> str:
    """A flat chain, each residue turned over against the one before."""
    lines = []
    for k, residue in enumerate(residues):
        for atom in kept:
            x, y = PLACES[atom]
            place = {"x": x + 3.63 * k, "y": (-y + 0.37 if k % 2 else y) + apart, "z": 0.0}
            lines.append(
                ATOM.format(
                    serial=len(lines) + 1, name=f" {atom}", residue=residue, chain=name, number=k + 1,
                    element=atom[0], **place,
                )
            )  # fmt: skip
    return "".join(lines)


def written(folder: Path, text: str) -> Path:
    path = folder / "entry.pdb"
    path.write_text(text + "END\n")
    return path


def test_a_peptide_is_read_with_nothing_but_its_backbone():
    found = read_backbone(str(PEPTIDE))
    assert found.backbone.sequence == "YGGFM"
    assert found.backbone.bonded.tolist() == [False, True, True, True, True]
    assert not found.notes
    gaps = np.linalg.norm(found.backbone.positions[:, 1] - found.backbone.positions[:, 0], axis=1)
    np.testing.assert_allclose(gaps, 0.146, atol=0.005)


def test_all_chains_are_seen_parents_stand_in_and_strangers_surround(tmp_path):
    text = chain(["ALA", "MSE", "XYZ"]) + chain(["GLY", "SER"], "B", apart=8.0)
    found = read_backbone(written(tmp_path, text))
    assert found.backbone.sequence == "AMXGS"
    assert found.backbone.chains == ("A", "A", "A", "B", "B")
    said = " ".join(found.notes)
    assert "taken as their parents: A:MSE2" in said
    assert "of unknown amino acid: A:XYZ3" in said
    assert len(read_backbone(written(tmp_path, text), chains=["B"]).backbone) == 2
    with pytest.raises(ValueError, match="has no chain C; it has A, B"):
        read_backbone(tmp_path / "entry.pdb", chains=["C"])


def test_a_residue_without_its_backbone_is_left_out_and_breaks_the_chain(tmp_path):
    lines = chain(["ALA"] * 6).splitlines(keepends=True)
    found = read_backbone(written(tmp_path, "".join(lines[:10] + lines[11:])))  # without C of the third
    assert len(found.backbone) == 5
    assert found.backbone.breaks == ("A:ALA4",)
    assert "left out, since atoms of the backbone are missing: A:ALA3 (C)" in found.notes


def test_a_trace_and_a_file_without_protein_are_refused(tmp_path):
    with pytest.raises(ValueError, match="a trace of CA is not enough"):
        read_backbone(written(tmp_path, chain(["ALA"] * 4, kept=("CA",))))
    with pytest.raises(ValueError, match="holds no protein"):
        read_backbone(written(tmp_path, chain(["HOH"], kept=("O",))))
