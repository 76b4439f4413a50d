"""Features of molecules beside MDTraj: the same numbers, faster; and variables written for OpenMM beside ours.

Speeds are frames per processor second in this one process on one thread, the best of alternating repeats, compilation
not counted (a row says how long it takes). The protein is sixty-four copies of met-enkephalin packed on a lattice: no
fold, but the residues, the atoms and the density of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from itertools import product
from pathlib import Path

import jax
import mdtraj
import numpy as np
import openmm
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from thalweg.collective_variables.linear.tica import TICA
from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.residue_distances import ResidueDistances
from thalweg.geometry.residues import residue_pairs
from thalweg.geometry.torsions import backbone_dihedrals, side_chain_dihedrals
from thalweg.geometry.variables import Dihedrals, Distances
from thalweg.interop.files.trajectories import read_topology, topology_from_mdtraj
from thalweg.interop.formulas.exported_variables import exported
from thalweg.interop.measured.feature_sets import feature_set
from thalweg.interop.openmm.variables import formula_force, python_force
from thalweg.report.benchmark import Row
from thalweg.sampling.model_variable import model_variable

MDTRAJ, OPENMM = f"MDTraj {version('mdtraj')}", f"OpenMM {version('openmm')}"
STRUCTURES = files("thalweg.testsystems") / "structures"
SPACING = 1.15
"""Of the copies [nm]: about the density of a protein."""


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Speeds and differences; ``quick`` takes fewer frames."""
    frames = 64 if quick else 256
    with threadpool_limits(1):
        trajectory = _protein(frames)
        yield from _contacts(trajectory, 4 if quick else 16)
        yield from _dihedrals(trajectory)
        yield from _distances(trajectory)
        yield from _in_openmm()


def _protein(frames: int) -> mdtraj.Trajectory:
    """Copies of met-enkephalin, turned at random on a lattice, jittering."""
    random = np.random.default_rng(0)
    peptide = mdtraj.load(str(STRUCTURES / "met_enkephalin.pdb"))
    shape = peptide.xyz[0] - peptide.xyz[0].mean(0)
    turns = Rotation.random(64, rng=random).as_matrix()
    corners = np.array(list(product(range(4), repeat=3))) * SPACING
    positions = (np.einsum("nij,aj->nai", turns, shape) + corners[:, None]).reshape(-1, 3)
    topology = peptide.topology
    for _ in range(63):
        topology = topology.join(peptide.topology)
    noise = random.normal(scale=0.01, size=(frames, *positions.shape))
    return mdtraj.Trajectory((positions + noise).astype(np.float32), topology)


def _rates(ours: Callable, frames: int, theirs: Callable, fewer: int, repeats: int = 3) -> np.ndarray:
    """Frames per second of both, best of alternating repeats ``(2,)``."""
    best = np.array([(frames / _seconds(ours), fewer / _seconds(theirs)) for _ in range(repeats)])
    return best.max(axis=0)


def _seconds(run: Callable) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _faster(test: str, rates: np.ndarray, target: float) -> Row:
    ratio = float(rates[0] / rates[1])
    return Row(
        test=test,
        value=float(rates[0]),
        unit="frames/s",
        target=f"ratio >= {target:g}",
        met=bool(ratio >= target),
        peer=MDTRAJ,
        peer_value=float(rates[1]),
        ratio=ratio,
    )


def _equal(test: str, ours: np.ndarray, theirs: np.ndarray, unit: str, most: float) -> Row:
    difference = float(np.abs(ours - theirs).max())
    return Row(
        test=f"{test}: largest difference",
        value=difference,
        unit=unit,
        target=f"<= {most:g}",
        met=bool(difference <= most),
        peer=MDTRAJ,
    )


def _contacts(trajectory: mdtraj.Trajectory, fewer: int) -> Iterator[Row]:
    topology = topology_from_mdtraj(trajectory.topology)
    pairs = residue_pairs(topology)
    variable, some = ResidueDistances(pairs, topology), trajectory[:fewer]
    name = f"closest heavy atoms of {len(pairs)} residue pairs, {len(topology)} atoms"
    first = _seconds(lambda: evaluate(variable, trajectory.xyz))
    theirs = partial(mdtraj.compute_contacts, some, pairs, scheme="closest-heavy", periodic=False)
    rates = _rates(lambda: evaluate(variable, trajectory.xyz), len(trajectory), theirs, fewer)
    yield _faster(name, rates, 20)
    yield _equal(name, evaluate(variable, some.xyz), theirs()[0], "nm", 1e-6)
    yield Row(
        test=f"{name}: first call, compiled or from the cache of compiled code",
        value=first,
        unit="s",
        target="reported",
    )


