"""Alanine dipeptide in water with PME: built, run, biased and resumed through OpenMM, whose own energies it has."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from rich.console import Console

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.temperature import thermal_start
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Dihedrals
from thalweg.interop.files.trajectories import read_trajectory, write_trajectory
from thalweg.interop.openmm.build import build_system
from thalweg.interop.openmm.build_checks import BuildError
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.molecules import WaterAround, alanine_dipeptide
from thalweg.interop.openmm.relaxation import relaxed
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store
from thalweg.studies.runs.running import begin, carry_out, study_of
from thalweg.units import BAR, thermal_energy

KT = thermal_energy(300.0)
BATH = Langevin(KT, 0.002, friction=5.0)
FILES = ["amber14/protein.ff14SB.xml", "amber14/tip4pew.xml"]
SMALL = {"padding": 0.8, "cutoff": 0.7}


@pytest.fixture(scope="module", params=[pytest.param("tip3p", marks=pytest.mark.long), "tip4pew"])
def solvated(request):
    return relaxed(alanine_dipeptide(request.param, water=WaterAround(**SMALL, pressure=BAR)))


@pytest.fixture(scope="module")
def tip4p():
    return alanine_dipeptide("tip4pew", water=WaterAround(**SMALL))


def openmm_energies(system, positions, boxes):
    """OpenMM's own energies of ``positions`` in ``boxes``, by its Reference platform."""
    own = openmm.XmlSerializer.deserialize(system.openmm_xml)
    context = openmm.Context(own, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    found = []
    for x, box in zip(positions, boxes):
        context.setPeriodicBoxVectors(*np.asarray(box, float))
        context.setPositions(np.asarray(x, float))
        found.append(context.getState(energy=True).getPotentialEnergy()._value)
    return np.array(found)


def test_virtual_sites_are_neither_contacts_nor_degrees_of_freedom(tip4p):
    waters = tip4p.topology.residue_names.count("HOH") // 4
    assert (tip4p.masses == 0).sum() == waters > 50
    assert tip4p.degrees_of_freedom == 3 * (22 + 3 * waters) - 12 - 3 * waters
    assert not {tip4p.topology.elements[i] for i in np.flatnonzero(tip4p.masses == 0)} - {""}
    start = thermal_start(tip4p, KT, jax.random.key(0), 2)
    assert not np.asarray(start.momenta)[tip4p.masses == 0].any()


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        ("vsites", r"99 virtual sites .* OpenMM engine \(engine = \"openmm\" in a study\)"),
        ("pme", 'no translation to the native engine.*electrostatics = "reaction-field"'),
        ("barostat", 'MonteCarloBarostat, but NativeEngine keeps the box.*engine = "openmm"'),
    ],
)
def test_what_the_native_engine_cannot_do_is_said_before_the_first_step(system, reason, tip4p):
    water = WaterAround(**SMALL, pressure=BAR if system == "barostat" else None)
    molecule = tip4p if system == "vsites" else alanine_dipeptide("tip3p", water=water)
    with pytest.raises(ValueError, match=reason):
        NativeEngine(molecule, BATH)


def test_frames_of_a_box_that_changes_have_the_energies_openmm_finds_in_it(solvated):
    engine = OpenMMEngine(solvated, BATH)
    recording = engine.run(thermal_start(solvated, KT, jax.random.key(0), 2), 200, save_every=50)
    assert recording.boxes.shape == (2, 4, 3, 3)
    assert len(np.unique(recording.boxes[:, -1, 0, 0])) == 2
    assert recording.state.box.shape == (3, 3, 2)
    for replica in range(2):
        theirs = openmm_energies(solvated, recording.positions[replica], recording.boxes[replica])
        # positions and boxes are kept in 32 bits, and PME is asked for forces right to 5e-4
        np.testing.assert_allclose(recording.energy[replica], theirs, rtol=2e-4)


def test_a_run_under_a_barostat_is_a_function_of_its_state(solvated):
    engine = OpenMMEngine(solvated, BATH)
    start = thermal_start(solvated, KT, jax.random.key(1), 2)
    middle = engine.run(start, 50, save_every=50).state
    first, second = (OpenMMEngine(solvated, BATH).run(middle, 50, save_every=25) for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.boxes, second.boxes)


