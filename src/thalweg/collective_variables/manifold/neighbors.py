"""Nearest neighbors of frames, the graph they make, and whether it hangs together.

In few dimensions neighbors come from a tree, in many from blocks of distances, never from all distances at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from thalweg.collective_variables.manifold.many_dimensions import nearest_by_products
from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.shapes import Shaped

MOST_TREE_DIMENSIONS = 6
"""Dimensions up to which a tree is faster than products of matrices."""

BLOCK_NUMBERS = 4_000_000
"""Distances held at a time."""


class Neighbors(NamedTuple):
    """The nearest neighbors of every point, nearest first, the point itself not among them.

    Attributes
    ----------
    indices : (points, count)
    distances : (points, count)
    """

    indices: Shaped[np.ndarray, "points count"]
    distances: Shaped[np.ndarray, "points count"]


class GraphParts(NamedTuple):
    """Pieces of a graph that are not connected, the largest first.

    Attributes
    ----------
    labels : (points,) the piece of each
    sizes : (pieces,) points in each
    """

    labels: Shaped[np.ndarray, " points"]
    sizes: Shaped[np.ndarray, " pieces"]

    @property
    def told(self) -> str:
        """That there are several, and what to do; empty if there is one."""
        if len(self.sizes) == 1:
            return ""
        listed = ", ".join(str(size) for size in self.sizes[:5]) + (", ..." if len(self.sizes) > 5 else "")
        return (
            f"the cloud falls into {len(self.sizes)} parts of {listed} frames between which no neighbors lie; kept is "
            "the largest: raise the number of neighbors, or give data that connect them"
        )


def nearest(
    points: Shaped[np.ndarray, "points features"],
    count: int,
    metric: Metric = Euclidean(),  # noqa: B008
    queries: Shaped[np.ndarray, "queries features"] | None = None,
) -> Neighbors:
    """The ``count`` nearest of ``points`` to each of them, or to each of ``queries``.

    Raises
    ------
    ValueError
        If there are not so many other points.

    Examples
    --------
    >>> nearest(np.array([[0.0], [1.0], [3.0]]), 1).indices.ravel().tolist()
    [1, 0, 1]
    """
    others = len(points) - (queries is None)
    if not 1 <= count <= others:
        raise ValueError(
            f"{count} neighbors asked of {len(points)} frames; ask for 1 to {others}, or give more frames"
        )
    asked = count + (queries is None)
    flat = metric.embedded(points)
    if flat is None:
        found = _in_blocks(points, asked, metric, points if queries is None else queries)
    else:
        asking = flat if queries is None else metric.embedded(queries)
        found = _flat(np.asarray(flat), asked, np.asarray(asking))
    return found if queries is not None else _without_themselves(found)


def graph(neighbors: Neighbors) -> csr_array:
    """Distances ``(points, points)`` of neighbors, sparse and symmetric: an edge where either is a neighbor.

    Points at the same place are joined by an edge of the smallest positive number.

    Examples
    --------
    >>> graph(nearest(np.array([[0.0], [1.0], [3.0]]), 1)).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]]
    """
    points, count = neighbors.indices.shape
    # zero would be no edge
    lengths = np.maximum(neighbors.distances, np.finfo(float).tiny).ravel()
    starts = np.arange(0, points * count + 1, count)
    directed = csr_array((lengths, neighbors.indices.ravel(), starts), (points, points))
    return csr_array(directed.maximum(directed.T))


def parts(graph: csr_array) -> GraphParts:
    """The connected pieces of a graph, the largest first."""
    number, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels, minlength=number)
    order = np.argsort(-sizes, kind="stable")
    return GraphParts(np.argsort(order)[labels], sizes[order])


def _flat(points: np.ndarray, count: int, queries: np.ndarray) -> Neighbors:
    """Neighbors in Euclidean space: by a tree in few dimensions, else in blocks of matrix products."""
    if points.shape[1] <= MOST_TREE_DIMENSIONS:
        distances, indices = scipy.spatial.cKDTree(points).query(queries, k=count)
        shape = len(queries), count
        return Neighbors(indices.reshape(shape), distances.reshape(shape))
    return Neighbors(*nearest_by_products(np.asarray(points, float), count, np.asarray(queries, float)))


def _in_blocks(points: np.ndarray, count: int, metric: Metric, queries: np.ndarray) -> Neighbors:
    """Neighbors by any metric, from blocks of distances."""
    size = max(1, BLOCK_NUMBERS // len(points))
    found = []
    for start in range(0, len(queries), size):
        distances = np.asarray(metric.between(queries[start : start + size], points))
        near = np.argpartition(distances, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(distances, near, axis=1), axis=1)
        near = np.take_along_axis(near, order, axis=1)
        found.append((near, np.take_along_axis(distances, near, axis=1)))
    indices, distances = zip(*found)
    return Neighbors(np.concatenate(indices), np.concatenate(distances))


def _without_themselves(found: Neighbors) -> Neighbors:
    """Neighbors less the point itself, wherever it stands among its duplicates (the last one, where it is not)."""
    points, count = found.indices.shape
    itself = found.indices == np.arange(points)[:, None]
    itself[~itself.any(axis=1), -1] = True
    shape = points, count - 1
    return Neighbors(found.indices[~itself].reshape(shape), found.distances[~itself].reshape(shape))
