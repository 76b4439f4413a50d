r"""A chain of cells: how dense a stationary process is where data began anywhere; coarse, and never negative.

.. math::  \pi_j = \sum_i \pi_i P_{ij},\qquad P_{ij} = C_{ij} / \sum_j C_{ij},\qquad c(x) = \pi_i / \mu_i
           \ \text{ in cell } i

with the windows :math:`C_{ij}` that go from cell i to cell j, and the share :math:`\mu_i` of those that begin in i.
Between wells and barriers lie many powers of ten, which a sum of functions with small errors everywhere does not
resolve; a chain does, as each cell is compared with its neighbors. Windows have to be short enough for that: where all
of them fall back into a well before they end, none leads up to the barrier, and its cells hang together with nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from thalweg.collective_variables.bases.basis import Chained, Functions
from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.kinetics.galerkin.adapted_kernels import AlongDirections, ExponentialKernels, by_deviations
from thalweg.kinetics.reactions.stopped_windows import StoppedWindows
from thalweg.kinetics.states.clustering import KMeans
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories

CELLS = 300
"""Cells at most."""

FRAMES_PER_CELL = 50
"""Frames, of those that cells are made from, for each of them."""

DRAWS = 999
"""Draws of random signs in a test."""


def fitted_cells(data: Trajectories, functions: Functions) -> Functions:
    """Indicators of cells of like size, in distances along the directions of adapted functions if they have such."""
    frames = data.strided(CELLS * FRAMES_PER_CELL).astype(float)
    turned = isinstance(functions, ExponentialKernels)
    projection = functions.projection if turned else AlongDirections(by_deviations(frames))
    places = projection(frames)
    count = min(CELLS, len(frames) // FRAMES_PER_CELL, len(np.unique(places, axis=0)))
    return Chained(projection, Indicators(KMeans(max(count, 1)).fit(places).centers))


def cell_counts(
    parts: Iterable[StoppedWindows], cells: Functions, n_blocks: int
) -> Shaped[np.ndarray, "blocks cells cells"]:
    """Weights of the windows of each block that go from one cell to another."""
    size = len(cells.names)
    counts = np.zeros((n_blocks, size, size))
    for windows in parts:
        cell = np.asarray(cells(windows.frames)).argmax(axis=1)
        np.add.at(counts[windows.block], (cell[windows.begins], cell[windows.last]), windows.weights)
    return counts


def density_ratios(counts: Shaped[np.ndarray, "cells cells"]) -> np.ndarray:
    """Stationary populations of cells over the shares of windows that begin in them ``(cells,)``.

    Zero in cells that do not hang together, to and fro, with the set of those from which most windows begin.

    Examples
    --------
    >>> density_ratios(np.array([[8.0, 2.0], [4.0, 6.0]])).round(3).tolist()
    [1.333, 0.667]
    """
    begun = counts.sum(axis=1)
    parts = connected_components(scipy.sparse.csr_array(counts > 0), connection="strong")[1]
    held = np.flatnonzero(parts == np.bincount(parts, begun).argmax())
    inner = counts[np.ix_(held, held)]
    rows = inner.sum(axis=1)
    if not (rows > 0).all():
        return np.where(begun > 0, 1.0, 0.0)
    # (I - P^T) pi = 0 with one of the equations replaced by the sum
    system = np.eye(len(held)) - (inner / rows[:, None]).T
    system[-1] = 1.0
    populations = np.linalg.solve(system, np.append(np.zeros(len(held) - 1), 1.0))
    ratios = np.zeros(len(counts))
    ratios[held] = np.maximum(populations, 0.0) * begun.sum() / begun[held]
    return ratios


def chance_of_change(counts: Shaped[np.ndarray, "blocks cells cells"]) -> float:
    """How often populations of cells change by chance as much as they do from the begins of windows to their ends.

    The share of draws of random signs of the blocks' changes with which the sum of their squares, each in units of the
    population, is not smaller.
    """
    changes = counts.sum(axis=1) - counts.sum(axis=2)
    populations = (counts.sum(axis=1) + counts.sum(axis=2)).sum(axis=0)
    scaled = changes / np.sqrt(np.where(populations > 0, populations, np.inf))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, len(counts)))
    drawn = ((signs @ scaled) ** 2).sum(axis=1)
    found = (scaled.sum(axis=0) ** 2).sum()
    return float((1 + (drawn >= found * (1 - 1e-9)).sum()) / (1 + DRAWS))


def disconnected_share(counts: Shaped[np.ndarray, "cells cells"]) -> float:
    """Share of the windows that begin in cells of no weight."""
    begun = counts.sum(axis=1)
    return float(begun[density_ratios(counts) == 0].sum() / begun.sum())
