"""What structure files say without meaning it."""

from __future__ import annotations

from importlib.resources import files

import pytest

from thalweg.interop.openmm.build import build_system

DIPEPTIDE = (files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb").read_text()


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_a_cell_of_nothing_or_of_one_angstrom_is_no_box(tmp_path, edge):
    cell = f"CRYST1{edge:9.3f}{edge:9.3f}{edge:9.3f}  90.00  90.00  90.00 P 1           1\n"
    (tmp_path / "peptide.pdb").write_text(cell + DIPEPTIDE)
    system = build_system(pdb=tmp_path / "peptide.pdb", forcefield=["amber14/protein.ff14SB.xml"])
    assert system.box is None
