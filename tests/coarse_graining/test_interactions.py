"""Interactions: rows of fits are derivatives of the very energies that run."""

import jax
import numpy as np
import pytest

from thalweg.coarse_graining import (
    AngleWaves,
    BondedInteraction,
    BSplines,
    InternalCoordinate,
    PairInteraction,
    Powers,
)
from thalweg.potentials import energy_and_forces

CHAIN = np.random.default_rng(3).normal([0.1, 0, 0], 0.1, (7, 6, 3)).cumsum(axis=1)
INTERACTIONS = {
    "bonds": BondedInteraction(InternalCoordinate("distance", [[0, 1], [1, 2]], Powers(0.2, 0.1, (1, 2, 3)))),
    "angles": BondedInteraction(InternalCoordinate("angle", [[0, 1, 2], [1, 2, 3]], BSplines(0.5, 2.5, 6))),
    "dihedrals": BondedInteraction(InternalCoordinate("dihedral", [[0, 1, 2, 3]], AngleWaves(3))),
    "map": BondedInteraction(
        InternalCoordinate("dihedral", [[0, 1, 2, 3]], AngleWaves(2)),
        InternalCoordinate("dihedral", [[1, 2, 3, 4]], AngleWaves(2)),
    ),
    "pairs": PairInteraction(
        BSplines(0.1, 0.8, 7, zero_at_end=True, degree=4), 0.8, np.ones(6, int), periodic=False
    ),
}


@pytest.mark.parametrize("name", INTERACTIONS)
def test_energy_and_forces_of_an_interaction_are_its_rows_times_its_coefficients(name):
    interaction = INTERACTIONS[name]
    c = np.random.default_rng(0).normal(size=len(interaction.names))
    sums, rows = interaction.rows(CHAIN, None)
    with jax.enable_x64(True):
        x = np.moveaxis(CHAIN, 0, -1)
        energies, forces = energy_and_forces(interaction.energy(c, 6), x)
    np.testing.assert_allclose(np.asarray(energies), sums @ c, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.moveaxis(np.asarray(forces), -1, 0), rows @ c, rtol=1e-7, atol=1e-7)


def test_pairs_see_the_nearest_image_and_other_molecules_only():
    box = np.eye(3) * 2.0
    x = np.array([[0.1, 1, 1], [1.9, 1, 1], [0.3, 1, 1]])
    pairs = PairInteraction(BSplines(0.1, 0.6, 5, True), 0.6, np.ones(3, int), molecules=np.array([0, 1, 0]))
    i, j, _, lengths = pairs.distances(x, box)
    assert {tuple(sorted(pair)) for pair in zip(i.tolist(), j.tolist())} == {(0, 1), (1, 2)}
    np.testing.assert_allclose(np.sort(lengths), [0.2, 0.4])
    sums, rows = pairs.rows(x[None], box[None])
    c = np.random.default_rng(1).normal(size=len(pairs.names))
    with jax.enable_x64(True):
        energies, forces = energy_and_forces(pairs.energy(c, 3), x[..., None], box)
    np.testing.assert_allclose(np.asarray(energies), sums @ c, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(forces)[..., 0], (rows @ c)[0], rtol=1e-6, atol=1e-9)


def test_kinds_are_told_apart():
    pairs = PairInteraction(
        BSplines(0.1, 5.0, 5, True), 5.0, np.array([1, 1, 2]), between=(1, 2), periodic=False
    )
    i, j, _, _ = pairs.distances(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]))
    assert {tuple(sorted(pair)) for pair in zip(i.tolist(), j.tolist())} == {(0, 2), (1, 2)}


@pytest.mark.parametrize("degree", [3, 5])
@pytest.mark.parametrize("zero", [True, False])
def test_a_spline_goes_on_in_a_straight_line_and_ends_smoothly_at_a_cutoff(degree, zero):
    splines = BSplines(0.2, 1.0, 6, zero, degree)
    c = np.random.default_rng(0).normal(size=len(splines.names))
    q = np.linspace(0.0, 1.3, 400)
    values, slopes = splines.design(q)
    with jax.enable_x64(True):
        u = splines.potential(c)
        np.testing.assert_allclose(np.asarray(u(q)), c @ values, atol=1e-9)
        np.testing.assert_allclose(np.asarray(jax.vmap(jax.grad(u))(q)), c @ slopes, atol=1e-8)
    below = (c @ values)[q < 0.19]
    np.testing.assert_allclose(np.diff(below, 2), 0, atol=1e-9)
    if zero:
        np.testing.assert_allclose((c @ values)[q > 1.0], 0, atol=1e-12)


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="a dihedral has 4 beads"):
        InternalCoordinate("dihedral", [[0, 1, 2]], AngleWaves(1))
    with pytest.raises(ValueError, match="equally many terms"):
        BondedInteraction(
            InternalCoordinate("distance", [[0, 1]], Powers(0.0)),
            InternalCoordinate("distance", [[0, 1], [1, 2]], Powers(0.0)),
        )
    with pytest.raises(ValueError, match="need its box"):
        PairInteraction(BSplines(0.1, 0.6, 5, True), 0.6, np.ones(3, int)).rows(CHAIN[:, :3], None)
