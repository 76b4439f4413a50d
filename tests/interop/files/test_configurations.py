"""Configurations survive files, under whatever names and units the labels are kept."""

from __future__ import annotations

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect

from thalweg.interop.files.configurations import (
    from_atoms,
    read_configurations,
    read_labeled,
    to_atoms,
    write_configurations,
)
from thalweg.interop.files.file_units import FileUnits
from thalweg.machine.reading import UnreadableFile
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, BOHR, ELECTRONVOLT, GIGAPASCAL, HARTREE

RNG = np.random.default_rng(0)


def crystal(**labels):
    box = np.diag([0.4, 0.5, 0.6]) + 0.05 * RNG.normal(size=(3, 3))
    return Configuration(np.array([14, 8, 1]), RNG.random((3, 3)) @ box, box, (True, True, True), **labels)


def labeled():
    stress = RNG.normal(size=(3, 3))
    return crystal(energy=-3.25, forces=100 * RNG.normal(size=(3, 3)), stress=stress + stress.T)


def extxyz(path, comment, columns="", rows=("H 0 0 0", "H 0 0 1"), number=None):
    path.write_text(
        f"{number or len(rows)}\nProperties=species:S:1:pos:R:3{columns} {comment}\n" + "\n".join(rows) + "\n"
    )
    return path


@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz.gz", "a.xyz.xz"])
def test_what_is_written_is_read(tmp_path, name):
    molecule = Configuration(np.array([1, 1]), RNG.random((2, 3)), info={"config_type": "pair", "none": None})
    frames = [labeled(), crystal(energy=1.0), crystal(forces=RNG.normal(size=(3, 3))), molecule]
    again = read_configurations(write_configurations(tmp_path / name, frames))
    for one, other in zip(frames, again, strict=True):
        assert (one.numbers == other.numbers).all()
        assert one.periodic == other.periodic
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-9)
        for label, tolerance in (("box", 1e-12), ("energy", 1e-9), ("forces", 1e-5), ("stress", 1e-9)):
            value = getattr(one, label)
            assert (value is None) == (getattr(other, label) is None)
            if value is not None:
                np.testing.assert_allclose(value, getattr(other, label), atol=tolerance)
    assert again[-1].info == {"config_type": "pair", "file": name, "frame in file": 3}
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_indices_choose_frames_as_in_ase(tmp_path):
    path = write_configurations(tmp_path / "a.xyz", [crystal(energy=float(k)) for k in range(6)])
    assert [round(frame.energy) for frame in read_configurations(path, "1::2")] == [1, 3, 5]
    assert [round(frame.energy) for frame in read_configurations(path, -1)] == [5]


def test_atoms_of_ase_pass_both_ways():
    frame = labeled()
    atoms = to_atoms(frame)
    assert atoms.get_potential_energy() == pytest.approx(frame.energy / ELECTRONVOLT)
    again = from_atoms(atoms)
    np.testing.assert_allclose(again.forces, frame.forces)
    np.testing.assert_allclose(again.stress, frame.stress)


def test_stress_has_the_sign_of_energy_over_strain(tmp_path):
    atoms = ase.Atoms("Ar4", [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0.1]], cell=[4, 4, 4], pbc=True)
    atoms.calc = LennardJones(sigma=2.5, rc=7.0, smooth=True)
    atoms.get_stress()
    frame = from_atoms(atoms)
    strain, energies = 1e-4, []
    for sign in (1, -1):
        strained = atoms.copy()
        strained.calc = atoms.calc
        strained.set_cell(
            atoms.cell.array @ (np.eye(3) + sign * strain * np.diag([1, 0, 0])), scale_atoms=True
        )
        energies.append(strained.get_potential_energy() * ELECTRONVOLT)
    slope = (energies[0] - energies[1]) / (2 * strain)
    assert frame.stress[0, 0] * frame.volume == pytest.approx(slope, rel=1e-4)


def test_labels_that_belong_to_other_positions_are_not_taken():
    atoms = to_atoms(labeled())
    atoms.positions += 0.1
    assert from_atoms(atoms).energy is None