def _dihedrals(trajectory: mdtraj.Trajectory) -> Iterator[Row]:
    topology = topology_from_mdtraj(trajectory.topology)
    tables = backbone_dihedrals(topology) | side_chain_dihedrals(topology)
    quads = np.concatenate([tables[kind] for kind in ("phi", "psi", "chi1", "chi2")])
    variable = Dihedrals(quads, topology)
    theirs = partial(mdtraj.compute_dihedrals, trajectory, quads, periodic=False)
    yield from _compared(f"{len(quads)} dihedrals", variable, trajectory, None, theirs, "rad", 1e-5)


def _distances(trajectory: mdtraj.Trajectory) -> Iterator[Row]:
    topology = topology_from_mdtraj(trajectory.topology)
    variable = feature_set(topology, "alpha-carbons")
    pairs = np.array(variable.atoms)
    name = f"{len(pairs)} distances of CA atoms"
    theirs = partial(mdtraj.compute_distances, trajectory, pairs, periodic=False)
    yield from _compared(name, variable, trajectory, None, theirs, "nm", 1e-5)
    boxed = trajectory[:]
    box = np.repeat(np.float32(4 * SPACING) * np.eye(3, dtype=np.float32)[None], len(boxed), 0)
    boxed.unitcell_vectors = box
    theirs = partial(mdtraj.compute_distances, boxed, pairs)
    yield from _compared(f"{name} in a box", variable, boxed, box, theirs, "nm", 1e-5)


def _compared(name, variable, trajectory, box, theirs, unit, most) -> Iterator[Row]:
    def ours() -> np.ndarray:
        return evaluate(variable, trajectory.xyz, box)

    found = ours()
    yield _faster(name, _rates(ours, len(trajectory), theirs, len(trajectory), 5), 1)
    difference = found - theirs()
    if unit == "rad":
        difference = np.angle(np.exp(1j * difference))
    yield _equal(name, difference, np.zeros(1), unit, most)


def _in_openmm() -> Iterator[Row]:
    """A slow coordinate of alanine dipeptide's 45 heavy-atom distances, as OpenMM computes it."""
    path = STRUCTURES / "alanine_dipeptide.pdb"
    topology, x = read_topology(path), mdtraj.load(str(path)).xyz[0].astype(float)
    features = Distances(heavy_atom_pairs(topology), topology)
    random, shift, walk = np.random.default_rng(0), np.zeros_like(x), []
    for _ in range(2000):
        shift = 0.98 * shift + random.normal(scale=0.003, size=x.shape)
        walk.append(x + shift)
    seen = evaluate(features, np.array(walk, np.float32)).astype(float)
    variable = model_variable(TICA(5, dim=1).fit(seen), features)
    with jax.enable_x64(True):
        value, gradient = jax.jit(jax.value_and_grad(lambda x: variable(x)[0]))(x)
    times, errors = {}, {}
    for kind, force in (
        ("formula", formula_force(exported(variable))),
        ("Python", python_force(variable)),
    ):
        context = _context(force, len(x))
        context.setPositions(x)
        state = context.getState(energy=True, forces=True)
        off = abs(state.getPotentialEnergy()._value - float(value))
        turned = np.abs(state.getForces(asNumpy=True)._value + np.asarray(gradient)).max()
        errors[kind] = float(max(off, turned))
        times[kind] = min(_step(context, x) for _ in range(5))
    name = f"slow coordinate of {len(features.names)} distances in OpenMM by formula"
    yield Row(
        test=f"{name}: error of value and gradient",
        value=errors["formula"],
        unit="1, 1/nm",
        target="<= 1e-5",
        met=bool(errors["formula"] <= 1e-5),
        peer="thalweg in JAX",
    )
    yield Row(
        test=f"{name}: time of one evaluation; peer by Python force",
        value=1e6 * times["formula"],
        unit="us",
        target="ratio >= 1",
        met=bool(times["Python"] >= times["formula"]),
        peer=OPENMM,
        peer_value=1e6 * times["Python"],
        ratio=times["Python"] / times["formula"],
    )


def _context(force: openmm.Force, atoms: int) -> openmm.Context:
    system = openmm.System()
    for _ in range(atoms):
        system.addParticle(12.0)
    system.addForce(force)
    integrator = openmm.VerletIntegrator(1e-9)
    return openmm.Context(system, integrator, openmm.Platform.getPlatform("Reference"))


def _step(context: openmm.Context, x: np.ndarray, steps: int = 1000) -> float:
    """Seconds of one step, in which the force is evaluated once."""
    context.setPositions(x)
    return _seconds(lambda: context.getIntegrator().step(steps)) / steps
