"""What every variable of positions must do, tried on each with some atoms of alanine dipeptide."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.engine import Variable
from thalweg.geometry.composed_variables import Composed, Concatenate, Contacts, Logarithms, SineCosine
from thalweg.geometry.coordination import CoordinationNumbers
from thalweg.geometry.residue_distances import ResidueDistances, SoftResidueDistances
from thalweg.geometry.superposition import RMSD, SuperposedCoordinates
from thalweg.geometry.variables import Angles, Coordinates, Dihedrals, Distances, RadiusOfGyration
from thalweg.representations.steinhardt import AveragedOrder, GlobalOrder, LocalOrder
from thalweg.systems.topology import Topology

POINTS = np.array(
    [[0, 0, 0], [0.15, 0.01, 0], [0.2, 0.14, 0.02], [0.34, 0.15, -0.04], [0.4, 0.27, 0.05], [0.53, 0.29, 0.0]]
)
"""A bent chain of six atoms [nm]."""

CHAIN = Topology(
    ("C1", "C2", "N1", "C3", "C4", "N2"),
    ("C", "C", "N", "C", "C", "N"),
    ("ONE",) * 2 + ("TWO",) * 2 + ("SIX",) * 2,
    (1, 1, 2, 2, 3, 3),
    (0,) * 6,
    np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]),
)
PAIRS = Distances([[0, 3], [1, 5]])
EXAMPLES = {
    "Distances": PAIRS,
    "Angles": Angles([[0, 1, 2], [2, 3, 4]], CHAIN),
    "Dihedrals": Dihedrals([[0, 1, 2, 3], [2, 3, 4, 5]], CHAIN),
    "RadiusOfGyration": RadiusOfGyration(np.array([12.0, 12.0, 14.0, 12.0], np.float32), [0, 1, 2, 4]),
    "Coordinates": Coordinates([0, 2]),
    "Contacts": Contacts(PAIRS, radius=0.4),
    "Logarithms": Logarithms(PAIRS),
    "SineCosine": SineCosine(Dihedrals([[0, 1, 2, 3]], CHAIN)),
    "Concatenate": Concatenate(PAIRS, Angles([[0, 1, 2]])),
    "Composed": Composed(jnp.cos, PAIRS, names=("one", "two")),
    "CoordinationNumbers": CoordinationNumbers([0, 3], range(6), radius=0.3),
    "ResidueDistances": ResidueDistances([[0, 1], [0, 2]], CHAIN),
    "SoftResidueDistances": SoftResidueDistances([[0, 1], [0, 2]], CHAIN),
    "RMSD": RMSD(
        np.asarray(POINTS * [1.0, 1.1, 0.9] + 0.01 * np.sin(np.arange(18)).reshape(6, 3), np.float32)
    ),
    "SuperposedCoordinates": SuperposedCoordinates(np.asarray(POINTS, np.float32), [0, 4], fitted=range(6)),
    "LocalOrder": LocalOrder([0, 2, 3, 4], degree=4, radius=0.25),
    "AveragedOrder": AveragedOrder([0, 2, 3, 4], degree=4, radius=0.25),
    "GlobalOrder": GlobalOrder([0, 2, 3, 4], degree=4, radius=0.25),
}
"""A small example of each variable, given the same atoms."""

OTHER = {"AtomTuples", "SecondaryContent", "SecondaryStructure", "SolventExposure", "JointMeasurement"}
"""What has names and units, but is the base of others, or measured in frames without derivatives."""

FIXED = {"Coordinates"}
"""Those that see where the world is."""


@pytest.fixture(params=EXAMPLES)
def name(request):
    return request.param


@pytest.fixture
def variable(name):
    return EXAMPLES[name]


def points(replicas=3):
    shaken = np.random.default_rng(0).normal(0, 0.01, (6, 3, replicas))
    return jnp.asarray(POINTS[:, :, None] + shaken, jnp.float32)


def test_every_variable_has_an_example_here(public, without_example):
    found = public(Variable, "geometry", "representations") - OTHER
    assert not without_example(found, EXAMPLES)


def test_it_is_a_variable_with_a_name_a_unit_and_a_period_for_each_value(variable):
    assert isinstance(variable, Variable)
    values = variable(points()[:, :, 0])
    assert values.ndim == 1
    assert len(variable.names) == len(variable.units) == len(variable.periods) == len(values)
    assert all(isinstance(one, str) for one in (*variable.names, *variable.units))
    assert len(set(variable.names)) == len(values)
    assert all(period is None or period > 0 for period in variable.periods)


def test_values_have_the_replicas_and_the_precision_of_the_positions(variable):
    values = variable(points())
    assert values.shape == (len(variable.names), 3)
    assert values.dtype == jnp.float32
    nested = variable(points(4).reshape(6, 3, 2, 2))
    np.testing.assert_allclose(nested.reshape(-1, 4), variable(points(4)), rtol=1e-5, atol=1e-6)


def test_replicas_do_not_know_each_other(variable):
    together = variable(points())
    for replica in range(3):
        alone = variable(points()[:, :, replica])
        np.testing.assert_allclose(together[:, replica], alone, rtol=1e-5, atol=1e-5)


def test_its_derivative_is_that_of_finite_differences(variable):
    step = 1e-5
    with jax.enable_x64(True):
        x = jnp.asarray(np.asarray(points()[:, :, 0], float))
        way = jnp.asarray(np.random.default_rng(1).normal(size=(6, 3)))
        _, slope = jax.jvp(variable, (x,), (way,))
        before, after = variable(x - step * way), variable(x + step * way)
    expected = (np.asarray(after) - np.asarray(before)) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


def test_forces_pull_at_its_own_atoms_alone(variable):
    if not hasattr(variable, "atoms"):
        pytest.skip("does not say which atoms it sees")
    gradients = np.asarray(jax.jacrev(variable)(points()[:, :, 0]))
    for row, atoms in zip(gradients, variable.atoms, strict=True):
        others = sorted(set(range(6)) - set(atoms))
        assert (row[others] == 0).all()
        assert np.isfinite(row).all()


def test_a_move_and_a_turn_of_the_world_change_nothing(name, variable):
    if name in FIXED:
        pytest.skip("sees where the world is")
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    with jax.enable_x64(True):
        x = np.asarray(points()[:, :, 0], float)
        still, moved = (
            variable(jnp.asarray(x)),
            variable(jnp.asarray(x @ turn.T + np.array([0.3, -2.0, 1.1]))),
        )
    np.testing.assert_allclose(moved, still, rtol=1e-6, atol=1e-6)


def test_compiled_it_is_the_same_and_positions_stay_as_they_were(variable):
    x = points()
    compiled = eqx.filter_jit(lambda variable, x: variable(x))(variable, x)
    np.testing.assert_allclose(compiled, variable(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(x, points())
