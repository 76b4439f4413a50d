from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.representations.molecules.coulomb_matrix import (
    coulomb_eigenvalues,
    coulomb_matrix,
    sorted_coulomb_matrix,
    upper_triangle,
)
from thalweg.representations.molecules.inverse_distances import inverse_distances, permuted_pairs
from thalweg.representations.molecules.morse_variables import morse_variables

NUMBERS = np.array([6, 8, 1, 1])
POINTS = np.random.default_rng(0).normal(size=(4, 3)) * 0.1
ROTATION = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]


@pytest.mark.parametrize(
    "variables", [inverse_distances, morse_variables, lambda x: coulomb_matrix(NUMBERS, x)]
)
def test_pair_variables_do_not_turn_with_the_molecule(variables):
    np.testing.assert_allclose(variables(POINTS), variables(POINTS @ ROTATION.T + 0.3), rtol=1e-5)


def test_permuting_atoms_permutes_pair_variables():
    permutation = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(
        inverse_distances(POINTS[permutation]),
        inverse_distances(POINTS)[permuted_pairs(permutation)],
        rtol=1e-6,
    )


def test_replicas_are_side_by_side():
    both = jnp.stack([POINTS, 2 * POINTS], -1)
    np.testing.assert_allclose(inverse_distances(both)[:, 1], inverse_distances(2 * POINTS), rtol=1e-6)
    np.testing.assert_allclose(
        coulomb_matrix(NUMBERS, both)[..., 0], coulomb_matrix(NUMBERS, POINTS), rtol=1e-6
    )


@pytest.mark.parametrize("features", [coulomb_eigenvalues, sorted_coulomb_matrix])
def test_eigenvalues_and_sorted_rows_do_not_depend_on_the_order_of_atoms(features):
    order = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(
        features(NUMBERS, POINTS), features(NUMBERS[order], POINTS[order]), rtol=1e-4, atol=1e-4
    )


def test_the_upper_triangle_has_all_that_a_symmetric_matrix_says():
    assert upper_triangle(coulomb_matrix(NUMBERS, POINTS)).shape == (10,)