@pytest.mark.parametrize(
    ("energy", "forces"), [("REF_energy", "REF_forces"), ("dft_energy", "dft_force"), ("E-TOTEN", "force")]
)
def test_labels_are_found_under_names_of_many_kinds(tmp_path, energy, forces):
    rows = ("H 0 0 0 1 2 3", "H 0 0 1 -1 -2 -3")
    path = extxyz(tmp_path / "a.xyz", f"{energy}=-3 energy_sigma=0.1 zero_energy=9", f":{forces}:R:3", rows)
    frame = read_configurations(path)[0]
    assert frame.energy == pytest.approx(-3 * ELECTRONVOLT)
    assert frame.forces[0, 2] == pytest.approx(3 * ELECTRONVOLT / ANGSTROM)


def test_the_plain_name_wins_with_a_word_and_other_names_have_to_be_said(tmp_path, caplog):
    path = extxyz(tmp_path / "a.xyz", "energy=-1 REF_energy=-2")
    assert read_configurations(path)[0].energy == pytest.approx(-ELECTRONVOLT)
    assert "there is also REF_energy" in caplog.text
    assert read_configurations(path, energy_key="REF_energy")[0].energy == pytest.approx(-2 * ELECTRONVOLT)
    path = extxyz(tmp_path / "b.xyz", "mp2_energy=-1 dft_energy=-2")
    with pytest.raises(ValueError, match=r"dft_energy, mp2_energy, any of which .* say energy_key="):
        read_configurations(path)
    with pytest.raises(ValueError, match="has no 'ccsd'; it has dft_energy, mp2_energy"):
        read_configurations(path, energy_key="ccsd")


def test_a_file_without_labels_is_read_with_a_word(tmp_path, caplog):
    assert read_configurations(extxyz(tmp_path / "a.xyz", "color=red"))[0].energy is None
    assert "no energies, forces or stresses; it has color" in caplog.text


def test_virials_become_stresses_of_opposite_sign(tmp_path):
    path = extxyz(
        tmp_path / "a.xyz", 'Lattice="2 0 0 0 3 0 0 0 4" pbc="T T T" REF_virials="24 0 0 0 48 0 0 0 0"'
    )
    np.testing.assert_allclose(
        read_configurations(path)[0].stress, np.diag([-1.0, -2.0, 0.0]) * ELECTRONVOLT / ANGSTROM**3
    )


def test_units_are_those_said(tmp_path):
    comment = 'energy=2 pbc="T T T" Lattice="2 0 0 0 3 0 0 0 4" stress="1 0 0 0 1 0 0 0 1"'
    path = extxyz(tmp_path / "a.xyz", comment, ":forces:R:3", ("H 0 0 0 1 2 3", "H 0 0 1 -1 -2 -3"))
    frame = read_configurations(path, units=FileUnits("Ha", "bohr", stress="GPa"))[0]
    assert frame.energy == pytest.approx(2 * HARTREE)
    assert frame.box[2, 2] == pytest.approx(4 * BOHR)
    assert frame.forces[0, 1] == pytest.approx(2 * HARTREE / BOHR)
    assert frame.stress[0, 0] == pytest.approx(GIGAPASCAL)
    frame = read_configurations(path, units=FileUnits(energy="kcal/mol", force="Ha/bohr"))[0]
    assert frame.energy == pytest.approx(2 * 4.184)
    assert frame.forces[0, 0] == pytest.approx(HARTREE / BOHR)
    with pytest.raises(ValueError, match="'Rydberg' is no unit of energy"):
        read_configurations(path, units=FileUnits("Rydberg"))


def test_labels_of_another_shape_and_text_in_place_of_numbers_are_refused(tmp_path):
    path = extxyz(tmp_path / "a.xyz", 'dft_energy="1 2 3"')
    with pytest.raises(ValueError, match=r"frame 0 of .*: dft_energy has shape \(3,\)"):
        read_configurations(path)
    path = extxyz(tmp_path / "a.xyz", "dft_energy=unknown")
    with pytest.raises(ValueError, match="dft_energy is 'unknown'; wanted numbers"):
        read_configurations(path)


