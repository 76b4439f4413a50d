"""Biases of ours inside LAMMPS, beside Colvars, which has its own."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.geometry.variables import Dihedrals, Distances
from thalweg.interop.formulas.colvars import colvars_input
from thalweg.interop.lammps.biasing import bias_lammps
from thalweg.interop.lammps.driver import open_lammps
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.units import KILOCALORIE

pytest.importorskip("lammps", reason="LAMMPS is not installed")

X = np.random.default_rng(0).uniform(0, 8, (6, 3))
INPUT = """
units real
atom_style atomic
atom_modify map array
boundary p p p
region box block 0 12 0 12 0 12
create_box 1 box
mass 1 12.0
pair_style zero 5.0
pair_coeff * *
"""


@pytest.fixture
def lammps():
    instance = open_lammps()
    instance.commands_string(INPUT)
    instance.create_atoms(len(X), list(range(1, len(X) + 1)), [1] * len(X), X.ravel().tolist())
    yield instance
    instance.close()


def forces(lammps):
    lammps.command("run 0")
    order = np.argsort(lammps.numpy.extract_atom("id")[: len(X)])
    return lammps.numpy.extract_atom("f")[: len(X)][order].copy()


@pytest.mark.parametrize(
    "variable", [Distances([[0, 5]]), Dihedrals([[0, 1, 2, 3]])], ids=["distance", "dihedral"]
)
def test_a_restraint_acts_in_lammps_as_that_of_colvars_does(lammps, tmp_path, variable):
    restraint = HarmonicRestraint(variable, [0.3], [40.0])
    bias_lammps(lammps, restraint)
    ours, energy = forces(lammps), lammps.get_thermo("pe")
    lammps.command("unfix thalweg_bias")
    spring = f"harmonic {{\n colvars cv\n forceConstant {40 / KILOCALORIE:.17g}\n centers 0.3\n}}\n"
    (tmp_path / "in").write_text(colvars_input(variable) + "\n" + spring)
    lammps.command(f"fix cv all colvars {tmp_path}/in output {tmp_path}/out")
    theirs = forces(lammps)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())
    values = variable(jnp.asarray(X / 10), 1.2 * jnp.eye(3))
    assert energy == pytest.approx(float(restraint.energy((), values)) / KILOCALORIE, rel=1e-5)


def test_metadynamics_grows_once_every_stride_of_lammps_and_is_gone_on_with(lammps):
    bias = WellTemperedMetadynamics(Distances([[0, 5]]), 0.0, 2.0, 0.05, 1.0, 10.0, 2.494, stride=5)
    growing = bias_lammps(lammps, bias)
    lammps.commands_string("velocity all create 300 7\nfix move all nve\ntimestep 1.0\nrun 20")
    # four Gaussians, nearly in one place
    assert 3.0 < float(growing.state.table.max()) < 4.0
    lammps.command("run 5")
    assert float(growing.state.table.max()) > 3.5
    lammps.command("unfix thalweg_bias")
    again = bias_lammps(lammps, bias, growing.state)
    lammps.command("run 5")
    assert float(again.state.table.sum()) > float(growing.state.table.sum())


def test_a_box_that_repeats_in_some_directions_is_refused():
    lammps = open_lammps()
    lammps.commands_string(INPUT.replace("p p p", "p p f"))
    with pytest.raises(ValueError, match="repeats along 2 of three"):
        bias_lammps(lammps, HarmonicRestraint(Distances([[0, 1]]), [0.3], [1.0]))
    lammps.close()