@pytest.mark.long
def test_torsions_in_water_can_be_biased_by_metadynamics(solvated):
    named = backbone_dihedrals(solvated.topology)
    torsions = Dihedrals(np.concatenate([named["phi"], named["psi"]]), solvated.topology)
    bias = WellTemperedMetadynamics(torsions, [-np.pi] * 2, [np.pi] * 2, [0.3] * 2, 2.0, 10.0, KT, 10)
    engine = OpenMMEngine(solvated, BATH)
    recording = engine.run(thermal_start(solvated, KT, jax.random.key(2), 1), 300, save_every=20, bias=bias)
    assert recording.diverged == {}
    assert float(bias.potential(recording.bias_state, jnp.asarray(recording.values[0, -1]))) > 5.0
    measured = torsions(jnp.asarray(recording.positions[0]).transpose(1, 2, 0)).T
    np.testing.assert_allclose(recording.values[0], measured, atol=1e-4)
    np.testing.assert_allclose(
        recording.energy[0], openmm_energies(solvated, recording.positions[0], recording.boxes[0]), rtol=2e-4
    )


@pytest.mark.long
def test_a_bias_inside_the_openmm_system_acts_in_water(tip4p):
    named = backbone_dihedrals(tip4p.topology)
    system = openmm.XmlSerializer.deserialize(tip4p.openmm_xml)
    angle, bias = openmm.CustomTorsionForce("theta"), openmm.CustomCVForce("500*(phi-1.0)^2")
    angle.addTorsion(*(int(atom) for atom in named["phi"][0]), [])
    bias.addCollectiveVariable("phi", angle)
    system.addForce(bias)
    pulled = relaxed(type(tip4p)(**vars(tip4p) | {"openmm_xml": openmm.XmlSerializer.serialize(system)}))
    recording = OpenMMEngine(pulled, BATH).run(
        thermal_start(pulled, KT, jax.random.key(0), 1), 100, save_every=50
    )
    phi = Dihedrals(named["phi"], tip4p.topology)(jnp.asarray(recording.positions[0, -1]))
    assert abs(float(phi[0]) - 1.0) < 0.3


def test_barostats_ask_for_a_bath(solvated):
    with pytest.raises(
        ValueError, match="VelocityVerlet dynamics has no temperature, which the MonteCarloBarostat"
    ):
        OpenMMEngine(solvated, VelocityVerlet(0.001))
    unconstrained = type(solvated)(**vars(solvated) | {"constraints": type(solvated.constraints).none()})
    assert OpenMMEngine(unconstrained, Overdamped(KT, 1e-4, 1e-3)).platform in (
        "Reference",
        "CPU",
        "CUDA",
        "OpenCL",
    )


def test_a_system_with_pme_virtual_sites_and_a_barostat_comes_from_xml(tmp_path, tip4p):
    system = openmm.XmlSerializer.deserialize(tip4p.openmm_xml)
    system.addForce(openmm.MonteCarloBarostat(1.0, 250.0))
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    write_trajectory(tmp_path / "water.pdb", tip4p.positions[None], tip4p.topology, tip4p.box)
    read = build_system(xml=tmp_path / "system.xml", pdb=tmp_path / "water.pdb")
    assert read.barostat == "MonteCarloBarostat"
    assert "takes the temperature of the integrator" in read.notes[0]
    barostat = OpenMMEngine(read, BATH)._openmm.getForces()[-1]
    assert barostat.getDefaultTemperature()._value == pytest.approx(300.0)
    with pytest.raises(BuildError, match="has a barostat"):
        build_system(xml=tmp_path / "system.xml", pdb=tmp_path / "water.pdb", pressure=BAR)


def test_the_box_of_the_structure_is_that_of_its_positions(tmp_path, tip4p):
    (tmp_path / "system.xml").write_text(tip4p.openmm_xml)
    write_trajectory(tmp_path / "wide.pdb", tip4p.positions[None], tip4p.topology, 1.02 * tip4p.box)
    read = build_system(xml=tmp_path / "system.xml", pdb=tmp_path / "wide.pdb")
    np.testing.assert_allclose(read.box, 1.02 * tip4p.box, atol=1e-3)
    assert "is used and not that of the System" in read.notes[0]
    write_trajectory(tmp_path / "narrow.pdb", tip4p.positions[None], tip4p.topology, 0.5 * tip4p.box)
    with pytest.raises(BuildError, match="less than twice the cutoff"):
        build_system(xml=tmp_path / "system.xml", pdb=tmp_path / "narrow.pdb")


