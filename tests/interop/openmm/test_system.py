"""Translated energies and forces equal OpenMM's Reference platform, force by force, in 64 bits."""

from importlib.resources import files

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import openmm.app as app
import pytest
from openmm.unit import nanometer

from thalweg.interop.openmm.system import (
    particle_masses,
    system_constraints,
    system_from_openmm,
    terms,
    translate,
)
from thalweg.interop.openmm.topology import topology_from_openmm
from thalweg.interop.openmm.values import TranslationError
from thalweg.potentials import pairs
from thalweg.potentials.energy import Sum, energy_and_forces

TOLERANCE = 1e-5
TRICLINIC = np.array([[2.0, 0.0, 0.0], [0.5, 1.9, 0.0], [-0.6, 0.4, 1.8]])


def structure(name):
    pdb = app.PDBFile(str(files("thalweg.testsystems") / "structures" / f"{name}.pdb"))
    return pdb.topology, np.array(pdb.positions.value_in_unit(nanometer))


def reference(system, positions, group=-1):
    """Energy and forces of one force group (or all) of ``system`` on the Reference platform."""
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True, groups=group)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def box_of(system):
    if not system.usesPeriodicBoundaryConditions():
        return None
    return np.array([list(v._value) for v in system.getDefaultPeriodicBoxVectors()])


def assert_agrees_with_openmm(system, positions):
    """Every force of ``system`` by itself, relative to its own size."""
    box, masses = box_of(system), particle_masses(system)
    for force in system.getForces():
        force.setForceGroup(0)
    compared = 0
    for force in system.getForces():
        force.setForceGroup(1)
        energy, forces = reference(system, positions, {1})
        with jax.enable_x64(True):
            translated = Sum(terms(force, masses))
            ours, our_forces = evaluate(translated, jnp.asarray(positions), box)
        force.setForceGroup(0)
        if not translated.terms:
            continue
        compared += 1
        np.testing.assert_allclose(ours, energy, rtol=TOLERANCE, atol=1e-8, err_msg=force.getName())
        largest = np.abs(forces).max()
        np.testing.assert_allclose(
            our_forces, forces, rtol=0, atol=TOLERANCE * largest + 1e-8, err_msg=force.getName()
        )
    return compared


evaluate = eqx.filter_jit(energy_and_forces)


def peptide_system(name, *forcefield, **settings):
    topology, positions = structure(name)
    settings = {"nonbondedMethod": app.NoCutoff, "constraints": None, **settings}
    return app.ForceField(*forcefield).createSystem(topology, **settings), positions


def vacuum():
    return peptide_system("alanine_dipeptide", "amber14/protein.ff14SB.xml")


def test_ff14sb_in_vacuum():
    assert assert_agrees_with_openmm(*vacuum()) == 4


@pytest.mark.parametrize(
    "model",
    ["obc2", "gbn2", *(pytest.param(name, marks=pytest.mark.long) for name in ("hct", "obc1", "gbn"))],
)
def test_every_generalized_born_model_openmm_writes(model):
    system, positions = peptide_system(
        "alanine_dipeptide", "amber14/protein.ff14SB.xml", f"implicit/{model}.xml", implicitSolventKappa=0.5
    )
    for index in reversed(range(system.getNumForces())):
        if not isinstance(system.getForce(index), openmm.CustomGBForce):
            system.removeForce(index)
    assert assert_agrees_with_openmm(system, positions) == 1


def test_obc2_with_a_cutoff():
    system, positions = peptide_system(
        "alanine_dipeptide", "amber14/protein.ff14SB.xml", "implicit/obc2.xml",
        nonbondedMethod=app.CutoffNonPeriodic, nonbondedCutoff=0.5 * nanometer,
    )  # fmt: skip
    assert assert_agrees_with_openmm(system, positions) == 5


def test_the_compiled_obc2_force():
    system, positions = vacuum()
    nonbonded = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    born = openmm.GBSAOBCForce()
    for i, radius in enumerate(np.linspace(0.12, 0.19, len(positions))):
        born.addParticle(nonbonded.getParticleParameters(i)[0], radius, 0.72 + 0.01 * (i % 9))
    only = openmm.System()
    for i in range(len(positions)):
        only.addParticle(system.getParticleMass(i))
    only.addForce(born)
    assert assert_agrees_with_openmm(only, positions) == 1


