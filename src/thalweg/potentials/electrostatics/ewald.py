"""Ewald's sum: multipoles in a cell that repeats in all directions, without a surface [ewald1921].

    1/r = erfc(a r)/r + erf(a r)/r:   the first part over pairs nearby, the second over waves,

    U = 2 pi / V sum_(k != 0) exp(-k^2 / 4 a^2) / k^2 |S(k)|^2  -  what each atom does to itself  -  pi Q^2 / (2 a^2 V),
    S(k) = sum_j (q_j + i k . mu_j - k . M_j k / 2) exp(i k . x_j),

with the last term for a cell of net charge ``Q``, which a uniform background makes neutral, so that the sum does not
depend on how it is split. Surroundings conduct (tin foil). Energies here are in e^2/nm.
"""

from __future__ import annotations

from math import ceil, log, sqrt

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.electrostatics.multipoles import Multipoles, own_energy
from thalweg.shapes import Array, Box, Float, Int

MOST_WAVES = 2_000_000
"""More waves than this are refused: a mesh is what such a cell needs."""


def splitting(cutoff: float, tolerance: float = 1e-6) -> float:
    """``a`` [1/nm] for which ``erfc(a r)`` has about fallen to ``tolerance`` at ``cutoff`` [nm].

    Examples
    --------
    >>> round(splitting(0.9, 1e-6), 2)
    4.13
    """
    return sqrt(-log(tolerance)) / cutoff


def waves(box: Box, alpha: float, tolerance: float = 1e-6) -> Int[np.ndarray, "waves 3"]:
    """Whole numbers ``n`` of the waves ``k = 2 pi h^-1 n`` that matter, one of each ``k`` and ``-k``.

    Raises
    ------
    ValueError
        If the box has no volume, or needs more than `MOST_WAVES`.
    """
    box = np.asarray(box, float)
    if not abs(np.linalg.det(box)) > 0:
        raise ValueError(f"Ewald's sum needs a cell with a volume; got {box.tolist()}")
    furthest = 2 * alpha * sqrt(-log(tolerance))
    # |n_a| <= |h_a| k_max / 2 pi
    most = [max(1, ceil(np.linalg.norm(vector) * furthest / (2 * np.pi))) for vector in box]
    expected = abs(np.linalg.det(box)) * furthest**3 / (12 * np.pi**2)
    if expected > MOST_WAVES:
        raise ValueError(
            f"a cell of {abs(np.linalg.det(box)):.3g} nm^3 split at {alpha:.3g}/nm needs {expected:.2g} waves; use a "
            "particle mesh, or a longer cutoff"
        )
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in most), indexing="ij"), -1).reshape(-1, 3)
    # of each k and -k the one whose first nonzero number is positive: the grid's later half, the zero left out
    grid = grid[len(grid) // 2 + 1 :]
    lengths = np.linalg.norm(2 * np.pi * grid @ np.linalg.inv(box).T, axis=1)
    return grid[lengths <= furthest].astype(np.int32)


def wave_vectors(numbers: Int[Array, "waves 3"], box: Box) -> Float[Array, "waves 3"]:
    """``k = 2 pi h^-1 n`` [1/nm], differentiable in the box."""
    box = jnp.asarray(box)
    return 2 * np.pi * jnp.asarray(numbers, box.dtype) @ _inverse(box).T


def _inverse(box):
    """The inverse by cross products of the rows, which differentiates in any precision."""
    dual = jnp.stack([jnp.cross(box[k - 2], box[k - 1]) for k in range(3)], 1)
    return dual / (box[0] @ dual[:, 0])


def smooth_energy(
    points: Float[Array, "3 atoms"],
    moments: Multipoles,
    box: Box,
    alpha: Array | float,
    numbers: Int[Array, "waves 3"],
) -> jax.Array:
    """Energy by the kernel ``erf(a r) / r`` of all atoms with all others and all images [e^2/nm].

    ``numbers`` of zeros, which fill a table up, count nothing.
    """
    moments = jax.tree.map(jnp.asarray, moments)
    k = wave_vectors(numbers, box)
    squared = (k * k).sum(1)
    there = squared > 0
    squared = jnp.where(there, squared, 1.0)
    volume = jnp.abs(jnp.linalg.det(jnp.asarray(box)))
    weights = jnp.where(there, jnp.exp(-squared / (4 * alpha * alpha)) / squared, 0.0)
    real, imaginary = _structure_factors(points, moments, k)
    # twice for -k: 2 x 2 pi / V
    total = 4 * np.pi / volume * (weights * (real * real + imaginary * imaginary)).sum()
    return total + own_energy(moments, alpha) + background(moments.charges, volume, alpha)


def _structure_factors(
    points: Float[Array, "3 atoms"], moments: Multipoles, k: Float[Array, "waves 3"]
) -> tuple[jax.Array, jax.Array]:
    """Real and imaginary part of ``S(k)``, ``(waves,)``."""
    phases = k @ points
    cosine, sine = jnp.cos(phases), jnp.sin(phases)
    even = moments.charges
    if moments.quadrupoles is not None:
        even = even - 0.5 * jnp.einsum("wa,abn,wb->wn", k, moments.quadrupoles, k)
    if moments.dipoles is None:
        return (even * cosine).sum(1), (even * sine).sum(1)
    odd = k @ moments.dipoles
    return (even * cosine - odd * sine).sum(1), (even * sine + odd * cosine).sum(1)


def background(charges: Float[Array, " atoms"], volume: Array | float, alpha: Array | float) -> jax.Array:
    """``- pi Q^2 / (2 a^2 V)``: what a uniform background of minus the net charge adds [e^2/nm]."""
    return -np.pi * jnp.asarray(charges).sum() ** 2 / (2 * alpha * alpha * volume)