def test_a_pdb_of_water_in_a_box_is_asked_about(tmp_path, tip4p):
    write_trajectory(tmp_path / "water.pdb", tip4p.positions[None], tip4p.topology, tip4p.box)
    with pytest.raises(BuildError, match="99 molecules of water; set periodic = true"):
        build_system(pdb=tmp_path / "water.pdb", forcefield=FILES)
    inside = build_system(pdb=tmp_path / "water.pdb", forcefield=FILES, periodic=True, cutoff=0.7)
    (nonbonded,) = (
        force
        for force in openmm.XmlSerializer.deserialize(inside.openmm_xml).getForces()
        if isinstance(force, openmm.NonbondedForce)
    )
    assert nonbonded.getNonbondedMethod() == openmm.NonbondedForce.PME
    assert build_system(pdb=tmp_path / "water.pdb", forcefield=FILES, periodic=False).box is None


@pytest.mark.long
def test_round_boxes_and_salt_are_made_as_asked():
    water = WaterAround(padding=1.2, cutoff=0.7, box_shape="octahedron", ionic_strength=0.2)
    system = relaxed(alanine_dipeptide("tip3p", water=water))
    assert system.topology.residue_names.count("NA") == system.topology.residue_names.count("CL") > 0
    a, b, c = np.linalg.norm(system.box, axis=1)
    np.testing.assert_allclose([a, b, c], 2.4, rtol=1e-6)
    recording = OpenMMEngine(system, BATH).run(
        thermal_start(system, KT, jax.random.key(0), 1), 2, save_every=1
    )
    assert np.isfinite(recording.energy).all()


STUDY = """
[system]
molecule = "alanine_dipeptide"
solvent = "{solvent}"
padding = "0.8 nm"
cutoff = "0.7 nm"
pressure = "1 bar"

[dynamics]
engine = "openmm"
integrator = {{kind = "Langevin", friction = "5 /ps"}}

[campaign]
kind = "MarkovRestarts"
swarms = 3
walkers = 2
length = "0.4 ps"
save_every = "0.04 ps"
lagtime = "0.04 ps"

[execution]
workers = 1
"""

COMMAND = "import sys; from thalweg.cli.main import app; app(sys.argv[1:])"


@pytest.mark.long
def test_a_study_of_the_peptide_in_water_survives_a_kill_with_the_same_digest(tmp_path):
    solvent = "tip4pew"  # of four sites, one without mass
    (tmp_path / "water.toml").write_text(STUDY.format(solvent=solvent))
    quiet = Console(file=io.StringIO())
    whole = carry_out(begin(tmp_path / "water.toml", tmp_path / "whole"), tmp_path / "whole", quiet)

    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "run", str(tmp_path / "water.toml"), "--out", str(killed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 600
    while not (killed / "segments").is_dir() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    missing = [entry for entry in whole.ids() if not Store(killed).has(entry)]
    assert missing
    resumed = carry_out(study_of(killed), killed, quiet)
    assert resumed.digest() == whole.digest()

    segment = Segment.read(whole, whole.ids("segments")[-1])
    assert segment.boxes.shape == (*segment.energy.shape, 3, 3)
    folder = whole.folder(segment.entry)
    card = json.loads((folder / "segment.json").read_text())
    assert card["platform"] in ("CPU", "CUDA", "OpenCL", "HIP")
    topology = alanine_dipeptide(solvent, water=WaterAround(**SMALL, pressure=BAR))
    frames = read_trajectory(folder / "walker-000.dcd", topology.topology)
    np.testing.assert_allclose(frames.box, segment.boxes[0], atol=1e-5)
    np.testing.assert_allclose(
        segment.energy[0], openmm_energies(topology, frames.positions, segment.boxes[0]), rtol=2e-4
    )