def test_correction_maps_of_ff19sb():
    system, positions = peptide_system("alanine_tetrapeptide", "amber19/protein.ff19SB.xml")
    names = [force.getName() for force in system.getForces()]
    assert "CMAPTorsionForce" in names
    assert_agrees_with_openmm(system, positions)


@pytest.mark.long
def test_charmm36_with_urey_bradley_terms_maps_and_its_own_lennard_jones_table():
    system, positions = peptide_system("met_enkephalin", "charmm36.xml")
    assert assert_agrees_with_openmm(system, positions) == 8


def solvated(shape):
    """Alanine dipeptide in a small box of flexible TIP3P water, reaction field and switching function."""
    field = app.ForceField("amber14/protein.ff14SB.xml", "amber14/tip3p.xml")
    topology, positions = structure("alanine_dipeptide")
    modeller = app.Modeller(topology, positions * nanometer)
    modeller.addSolvent(field, boxSize=openmm.Vec3(1.8, 1.8, 1.8) * nanometer)
    system = field.createSystem(
        modeller.topology, nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=0.6 * nanometer,
        switchDistance=0.5 * nanometer, constraints=None, rigidWater=False,
    )  # fmt: skip
    positions = np.array(modeller.positions.value_in_unit(nanometer))
    box = 1.8 * np.eye(3) if shape == "cubic" else TRICLINIC
    system.setDefaultPeriodicBoxVectors(*box)
    return system, positions


@pytest.mark.parametrize("shape", ["cubic", "triclinic"])
def test_water_with_cutoff_switch_reaction_field_and_dispersion_correction(shape):
    assert assert_agrees_with_openmm(*solvated(shape)) == 4


def test_a_refreshed_energy_is_the_same_by_neighbor_list_and_asks_for_a_new_one_in_time(monkeypatch):
    monkeypatch.setattr(pairs, "DENSE", 100)
    system, positions = solvated("triclinic")
    force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    two = np.stack([positions, positions + 0.01 * np.sin(40 * positions)], -1)
    with jax.enable_x64(True):
        box = jnp.asarray(TRICLINIC)
        everything = Sum(terms(force, particle_masses(system)))
        listed = everything.refreshed(two, box)
        energies, forces = evaluate(everything, jnp.asarray(two), box)
        by_list, forces_by_list = evaluate(listed, jnp.asarray(two), box)
        np.testing.assert_allclose(by_list, energies, rtol=1e-10)
        np.testing.assert_allclose(forces_by_list, forces, atol=1e-8 * np.abs(forces).max())
        far = jnp.asarray(two).at[5, 0, 1].add(0.11)
        assert not listed.stale(jnp.asarray(two), box)
        assert listed.stale(far, box)
        outdated = listed(far, box)
    assert np.isfinite(outdated[0])
    assert np.isnan(outdated[1])


PARACETAMOL = {
    "atoms": "CA CA CA CA CA CA N C CT O OH HA HA HA HA H HC HC HC HO".split(),
    "bonds": [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (0, 6), (6, 7), (7, 8), (7, 9), (3, 10), (1, 11),
              (2, 12), (4, 13), (5, 14), (6, 15), (8, 16), (8, 17), (8, 18), (10, 19)],
    "charges": [0.14, -0.15, -0.16, 0.12, -0.16, -0.15, -0.45, 0.64, -0.17, -0.57, -0.50, 0.14, 0.14, 0.14, 0.14,
                0.28, 0.05, 0.05, 0.05, 0.42],
}  # fmt: skip


