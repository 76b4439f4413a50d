r"""Kernels with compact support between points that each have their own radius, as sparse graphs.

.. math::  k(x, y) = (1 - u)^2 \;\text{for}\; u = \frac{d(x, y)^2}{r(x)\, r(y)} < 1, \quad 0\;\text{otherwise}

A pair is nearer than the larger of its two radii, so all pairs that meet are found by looking around each point as far
as its own radius. Nothing is cut off, and the kernel between a point and a new one is the same function: an extension
to new points agrees with the values at the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from scipy.sparse import coo_array, csr_array

from thalweg.collective_variables.manifold.metric import Metric
from thalweg.collective_variables.manifold.neighbors import (
    BLOCK_NUMBERS,
    MOST_TREE_DIMENSIONS,
    GraphParts,
    Neighbors,
    parts,
)
from thalweg.shapes import Shaped


def profile(u: Any) -> Any:
    """The kernel ``(1 - u)^2`` of the square of a distance over that of the radius, zero from one on.

    Examples
    --------
    >>> profile(np.array([0.0, 0.5, 2.0])).tolist()
    [1.0, 0.25, 0.0]
    """
    xp = u.__array_namespace__()
    return xp.maximum(1 - u, 0.0) ** 2


def variance_per_dimension(dimension: float) -> float:
    """Variance along one dimension of the kernel of radius one.

    ``int t^(d+1) (1 - t^2)^2 dt / (d int t^(d-1) (1 - t^2)^2 dt) = 1 / (d + 6)``
    """
    return 1.0 / (dimension + 6.0)


@dataclass(frozen=True, eq=False)
class KernelGraph:
    """Pairs of points within reach of each other; both matrices have the same entries.

    Attributes
    ----------
    kernel : (points, points) sparse, symmetric, without diagonal
    squares : (points, points) squared distances of the same pairs
    """

    kernel: csr_array
    squares: csr_array

    @property
    def spread(self) -> csr_array:
        """Kernel times squared distance ``(points, points)``."""
        return csr_array(
            (self.kernel.data * self.squares.data, self.kernel.indices, self.kernel.indptr), self.kernel.shape
        )

    @property
    def parts(self) -> GraphParts:
        """Pieces that do not hang together."""
        return parts(self.kernel)

    def among(self, kept: np.ndarray) -> KernelGraph:
        """The graph of some of the points, by their numbers in increasing order."""
        number = np.full(self.kernel.shape[0], -1, self.kernel.indices.dtype)
        number[kept] = np.arange(len(kept))
        starts = np.repeat(number, np.diff(self.kernel.indptr))
        columns = number[self.kernel.indices]
        inside = np.flatnonzero((starts >= 0) & (columns >= 0))
        ends = np.concatenate([[0], np.cumsum(np.bincount(starts[inside], minlength=len(kept)))])
        shape, columns = (len(kept), len(kept)), columns[inside]
        return KernelGraph(
            csr_array((self.kernel.data[inside], columns, ends), shape),
            csr_array((self.squares.data[inside], columns.copy(), ends.copy()), shape),
        )


def kernel_graph(pairs: csr_array, radii: Shaped[np.ndarray, " points"]) -> KernelGraph:
    """The graph of pairs within reach among ``pairs``, a symmetric matrix of distances that holds all of them."""
    starts = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    u = pairs.data**2 / (radii[starts] * radii[pairs.indices])
    within = u < 1
    ends = np.concatenate([[0], np.cumsum(np.bincount(starts[within], minlength=pairs.shape[0]))])
    columns = pairs.indices[within]
    kernel = csr_array((profile(u[within]), columns, ends), pairs.shape)
    return KernelGraph(kernel, csr_array((pairs.data[within] ** 2, columns.copy(), ends.copy()), pairs.shape))


def narrower(graph: KernelGraph, radii: Shaped[np.ndarray, " points"], factor: float) -> KernelGraph:
    """The graph with all radii, which were ``radii``, times a factor below one."""
    squares = graph.squares
    return kernel_graph(
        csr_array((np.sqrt(squares.data), squares.indices, squares.indptr), squares.shape), factor * radii
    )


def neighbor_pairs(neighbors: Neighbors, radii: Shaped[np.ndarray, " points"]) -> csr_array:
    """Distances of pairs within reach of which either is a neighbor of the other, symmetric."""
    points = len(radii)
    lengths = np.maximum(neighbors.distances, np.finfo(float).tiny ** 0.5)
    within = lengths**2 < radii[:, None] * radii[neighbors.indices]
    ends = np.concatenate([[0], np.cumsum(within.sum(axis=1))])
    directed = csr_array((lengths[within], neighbors.indices[within], ends), (points, points))
    return csr_array(directed.maximum(directed.T))


def pairs_within(
    x: Shaped[np.ndarray, "n features"],
    x_radii: Shaped[np.ndarray, " n"],
    y: Shaped[np.ndarray, "m features"],
    y_radii: Shaped[np.ndarray, " m"],
    metric: Metric,
) -> csr_array:
    """Distances ``(n, m)`` of pairs with ``d^2 < r(x) r(y)``, sparse; equal places are a tiny distance apart."""
    flat = metric.embedded(x)
    if flat is not None and flat.shape[1] <= MOST_TREE_DIMENSIONS:
        rows, columns, distances = _by_trees(flat, x_radii, np.asarray(metric.embedded(y)), y_radii)
    else:
        rows, columns, distances = _in_blocks(x, x_radii, y, y_radii, metric)
    return coo_array(
        (np.maximum(distances, np.finfo(float).tiny ** 0.5), (rows, columns)), (len(x), len(y))
    ).tocsr()


def _by_trees(
    x: np.ndarray, x_radii: np.ndarray, y: np.ndarray, y_radii: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Pairs ``(rows, columns, distances)`` found by looking around that point of each whose radius is the larger."""
    rows, columns = _listed(scipy.spatial.cKDTree(y).query_ball_point(x, x_radii, return_sorted=False))
    larger = y_radii[columns] <= x_radii[rows]
    far, near = _listed(scipy.spatial.cKDTree(x).query_ball_point(y, y_radii, return_sorted=False))
    smaller = x_radii[near] < y_radii[far]
    rows = np.concatenate([rows[larger], near[smaller]])
    columns = np.concatenate([columns[larger], far[smaller]])
    distances = np.sqrt(((x[rows] - y[columns]) ** 2).sum(axis=1))
    within = distances**2 < x_radii[rows] * y_radii[columns]
    return rows[within], columns[within], distances[within]


def _listed(lists: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(rows, columns)`` of an array of lists of columns."""
    lengths = np.array([len(each) for each in lists], int)
    columns = (
        np.concatenate([np.asarray(each, np.int64) for each in lists])
        if len(lists)
        else np.zeros(0, np.int64)
    )
    return np.repeat(np.arange(len(lists), dtype=np.int64), lengths), columns


def _in_blocks(
    x: np.ndarray, x_radii: np.ndarray, y: np.ndarray, y_radii: np.ndarray, metric: Metric
) -> tuple[np.ndarray, ...]:
    """Pairs ``(rows, columns, distances)`` from blocks of all distances."""
    size = max(1, BLOCK_NUMBERS // len(y))
    found = []
    for start in range(0, len(x), size):
        distances = np.asarray(metric.between(x[start : start + size], y))
        rows, columns = np.nonzero(distances**2 < x_radii[start : start + size, None] * y_radii)
        found.append((rows + start, columns, distances[rows, columns]))
    return tuple(np.concatenate(each) for each in zip(*found))
