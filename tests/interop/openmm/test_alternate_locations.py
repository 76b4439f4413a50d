"""Of alternate locations the likeliest conformer is taken, whole, and said."""

from __future__ import annotations

import io
from importlib.resources import files

import numpy as np
import openmm.app as app
import pytest
from openmm import unit

from thalweg.interop.openmm.alternate_locations import likeliest_locations

LINES = (files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb").read_text().splitlines()


def in_two_places(names: str, first: float, second: float) -> list[str]:
    """The dipeptide, whose atoms of those names in ALA are in two places 0.3 Å apart along x."""
    lines = []
    for line in LINES:
        if line[12:16].strip() in names.split() and line[17:20] == "ALA":
            moved = f"{float(line[30:38]) + 0.3:8.3f}"
            lines.append(f"{line[:16]}A{line[17:54]}{first:6.2f}{line[60:]}")
            lines.append(f"{line[:16]}B{line[17:30]}{moved}{line[38:54]}{second:6.2f}{line[60:]}")
        else:
            lines.append(line)
    return lines


def positions(text: str, reader=app.PDBFile) -> np.ndarray:
    return np.array(reader(io.StringIO(text)).positions.value_in_unit(unit.angstrom))


def mmcif(lines: list[str]) -> str:
    """Atoms in the columns of an mmCIF file, conformers included."""
    columns = (
        "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
        "label_entity_id", "label_seq_id", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy", "auth_seq_id",
        "auth_asym_id", "auth_atom_id", "pdbx_PDB_model_num",
    )  # fmt: skip
    rows = [
        f"ATOM {k + 1} {line[76:78].strip() or line[12:16].strip()[0]} {line[12:16].strip()} {line[16].strip() or '.'} "
        f"{line[17:20]} A 1 {line[22:26].strip()} {line[30:38]} {line[38:46]} {line[46:54]} "
        f"{line[54:60].strip() or '1.00'} {line[22:26].strip()} A {line[12:16].strip()} 1"
        for k, line in enumerate(line for line in lines if line.startswith(("ATOM", "HETATM")))
    ]
    return "\n".join(["data_x", "loop_", *(f"_atom_site.{name}" for name in columns), *rows, "#", ""])


@pytest.mark.parametrize(("first", "second", "shift"), [(0.3, 0.7, 0.3), (0.6, 0.4, 0.0), (0.5, 0.5, 0.0)])
def test_the_likelier_of_two_locations_is_taken_and_the_first_of_equals(first, second, shift):
    text = "\n".join(in_two_places("O", first, second))
    with pytest.warns(UserWarning, match="1 residue has alternate locations"):
        kept = positions(likeliest_locations(text, "alt.pdb"))
    expected = positions("\n".join(LINES))
    oxygen = next(k for k, line in enumerate(LINES) if line[12:16].strip() == "O" and line[17:20] == "ALA")
    expected[oxygen - sum(not line.startswith(("ATOM", "HETATM")) for line in LINES[:oxygen]), 0] += shift
    np.testing.assert_allclose(kept, expected, atol=1e-6)


def test_all_atoms_of_a_residue_are_of_one_conformer():
    lines = in_two_places("CB HB1 HB2 HB3", 0.4, 0.6)
    odd = next(k for k, line in enumerate(lines) if line[12:17].strip() == "HB2A")
    lines[odd] = f"{lines[odd][:54]}  0.90{lines[odd][60:]}"
    with pytest.warns(UserWarning, match="ALA A 2: B|ALA 2: B|ALA 1 2: B"):
        kept = positions(likeliest_locations("\n".join(lines), "alt.pdb"))
    with pytest.warns(UserWarning, match="taken"):
        expected = positions(
            likeliest_locations("\n".join(in_two_places("CB HB1 HB2 HB3", 0.4, 0.6)), "x.pdb")
        )
    np.testing.assert_array_equal(kept, expected)


def test_mmcif_files_are_read_alike():
    lines = in_two_places("O", 0.3, 0.7)
    with pytest.warns(UserWarning, match="alternate locations"):
        ours = positions(likeliest_locations(mmcif(lines), "alt.cif"), app.PDBxFile)
    with pytest.warns(UserWarning, match="alternate locations"):
        theirs = positions(likeliest_locations("\n".join(lines), "alt.pdb"))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_structure_without_alternate_locations_stays_as_it_is():
    text = "\n".join(LINES)
    assert likeliest_locations(text, "a.pdb") is text
    assert likeliest_locations(mmcif(LINES), "a.cif") == mmcif(LINES)