@pytest.fixture(scope="module")
def paracetamol():
    """Paracetamol with generic parameters, as a ``System`` from XML; coordinates minimized from a random start."""
    types, bonds = PARACETAMOL["atoms"], PARACETAMOL["bonds"]
    system, n = openmm.System(), len(types)
    bond, angle, torsion = (
        openmm.HarmonicBondForce(),
        openmm.HarmonicAngleForce(),
        openmm.PeriodicTorsionForce(),
    )
    bellemans, nonbonded = openmm.RBTorsionForce(), openmm.NonbondedForce()
    bonded = {i: [j for pair in bonds if i in pair for j in pair if j != i] for i in range(n)}
    for name, charge in zip(types, PARACETAMOL["charges"]):
        element = name[0]
        system.addParticle({"C": 12.011, "N": 14.007, "O": 15.999, "H": 1.008}[element])
        sigma = {"C": 0.34, "N": 0.325, "O": 0.3, "H": 0.24}[element]
        nonbonded.addParticle(charge, sigma, 0.07 if element == "H" else 0.45)
    for i, j in bonds:
        bond.addBond(i, j, 0.104 if "H" in types[i][0] + types[j][0] else 0.14, 3.0e5)
    for j, around in bonded.items():
        for a, i in enumerate(around):
            for k in around[:a]:
                angle.addAngle(i, j, k, 1.911 if types[j] in ("CT", "OH") else 2.094, 480.0)
        if len(around) == 3:
            torsion.addTorsion(around[0], around[1], j, around[2], 2, np.pi, 4.6)
    for j, k in bonds:
        for i in bonded[j]:
            for l in bonded[k]:
                if len({i, j, k, l}) == 4 and {types[j], types[k]} == {"CA"}:
                    torsion.addTorsion(i, j, k, l, 2, np.pi, 15.0)
                elif len({i, j, k, l}) == 4:
                    torsion.addTorsion(i, j, k, l, 3, 0.3, 0.6)
                    bellemans.addTorsion(i, j, k, l, 3.0, -1.0, 0.5, 2.0, -0.4, 0.2)
    nonbonded.createExceptionsFromBonds(bonds, 1 / 1.2, 0.5)
    for force in (bond, angle, torsion, bellemans, nonbonded):
        system.addForce(force)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    context.setPositions(np.random.default_rng(3).normal(size=(n, 3)) * 0.4)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0)
    positions = np.array(context.getState(positions=True).getPositions()._value)
    return openmm.XmlSerializer.serialize(system), positions + 0.002 * np.sin(np.arange(60)).reshape(20, 3)


def test_a_drug_molecule_from_its_system_xml(paracetamol):
    xml, positions = paracetamol
    assert assert_agrees_with_openmm(openmm.XmlSerializer.deserialize(xml), positions) == 5


def restraints(system):
    """Custom forces as users write them, on alanine dipeptide."""
    forces = [
        (openmm.CustomExternalForce("k*periodicdistance(x, y, z, x0, y0, z0)^2"), {"k": 500.0}, ["x0", "y0", "z0"]),
        (openmm.CustomBondForce("0.5*kb*d^2*step(d); d = r - r0"), {"kb": 1e3}, ["r0"]),
        (openmm.CustomAngleForce("ka*(1 - cos(theta - theta0))"), {"ka": 30.0}, ["theta0"]),
        (openmm.CustomTorsionForce("0.5*kt*min(dt, 2*pi-dt)^2; dt = abs(theta-t0); pi = 3.14159265358979"),
         {"kt": 40.0}, ["t0"]),
        (openmm.CustomCompoundBondForce(3, "w*(distance(p1,p2)-distance(p2,p3))^2 + angle(p1,p2,p3) + 0.1*x1*z3"),
         {}, ["w"]),
        (openmm.CustomCentroidBondForce(2, "0.5*kc*max(0, distance(g1,g2)-0.2)^2"), {"kc": 800.0}, []),
        (openmm.CustomNonbondedForce("A*exp(-B*r) - c1*c2/r^6; B = 25"), {"A": 900.0}, ["c"]),
    ]  # fmt: skip
    for force, constants, _ in forces:
        for name, value in constants.items():
            force.addGlobalParameter(name, value)
    external, bond, angle, torsion, compound, centroid, pair = (force for force, _, _ in forces)
    for name in forces[0][2]:
        external.addPerParticleParameter(name)
    external.addParticle(4, [0.1, 0.2, 0.3])
    external.addParticle(8, [0.0, 0.2, 0.1])
    bond.addPerBondParameter("r0")
    bond.addBond(0, 18, [0.4])
    angle.addPerAngleParameter("theta0")
    angle.addAngle(1, 8, 18, [1.2])
    torsion.addPerTorsionParameter("t0")
    torsion.addTorsion(4, 6, 8, 14, [-1.0])
    torsion.addTorsion(6, 8, 14, 16, [2.5])
    compound.addPerBondParameter("w")
    compound.addBond([1, 8, 18], [200.0])
    for atoms in ([0, 1, 2, 4], [14, 16, 18]):
        centroid.addGroup(atoms)
    centroid.addBond([0, 1], [])
    pair.addPerParticleParameter("c")
    for i in range(system.getNumParticles()):
        pair.addParticle([0.01 + 0.001 * i])
    pair.addExclusion(0, 1)
    variable = openmm.CustomCVForce("0.5*kv*(phi - 0.3)^2 + psi")
    variable.addGlobalParameter("kv", 12.0)
    for name, quad in (("phi", (4, 6, 8, 14)), ("psi", (6, 8, 14, 16))):
        dihedral = openmm.CustomTorsionForce("theta")
        dihedral.addTorsion(*quad)
        variable.addCollectiveVariable(name, dihedral)
    return [external, bond, angle, torsion, compound, centroid, pair, variable]


