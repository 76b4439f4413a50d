from importlib.resources import files

import equinox as eqx
import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest

from thalweg.dynamics.engine import Variable
from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.composed_variables import Composed, Concatenate, Contacts, SineCosine
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.superposition import RMSD
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Angles, Coordinates, Dihedrals, Distances, RadiusOfGyration
from thalweg.interop.files.trajectories import topology_from_mdtraj

STRUCTURE = mdtraj.load(str(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"))
TOPOLOGY = topology_from_mdtraj(STRUCTURE.topology)
POSITIONS = STRUCTURE.xyz[0]
MASSES = np.array([atom.element.mass for atom in STRUCTURE.topology.atoms])
BACKBONE = backbone_dihedrals(TOPOLOGY)
PHI_PSI = Dihedrals(np.concatenate([BACKBONE["phi"], BACKBONE["psi"]]), TOPOLOGY)
PAIRS = heavy_atom_pairs(TOPOLOGY)

VARIABLES = {
    "distances": Distances(PAIRS, TOPOLOGY),
    "angles": Angles([[4, 6, 8], [6, 8, 10]], TOPOLOGY),
    "dihedrals": PHI_PSI,
    "contacts": Contacts(Distances(PAIRS[:5], TOPOLOGY), 0.4),
    "rmsd": RMSD(POSITIONS, TOPOLOGY.heavy_atoms, MASSES[TOPOLOGY.heavy_atoms]),
    "radius of gyration": RadiusOfGyration(MASSES),
    "coordinates": Coordinates([0, 3]),
    "sines and cosines": SineCosine(PHI_PSI),
    "network": Composed(jnp.tanh, Distances([[0, 5], [1, 6]]), names=("u", "v")),
    "concatenated": Concatenate(PHI_PSI, RadiusOfGyration(MASSES), Distances(PAIRS[:2])),
}


def thermal_copies(count: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=0.01, size=(count, *POSITIONS.shape))
    return (POSITIONS + noise).astype(np.float32)


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=VARIABLES)
def test_every_value_has_a_name_a_unit_a_period_and_atoms(variable):
    assert isinstance(variable, Variable)
    values = eqx.filter_jit(variable)(thermal_copies(3).transpose(1, 2, 0))
    assert values.shape == (len(variable.names), 3)
    assert len(variable.names) == len(variable.units) == len(variable.periods) == len(variable.atoms)
    assert all(isinstance(atom, int) and 0 <= atom < 22 for row in variable.atoms for atom in row)


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=VARIABLES)
def test_moving_an_atom_that_a_value_does_not_name_leaves_it_alone(variable):
    with jax.enable_x64(True):
        jacobian = np.asarray(jax.jit(jax.jacobian(variable))(jnp.asarray(thermal_copies(1)[0], float)))
    for value, atoms in enumerate(variable.atoms):
        strangers = np.setdiff1d(np.arange(22), atoms)
        assert not jacobian[value, strangers].any()
        assert np.isfinite(jacobian).all()


@pytest.mark.parametrize("name", [n for n in VARIABLES if n != "coordinates"])
def test_values_are_unchanged_when_the_molecule_turns_and_moves(name):
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    x = thermal_copies(1)[0].astype(float)
    with jax.enable_x64(True):
        values = eqx.filter_jit(VARIABLES[name])
        np.testing.assert_allclose(values(x @ turn.T - 0.7), values(x), atol=1e-7)


def test_names_are_those_people_recognize():
    assert PHI_PSI.names == ("phi ALA2", "psi ALA2")
    assert Distances([[8, 16]], TOPOLOGY).names == ("ALA2-CA..NME3-N",)
    assert SineCosine(PHI_PSI).names == ("sin phi ALA2", "sin psi ALA2", "cos phi ALA2", "cos psi ALA2")


def test_phi_psi_gyration_and_rmsd_are_those_of_mdtraj():
    frames = thermal_copies(20)
    theirs = mdtraj.Trajectory(frames, STRUCTURE.topology)
    angles = np.concatenate([mdtraj.compute_phi(theirs)[1], mdtraj.compute_psi(theirs)[1]], axis=1)
    np.testing.assert_allclose(evaluate(PHI_PSI, frames), angles, atol=1e-6)
    gyration = evaluate(RadiusOfGyration(np.ones(22)), frames)[:, 0]
    np.testing.assert_allclose(gyration, mdtraj.compute_rg(theirs), atol=1e-6)
    deviation = evaluate(RMSD(POSITIONS, TOPOLOGY.heavy_atoms), frames)[:, 0]
    heavy = mdtraj.rmsd(theirs, STRUCTURE, atom_indices=TOPOLOGY.heavy_atoms)
    # MDTraj subtracts sums of squares in 32 bits: a deviation's square is off by rounding of the square of the size
    rounding = 2 * np.finfo(np.float32).eps * gyration**2 / deviation
    assert (np.abs(deviation - heavy) < rounding).all()


def test_a_variable_goes_through_jit_and_equal_variables_compile_once():
    traces = []

    @eqx.filter_jit
    def values(variable, x):
        traces.append(1)
        return variable(x)

    for _ in range(2):
        values(Distances(PAIRS, TOPOLOGY), POSITIONS)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 1], r"shape \(2,\); give rows of 2"),
        ([[0, 1, 2]], r"shape \(1, 3\); give rows of 2"),
        ([[3, 3]], r"\[3, 3\] names an atom or residue twice"),
    ],
)
def test_rows_that_are_no_pairs_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        Distances(rows)


def test_composed_values_need_one_name_unit_and_period_each():
    with pytest.raises(ValueError, match="2 names, 1 units, 2 periods; give one each"):
        Composed(jnp.tanh, Distances([[0, 1], [1, 2]]), ("a", "b"), units=("nm",))
