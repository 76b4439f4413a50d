"""Internal coordinates: distances, angles and dihedrals of chosen atoms, for any number of replicas at once.

All are differentiable. Where the geometry is degenerate (two atoms in one place, three on a line) the
derivative does not exist; zero is returned for it, never NaN. With a box, displacements are those to the
nearest image.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Box, Float, Int, Positions
from thalweg.systems.box import nearest_components


def distances(
    positions: Positions, pairs: Int[Array, "pairs 2"], box: Box | None = None
) -> Float[Array, " pairs *replicas"]:
    """Distances ``|x_j - x_i|`` [nm] of pairs of atoms at ``positions`` ``(atoms, dims, *replicas)`` [nm].

    Raises
    ------
    ValueError
        If a pair names an atom that is not there.

    Examples
    --------
    >>> corner = jnp.array([[0.0, 0.0, 0.0], [0.3, 0.4, 0.0]])
    >>> distances(corner, np.array([[0, 1]])).round(6).tolist()
    [0.5]
    """
    i, j = _columns(positions, pairs)
    return _length(_displacement(positions, i, j, box))


def angles(
    positions: Positions, triples: Int[Array, "triples 3"], box: Box | None = None
) -> Float[Array, " triples *replicas"]:
    """Angles i-j-k at the middle atom, ``atan2(|u x v|, u . v)``, in [0, pi] [rad].

    Examples
    --------
    >>> corner = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> jnp.degrees(angles(corner, np.array([[0, 1, 2]]))).round().tolist()
    [90.0]
    """
    i, j, k = _columns(positions, triples)
    u, v = _displacement(positions, j, i, box), _displacement(positions, j, k, box)
    return _polar_angle(_length(_cross(u, v)), _dot(u, v))


def dihedrals(
    positions: Positions, quads: Int[Array, "quads 4"], box: Box | None = None
) -> Float[Array, " quads *replicas"]:
    """Dihedral angles i-j-k-l in (-pi, pi] [rad]; cis is zero, clockwise positive [iupac1970].

    With bond vectors ``a``, ``b``, ``c`` from atom to atom::

        atan2(|b| a . (b x c), (a x b) . (b x c)).

    Examples
    --------
    >>> quarter = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    >>> jnp.degrees(dihedrals(quarter, np.array([[0, 1, 2, 3]]))).round().tolist()
    [90.0]
    """
    columns = _columns(positions, quads)
    # all atoms are looked up at once: a derivative is then one sum over atoms, not one for each bond and axis
    atoms = _rows(jnp.asarray(positions), columns.ravel()).reshape(*columns.shape, *np.shape(positions)[1:])
    bonds = atoms[1:] - atoms[:-1]
    a, b, c = (_nearest([bond[:, axis] for axis in range(3)], box) for bond in bonds)
    normal = _cross(b, c)
    angle = _polar_angle(_length(b) * _dot(a, normal), _dot(_cross(a, b), normal))
    return jnp.where(angle <= -jnp.pi, angle + 2.0 * jnp.pi, angle)


def _columns(positions: Positions, atoms: Int[Array, "rows width"]) -> np.ndarray:
    """Atom indices ``(width, rows)``, checked: JAX silently takes the last atom for one out of range."""
    columns = np.asarray(atoms).T
    if columns.size and not 0 <= columns.min() <= columns.max() < positions.shape[0]:
        raise ValueError(
            f"atoms {columns.min()} to {columns.max()} were asked of {positions.shape[0]} atoms; indices run "
            f"from 0 to {positions.shape[0] - 1}"
        )
    return columns


def _displacement(positions, start, end, box) -> list[jax.Array]:
    """Components ``(rows, *replicas)`` of the vectors from atoms ``start`` to atoms ``end``."""
    positions = jnp.asarray(positions)
    axes = [positions[:, k] for k in range(positions.shape[1])]
    return _nearest([_rows(axis, end) - _rows(axis, start) for axis in axes], box)


def _nearest(straight: list[jax.Array], box: Box | None) -> list[jax.Array]:
    """Components of vectors to nearest images."""
    return straight if box is None else nearest_components(straight, box)


def _rows(values, atoms):
    """``values[atoms]``, whose indices `_columns` has checked: XLA need not guard them, which takes time."""
    return values.at[atoms].get(mode="promise_in_bounds")


def _dot(u, v):
    return sum(a * b for a, b in zip(u, v))


def _cross(u, v):
    (ux, uy, uz), (vx, vy, vz) = u, v
    return [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx]


def _length(v):
    """Euclidean length, with derivative zero at zero."""
    square = _dot(v, v)
    apart = square > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)


def _polar_angle(y, x):
    """``atan2(y, x)``, and zero with derivative zero at the origin."""
    defined = x * x + y * y > 0.0
    return jnp.where(defined, jnp.arctan2(y, jnp.where(defined, x, 1.0)), 0.0)
