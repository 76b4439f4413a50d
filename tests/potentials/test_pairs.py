"""Sums over all pairs, against loops."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.potentials.energy import energy_and_forces
from thalweg.potentials.nonbonded import Cutoff, nonbonded
from thalweg.potentials.pairs import AllPairs, PairEnergy

EXCLUDED = np.array([[0, 1], [1, 2]])


def inverse_square(r2, own, partner):
    return own[0] * partner[0] / r2


@pytest.mark.parametrize("atoms", [3, 4, 33, 50])
def test_every_pair_counts_once_but_the_excluded(atoms):
    rng = np.random.default_rng(atoms)
    positions, weights = rng.normal(size=(atoms, 3)), rng.normal(size=atoms)
    pairs = np.array([p for p in itertools.combinations(range(atoms), 2) if list(p) not in EXCLUDED.tolist()])
    i, j = pairs.T
    d = positions[i] - positions[j]
    r2 = (d**2).sum(1)
    product = weights[i] * weights[j]
    forces = np.zeros((atoms, 3))
    np.add.at(forces, i, (2 * product / r2**2)[:, None] * d)
    np.add.at(forces, j, -(2 * product / r2**2)[:, None] * d)
    with jax.enable_x64(True):
        energy = PairEnergy(inverse_square, (weights,), AllPairs.but(atoms, EXCLUDED))
        ours, our_forces = eqx.filter_jit(energy_and_forces)(energy, jnp.asarray(positions))
    np.testing.assert_allclose(ours, (product / r2).sum(), rtol=1e-10)
    np.testing.assert_allclose(our_forces, forces, rtol=1e-8, atol=1e-10 * np.abs(forces).max())


def test_one_atom_has_no_pairs():
    energy = PairEnergy(inverse_square, (np.ones(1),), AllPairs.but(1, np.zeros((0, 2), int)))
    ours, forces = energy_and_forces(energy, jnp.zeros((1, 3, 2)))
    np.testing.assert_array_equal(ours, 0)
    np.testing.assert_array_equal(forces, 0)


def test_a_periodic_energy_asks_for_its_box():
    exceptions = (np.zeros((0, 2), int), np.zeros(0), np.zeros(0), np.zeros(0))
    (energy,) = nonbonded(np.ones((4, 3)), exceptions, Cutoff(0.5), periodic=True)
    with pytest.raises(ValueError, match="pass box vectors"):
        energy(np.zeros((4, 3)))
