r"""Minima and saddles of a landscape of several variables, by following its modes [cerjan1981].

.. math::  \Delta s = \sum_k \mp \frac{v_k \cdot \nabla F}{|\lambda_k|}\, v_k

In the modes :math:`v_k` of the second derivatives every step goes down, or, to find a saddle, up along the lowest one
and down along all others, no further than a small part of the range. Many starts are followed at once; what they end in
is kept if the gradient vanishes there and as many curvatures are negative as were asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.landscape import Landscape, Periods
from thalweg.learning.models import Model
from thalweg.shapes import Shaped

STEPS = 300
"""Steps of every start at most."""

LONGEST_STEP = 0.01
"""Longest step, relative to the range of each variable."""

FLAT = 1e-3
"""Gradient [kJ/mol per range of a variable] up to which a point counts as critical."""

SAME = 0.01
"""Distance, relative to the ranges, up to which two points are one."""


@dataclass(frozen=True, eq=False)
class CriticalPoints(Model):
    """Points where the gradient vanishes, lowest first.

    Attributes
    ----------
    positions : (points, variables)
    energies : (points,) [kJ/mol]
    order : (points,), number of negative curvatures: 0 for a minimum, 1 for a saddle between two
    modes : (points, variables), direction of lowest curvature, in ranges of the variables
    ranges : (variables,), that lengths are measured in
    periods : of the variables
    """

    positions: Shaped[np.ndarray, "points variables"]
    energies: Shaped[np.ndarray, " points"]
    order: Shaped[np.ndarray, " points"]
    modes: Shaped[np.ndarray, "points variables"]
    ranges: Shaped[np.ndarray, " variables"]
    periods: Periods

    def __len__(self) -> int:
        return len(self.energies)

    def headline(self) -> dict[str, object]:
        """How many there are, and the lowest energies."""
        return {"points": len(self), "energies [kJ/mol]": self.energies[:6]}


def critical_points(
    landscape: Landscape, starts: np.ndarray, order: int, highest: float = np.inf
) -> CriticalPoints:
    """Minima (``order=0``) or saddles between two (``order=1``) that starts lead to.

    Parameters
    ----------
    landscape : energy of the variables
    starts : such as frames, or midpoints between minima; none but these parts of the landscape are searched
    order : number of negative curvatures
    highest : energy [kJ/mol] above which points are left out

    Raises
    ------
    ValueError
        If the order is not one of the two, or starts do not fit.

    Examples
    --------
    >>> from thalweg.free_energies.landscapes.critical_points import _Plain
    >>> well = _Plain(lambda s: (s[:, 0] ** 2 - 1) ** 2 + s[:, 1] ** 2, (None, None))
    >>> starts = np.random.default_rng(0).uniform(-1.5, 1.5, (20, 2))
    >>> sorted(critical_points(well, starts, 0).positions.round(3)[:, 0].tolist())
    [-1.0, 1.0]
    >>> critical_points(well, starts, 1).energies.round(3).tolist()
    [1.0]
    """
    starts = np.asarray(starts, float)
    if order not in (0, 1):
        raise ValueError(f"order={order}; 0 finds minima, 1 saddles between two")
    if starts.ndim != 2 or starts.shape[1] != len(landscape.periods) or not len(starts):
        raise ValueError(
            f"starts of shape {starts.shape} for {len(landscape.periods)} variables; give (points, variables)"
        )
    ranges = _ranges(starts, landscape.periods)
    with jax.enable_x64(True):
        scaled, lengths = jnp.asarray(starts / ranges), jnp.asarray(ranges)
        found = [np.asarray(each) for each in _followed(landscape, lengths, scaled, order)]
    ended, gradient, values, vectors, energies = found
    flat = np.linalg.norm(gradient, axis=1) < FLAT * np.maximum(1, np.abs(values).max(axis=1))
    kept = flat & ((values < 0).sum(axis=1) == order) & (energies <= highest)
    positions = _wrapped(ended[kept] * ranges, landscape.periods, starts)
    one = _unique(positions, energies[kept], ranges, landscape.periods)
    return CriticalPoints(
        positions[one],
        energies[kept][one],
        np.full(len(one), order),
        vectors[kept][one][:, :, 0],
        ranges,
        landscape.periods,
    )


@partial(jax.jit, static_argnums=(0, 3))
def _followed(landscape: Any, ranges: jax.Array, start: jax.Array, order: int) -> tuple[jax.Array, ...]:
    """Where starts end when they follow the modes, in ranges, and gradient, curvatures, modes and energy there."""

    def one(x: jax.Array) -> jax.Array:
        return landscape.energy((x * ranges)[None])[0]

    def modes(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        return jax.vmap(jax.grad(one))(x), *jnp.linalg.eigh(jax.vmap(jax.hessian(one))(x))

    def step(_: Any, x: jax.Array) -> jax.Array:
        gradient, values, vectors = modes(x)
        along = jnp.einsum("nik,ni->nk", vectors, gradient) / jnp.maximum(jnp.abs(values), 1e-8)
        # down along every mode, up along the lowest one for a saddle
        along = along.at[:, 0].multiply(-1.0) if order else along
        move = -jnp.einsum("nik,nk->ni", vectors, along)
        length = jnp.linalg.norm(move, axis=1, keepdims=True)
        return x + move * jnp.minimum(1.0, LONGEST_STEP / jnp.maximum(length, 1e-30))

    ended = jax.lax.fori_loop(0, STEPS, step, start)
    return ended, *modes(ended), landscape.energy(ended * ranges)


def periodic_difference(a: np.ndarray, b: np.ndarray, periods: Periods) -> np.ndarray:
    """``a - b``, the shortest way around in periodic variables."""
    length = np.array([period or 0.0 for period in periods])
    away = a - b
    return away - length * np.round(away / np.where(length > 0, length, 1.0))


def _unique(positions: np.ndarray, energies: np.ndarray, ranges: np.ndarray, periods: Periods) -> np.ndarray:
    """One of each group of equal points, lowest first."""
    chosen: list[int] = []
    for k in np.argsort(energies, kind="stable"):
        away = np.abs(periodic_difference(positions[chosen], positions[k], periods)) / ranges
        if not len(chosen) or np.linalg.norm(away, axis=1).min() > SAME:
            chosen.append(int(k))
    return np.array(chosen, int)


def _ranges(points: np.ndarray, periods: Periods) -> np.ndarray:
    """The spread of points, or the period, along each variable."""
    spread = np.ptp(points, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return np.array([period or float(width) for period, width in zip(periods, spread, strict=True)])


def _wrapped(positions: np.ndarray, periods: Periods, starts: np.ndarray) -> np.ndarray:
    """Periodic variables within the period that starts are in."""
    length = np.array([period or 0.0 for period in periods])
    begin = np.where(starts.min(axis=0) < 0, -length / 2, 0.0)
    turned = begin + np.mod(positions - begin, np.where(length > 0, length, 1.0))
    return np.where(length > 0, turned, positions)


@dataclass(frozen=True)
class _Plain:
    """A landscape that a function gives."""

    energy: Callable[[Any], Any]
    periods: Periods