def test_a_cell_that_is_periodic_only_in_part_keeps_its_volume(tmp_path):
    path = extxyz(tmp_path / "a.xyz", 'Lattice="2 0 0 0 3 0 0 0 0" pbc="T T F" energy=1')
    assert abs(np.linalg.det(read_configurations(path)[0].box)) > 0
    path = extxyz(tmp_path / "a.xyz", 'Lattice="2 0 0 0 3 0 0 0 0" pbc="T T T" energy=1')
    with pytest.raises(ValueError, match="has no volume"):
        read_configurations(path)


def test_databases_of_ase_are_read(tmp_path):
    frame = labeled()
    atoms = to_atoms(frame)
    bare = ase.Atoms("H2", [[0, 0, 0], [0, 0, 1]])
    with connect(tmp_path / "a.db") as database:
        database.write(atoms, group="x")
        database.write(bare)
    first, second = read_configurations(tmp_path / "a.db")
    assert first.energy == pytest.approx(frame.energy)
    np.testing.assert_allclose(first.forces, frame.forces)
    np.testing.assert_allclose(first.stress, frame.stress)
    assert second.energy is None


def deepmd_folder(path, periodic=True):
    frames = 4
    (path / "set.000").mkdir(parents=True)
    np.savetxt(path / "type.raw", [1, 0, 0], "%d")
    (path / "type_map.raw").write_text("H\nO\n")
    arrays = {
        "coord": RNG.random((frames, 9)),
        "box": np.tile(np.diag([3.0, 4.0, 5.0]).ravel(), (frames, 1)),
        "energy": RNG.normal(size=frames),
        "force": RNG.normal(size=(frames, 9)),
        "virial": RNG.normal(size=(frames, 9)),
    }
    if not periodic:
        (path / "nopbc").touch()
        del arrays["box"]
    for name, array in arrays.items():
        np.save(path / "set.000" / f"{name}.npy", array.astype(np.float32))
    return arrays


def test_folders_of_deepmd_are_read(tmp_path):
    arrays = deepmd_folder(tmp_path / "water" / "data_0")
    deepmd_folder(tmp_path / "water" / "data_1", periodic=False)
    frames = read_configurations(tmp_path / "water")
    assert len(frames) == 8
    assert frames[0].numbers.tolist() == [8, 1, 1]
    assert frames[2].energy == pytest.approx(arrays["energy"][2] * ELECTRONVOLT, rel=1e-6)
    np.testing.assert_allclose(frames[1].positions.ravel(), arrays["coord"][1] * ANGSTROM, rtol=1e-6)
    np.testing.assert_allclose(
        frames[1].forces.ravel(), arrays["force"][1] * ELECTRONVOLT / ANGSTROM, rtol=1e-6
    )
    virial = arrays["virial"][1].reshape(3, 3)
    np.testing.assert_allclose(
        frames[1].stress * frames[1].volume, -(virial + virial.T) / 2 * ELECTRONVOLT, rtol=1e-5, atol=1e-5
    )
    assert frames[4].box is None
    assert frames[4].stress is None
    assert len(read_configurations(tmp_path / "water", "::2")) == 4


def test_folders_of_deepmd_that_lack_something_say_what(tmp_path):
    deepmd_folder(tmp_path)
    (tmp_path / "type_map.raw").unlink()
    with pytest.raises(ValueError, match=r"write them into type_map.raw"):
        read_configurations(tmp_path)
    (tmp_path / "type_map.raw").write_text("H")
    with pytest.raises(ValueError, match=r"kind 1, but type_map.raw names 1"):
        read_configurations(tmp_path)
    (tmp_path / "set.000" / "box.npy").unlink()
    with pytest.raises(ValueError, match=r"no box.npy; add it, or an empty file nopbc"):
        read_configurations(tmp_path)


