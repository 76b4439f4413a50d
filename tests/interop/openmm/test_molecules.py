import equinox as eqx
import jax
import numpy as np
import openmm
import pytest
from openmm import unit

from thalweg.geometry.internal import dihedrals
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.interop.openmm.molecules import (
    alanine_dipeptide,
    alanine_tetrapeptide,
    met_enkephalin,
    proline_dipeptide,
    water_box,
)
from thalweg.potentials.energy import energy_and_forces

PEPTIDES = {alanine_dipeptide: 22, alanine_tetrapeptide: 42, met_enkephalin: 75, proline_dipeptide: 26}


def reference(system) -> tuple[float, np.ndarray]:
    """Energy [kJ/mol] and forces [kJ/mol/nm] of OpenMM's Reference platform."""
    context = openmm.Context(
        openmm.XmlSerializer.deserialize(system.openmm_xml),
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatform("Reference"),
    )
    context.setPositions(system.positions)
    state = context.getState(energy=True, forces=True)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    return state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole), forces


def chirality(topology, x: np.ndarray) -> dict[str, float]:
    """Sign of the CA tetrahedron of each residue with a CB: positive for L."""
    atoms = {(i, n): k for k, (i, n) in enumerate(zip(topology.residue_ids, topology.names))}
    signs = {}
    for residue in {i for i, name in atoms if name == "CB"}:
        n, ca, c, cb = (x[atoms[residue, name]] for name in ("N", "CA", "C", "CB"))
        signs[residue] = np.sign(np.dot(np.cross(n - ca, c - ca), cb - ca))
    return signs


@pytest.mark.parametrize("peptide", PEPTIDES, ids=lambda f: f.__name__)
def test_peptides_are_all_l_with_trans_amides(peptide):
    system = peptide()
    assert len(system.topology) == PEPTIDES[peptide]
    assert set(chirality(system.topology, system.positions).values()) == {1.0}
    omega = dihedrals(system.positions, backbone_dihedrals(system.topology)["omega"])
    assert (np.abs(omega) > np.radians(160)).all()


def test_proline_dipeptide_starts_where_forces_vanish():
    system = proline_dipeptide(constraints="none")
    energy, forces = reference(system)
    assert np.isfinite(energy)
    assert np.abs(forces).max() < 200.0  # rounding a PDB to 1e-3 Å leaves this much


def test_alanine_dipeptide_starts_in_its_c7eq_minimum():
    system = alanine_dipeptide(constraints="none")
    backbone = backbone_dihedrals(system.topology)
    phi, psi = np.degrees(dihedrals(system.positions, np.concatenate([backbone["phi"], backbone["psi"]])))
    assert -90 < phi < -60
    assert 40 < psi < 90
    assert np.abs(reference(system)[1]).max() < 200.0  # rounding a PDB to 1e-3 Å leaves this much


@pytest.mark.parametrize(("peptide", "solvent"), [(alanine_dipeptide, "obc2"), (met_enkephalin, "vacuum")])
def test_the_native_energy_and_forces_are_those_of_openmm(peptide, solvent):
    system = peptide(solvent, constraints="none")
    with jax.enable_x64(True):
        energy, forces = eqx.filter_jit(energy_and_forces)(system.energy, system.positions)
    expected_energy, expected_forces = reference(system)
    assert float(energy) == pytest.approx(expected_energy, rel=1e-5)
    np.testing.assert_allclose(forces, expected_forces, atol=1e-5 * np.abs(expected_forces).max())


def test_constraints_and_heavy_hydrogens_are_as_asked():
    plain, held, all_held = (alanine_dipeptide(constraints=kind) for kind in ("none", "hbonds", "allbonds"))
    assert [len(system.constraints.pairs) for system in (plain, held, all_held)] == [0, 12, 21]
    assert held.degrees_of_freedom == 3 * 22 - 12
    heavy = alanine_dipeptide(hydrogen_mass=3.0)
    hydrogens = np.array(heavy.topology.elements) == "H"
    np.testing.assert_allclose(heavy.masses[hydrogens], 3.0)
    assert heavy.masses.sum() == pytest.approx(plain.masses.sum())


def test_a_water_box_has_the_density_of_water():
    system = water_box(64)
    assert len(system.topology) == 192
    assert len(system.constraints.pairs) == 192
    density = system.masses.sum() / np.linalg.det(system.box) * 1.66054e-3
    assert density == pytest.approx(0.997, abs=1e-3)
    oxygens = system.positions[::3]
    apart = oxygens[:, None] - oxygens[None]
    apart -= np.diag(system.box) * np.round(apart / np.diag(system.box))
    assert np.sort(np.linalg.norm(apart, axis=-1), axis=1)[:, 1].min() > 0.28


def test_an_unknown_solvent_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match='solvent = "water" is unknown; use one of vacuum, obc2'):
        alanine_dipeptide("water")
