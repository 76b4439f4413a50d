from importlib.resources import files
from pathlib import Path

import jax
import numpy as np
import openmm
import openmm.app as app
import pytest

from thalweg.interop.openmm.build import build_system, from_pdb
from thalweg.interop.openmm.build_checks import BuildError
from thalweg.interop.openmm.implicit_solvent import with_compiled_born
from thalweg.interop.openmm.molecules import alanine_dipeptide

FF14SB = ["amber14/protein.ff14SB.xml"]
OBC2 = [*FF14SB, "implicit/obc2.xml"]
DIPEPTIDE = Path(str(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"))
LINES = DIPEPTIDE.read_text().splitlines()
ATOMS = [line for line in LINES if line.startswith(("ATOM", "HETATM"))]

HYDROGEN_CHLORIDE = """\
%VERSION  VERSION_STAMP = V0001.000  DATE = 01/01/00  00:00:00
%FLAG TITLE
%FORMAT(20a4)
hydrogen chloride
%FLAG POINTERS
%FORMAT(10I8)
       2       2       1       0       0       0       0       0       0       0
       2       1       0       0       0       1       0       0       2       0
       0       0       0       0       0       0       0       0       2       0
       0
%FLAG ATOM_NAME
%FORMAT(20a4)
H   CL
%FLAG CHARGE
%FORMAT(5E16.8)
  3.64446000E+00 -3.64446000E+00
%FLAG ATOMIC_NUMBER
%FORMAT(10I8)
       1      17
%FLAG MASS
%FORMAT(5E16.8)
  1.00800000E+00  3.54500000E+01
%FLAG ATOM_TYPE_INDEX
%FORMAT(10I8)
       1       2
%FLAG NUMBER_EXCLUDED_ATOMS
%FORMAT(10I8)
       1       1
%FLAG NONBONDED_PARM_INDEX
%FORMAT(10I8)
       1       2       2       3
%FLAG RESIDUE_LABEL
%FORMAT(20a4)
HCL
%FLAG RESIDUE_POINTER
%FORMAT(10I8)
       1
%FLAG BOND_FORCE_CONSTANT
%FORMAT(5E16.8)
  3.00000000E+02
%FLAG BOND_EQUIL_VALUE
%FORMAT(5E16.8)
  1.27000000E+00
%FLAG ANGLE_FORCE_CONSTANT
%FORMAT(5E16.8)

%FLAG ANGLE_EQUIL_VALUE
%FORMAT(5E16.8)

%FLAG DIHEDRAL_FORCE_CONSTANT
%FORMAT(5E16.8)

%FLAG DIHEDRAL_PERIODICITY
%FORMAT(5E16.8)

%FLAG DIHEDRAL_PHASE
%FORMAT(5E16.8)

%FLAG SCEE_SCALE_FACTOR
%FORMAT(5E16.8)

%FLAG SCNB_SCALE_FACTOR
%FORMAT(5E16.8)

%FLAG LENNARD_JONES_ACOEF
%FORMAT(5E16.8)
  2.00000000E-02  1.63323959E+03  9.06573791E+05
%FLAG LENNARD_JONES_BCOEF
%FORMAT(5E16.8)
  4.00000000E-02  1.70927698E+01  6.02187277E+02
%FLAG HBOND_ACOEF
%FORMAT(5E16.8)

%FLAG HBOND_BCOEF
%FORMAT(5E16.8)

%FLAG BONDS_INC_HYDROGEN
%FORMAT(10I8)
       0       3       1
%FLAG BONDS_WITHOUT_HYDROGEN
%FORMAT(10I8)

%FLAG ANGLES_INC_HYDROGEN
%FORMAT(10I8)

%FLAG ANGLES_WITHOUT_HYDROGEN
%FORMAT(10I8)

%FLAG DIHEDRALS_INC_HYDROGEN
%FORMAT(10I8)

%FLAG DIHEDRALS_WITHOUT_HYDROGEN
%FORMAT(10I8)

%FLAG EXCLUDED_ATOMS_LIST
%FORMAT(10I8)
       2       0
%FLAG AMBER_ATOM_TYPE
%FORMAT(20a4)
HX  CX
%FLAG RADII
%FORMAT(5E16.8)
  1.20000000E+00  1.70000000E+00
%FLAG SCREEN
%FORMAT(5E16.8)
  8.50000000E-01  8.00000000E-01
"""


def energy(system) -> float:
    """Potential energy of the starting structure [kJ/mol]."""
    return float(jax.jit(system.energy.__call__)(system.positions.astype(np.float32)))


def edited(folder: Path, lines: list[str]) -> Path:
    path = folder / "edited.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    return path


def moved(line: str, x: str) -> str:
    """A PDB line with another x coordinate."""
    return line[:30] + f"{x:>8}" + line[38:]


def nonbonded_of(system) -> openmm.NonbondedForce:
    forces = openmm.XmlSerializer.deserialize(system.openmm_xml).getForces()
    return next(force for force in forces if isinstance(force, openmm.NonbondedForce))


def amber_files(folder: Path, bond: float = 1.37, width: float | None = None) -> dict[str, Path]:
    """Files of hydrogen chloride, in a cube ``width`` Å wide if that is given."""
    prmtop, inpcrd = folder / "hcl.prmtop", folder / "hcl.inpcrd"
    prmtop.write_text(HYDROGEN_CHLORIDE)
    box = "" if width is None else "".join(f"{x:12.7f}" for x in (*[width] * 3, 90, 90, 90)) + "\n"
    inpcrd.write_text(
        f"hydrogen chloride\n    2\n{0:12.7f}{0:12.7f}{0:12.7f}{bond:12.7f}{0:12.7f}{0:12.7f}\n{box}"
    )
    return {"prmtop": prmtop, "inpcrd": inpcrd}


def test_a_pdb_and_force_field_names_make_the_molecule_of_the_package():
    system = build_system(pdb=DIPEPTIDE, forcefield=OBC2)
    expected = alanine_dipeptide("obc2")
    assert system.openmm_xml == expected.openmm_xml
    assert energy(system) == pytest.approx(energy(expected))


def test_amber_files_give_the_energy_in_them(tmp_path):
    system = build_system(**amber_files(tmp_path), constraints="none")
    stretch = 4.184 * 300.0 * 0.1**2
    assert energy(system) == pytest.approx(stretch, rel=1e-5)
    assert system.topology.names == ("H", "CL")


def test_amber_files_take_implicit_solvent_and_constraints(tmp_path):
    system = build_system(**amber_files(tmp_path), implicit_solvent="obc2")
    assert system.constraints.distances.tolist() == pytest.approx([0.127])
    assert energy(system) < energy(build_system(**amber_files(tmp_path)))


def test_hydrogens_of_amber_files_take_mass_from_their_atoms(tmp_path):
    system = build_system(**amber_files(tmp_path), hydrogen_mass=3.0)
    np.testing.assert_allclose(system.masses, [3.0, 35.45 + 1.008 - 3.0])
    with pytest.raises(BuildError, match=r"leaves 0.458 amu for HCL 1 CL"):
        build_system(**amber_files(tmp_path), hydrogen_mass=36.0)


def test_radii_that_an_implicit_solvent_has_no_table_for_are_answered_with_the_remedy(tmp_path):
    files = amber_files(tmp_path)
    files["prmtop"].write_text(HYDROGEN_CHLORIDE.replace("1.70000000E+00\n", "2.70000000E+00\n"))
    with pytest.raises(BuildError, match=r'do not suit implicit_solvent = "gbn2".*changeRadii mbondi3'):
        build_system(**files, implicit_solvent="gbn2")


def test_a_box_in_amber_files_is_used_with_pme_and_told(tmp_path):
    system = build_system(**amber_files(tmp_path, width=30.0))
    np.testing.assert_allclose(system.box, 3.0 * np.eye(3), atol=1e-6)
    assert nonbonded_of(system).getNonbondedMethod() == openmm.NonbondedForce.PME
    assert nonbonded_of(system).getCutoffDistance()._value == pytest.approx(0.9)
    assert "3.000 nm wide, with PME and a cutoff of 0.9 nm; set periodic = false" in system.notes[0]
    assert build_system(**amber_files(tmp_path, width=30.0), periodic=False).box is None
    field = build_system(**amber_files(tmp_path, width=30.0), cutoff=1.2, electrostatics="reaction-field")
    assert nonbonded_of(field).getNonbondedMethod() == openmm.NonbondedForce.CutoffPeriodic
    assert field.notes == ()
    with pytest.raises(BuildError, match=r"half the box or more \(1.500 nm\); use at most 0.749"):
        build_system(**amber_files(tmp_path, width=15.0))
    with pytest.raises(BuildError, match=r"changes with the pressure and needs some room; use at most 0.857"):
        build_system(**amber_files(tmp_path, width=18.0), pressure=0.06)


def test_a_system_in_xml_and_a_structure_make_the_same_system(tmp_path):
    expected = alanine_dipeptide("obc2", hydrogen_mass=3.0)
    (tmp_path / "system.xml").write_text(expected.openmm_xml)
    system = build_system(xml=tmp_path / "system.xml", pdb=DIPEPTIDE)
    np.testing.assert_allclose(system.masses, expected.masses)
    np.testing.assert_allclose(system.constraints.distances, expected.constraints.distances)
    assert energy(system) == pytest.approx(energy(expected))


def test_missing_hydrogens_are_added_when_asked(tmp_path):
    heavy = edited(tmp_path, [line for line in ATOMS if line[76:78].strip() != "H"])
    first, second = (build_system(pdb=heavy, forcefield=FF14SB, add_hydrogens=True) for _ in range(2))
    assert len(first.topology) == 22
    np.testing.assert_array_equal(first.positions, second.positions)


def test_a_solvent_box_is_added_when_asked():
    system = build_system(pdb=DIPEPTIDE, forcefield=FF14SB, solvent="tip3p", padding=0.4, cutoff=0.5)
    waters = system.topology.residue_names.count("HOH") // 3
    assert waters > 20
    assert len(system.constraints.pairs) == 12 + 3 * waters
    assert system.box is not None


def test_the_swapped_born_force_has_the_same_energy_and_forces():
    structure = app.PDBFile(str(DIPEPTIDE))
    stock = app.ForceField(*OBC2).createSystem(structure.topology)
    positions = np.array(structure.positions._value)
    swapped = with_compiled_born(stock, positions)
    assert [type(f).__name__ for f in stock.getForces()].count("CustomGBForce") == 1
    assert [type(f).__name__ for f in swapped.getForces()].count("GBSAOBCForce") == 1
    states = []
    for system in (stock, swapped):
        context = openmm.Context(
            system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference")
        )
        context.setPositions(positions + np.random.default_rng(0).normal(scale=0.01, size=positions.shape))
        states.append(context.getState(energy=True, forces=True))
        positions = positions.copy()
    energies = [state.getPotentialEnergy()._value for state in states]
    assert energies[0] == pytest.approx(energies[1], rel=1e-5)


@pytest.mark.parametrize("name", ["implicit/obc1.xml", "implicit/gbn2.xml"])
def test_another_born_model_is_left_as_it_is(name):
    structure = app.PDBFile(str(DIPEPTIDE))
    stock = app.ForceField(*FF14SB, name).createSystem(structure.topology)
    assert with_compiled_born(stock, np.array(structure.positions._value)) is stock


def unknown_residue(folder):
    return edited(folder, [line.replace("ALA", "ALX") for line in LINES if line[:4] != "END"])


def without_bonds(folder):
    return edited(folder, [line.replace("ALA", "LIG") for line in ATOMS if "ALA" in line])


def with_ligand(folder):
    heavy = [line for line in ATOMS if line[76:78].strip() != "H"]
    rest = ["HETATM   90  C1  LIG B   9      20.000  20.000  20.000  1.00  0.00           C"]
    return edited(folder, [*heavy, *rest])


MISTAKES = {
    "residue unknown": (
        unknown_residue,
        FF14SB,
        "residue ALX 2 is unknown to the force field; names close to it:.*ALA",
    ),
    "no bonds": (without_bonds, FF14SB, "residue LIG 2 is unknown to the force field.*CONECT records"),
    "no hydrogens": (
        lambda folder: edited(folder, [line for line in ATOMS if line[76:78].strip() != "H"]),
        FF14SB,
        "residue ACE 1 has 0 of 3 hydrogens; set add_hydrogens = true",
    ),
    "missing heavy atom": (
        lambda folder: edited(
            folder, [line for line in ATOMS if line[12:16].strip() not in ("CB", "HB1", "HB2", "HB3")]
        ),
        FF14SB,
        "residue ALA 2 lacks CB; complete the structure",
    ),
    "water without a model": (
        lambda folder: edited(
            folder, ["HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O"]
        ),
        FF14SB,
        "residue HOH 1: the force field has no water",
    ),
    "unknown force field": (
        lambda folder: DIPEPTIDE,
        ["amber14/ff14SB.xml"],
        'no force field file "amber14/ff14SB.xml"; names close to it:.*protein.ff14SB.xml',
    ),
    "force field as text": (lambda folder: DIPEPTIDE, "amber14-all.xml", "give a list such as"),
    "missing file": (lambda folder: folder / "protein.pdb", FF14SB, "there is no file .*protein.pdb"),
    "unsupported type": (lambda folder: folder / "protein.mol2", FF14SB, "is no .pdb, .ent, .cif"),
    "not a number": (
        lambda folder: edited(folder, [moved(ATOMS[0], "nan"), *ATOMS[1:]]),
        FF14SB,
        "atom 1 has coordinates .* must be finite",
    ),
    "ligand beside a protein without hydrogens": (
        with_ligand,
        FF14SB,
        "residue LIG 9 is unknown to the force field.*if it is a ligand, add a file of its parameters",
    ),
    "overlapping atoms": (
        lambda folder: edited(
            folder, [*ATOMS[:9], ATOMS[9][:30] + ATOMS[8][30:54] + ATOMS[9][54:], *ATOMS[10:]]
        ),
        FF14SB,
        "atoms 9 and 10 are 0.0000 nm apart",
    ),
    "no atoms": (lambda folder: edited(folder, []), FF14SB, "no atoms"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_files_is_answered_with_what_to_do(mistake, tmp_path):
    pdb, forcefield, message = MISTAKES[mistake]
    with pytest.raises(BuildError, match=message):
        build_system(pdb=pdb(tmp_path), forcefield=forcefield)


def test_a_ligand_is_named_where_hydrogens_are_being_added(tmp_path):
    with pytest.raises(BuildError, match="residue LIG 9 is unknown to the force field"):
        build_system(pdb=with_ligand(tmp_path), forcefield=FF14SB, add_hydrogens=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pdb": DIPEPTIDE}, "forcefield missing"),
        ({}, "no files, but pdb and forcefield missing"),
        ({"prmtop": "x.prmtop"}, "inpcrd missing"),
        (
            {"pdb": DIPEPTIDE, "xml": "system.xml", "constraints": "hbonds"},
            "constraints has no meaning together with xml",
        ),
        (
            {"pdb": DIPEPTIDE, "forcefield": FF14SB, "constraints": "bonds"},
            'constraints = "bonds" is unknown',
        ),
        (
            {"pdb": DIPEPTIDE, "forcefield": FF14SB, "padding": 1.0},
            "padding given without a solvent; add solvent",
        ),
        (
            {"pdb": DIPEPTIDE, "forcefield": ["amber99sb.xml"], "solvent": "tip3p"},
            "have no water; add the file of a water model made for them",
        ),
        (
            {"pdb": DIPEPTIDE, "forcefield": [*FF14SB, "amber14/tip3p.xml"], "solvent": "tip4pew"},
            "has 3 sites and tip4pew has 4; change solvent or the water",
        ),
        ({"pdb": DIPEPTIDE, "forcefield": OBC2, "solvent": "tip3p"}, "together with an implicit solvent"),
        (
            {"pdb": DIPEPTIDE, "forcefield": FF14SB, "solvent": "tip9p"},
            'solvent = "tip9p" is unknown; use one of',
        ),
        (
            {"pdb": DIPEPTIDE, "forcefield": FF14SB, "pressure": 0.06},
            "pressure is given for a structure without",
        ),
        ({"pdb": DIPEPTIDE, "forcefield": FF14SB, "electrostatics": "pme"}, "without a periodic box"),
        ({"pdb": DIPEPTIDE, "forcefield": FF14SB, "periodic": True}, "but the files have no box"),
        (
            {"pdb": DIPEPTIDE, "forcefield": FF14SB, "solvent": "tip3p", "cutoff": 1.5},
            r"half the box or more \(2.0.. nm\); use at most (1.0|0.999)",
        ),
        ({"pdb": DIPEPTIDE, "forcefield": FF14SB, "hydrogen_mass": 5.1}, "leaves -0.266 amu for ACE 1 CH3"),
        ({"pdb": DIPEPTIDE, "forcefield": FF14SB, "cutoff": -1.0}, "give a positive distance"),
        (
            {"pdb": DIPEPTIDE, "forcefield": FF14SB, "implicit_solvent": "obc2"},
            "implicit_solvent has no meaning",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_answered_with_those_that_do(settings, message):
    with pytest.raises(BuildError, match=message):
        build_system(**settings)


def test_coordinates_of_another_molecule_are_refused_with_both_numbers(tmp_path):
    paths = amber_files(tmp_path)
    paths["inpcrd"].write_text(f"one atom\n    1\n{0:12.7f}{0:12.7f}{0:12.7f}\n")
    with pytest.raises(BuildError, match=r"has 1 atoms and .* has 2"):
        build_system(**paths)
    (tmp_path / "system.xml").write_text(alanine_dipeptide().openmm_xml)
    with pytest.raises(BuildError, match=r"has 22 particles and .* has 21 atoms"):
        build_system(xml=tmp_path / "system.xml", pdb=edited(tmp_path, ATOMS[:-1]))


def test_xml_that_is_no_system_is_refused(tmp_path):
    (tmp_path / "system.xml").write_text("<System")
    with pytest.raises(BuildError, match="is not XML written by OpenMM"):
        build_system(xml=tmp_path / "system.xml", pdb=DIPEPTIDE)
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(openmm.VerletIntegrator(0.001)))
    with pytest.raises(BuildError, match="holds a VerletIntegrator; serialize the System itself"):
        build_system(xml=tmp_path / "system.xml", pdb=DIPEPTIDE)


def test_a_cutoff_wider_than_half_the_box_is_refused(tmp_path):
    cell = "CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 1           1 "
    with pytest.raises(BuildError, match=r"half the box or more \(2.000 nm\); use at most 0.999"):
        from_pdb(edited(tmp_path, [cell, *LINES[3:-1]]), FF14SB, cutoff=1.2)