def test_restraints_written_as_formulas():
    system, positions = vacuum()
    for index in reversed(range(system.getNumForces())):
        system.removeForce(index)
    for force in restraints(system):
        system.addForce(force)
    assert assert_agrees_with_openmm(system, positions) == 8


def test_single_precision_is_good_to_a_few_parts_in_a_hundred_thousand():
    system, positions = peptide_system("alanine_dipeptide", "amber14/protein.ff14SB.xml", "implicit/obc2.xml")
    positions = positions + 0.005 * np.sin(np.arange(66)).reshape(22, 3)
    energy, forces = reference(system, positions)
    ours, our_forces = evaluate(translate(system), jnp.asarray(positions, jnp.float32))
    assert our_forces.dtype == jnp.float32
    assert abs(float(ours) - energy) < 1e-5 * abs(energy)
    assert np.abs(our_forces - forces).max() < 2e-5 * np.abs(forces).max()


def test_a_system_keeps_masses_constraints_box_and_its_openmm_self():
    field = app.ForceField("amber14/tip3p.xml")
    modeller = app.Modeller(app.Topology(), [] * nanometer)
    modeller.addSolvent(field, numAdded=30)
    made = field.createSystem(
        modeller.topology, nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=0.4 * nanometer
    )
    positions = np.array(modeller.positions.value_in_unit(nanometer))
    system = system_from_openmm(made, topology_from_openmm(modeller.topology), positions)
    assert system.masses[:3] == pytest.approx([15.99943, 1.007947, 1.007947])
    assert len(system.constraints.pairs) == 90
    assert system.degrees_of_freedom == 30 * 6
    assert system.box.diagonal() == pytest.approx(np.diagonal(box_of(made)))
    assert openmm.XmlSerializer.deserialize(system.openmm_xml).getNumParticles() == 90


def test_a_system_without_constraints_has_an_empty_list():
    assert len(system_constraints(vacuum()[0]).pairs) == 0


def with_force(force):
    system = openmm.System()
    for _ in range(3):
        system.addParticle(12.0)
    system.addForce(force)
    return system


def nonbonded(prepare):
    force = openmm.NonbondedForce()
    for _ in range(3):
        force.addParticle(0.0, 0.3, 0.5)
    prepare(force)
    return force


def offsets(force):
    force.addGlobalParameter("lambda", 1.0)
    force.addParticleParameterOffset("lambda", 0, 1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("force", "words"),
    [
        (nonbonded(lambda f: f.setNonbondedMethod(f.PME)), "PME.*CutoffPeriodic"),
        (nonbonded(offsets), "parameter offsets"),
        (openmm.GayBerneForce(), "GayBerneForce"),
        (openmm.RMSDForce(np.zeros((3, 3))), "RMSDForce"),
    ],
)
def test_what_cannot_be_translated_is_named_with_what_to_do(force, words):
    with pytest.raises(TranslationError, match=words) as error:
        translate(with_force(force))
    assert "OpenMM engine" in str(error.value)


def test_virtual_sites_are_named():
    system = with_force(openmm.HarmonicBondForce())
    system.setParticleMass(2, 0.0)
    system.setVirtualSite(2, openmm.TwoParticleAverageSite(0, 1, 0.5, 0.5))
    with pytest.raises(TranslationError, match=r"1 virtual sites \(the first is particle 3\)"):
        translate(system)


def test_what_carries_no_energy_is_skipped():
    system = with_force(openmm.CMMotionRemover())
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0))
    assert translate(system).terms == ()
