"""Optimal superposition of a structure on a reference, and the distance that remains.

The rotation that minimizes ``sum_i w_i |R (x_i - x_c) - (y_i - y_c)|^2`` belongs to the largest eigenvalue of
a symmetric 4 x 4 matrix linear in the weighted correlation ``sum_i w_i x_i y_i^T`` [horn1987]; its
eigenvector is the unit quaternion of ``R``, a proper rotation by construction. Because ``R`` is optimal, the
residual does not change to first order when ``R`` does: its exact gradient is that at fixed ``R``. No
derivative of an eigenvector is taken, so gradients stay finite where eigenvalues cross and where the
structures coincide. Second derivatives of the residual are not available. The rotation itself has its
derivative, from the gaps of the largest eigenvalue alone.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from thalweg.shapes import Array, Energies, Float, Positions


def rmsd(
    positions: Positions, reference: Float[Array, "atoms 3"], weights: Float[Array, " atoms"] | None = None
) -> Energies:
    """Root mean square deviation ``(*replicas,)`` [nm] after optimal superposition.

    Parameters
    ----------
    positions : ``(atoms, 3, *replicas)`` [nm], molecules whole
    reference : (atoms, 3) [nm]
    weights : (atoms,) weights of atoms, equal if None; their scale does not matter

    Examples
    --------
    >>> structure = jnp.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]])
    >>> turned = structure[:, jnp.array([1, 2, 0])] + 1.0
    >>> bool(rmsd(turned, structure) < 1e-6)
    True
    """
    weights = _normalized(weights, positions)
    target = _centered(jnp.asarray(reference, positions.dtype), weights)
    residual = superposed(positions, reference, weights) - _with_replica_axes(target, positions)
    mean_square = jnp.tensordot(weights, (residual**2).sum(axis=1), 1)
    apart = mean_square > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, mean_square, 1.0)), 0.0)


def superposed(
    positions: Positions, reference: Float[Array, "atoms 3"], weights: Float[Array, " atoms"] | None = None
) -> Positions:
    """Positions turned onto the reference, both centered on the origin by weight; parameters of `rmsd`."""
    weights = _normalized(weights, positions)
    moving = _centered(positions, weights)
    target = _centered(jnp.asarray(reference, positions.dtype), weights)
    rotation = jax.lax.stop_gradient(optimal_rotation(moving, target, weights))
    return jnp.einsum("ij...,aj...->ai...", rotation, moving)


def optimal_rotation(
    positions: Positions, reference: Float[Array, "atoms 3"], weights: Float[Array, " atoms"]
) -> Float[Array, "3 3 *replicas"]:
    """The proper rotation that brings centered ``positions`` closest to the centered ``reference``."""
    correlation = jnp.einsum("ai...,aj->...ij", positions, weights[:, None] * reference)
    quaternion = _leading_vector(quaternion_matrix(correlation))
    return jnp.moveaxis(rotation_matrix(quaternion), (-2, -1), (0, 1))


@jax.custom_jvp
def _leading_vector(matrix: Float[Array, "*replicas 4 4"]) -> Float[Array, "*replicas 4"]:
    """The eigenvector of the largest eigenvalue, whose derivative does not ask for gaps of the others."""
    return jnp.linalg.eigh(matrix)[1][..., -1]


@_leading_vector.defjvp
def _leading_vector_jvp(primals, tangents):
    # dq = sum_k v_k (v_k . dN q) / (lambda - lambda_k)
    values, vectors = jnp.linalg.eigh(primals[0])
    others, leading = vectors[..., :-1], vectors[..., -1]
    along = jnp.einsum("...ik,...ij,...j->...k", others, tangents[0], leading)
    return leading, jnp.einsum("...ik,...k->...i", others, along / (values[..., -1:] - values[..., :-1]))


def quaternion_matrix(s: Float[Array, "*replicas 3 3"]) -> Float[Array, "*replicas 4 4"]:
    """Horn's matrix N of the correlation S [horn1987, section 4]."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = (s[..., i, j] for i in range(3) for j in range(3))
    rows = (
        (xx + yy + zz, yz - zy, zx - xz, xy - yx),
        (yz - zy, xx - yy - zz, xy + yx, zx + xz),
        (zx - xz, xy + yx, yy - xx - zz, yz + zy),
        (xy - yx, zx + xz, yz + zy, zz - xx - yy),
    )
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_matrix(quaternion: Float[Array, "*replicas 4"]) -> Float[Array, "*replicas 3 3"]:
    """The rotation matrix of a unit quaternion (w, x, y, z)."""
    w, x, y, z = jnp.moveaxis(quaternion, -1, 0)
    rows = (
        (w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z),
    )
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _normalized(weights, positions):
    if weights is None:
        return jnp.full(positions.shape[0], 1.0 / positions.shape[0], positions.dtype)
    weights = jnp.asarray(weights, positions.dtype)
    return weights / weights.sum()


def _with_replica_axes(structure, positions):
    """One structure ``(atoms, 3)`` with an axis of length one for each replica axis of the positions."""
    return structure.reshape(structure.shape + (1,) * (positions.ndim - 2))


def _centered(positions, weights):
    return positions - jnp.tensordot(weights, positions, 1)
