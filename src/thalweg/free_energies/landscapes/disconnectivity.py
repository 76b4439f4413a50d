r"""Disconnectivity graphs: which minima are connected up to which energy [becker1997].

Minima are leaves; two branches meet at the lowest saddle over which one can go from one to the other. Each saddle is
tied to the two minima that the steepest ways down its two sides end in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.critical_points import (
    CriticalPoints,
    critical_points,
    periodic_difference,
)
from thalweg.free_energies.landscapes.landscape import Landscape
from thalweg.learning.models import Model
from thalweg.shapes import Shaped

DOWNHILL_STEPS = 3000
"""Steps from a saddle to a minimum at most."""

STEP = 0.004
"""Length of a step downhill, relative to the ranges."""


class Merger(NamedTuple):
    """Two branches that meet.

    Attributes
    ----------
    first, second : numbers of the branches: minima first, then mergers in order
    energy : of the saddle [kJ/mol]
    saddle : its number
    """

    first: int
    second: int
    energy: float
    saddle: int


@dataclass(frozen=True, eq=False)
class DisconnectivityGraph(Model):
    """Minima, saddles, and the tree of them.

    Attributes
    ----------
    minima, saddles : lowest first
    ties : (saddles, 2) numbers of the minima on both sides; -1 where a way down ended in none
    mergers : lowest first
    notes : what one should know
    """

    minima: CriticalPoints
    saddles: CriticalPoints
    ties: Shaped[np.ndarray, "saddles 2"]
    mergers: tuple[Merger, ...]
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, object]:
        """Numbers of minima and saddles, and how many parts are not connected."""
        return {
            "minima": len(self.minima),
            "saddles": len(self.saddles),
            "parts": len(self.minima) - len(self.mergers),
        }

    def barrier(self, first: int, second: int) -> float:
        """Energy [kJ/mol] of the lowest saddle by which one gets from one minimum to another; infinite if by none."""
        branch = {first: first, second: second}
        top = {first: first, second: second}
        for number, merger in enumerate(self.mergers, start=len(self.minima)):
            for minimum in branch:
                if top[minimum] in (merger.first, merger.second):
                    top[minimum] = number
            if top[first] == top[second]:
                return merger.energy
        return np.inf


def disconnectivity_graph(
    landscape: Landscape, starts: Shaped[np.ndarray, "points variables"], highest: float = np.inf
) -> DisconnectivityGraph:
    """Minima and saddles that starts lead to, and how they are connected.

    Parameters
    ----------
    landscape : energy of the variables
    starts : such as some hundred frames
    highest : energy [kJ/mol] above which minima and saddles are left out

    Raises
    ------
    ValueError
        If no minimum is found.

    Examples
    --------
    >>> from thalweg.free_energies.landscapes.critical_points import _Plain
    >>> well = _Plain(lambda s: (s[:, 0] ** 2 - 1) ** 2 + s[:, 1] ** 2, (None, None))
    >>> graph = disconnectivity_graph(well, np.random.default_rng(0).uniform(-1.5, 1.5, (20, 2)))
    >>> graph, round(graph.barrier(0, 1), 3)
    (DisconnectivityGraph(minima=2, saddles=1, parts=1), 1.0)
    """
    minima = critical_points(landscape, starts, 0, highest)
    if not len(minima):
        raise ValueError(f"{len(starts)} starts end in no minimum; give more starts, or frames of the wells")
    between = _midpoints(minima)
    saddles = critical_points(landscape, np.concatenate([starts, between]), 1, highest)
    ties = _ties(landscape, minima, saddles)
    mergers = _mergers(len(minima), saddles.energies, ties)
    parts, notes = len(minima) - len(mergers), []
    if parts > 1:
        notes.append(
            f"the minima fall into {parts} parts between which no saddle was found; give starts between them"
        )
    if lost := int((ties < 0).any(axis=1).sum()):
        notes.append(f"of {len(saddles)} saddles {lost} lead down to no minimum that was found")
    return DisconnectivityGraph(minima, saddles, ties, mergers, tuple(notes))


def _midpoints(minima: CriticalPoints) -> np.ndarray:
    """Points halfway between all pairs of minima, the shortest way around."""
    first, second = np.triu_indices(len(minima), 1)
    a, b = minima.positions[first], minima.positions[second]
    return a + 0.5 * periodic_difference(b, a, minima.periods)


def _ties(landscape: Landscape, minima: CriticalPoints, saddles: CriticalPoints) -> np.ndarray:
    """The minima on both sides of every saddle ``(saddles, 2)``."""
    if not len(saddles):
        return np.zeros((0, 2), int)
    sides = np.concatenate(
        [saddles.positions / minima.ranges + sign * 0.01 * saddles.modes for sign in (-1, 1)]
    )
    with jax.enable_x64(True):
        ended = (
            np.asarray(_downhill(landscape, jnp.asarray(minima.ranges), jnp.asarray(sides))) * minima.ranges
        )
    away = np.linalg.norm(
        periodic_difference(ended[:, None], minima.positions[None], minima.periods) / minima.ranges, axis=2
    )
    nearest = np.where(away.min(axis=1) < 5 * STEP, away.argmin(axis=1), -1)
    return nearest.reshape(2, -1).T


@partial(jax.jit, static_argnums=0)
def _downhill(landscape: Any, ranges: jax.Array, start: jax.Array) -> jax.Array:
    """Where points end on steepest ways down, steps shortening where the gradient vanishes."""

    def slope(x: jax.Array) -> jax.Array:
        return jax.grad(lambda y: landscape.energy(y * ranges).sum())(x)

    def step(_: Any, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, length = state
        downhill = slope(x)
        unit = downhill / jnp.maximum(jnp.linalg.norm(downhill, axis=1, keepdims=True), 1e-30)
        moved = x - length[:, None] * unit
        # a step that turns around has gone over the minimum: halve it, else let it grow
        turned = (slope(moved) * downhill).sum(axis=1) < 0
        length = jnp.where(turned, 0.5 * length, jnp.minimum(1.1 * length, STEP))
        return moved, length

    ended, _ = jax.lax.fori_loop(0, DOWNHILL_STEPS, step, (start, jnp.full(len(start), STEP)))
    return ended


def _mergers(minima: int, energies: np.ndarray, ties: np.ndarray) -> tuple[Merger, ...]:
    """The tree of branches by saddles in the order of their energies."""
    branch, mergers = list(range(minima)), []
    for saddle in np.argsort(energies, kind="stable"):
        a, b = ties[saddle]
        if a < 0 or b < 0 or branch[a] == branch[b]:
            continue
        first, second, new = branch[a], branch[b], minima + len(mergers)
        mergers.append(Merger(int(first), int(second), float(energies[saddle]), int(saddle)))
        branch = [new if each in (first, second) else each for each in branch]
    return tuple(mergers)
