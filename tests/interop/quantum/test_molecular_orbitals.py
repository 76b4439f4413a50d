"""PySCF as a level: energies of tables, forces as derivatives, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from thalweg.interop.quantum.levels import level_of
from thalweg.interop.quantum.molecular_orbitals import MolecularOrbitals
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.labeling.level import LabelFailed, Level
from thalweg.systems.configuration import Configuration
from thalweg.units import BOHR, HARTREE

pytest.importorskip("pyscf")
pytest.importorskip("tblite")

WATER = Configuration(
    np.array([8, 1, 1]), np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.003], [-0.079, 0.0566, -0.002]])
)
CRAWFORD = Configuration(
    np.array([8, 1, 1]),
    BOHR
    * np.array(
        [
            [0.0, -0.143225816552, 0.0],
            [1.638036840407, 1.136548822547, 0.0],
            [-1.638036840407, 1.136548822547, 0.0],
        ]
    ),
)
"""Water of the coupled-cluster programming projects, whose energies in STO-3G are published."""


def derivative(level, frame, atom, axis, step=1e-4):
    shift = np.zeros_like(frame.positions)
    shift[atom, axis] = step
    up, down = (
        level.label(replace(frame, positions=frame.positions + sign * shift)).energy for sign in (1, -1)
    )
    return (up - down) / (2 * step)


@pytest.mark.parametrize(
    ("method", "energy"),
    [
        ("HF", -74.942079928192),
        ("MP2", -74.942079928192 - 0.049149636120),
        ("CCSD", -74.942079928192 - 0.070680088376),
        ("CCSD(T)", -74.942079928192 - 0.070680088376 - 0.000099877272),
    ],
)
def test_water_in_a_minimal_basis_has_the_published_energies(method, energy):
    level = MolecularOrbitals(method, "STO-3G", properties=(), density_fitting=False, tolerance=1e-11)
    assert level.label(CRAWFORD).energy == pytest.approx(energy * HARTREE, abs=1e-5)


@pytest.mark.parametrize(
    "level",
    [
        pytest.param(MolecularOrbitals("PBE", "STO-3G", grid=1), id="functional on a coarse grid"),
        pytest.param(MolecularOrbitals("HF", "6-31G", density_fitting=False), id="mean field"),
        pytest.param(
            MolecularOrbitals("B3LYP", "def2-SVP", "d4", "water"),
            id="solvent and dispersion",
            marks=pytest.mark.long,
        ),
        pytest.param(
            MolecularOrbitals("CCSD(T)", "6-31G", properties=()), id="triples", marks=pytest.mark.long
        ),
    ],
)
def test_forces_are_minus_the_gradient(level):
    force = level.label(WATER).forces[1, 0]
    # energies are converged to 1e-9 hartree, their difference over 2e-4 nm to 0.03 kJ/mol/nm
    assert force == pytest.approx(-derivative(level, WATER, 1, 0), rel=2e-4, abs=0.03)


@pytest.mark.long
def test_forces_of_triples_with_an_unpaired_electron_are_minus_the_gradient():
    radical = replace(WATER, numbers=np.array([7, 1, 1]))
    level = MolecularOrbitals("CCSD(T)", "STO-3G", unpaired=1, properties=())
    assert level.label(radical).forces[1, 0] == pytest.approx(-derivative(level, radical, 1, 0), rel=2e-4)


def test_a_polarizability_is_that_of_response_theory():
    level = MolecularOrbitals("HF", "6-31G", properties=("dipole", "polarizability"), density_fitting=False)
    found = level.label(CRAWFORD).properties
    assert found["dipole"].shape == (3,)
    assert found["dipole"][:2] / BOHR == pytest.approx([0, found["dipole"][1] / BOHR], abs=1e-6)
    from pyscf import ao2mo, gto, scf

    field = scf.RHF(
        gto.M(
            atom=[("O", CRAWFORD.positions[0] / BOHR), *(("H", x) for x in CRAWFORD.positions[1:] / BOHR)],
            unit="Bohr",
            basis="6-31G",
            verbose=0,
        )
    ).run(conv_tol=1e-12)
    # alpha = 4 mu^T (A + B)^-1 mu, the coupled-perturbed equations written out [bohr^3]
    orbitals, levels = field.mo_coeff, field.mo_energy
    o, v = orbitals[:, :5], orbitals[:, 5:]
    full = ao2mo.restore(1, ao2mo.kernel(field.mol, orbitals), len(levels))
    n, m = o.shape[1], v.shape[1]
    ovov, oovv = full[:n, n:, :n, n:], full[:n, :n, n:, n:]
    response = 4 * ovov - ovov.transpose(0, 3, 2, 1) - oovv.transpose(0, 2, 1, 3)
    gaps = (levels[n:][None] - levels[:n, None]).ravel()
    moments = np.array([(o.T @ each @ v).ravel() for each in field.mol.intor("int1e_r")])
    exact = 4 * moments @ np.linalg.solve(response.reshape(n * m, n * m) + np.diag(gaps), moments.T)
    np.testing.assert_allclose(found["polarizability"] / BOHR**3, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "level", [MolecularOrbitals("HF", "STO-3G"), TightBinding()], ids=["PySCF", "tblite"]
)
def test_both_programs_are_levels_with_their_provenance(level):
    assert isinstance(level, Level)
    level.check(WATER)
    told = level.provenance()
    assert {"program", "version", "level"} <= set(told)
    assert 0 < level.seconds(WATER) < 10
    with pytest.raises(ValueError, match="which do not pair"):
        level.check(replace(WATER, info={"charge": 1}))
    with pytest.raises(LabelFailed, match="on top of each other"):
        level.label(replace(WATER, positions=0.1 * WATER.positions))


def test_tight_binding_labels_are_those_of_its_term():
    labeled, term = TightBinding().label(WATER), TightBinding().evaluate([WATER])
    assert labeled.energy == pytest.approx(term.energies[0], abs=1e-6)
    np.testing.assert_allclose(labeled.forces, term.forces[0], atol=1e-3)
    assert labeled.properties["charges"].sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("level", "frame", "words"),
    [
        (MolecularOrbitals("PBEO"), WATER, "knows no functional"),
        (MolecularOrbitals("HF", "cc-pVNZ"), WATER, "no basis"),
        (MolecularOrbitals("HF", "cc-pVDZ"), replace(WATER, numbers=np.array([92, 1, 1])), "no basis"),
        (MolecularOrbitals("HF", "STO-3G", solvent="whisky"), WATER, "solvent='whisky' is unknown"),
        (MolecularOrbitals(), replace(WATER, box=np.eye(3), periodic=(True,) * 3), "level for molecules"),
        (TightBinding(), replace(WATER, numbers=np.array([92, 1, 1])), "elements up to Rn"),
    ],
)
def test_what_a_program_lacks_is_said_with_what_to_do(level, frame, words):
    with pytest.raises(ValueError, match=words):
        level.check(frame)


def test_coupled_clusters_of_a_large_molecule_would_take_days():
    rng = np.random.default_rng(0)
    large = Configuration(np.array([6] * 20 + [1] * 42), rng.normal(size=(62, 3)))
    assert level_of("CCSD(T)/cc-pVDZ").seconds(large) > 7 * 86_400


@pytest.mark.parametrize(
    "settings", [{"dispersion": "d9"}, {"properties": ("spin",)}, {"method": "MP2", "dispersion": "d4"}]
)
def test_settings_that_do_not_go_together_are_refused(settings):
    with pytest.raises(ValueError, match=r"unknown|not among|leave them out"):
        MolecularOrbitals(**settings)


with_magnetic_properties = pytest.mark.skipif(
    find_spec("pyscf.prop") is None, reason="pyscf-properties is not installed"
)


@with_magnetic_properties
def test_the_shielding_of_an_atom_is_lambs():
    """A closed shell about one nucleus shields it by ``a^2 / 3 <sum 1 / r>``, 59.9 ppm for helium."""
    level = MolecularOrbitals("HF", "cc-pVTZ", properties=("shieldings",), density_fitting=False)
    helium = level.label(Configuration(np.array([2]), np.array([[0.1, 0.2, 0.3]])))
    assert helium.properties["shieldings"] == pytest.approx([59.9], abs=0.1)


@with_magnetic_properties
def test_shieldings_turn_with_nothing_and_are_alike_for_like_atoms():
    level = MolecularOrbitals(
        "HF", "6-31G*", properties=("shieldings",), density_fitting=False, tolerance=1e-12
    )
    symmetric = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
    found = level.label(Configuration(np.array([8, 1, 1]), symmetric)).properties["shieldings"]
    shifted = level.label(Configuration(np.array([8, 1, 1]), symmetric[:, [2, 0, 1]] + 1.0)).properties[
        "shieldings"
    ]
    assert found[1] == pytest.approx(found[2], abs=1e-4)
    assert shifted == pytest.approx(found, abs=1e-3)


def test_shieldings_of_a_functional_are_refused():
    with pytest.raises(ValueError, match="HF in vacuum"):
        MolecularOrbitals("PBE0", properties=("shieldings",))
