"""Proteins out of structure files: one answer from both formats, and a word on all that had to be decided."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import thalweg
from thalweg.binding.complexes import CHANNELS
from thalweg.interop.complexes.gnina_types import read_gnina_types
from thalweg.interop.complexes.proteins import read_protein, repaired_protein
from thalweg.interop.complexes.residue_channels import SIDE_CHAINS, expected_atoms, residue_channels
from thalweg.machine.reading import UnreadableFile

gemmi = pytest.importorskip("gemmi")

LINE = (
    "{kind:<6}{serial:>5} {name:<4}{alt:1}{residue:>3} {chain:1}{number:>4}{code:1}   "
    "{x:8.3f}{y:8.3f}{z:8.3f}{occ:6.2f}{b:6.2f}          {element:>2}\n"
)


def line(serial, name, residue, number, x, **others):
    given = {"kind": "ATOM", "alt": " ", "chain": "A", "code": " ", "y": 0.0, "z": 0.0, "occ": 1.0, "b": 20.0}
    given |= {"element": name.strip()[0]} | others
    shown = name if len(name) == 4 else f" {name}"
    return LINE.format(serial=serial, name=shown, residue=residue, number=number, x=x, **given)


def serine(number=1, x=0.0, start=1, **others):
    atoms = ("N", "CA", "C", "O", "CB", "OG")
    return "".join(
        line(start + k, name, "SER", number, x + 1.5 * k, **others) for k, name in enumerate(atoms)
    )


def written(folder: Path, text: str, name: str = "entry.pdb") -> Path:
    path = folder / name
    path.write_text(text + "END\n")
    return path


def test_the_same_entry_gives_the_same_atoms_as_pdb_and_as_mmcif(tmp_path):
    text = (
        serine() + serine(2, 10.0, 7, code="A") + line(13, "ZN", "ZN", 90, 30.0, kind="HETATM", element="ZN")
    )
    first = written(tmp_path, text)
    structure = gemmi.read_structure(str(first))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "entry.cif"))
    one, other = read_protein(first), read_protein(tmp_path / "entry.cif")
    np.testing.assert_allclose(one.atoms.positions, other.atoms.positions, atol=1e-9)
    assert (one.atoms.channels == other.atoms.channels).all()
    assert one.atoms.residues == other.atoms.residues
    assert one.sequences == other.sequences == {"A": "SS"}
    assert one.notes == other.notes


def test_of_alternate_locations_the_most_occupied_one_is_taken_whole(tmp_path):
    text = "".join(
        line(k + 1, name, "SER", 1, 1.5 * k + (0.3 if alt == "B" else 0.0), alt=alt, occ=occ)
        for k, name in enumerate(("N", "CA", "C", "O", "CB", "OG"))
        for alt, occ in (("A", 0.4), ("B", 0.6))
    )
    found = read_protein(written(tmp_path, text))
    np.testing.assert_allclose(found.atoms.positions[:, 0], 0.15 * np.arange(6) + 0.03, atol=1e-9)
    assert any("alternate locations" in note and "A:SER1" in note for note in found.notes)


def test_missing_atoms_insertion_codes_and_what_is_left_out_are_told(tmp_path):
    text = serine()[: -len(serine().splitlines()[-1]) - 1] + serine(1, 10.0, 7, code="B")
    text += line(20, "O", "HOH", 200, 50.0, kind="HETATM") + line(21, "C1", "LIG", 201, 60.0, kind="HETATM")
    found = read_protein(written(tmp_path, text))
    told = " | ".join(found.notes)
    assert "missing heavy atoms in A:SER1 (OG)" in told
    assert "insertion codes at A:SER1B" in told
    assert found.others == ("A:LIG201",)
    assert len(found.atoms) == 11


def test_a_metal_stays_and_has_a_channel_of_its_own(tmp_path):
    text = serine() + line(13, "ZN", "ZN", 90, 30.0, kind="HETATM", element="ZN")
    atoms = read_protein(written(tmp_path, text)).atoms
    metal = CHANNELS.index("metal")
    assert atoms.numbers[atoms.channels[:, metal]].tolist() == [30]
    assert "A:ZN90" in atoms.residues


def test_of_several_models_the_first_is_taken_unless_another_is_asked_for(tmp_path):
    text = f"MODEL        1\n{serine()}ENDMDL\nMODEL        2\n{serine(1, 5.0)}ENDMDL\n"
    path = written(tmp_path, text)
    first, second = read_protein(path), read_protein(path, model=2)
    assert any("2 models" in note for note in first.notes)
    assert not second.notes
    np.testing.assert_allclose(
        second.atoms.positions - first.atoms.positions, np.tile([0.5, 0, 0], (6, 1)), atol=1e-9
    )
    with pytest.raises(ValueError, match="2 models; model 3"):
        read_protein(path, model=3)


def test_chains_are_chosen_by_name_and_unknown_ones_refused(tmp_path):
    path = written(tmp_path, serine() + serine(1, 20.0, 7, chain="B"))
    assert set(read_protein(path, chains=["B"]).sequences) == {"B"}
    with pytest.raises(ValueError, match="no chain C; it has A, B"):
        read_protein(path, chains=["C"])


def test_what_is_no_structure_or_no_protein_is_refused(tmp_path):
    with pytest.raises(UnreadableFile):
        read_protein(written(tmp_path, "", "empty.pdb"))
    with pytest.raises(ValueError, match="no protein"):
        read_protein(written(tmp_path, line(1, "C1", "LIG", 1, 0.0, kind="HETATM"), "ligand.pdb"))


def test_every_atom_of_the_twenty_residues_has_channels_and_those_of_histidine_follow_its_name():
    for residue in SIDE_CHAINS:
        for atom in expected_atoms(residue):
            assert residue_channels(residue, atom, atom[0])[-1]

    def named(residue, atom):
        return {name for name, own in zip(CHANNELS, residue_channels(residue, atom, atom[0])) if own} - {
            "any"
        }

    assert named("HID", "ND1") == {"aromatic", "donor"}
    assert named("HIE", "ND1") == {"aromatic", "acceptor"}
    assert named("HIP", "NE2") == {"aromatic", "donor", "positive"}
    assert named("GLH", "OE2") == {"acceptor", "donor"}
    assert named("PRO", "N") == set()
    assert named("ASP", "OD1") == {"acceptor", "negative"}


def test_types_of_gnina_are_read_without_hydrogens_and_damaged_files_refused(tmp_path):
    path = tmp_path / "a.gninatypes"
    records = np.array([((1.0, 2.0, 3.0), 1), ((4.0, 5.0, 6.0), 7)], [("x", "<f4", 3), ("t", "<i4")])
    path.write_bytes(records.tobytes())
    atoms = read_gnina_types(path)
    np.testing.assert_allclose(atoms.positions, [[0.4, 0.5, 0.6]])
    assert atoms.numbers.tolist() == [7]
    assert atoms.channels[0].tolist() == [name in ("donor", "any") for name in CHANNELS]
    path.write_bytes(records.tobytes()[:-3])
    with pytest.raises(UnreadableFile, match="no whole number"):
        read_gnina_types(path)


def test_missing_atoms_and_hydrogens_are_added_to_a_copy(tmp_path):
    pytest.importorskip("pdbfixer")
    whole = Path(thalweg.__file__).parent / "testsystems/structures/met_enkephalin.pdb"
    heavy = [
        row for row in whole.read_text().splitlines() if row.startswith("ATOM") and row[76:78].strip() != "H"
    ]
    lost = [row for row in heavy if row[12:16].strip() not in ("CZ", "OH")]
    assert len(lost) < len(heavy)
    cut = written(tmp_path, "\n".join(lost) + "\n", "cut.pdb")
    fixed = repaired_protein(cut, tmp_path / "whole.pdb")
    one, other = read_protein(fixed), read_protein(whole)
    assert sorted(one.atoms.numbers) == sorted(other.atoms.numbers)
    hydrogens = [row for row in fixed.read_text().splitlines() if row[76:78].strip() == "H"]
    assert len(hydrogens) > len(heavy) // 2