def test_folders_of_deepmd_with_raw_files_alone_are_read(tmp_path):
    arrays = deepmd_folder(tmp_path / "sets")
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("type.raw", "type_map.raw"):
        (raw / name).write_text((tmp_path / "sets" / name).read_text())
    for name, array in arrays.items():
        np.savetxt(raw / f"{name}.raw", array.astype(np.float32))
    for one, other in zip(read_configurations(raw), read_configurations(tmp_path / "sets"), strict=True):
        assert one.energy == pytest.approx(other.energy)
        np.testing.assert_allclose(one.stress, other.stress, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(one.positions, other.positions)
    (raw / "coord.raw").unlink()
    with pytest.raises(ValueError, match=r"no coord\.raw, and no folder set\.000 either"):
        read_configurations(raw)


def test_labels_kept_beside_the_rows_of_a_database_are_read(tmp_path):
    atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    with connect(tmp_path / "a.db") as database:
        database.write(atoms, group="x", data={"dft_energy": -2.0, "dft_forces": np.ones((2, 3))})
    (frame,) = read_configurations(tmp_path / "a.db")
    assert frame.energy == pytest.approx(-2 * ELECTRONVOLT)
    assert frame.forces[1, 2] == pytest.approx(ELECTRONVOLT / ANGSTROM)
    assert (frame.info["group"], frame.info["frame in file"]) == ("x", 0)


WHOLE = """2
Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 pbc="F F F"
H 0 0 0 0 0 0
H 0 0 0.74 0 0 0
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("H 0 0 0 0 0 0", "D 0 0 0 0 0 0", r"line 11 \(frame 2\): 'D' is no element; write H"),
        ("H 0 0 0 0 0 0", "X 0 0 0 0 0 0", r"frame 2 of .*: atom 0 is no element"),
        ("H 0 0 0 0 0 0", "H1 0 0 0 0 0 0", r"line 11 \(frame 2\): 'H1' is no element"),
        ("0.74 0 0 0", "0.74 ******** 0 0", r"line 12 \(frame 2\): '\*\*\*\*\*\*\*\*' is no number"),
        ("0.74 0 0 0", "0.74 0 0", r"line 12 \(frame 2\): 6 columns; wanted 7"),
        ("2\n", "3\n", r"line 13 \(frame 2\): 1 columns; wanted 7; is the number of atoms before it right"),
        (
            'pbc="F F F"',
            'Lattice="5 0 0 0 5 0 0 0" pbc="F F F"',
            r"line 10 .*lattice has 8 numbers; wanted 9",
        ),
        ("2\n", "two\n", r"line 9 \(frame 2\): 'two' where the number of atoms should be"),
        ("H 0 0 0.74 0 0 0\n", "", r"line 12 \(frame 2\): 1 columns"),
        ("2\n", "\n2\n", r"line 9 \(frame 2\): '' where the number of atoms should be"),
    ],
)
def test_broken_extended_xyz_is_told_by_line_and_frame(tmp_path, old, new, said):
    path = tmp_path / "a.xyz"
    path.write_text(WHOLE * 2 + WHOLE.replace(old, new, 1) + WHOLE)
    with pytest.raises(UnreadableFile, match=said):
        read_configurations(path)


def test_a_file_cut_off_is_told_by_its_last_frame(tmp_path):
    (tmp_path / "a.xyz").write_text((WHOLE * 4)[: -len("H 0 0 0.74 0 0 0\n")])
    with pytest.raises(UnreadableFile, match=r"frame 3 \(from line 13\) has 1 of 2 atoms; it is cut off"):
        read_configurations(tmp_path / "a.xyz")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"a": 1}'),
        ("OUTCAR", "hello"),
        ("a.traj", "junk"),
        ("a.xyz.gz", "2\n"),
        ("a.db", "x"),
        ("POSCAR", "x\n1\n"),
        ("a.csv", "a,b\n1,2\n"),
    ],
)
def test_files_that_are_something_else_are_told_by_name(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=name) as raised:
        read_configurations(tmp_path / name)
    assert "\n" not in str(raised.value)
    assert (tmp_path / name).read_text() == text


def copper(count):
    """Crystals of four atoms labeled by effective-medium theory."""
    frames, random = [], np.random.default_rng(0)
    for k in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array * (1 + 0.02 * random.normal()), scale_atoms=True)
        atoms.rattle(0.08, seed=k)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, forces=forces, energy=energy)
        frames.append(atoms)
    return frames


@pytest.mark.parametrize("own", ["energy", "free_energy"])
def test_of_energy_and_free_energy_the_one_of_the_forces_is_taken_and_both_are_named(tmp_path, own):
    frames, random = copper(30), np.random.default_rng(1)
    true = [atoms.calc.results["energy"] for atoms in frames]
    other = "free_energy" if own == "energy" else "energy"
    for atoms, energy in zip(frames, true):
        atoms.calc.results |= {own: energy, other: energy + 0.2 + 0.12 * random.normal()}
    ase.io.write(tmp_path / "a.xyz", frames)
    read = read_labeled(tmp_path / "a.xyz")
    assert [frame.energy / ELECTRONVOLT for frame in read.frames] == pytest.approx(true)
    (note,) = read.notes
    assert f"of energy and free_energy, forces belong to {own}" in note
    chosen = read_labeled(tmp_path / "a.xyz", energy_key=other)
    assert chosen.notes == ()
    assert chosen.frames[0].energy != pytest.approx(read.frames[0].energy)


def test_where_forces_do_not_tell_the_free_energy_is_taken(tmp_path):
    frames = copper(30)
    for k, atoms in enumerate(frames):
        atoms.calc.results["free_energy"] = atoms.calc.results["energy"] + 1e-3 * (-1) ** k
    ase.io.write(tmp_path / "a.xyz", frames)
    read = read_labeled(tmp_path / "a.xyz")
    assert "free_energy is taken; the forces do not tell" in read.notes[0]
    assert read.frames[0].energy / ELECTRONVOLT == pytest.approx(frames[0].calc.results["free_energy"])


def test_energies_by_atom_are_summed_where_there_is_no_other(tmp_path):
    path = extxyz(tmp_path / "a.xyz", "config=1", ":dft_energies:R:1", ("H 0 0 0 -1", "H 0 0 1 -2"))
    read = read_labeled(path)
    assert read.frames[0].energy == pytest.approx(-3 * ELECTRONVOLT)
    assert "sums of dft_energies" in read.notes[0]
    path = extxyz(tmp_path / "b.xyz", "energy=-5", ":energies:R:1", ("H 0 0 0 -1", "H 0 0 1 -2"))
    assert read_configurations(path)[0].energy == pytest.approx(-5 * ELECTRONVOLT)


def test_of_several_energies_that_of_the_family_of_the_forces_is_taken(tmp_path):
    rows = ("H 0 0 0 1 2 3", "H 0 0 1 -1 -2 -3")
    path = extxyz(tmp_path / "a.xyz", "mp2Energy=-1 DFT_energy=-2 energy=-9", ":dft_forces:R:3", rows)
    assert read_configurations(path)[0].energy == pytest.approx(-2 * ELECTRONVOLT)


@pytest.mark.parametrize("written", ["1 2 3 4 5 6", "1 6 5 6 2 4 5 4 3"])
def test_stresses_of_six_and_nine_numbers_are_the_same(tmp_path, written):
    path = extxyz(tmp_path / "a.xyz", f'Lattice="2 0 0 0 3 0 0 0 4" pbc="T T T" REF_stress="{written}"')
    wanted = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]) * ELECTRONVOLT / ANGSTROM**3
    np.testing.assert_allclose(read_configurations(path)[0].stress, wanted)


def test_frames_know_their_number_in_the_file_and_a_key_of_theirs_does_not_stand_in_for_it(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("".join(f"1\nfile=other.xyz energy={k}\nH 0 0 0\n" for k in range(6)))
    for index, numbers in (
        ("1::2", [1, 3, 5]),
        ("-2:", [4, 5]),
        (":2", [0, 1]),
        ("::-1", [5, 4, 3, 2, 1, 0]),
    ):
        frames = read_configurations(path, index)
        assert [frame.info["frame in file"] for frame in frames] == numbers
        assert [round(frame.energy / ELECTRONVOLT) for frame in frames] == numbers
        assert frames[0].info["file"] == "a.xyz"


def test_reading_what_ase_reads_needs_no_reader_of_ours(tmp_path):
    frames = [to_atoms(labeled()) for _ in range(2)]
    for atoms in frames:
        atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.ones((3, 3)))
    ase.io.write(tmp_path / "a.traj", frames)
    read = read_configurations(tmp_path / "a.traj")
    assert [frame.energy for frame in read] == pytest.approx([ELECTRONVOLT] * 2)
