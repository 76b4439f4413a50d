"""Coulomb matrix: nuclear charges and their repulsions as one symmetric matrix.

``M_ii = 0.5 Z_i^2.4`` and ``M_ij = Z_i Z_j / r_ij``. It fixes a molecule up to rotation and reflection. Its
eigenvalues do not depend on the order of atoms but say less; its rows sorted by norm depend on the order only where
norms tie, where they have a kink: neither is meant for forces across such points.

Source: [rupp2012]; sorted rows: [montavon2012] [montavon2013]. In atomic units: distances are divided by the bohr.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float, Int, Positions
from thalweg.units import BOHR


def coulomb_matrix(
    numbers: Int[Array, " atoms"], positions: Positions
) -> Float[Array, "atoms atoms *replicas"]:
    """Coulomb matrix in atomic units.

    Parameters
    ----------
    numbers : atomic numbers
    positions : ``(atoms, 3, *replicas)`` [nm]; no two atoms may coincide

    Examples
    --------
    >>> h2 = coulomb_matrix(np.array([1, 1]), jnp.array([[0.0, 0.0, 0.0], [2 * BOHR, 0.0, 0.0]]))
    >>> h2.round(3).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    positions = jnp.asarray(positions)
    trailing = (1,) * (positions.ndim - 2)
    charges = jnp.asarray(numbers, positions.dtype).reshape(-1, *trailing)
    same = jnp.eye(len(numbers), dtype=positions.dtype).reshape(len(numbers), len(numbers), *trailing)
    vectors = positions[:, None] - positions[None]
    distances = jnp.sqrt((vectors * vectors).sum(2) + same) / BOHR
    return same * (0.5 * charges**2.4)[:, None] + (1 - same) * charges[:, None] * charges[None] / distances


def coulomb_eigenvalues(
    numbers: Int[Array, " atoms"], positions: Float[Array, "atoms 3"]
) -> Float[Array, " atoms"]:
    """Eigenvalues of the Coulomb matrix, largest magnitude first."""
    values = jnp.linalg.eigvalsh(coulomb_matrix(numbers, positions))
    return values[jnp.argsort(-jnp.abs(values))]


def sorted_coulomb_matrix(
    numbers: Int[Array, " atoms"], positions: Float[Array, "atoms 3"]
) -> Float[Array, "atoms atoms"]:
    """Coulomb matrix with atoms in the order of falling norms of their rows."""
    matrix = coulomb_matrix(numbers, positions)
    order = jnp.argsort(-(matrix * matrix).sum(1))
    return matrix[order][:, order]


def upper_triangle(matrix: Float[Array, "atoms atoms"]) -> Float[Array, " entries"]:
    """Entries on and above the diagonal, row by row: the matrix as features."""
    return matrix[np.triu_indices(len(matrix))]
