"""Periodic boxes: minimum image, wrapping, volume, for any triclinic cell in reduced form.

A box is a ``(3, 3)`` array with the box vectors ``a, b, c`` as rows [nm], lower triangular and reduced, as OpenMM
and GROMACS want it:

    a = (ax, 0, 0),  b = (bx, by, 0),  c = (cx, cy, cz),
    ax, by, cz > 0,  2 |bx| <= ax,  2 |cx| <= ax,  2 |cy| <= by.

Reduced boxes have the nearest image among those found by rounding along c, then b, then a, for every distance up to
half the smallest of ``ax, by, cz``; beyond it the image found is a close one, as in OpenMM.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Box, Float, Positions


def reduced_box(vectors: Float[Array, "3 3"]) -> np.ndarray:
    """``vectors`` (rows a, b, c) [nm] as a float64 array, after checking that they are in reduced form.

    Raises
    ------
    ValueError
        If they are not; says which condition fails and what to do.

    Examples
    --------
    >>> reduced_box(np.array([[2.0, 0, 0], [0, 2, 0], [1, 1, 2]]))[2]
    array([1., 1., 2.])
    """
    box = np.asarray(vectors, float)
    if box.shape != (3, 3) or not np.isfinite(box).all():
        raise ValueError(f"box must be a finite (3, 3) array with the box vectors as rows [nm]; got {box}")
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = box
    slack = 1 + 1e-5
    conditions = {
        "a must lie along x, b in the xy plane": ay == az == bz == 0,
        "ax, by, cz must be positive": min(ax, by, cz) > 0,
        "2|bx| <= ax": 2 * abs(bx) <= ax * slack,
        "2|cx| <= ax": 2 * abs(cx) <= ax * slack,
        "2|cy| <= by": 2 * abs(cy) <= by * slack,
    }
    broken = [condition for condition, holds in conditions.items() if not holds]
    if broken:
        raise ValueError(
            f"box {box.tolist()} is not in reduced form: {'; '.join(broken)}. Rotate the system so that it is lower "
            "triangular and subtract whole box vectors (openmm.app.internal.unitcell.reducePeriodicBoxVectors)"
        )
    return box


def minimum_image(displacement: Float[Array, "pairs 3 *replicas"], box: Box) -> jax.Array:
    """The nearest periodic image of each displacement, axis 1 Cartesian, in a reduced ``box`` [nm].

    Examples
    --------
    >>> import numpy as np
    >>> minimum_image(np.array([[1.9, 0.2, -1.1]]), 2.0 * np.eye(3)).round(6)
    Array([[-0.1,  0.2,  0.9]], dtype=float32)
    """
    displacement = jnp.asarray(displacement)
    x, y, z = nearest_components([displacement[:, k] for k in range(3)], box)
    return jnp.stack([x, y, z], 1)


def nearest_components(components: list[Array], box: Box) -> list[jax.Array]:
    """`minimum_image` of displacements given as their x, y and z components, three arrays of one shape."""
    x, y, z = map(jnp.asarray, components)
    box = jnp.asarray(box, x.dtype)
    shift = jnp.round(z / box[2, 2])
    x, y, z = x - shift * box[2, 0], y - shift * box[2, 1], z - shift * box[2, 2]
    shift = jnp.round(y / box[1, 1])
    x, y = x - shift * box[1, 0], y - shift * box[1, 1]
    return [x - jnp.round(x / box[0, 0]) * box[0, 0], y, z]


def wrapped(positions: Positions, box: Box) -> jax.Array:
    """Positions ``(atoms, 3, *replicas)`` moved by whole box vectors into the cell spanned by ``box`` [nm].

    Examples
    --------
    >>> import numpy as np
    >>> wrapped(np.array([[-0.5, 2.5, 1.0]]), 2.0 * np.eye(3))
    Array([[1.5, 0.5, 1. ]], dtype=float32)
    """
    positions = jnp.asarray(positions)
    box = jnp.asarray(box, positions.dtype)
    cells = jnp.floor(jnp.einsum("nd...,dk->nk...", positions, jnp.linalg.inv(box)))
    return positions - jnp.einsum("nk...,kd->nd...", cells, box)


def volume(box: Box) -> Float[Array, ""]:
    """Volume of a box [nm^3].

    Examples
    --------
    >>> import numpy as np
    >>> float(volume(np.diag([2.0, 3.0, 4.0])))
    24.0
    """
    box = jnp.asarray(box)
    return box[0, 0] * box[1, 1] * box[2, 2]
