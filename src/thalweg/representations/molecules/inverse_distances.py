"""Inverse distances of all pairs of atoms, ``x_ij = 1 / |r_i - r_j|``: a molecule as numbers that do not turn with it.

Pairs stand in the order of ``numpy.triu_indices``. The numbers depend on the order of atoms; what is fitted to them
takes care of like atoms (`thalweg.representations.molecules.molecular_symmetry`).

Source: the descriptor of gradient-domain machine learning [chmiela2017].
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float, Int, Positions


def all_pairs(atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second atom of every pair, in the order in which pair variables stand."""
    first, second = np.triu_indices(atoms, 1)
    return first, second


def pair_distances(positions: Positions) -> Float[Array, " pairs *replicas"]:
    """Distances of all pairs of atoms [nm].

    Examples
    --------
    >>> x = jnp.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]])
    >>> [round(float(r), 4) for r in pair_distances(x)]
    [0.1, 0.2, 0.2236]
    """
    positions = jnp.asarray(positions)
    first, second = all_pairs(len(positions))
    vectors = positions[first] - positions[second]
    return jnp.sqrt((vectors * vectors).sum(1))


def inverse_distances(positions: Positions) -> Float[Array, " pairs *replicas"]:
    """Inverse distances of all pairs of atoms [1/nm].

    Parameters
    ----------
    positions : ``(atoms, 3, *replicas)`` [nm]; no two atoms may coincide

    Examples
    --------
    >>> x = jnp.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]])
    >>> [round(float(x), 3) for x in inverse_distances(x)]
    [10.0, 5.0, 4.472]
    """
    return 1 / pair_distances(positions)


def permuted_pairs(permutation: Int[Array, " atoms"]) -> np.ndarray:
    """Where the variable of each pair moves from when atom ``k`` becomes atom ``permutation[k]``: ``y = x[indices]``.

    Examples
    --------
    >>> permuted_pairs(np.array([1, 0, 2])).tolist()  # pairs 01, 02, 12
    [0, 2, 1]
    """
    atoms = len(permutation)
    first, second = all_pairs(atoms)
    place = np.zeros((atoms, atoms), int)
    place[first, second] = place[second, first] = np.arange(len(first))
    return place[permutation[first], permutation[second]]
