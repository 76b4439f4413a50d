"""Periodic boxes: minimum image, wrapping, volume, for any triclinic cell in reduced form.

A box is a ``(3, 3)`` array with the box vectors ``a, b, c`` as rows [nm], lower triangular and reduced, as OpenMM
and GROMACS want it:

    a = (ax, 0, 0),  b = (bx, by, 0),  c = (cx, cy, cz),
    ax, by, cz > 0,  2 |bx| <= ax,  2 |cx| <= ax,  2 |cy| <= by.

Whole numbers of c, then b, then a are rounded off a displacement (`close_components`): that is its nearest image if
the nearest image is shorter than half the smallest of ``ax, by, cz``, and in a rectangular box always. Beyond, in a
skewed box, it is a close image, the one that OpenMM takes. `minimum_image` goes on to the nearest: a displacement ``d``
is nearest when ``2 |d . v| <= v . v`` for the seven pairs of lattice vectors ``v`` that bound the Voronoi cell, which
are the sums of the vectors of an obtuse superbase [conway1992], found by Selling's reduction.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Box, Float, Positions

PASSES = 50
"""At most so many times the faces of the Voronoi cell are gone through; two are enough in usual cells."""

SELLING = 1000
"""At most so many steps of Selling's reduction; usual cells need none to three."""


def reduced_box(vectors: Float[Array, "3 3"]) -> np.ndarray:
    """``vectors`` (rows a, b, c) [nm] as a float64 array, after checking that they are in reduced form.

    Halves that were exceeded by rounding, as in 32 bits, are made exact.

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
    half = np.array([[np.inf] * 3, [ax / 2, np.inf, np.inf], [ax / 2, by / 2, np.inf]])
    return np.clip(box, -half, half)


def minimum_image(displacement: Float[Array, "pairs 3 *replicas"], box: Box) -> jax.Array:
    """The nearest periodic image of each displacement, axis 1 Cartesian, in a lower triangular ``box`` [nm].

    Examples
    --------
    >>> import numpy as np
    >>> minimum_image(np.array([[1.9, 0.2, -1.1]]), 2.0 * np.eye(3)).round(6)
    Array([[-0.1,  0.2,  0.9]], dtype=float32)
    """
    return jnp.stack(nearest_components(_components(displacement), box), 1)


def nearest_components(components: Sequence[Array], box: Box) -> list[jax.Array]:
    """`minimum_image` of displacements given as their x, y and z components, three arrays of one shape."""
    close = close_components(components, box)
    cell = jnp.asarray(box, close[0].dtype)
    if isinstance(box, np.ndarray) and not np.tril(box, -1).any():
        return close
    width = jnp.diagonal(cell).min()
    x, y, z = close
    far = (x * x + y * y + z * z > 0.25 * width * width).any()
    return jax.lax.cond(_skewed(cell) & far, _into_voronoi_cell, lambda parts, cell: parts, close, cell)


def close_image(displacement: Float[Array, "pairs 3 *replicas"], box: Box) -> jax.Array:
    """A close image of each displacement, the nearest within half the smallest width, as OpenMM takes it [nm]."""
    return jnp.stack(close_components(_components(displacement), box), 1)


def close_components(components: Sequence[Array], box: Box) -> list[jax.Array]:
    """`close_image` of displacements given as their components; enough, and quick, below a cutoff."""
    x, y, z = map(jnp.asarray, components)
    box = jnp.asarray(box, x.dtype)
    shift = jnp.round(z / box[2, 2])
    x, y, z = x - shift * box[2, 0], y - shift * box[2, 1], z - shift * box[2, 2]
    shift = jnp.round(y / box[1, 1])
    x, y = x - shift * box[1, 0], y - shift * box[1, 1]
    return [x - jnp.round(x / box[0, 0]) * box[0, 0], y, z]


def _components(displacement: Array) -> list[jax.Array]:
    displacement = jnp.asarray(displacement)
    return [displacement[:, k] for k in range(3)]


def _skewed(box: Array) -> jax.Array:
    return jnp.asarray((box[1, 0] != 0) | (box[2, 0] != 0) | (box[2, 1] != 0))


def _into_voronoi_cell(components: list[jax.Array], box: jax.Array) -> list[jax.Array]:
    """Displacements less the whole box vectors that leave them nearest; derivatives are those of fixed images."""
    steps = _voronoi_steps(jax.lax.stop_gradient(box))
    vectors = steps @ jax.lax.stop_gradient(box)

    def unfinished(carry):
        _, _, changed, passes = carry
        return changed & (passes < PASSES)

    def across(carry, face):
        counts, rest, changed = carry
        step, vector = face
        along = sum(component * v for component, v in zip(rest, vector))
        times = jnp.round(along / (vector @ vector))
        times = jnp.where(jnp.abs(times) >= 1, times, 0.0)  # and where a displacement is not finite
        counts = [count + times * s for count, s in zip(counts, step)]
        rest = [component - times * v for component, v in zip(rest, vector)]
        return (counts, rest, changed | (times != 0).any()), None

    def through_all_faces(carry):
        counts, rest, _, passes = carry
        begin = (counts, rest, jnp.zeros((), bool))
        return *jax.lax.scan(across, begin, (steps, vectors))[0], passes + 1

    still = [jax.lax.stop_gradient(component) for component in components]
    begin = ([jnp.zeros_like(part) for part in still], still, jnp.ones((), bool), 0)
    counts, *_ = jax.lax.while_loop(unfinished, through_all_faces, begin)
    return [
        component - sum(count * box[k, axis] for k, count in enumerate(counts))
        for axis, component in enumerate(components)
    ]


def _voronoi_steps(box: jax.Array) -> jax.Array:
    """The seven vectors, up to sign, that bound the Voronoi cell, as whole numbers ``(7, 3)`` of box vectors.

    Selling's reduction keeps four vectors that sum to zero; while two of them, i and j, have a positive product, i
    turns round and is added to the other two.
    """
    superbase = jnp.concatenate([jnp.eye(3, dtype=box.dtype), -jnp.ones((1, 3), box.dtype)])
    upper = np.triu(np.ones((4, 4)), 1)

    def products(whole):
        vectors = whole @ box
        return (vectors @ vectors.T) * upper

    def acute(carry):
        whole, steps = carry
        return (products(whole).max() > 1e-5 * (box * box).sum(1).min()) & (steps < SELLING)

    def turned(carry):
        whole, steps = carry
        i, j = jnp.divmod(products(whole).argmax(), 4)
        others = 1.0 - jax.nn.one_hot(i, 4, dtype=box.dtype) - jax.nn.one_hot(j, 4, dtype=box.dtype)
        added = others - 2.0 * jax.nn.one_hot(i, 4, dtype=box.dtype)
        return whole + added[:, None] * whole[i], steps + 1

    whole, _ = jax.lax.while_loop(acute, turned, (superbase, 0))
    return jnp.concatenate([whole, whole[:1] + whole[1:]])


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
