r"""Minimum free-energy paths by the string method [e2007], in a metric of the variables [maragliano2006].

.. math::  \left(M\,\nabla F\right)_\perp = 0, \qquad |s'(\alpha)| = \text{const}

A string of images between two minima rests where the gradient, in the metric :math:`M` of the variables, points along
it. Across the string every image takes Newton's step in the coordinates in which the metric is one, down along every
mode whatever its curvature, and images are spread evenly again. From the highest one the saddle is found exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.critical_points import critical_points, periodic_difference
from thalweg.free_energies.landscapes.landscape import Landscape, Periods
from thalweg.learning.models import Model
from thalweg.shapes import Shaped

STILL = 0.02
"""Part of the barrier by which images may lie above the floor of their valley when the string rests."""

LONGEST_MOVE = 0.3
"""Longest move of an image across the string, in distances of images."""


@dataclass(frozen=True, eq=False)
class MinimumPath(Model):
    """The way of least free energy between two minima.

    Attributes
    ----------
    images : (images, variables), periodic variables going on beyond their border
    energies : (images,) [kJ/mol]
    lengths : (images,), along the string, in ranges of the variables
    saddle : (variables,), or NaN if none was found from the highest image
    barrier : [kJ/mol] from the first image to the saddle, or to the highest image where none was found
    above : [kJ/mol], by which images lie above the floor of the valley at most
    converged : whether it rests
    periods : of the variables
    """

    images: Shaped[np.ndarray, "images variables"]
    energies: Shaped[np.ndarray, " images"]
    lengths: Shaped[np.ndarray, " images"]
    saddle: Shaped[np.ndarray, " variables"]
    barrier: float
    above: float
    converged: bool
    periods: Periods

    def headline(self) -> dict[str, object]:
        """The barrier, and whether the string rests."""
        return {"images": len(self.images), "barrier [kJ/mol]": self.barrier, "converged": self.converged}


def minimum_path(
    landscape: Landscape,
    start: Shaped[np.ndarray, " variables"],
    end: Shaped[np.ndarray, " variables"],
    *,
    through: Shaped[np.ndarray, "points variables"] | None = None,
    ranges: Shaped[np.ndarray, " variables"] | None = None,
    metric: Shaped[np.ndarray, "variables variables"] | None = None,
    images: int = 40,
    steps: int = 300,
) -> MinimumPath:
    """The path from ``start`` to ``end``, which should be minima.

    Parameters
    ----------
    landscape : energy of the variables
    start, end : of the path
    through : points that the first guess goes through, in order; a straight line if None
    ranges : lengths of the variables; their distances between the ends, or periods, if None
    metric : ``M`` of the variables, such as their diffusion or mean metric tensor; squares of the ranges if None
    images : on the string
    steps : at most

    Raises
    ------
    ValueError
        If the ends are one point, or shapes do not fit.

    Examples
    --------
    >>> from thalweg.free_energies.landscapes.critical_points import _Plain
    >>> well = _Plain(lambda s: (s[:, 0] ** 2 - 1) ** 2 + (s[:, 1] - s[:, 0] ** 2) ** 2, (None, None))
    >>> path = minimum_path(well, np.array([-1.0, 1.0]), np.array([1.0, 1.0]))
    >>> round(path.barrier, 3), path.converged
    (1.0, True)
    """
    start, end = np.asarray(start, float), np.asarray(end, float)
    periods, dims = landscape.periods, len(landscape.periods)
    if start.shape != (dims,) or end.shape != (dims,):
        raise ValueError(
            f"ends of shapes {start.shape} and {end.shape} for {dims} variables; give one point each"
        )
    points = np.stack([start, *([] if through is None else np.asarray(through, float)), end])
    legs = periodic_difference(points[1:], points[:-1], periods)
    if not np.abs(legs).max() > 0:
        raise ValueError(f"the path begins and ends at {start.tolist()}; give two minima")
    guess = np.concatenate([start[None], start + np.cumsum(legs, axis=0)])
    if ranges is None:
        spread = np.ptp(guess, axis=0)
        spread = np.where(spread > 0, spread, spread.max())
        ranges = np.array([p or float(width) for p, width in zip(periods, spread, strict=True)])
    # s = T z, T T^T = M: in z the metric is one
    root = np.diag(ranges) if metric is None else _root(np.asarray(metric, float), dims)
    with jax.enable_x64(True):
        matrix = jnp.asarray(root)
        string = _spread(jnp.asarray(np.linalg.solve(root, guess.T).T), images)
        string, above = (np.asarray(each) for each in _relaxed(landscape, matrix, string, steps))
        found = string @ root.T
        energy = np.asarray(landscape.energy(jnp.asarray(found)), float)
    top = int(energy.argmax())
    saddles = critical_points(landscape, found[max(0, top - 1) : top + 2], 1)
    saddle, highest = np.full(dims, np.nan), energy[top]
    if len(saddles):
        near = np.linalg.norm(periodic_difference(saddles.positions, found[top], periods) / ranges, axis=1)
        if near.min() < 4.0 / images * _length(found / ranges):
            saddle = saddles.positions[near.argmin()]
            highest = saddles.energies[near.argmin()]
    return MinimumPath(
        found,
        energy,
        np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(string, axis=0), axis=1))]),
        saddle,
        float(highest - energy[0]),
        float(above.max()),
        bool(above.max() < STILL * (highest - energy[0])),
        periods,
    )


def _length(string: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(string, axis=0), axis=1).sum())


def _spread(string: jax.Array, images: int) -> jax.Array:
    """Images at equal distances along a string."""
    pieces = jnp.linalg.norm(jnp.diff(string, axis=0), axis=1)
    at = jnp.concatenate([jnp.zeros(1), jnp.cumsum(pieces)])
    wanted = jnp.linspace(0.0, 1.0, images) * at[-1]
    return jnp.stack([jnp.interp(wanted, at, column) for column in string.T], axis=1)


def _root(metric: np.ndarray, dims: int) -> np.ndarray:
    """``T`` with ``T T^T = M``."""
    if (
        metric.shape != (dims, dims)
        or not np.allclose(metric, metric.T)
        or np.linalg.eigvalsh(metric).min() <= 0
    ):
        raise ValueError(f"metric={metric.tolist()} must be a symmetric positive matrix of {dims} variables")
    return np.linalg.cholesky(metric)


@partial(jax.jit, static_argnums=(0, 3))
def _relaxed(landscape: Any, root: jax.Array, string: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    """The string at rest, and how far each image lies above the floor of its valley."""
    images = len(string)

    def one(z: jax.Array) -> jax.Array:
        return landscape.energy((root @ z)[None])[0]

    def across(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Newton's steps across the string, down every mode, and the energy that they would gain."""
        along = jnp.gradient(z, axis=0)
        along = along / jnp.linalg.norm(along, axis=1, keepdims=True)
        projector = jnp.eye(z.shape[1]) - along[:, :, None] * along[:, None, :]
        slope = jnp.einsum("nij,nj->ni", projector, jax.vmap(jax.grad(one))(z))
        values, modes = jnp.linalg.eigh(projector @ jax.vmap(jax.hessian(one))(z) @ projector)
        stiff = jnp.maximum(jnp.abs(values), 1e-3 * jnp.abs(values).max())
        move = -jnp.einsum("nik,nk->ni", modes, jnp.einsum("nik,ni->nk", modes, slope) / stiff)
        # no further than a third of the way to the next image: beyond, the string has turned
        spacing = jnp.linalg.norm(jnp.diff(z, axis=0), axis=1).sum() / images
        length = jnp.linalg.norm(move, axis=1, keepdims=True)
        move = move * jnp.minimum(1.0, LONGEST_MOVE * spacing / jnp.maximum(length, 1e-30))
        return move, -0.5 * (move * slope).sum(axis=1)

    def step(k: Any, z: jax.Array) -> jax.Array:
        # moves shorten towards the end, so that images in a sharp bend come to rest
        move = across(z)[0] * (1 - k / steps)
        return _spread(z.at[1:-1].add(move[1:-1]), images)

    rest = jax.lax.fori_loop(0, steps, step, string)
    return rest, across(rest)[1][1:-1]
