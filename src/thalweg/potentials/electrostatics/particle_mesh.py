"""Smooth particle-mesh Ewald: the waves of Ewald's sum by a fast Fourier transform [essmann1995].

Charges are spread over a mesh by cardinal B-splines ``M_p`` of order ``p``; with ``b_a(m)`` what a spline does to a
wave, the energy is

    U = 1 / (2 pi V) sum_(m != 0) exp(-pi^2 m^2 / a^2) / m^2  |b_1 b_2 b_3|^2 |F(Q)(m)|^2,

at a cost of ``n log n``. The gradient in the positions is that of this energy.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.electrostatics.ewald import background, wave_vectors
from thalweg.potentials.electrostatics.multipoles import Multipoles, own_energy
from thalweg.shapes import Array, Box, Float

ORDER = 6
"""Order of the splines: energies have four continuous derivatives."""


def mesh_size(box: Box, alpha: float, tolerance: float = 1e-6) -> tuple[int, int, int]:
    """Points along each box vector, products of 2, 3 and 5: about what makes forces right to ``tolerance``.

    The error of splines of order 6 falls as ``(alpha spacing)^6``; the constant was measured on random charges.

    Examples
    --------
    >>> mesh_size(np.diag([3.0, 3.0, 4.0]), 3.5, 1e-4)
    (32, 32, 45)
    """
    spacing = 1.6 * tolerance ** (1 / ORDER) / alpha
    lengths = np.linalg.norm(np.asarray(box, float), axis=1)
    first, second, third = (_smooth_number(ceil(length / spacing)) for length in lengths)
    return first, second, third


def _smooth_number(least: int) -> int:
    """The next product of 2, 3 and 5."""
    number = max(least, 2 * ORDER)
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1


def _splines(fraction: Float[Array, " *atoms"], order: int = ORDER) -> jax.Array:
    """``M_p(w + p - 1 - k)`` for ``k = 0 .. p - 1``, where ``w`` is the fraction: weights of the next mesh points.

    Examples
    --------
    >>> np.asarray(_splines(jnp.asarray(0.0), 4), float).round(4).tolist()
    [0.1667, 0.6667, 0.1667, 0.0]
    """
    # M_2 at w + 1 and w, then M_p(u) = (u M_(p-1)(u) + (p - u) M_(p-1)(u - 1)) / (p - 1)
    values = [1 - fraction, fraction]
    for p in range(3, order + 1):
        more = []
        for k in range(p):
            u = fraction + p - 1 - k
            left = values[k - 1] if k >= 1 else 0.0
            right = values[k] if k < p - 1 else 0.0
            more.append((u * left + (p - u) * right) / (p - 1))
        values = more
    return jnp.stack(values)


@lru_cache
def _spline_factors(points: int, order: int) -> np.ndarray:
    """``|b(m)|^2`` along an axis of so many ``points``."""
    nodes = np.asarray(_whole_splines(order))
    m = np.arange(points)
    waves = np.exp(2j * np.pi * np.outer(m, np.arange(order - 1)) / points) @ nodes
    squared = np.abs(waves) ** 2
    return np.where(squared > 1e-10, 1 / np.maximum(squared, 1e-10), 0.0)


def _whole_splines(order):
    """``M_p(1), ..., M_p(p - 1)``."""
    values = np.array([1.0])
    for p in range(3, order + 1):
        whole = np.zeros(p - 1)
        for k in range(1, p):
            here = values[k - 1] if k <= len(values) else 0.0
            before = values[k - 2] if k >= 2 else 0.0
            whole[k - 1] = (k * here + (p - k) * before) / (p - 1)
        values = whole
    return values


def smooth_mesh_energy(
    points: Float[Array, "3 atoms"],
    charges: Float[Array, " atoms"],
    box: Box,
    alpha: Array | float,
    mesh: tuple[int, int, int],
) -> jax.Array:
    """What `smooth_energy` is for charges, by a mesh [e^2/nm]; differentiable in positions, charges and box."""
    box = jnp.asarray(box, points.dtype)
    spread = _spread(points, charges, box, mesh)
    transformed = jnp.fft.rfftn(spread)
    weights = _wave_weights(box, alpha, mesh)
    volume = jnp.abs(jnp.linalg.det(box))
    power = transformed.real**2 + transformed.imag**2
    total = 2 * np.pi / volume * (weights * power).sum()
    return total + own_energy(Multipoles(charges), alpha) + background(charges, volume, alpha)


def _spread(points, charges, box, mesh):
    """The charges on the mesh."""
    reciprocal = wave_vectors(np.eye(3, dtype=np.int32), box) / (2 * np.pi)
    scaled = (reciprocal @ points) * jnp.asarray(mesh, points.dtype)[:, None]
    floor = jnp.floor(scaled)
    weights = _splines(scaled - floor)  # (order, 3, atoms)
    steps = jnp.arange(ORDER)[:, None, None] - ORDER + 1
    places = (floor.astype(jnp.int32) + steps) % jnp.asarray(mesh)[:, None]
    x, y, z = (places[:, a] for a in range(3))
    index = (x[:, None, None] * mesh[1] + y[None, :, None]) * mesh[2] + z[None, None]
    values = charges * weights[:, None, None, 0] * weights[None, :, None, 1] * weights[None, None, :, 2]
    flat = jnp.zeros(mesh[0] * mesh[1] * mesh[2], points.dtype)
    return flat.at[index.reshape(-1)].add(values.reshape(-1)).reshape(mesh)


def _wave_weights(box, alpha, mesh):
    """``exp(-k^2 / 4 a^2) / k^2 |b|^2`` of each wave of a real transform, those with a partner ``-k`` twice."""
    axes = [(np.fft.fftfreq(points) * points).round().astype(np.int32) for points in mesh[:2]]
    axes.append(np.arange(mesh[2] // 2 + 1))
    numbers = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    k = wave_vectors(numbers.reshape(-1, 3), box)
    squared = (k * k).sum(1).reshape(numbers.shape[:-1])
    there = np.any(numbers != 0, -1)
    squared = jnp.where(there, squared, 1.0)
    factors = [_spline_factors(points, ORDER) for points in mesh]
    splined = factors[0][:, None, None] * factors[1][:, None] * factors[2][: mesh[2] // 2 + 1]
    last = numbers[..., 2]
    twice = np.where((last == 0) | (2 * last == mesh[2]), 1.0, 2.0)
    constant = jnp.asarray(splined * twice, squared.dtype)
    return jnp.where(there, constant * jnp.exp(-squared / (4 * alpha * alpha)) / squared, 0.0)
