"""Nearest neighbors in many dimensions: blocks of products of matrices, far blocks left out.

Trees look at most points there, one by one. Here points are divided into leaves of about a hundred that lie together.
For each leaf of queries a part of the points bounds how far neighbors are. Leaves whose boxes lie farther are left
out; of the others all squared distances come from one product in single precision, about the middle of the leaf, where
near points lose least. Distances of those chosen are then taken in double precision.
"""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Shaped

LEAF = 128
"""Points of a leaf, at most."""

PART = 16
"""One point in so many bounds the distance of neighbors."""


def nearest_by_products(
    points: Shaped[np.ndarray, "points dims"], count: int, queries: Shaped[np.ndarray, "queries dims"]
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances ``(queries, count)`` of the nearest points to each query, nearest first.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((500, 12))
    >>> nearest_by_products(x, 1, x)[0].ravel().tolist() == list(range(500))
    True
    """
    order, starts = _leaves(points)
    points = points[order]
    single = (points - points.mean(axis=0)).astype(np.float32)
    turned = (queries - points.mean(axis=0)).astype(np.float32)
    lower, upper = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    sizes = np.diff(np.append(starts, len(points)))
    asked, heads = _leaves(queries)
    indices = np.empty((len(queries), count), np.int64)
    distances = np.empty((len(queries), count))
    part = single[::PART]
    # the place among a part of the points that bounds the count-th of all, hardly ever too small
    place = int(np.ceil(count / PART + 2.5 * np.sqrt(count / PART)))
    for start, stop in zip(heads, np.append(heads[1:], len(queries))):
        rows = asked[start:stop]
        block = turned[rows]
        bounds = np.full(len(rows), np.inf, np.float32)
        if place < len(part):
            bounds = np.partition(_squares(block, part), place, axis=1)[:, place]
        # leaves whose boxes come near enough
        away = np.maximum(
            0.0, np.maximum(lower - queries[rows].max(axis=0), queries[rows].min(axis=0) - upper)
        )
        near = (away**2).sum(axis=1) <= bounds.max()
        columns = np.flatnonzero(np.repeat(near, sizes))
        chosen, missing = _smallest(_squares(block, single[columns]), bounds, count)
        found = columns[chosen]
        if missing.any():
            squares = _squares(block[missing], single)
            found[missing] = np.argpartition(squares, count - 1, axis=1)[:, :count]
        exact = np.sqrt(((points[found] - queries[rows][:, None]) ** 2).sum(axis=2))
        sorting = np.argsort(exact, axis=1)
        indices[rows] = order[np.take_along_axis(found, sorting, axis=1)]
        distances[rows] = np.take_along_axis(exact, sorting, axis=1)
    return indices, distances


def _leaves(points: Shaped[np.ndarray, "points dims"]) -> tuple[np.ndarray, np.ndarray]:
    """An order ``(points,)`` in which points that lie together stand together, and where each leaf starts.

    Examples
    --------
    >>> order, starts = _leaves(np.random.default_rng(0).random((1000, 3)))
    >>> sorted(order.tolist()) == list(range(1000)), len(starts)
    (True, 8)
    """
    order, starts = [], []
    waiting = [np.arange(len(points))]
    placed = 0
    while waiting:
        own = waiting.pop()
        if len(own) <= LEAF:
            order.append(own)
            starts.append(placed)
            placed += len(own)
            continue
        # halves along the widest direction
        widest = int(np.ptp(points[own], axis=0).argmax())
        half = len(own) // 2
        split = own[np.argpartition(points[own, widest], half)]
        waiting += [split[half:], split[:half]]
    return np.concatenate(order), np.array(starts)


def _squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared distances ``(n, m)`` in single precision, by one product about the middle of ``x``."""
    middle = x.mean(axis=0)
    dims = x.shape[1]
    left, right = np.empty((len(x), dims + 2), np.float32), np.empty((len(y), dims + 2), np.float32)
    np.subtract(x, middle, out=left[:, :dims])
    np.subtract(y, middle, out=right[:, :dims])
    left[:, dims] = 1.0
    left[:, dims + 1] = np.einsum("nd,nd->n", left[:, :dims], left[:, :dims])
    right[:, dims] = np.einsum("nd,nd->n", right[:, :dims], right[:, :dims])
    right[:, dims + 1] = 1.0
    left[:, :dims] *= -2.0
    return left @ right.T


def _smallest(squares: np.ndarray, bounds: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places ``(rows, count)`` of the smallest entries of each row, none of them above its bound, and the rows
    ``(rows,)`` whose bound was too small."""
    rows, size = squares.shape
    # most entries are above: eight at a time are looked at
    padded = np.zeros((rows, -(-size // 8) * 8), bool)
    np.less_equal(squares, bounds[:, None], out=padded[:, :size])
    words = np.flatnonzero(padded.view(np.uint64))
    word, byte = np.nonzero(padded.reshape(-1, 8)[words])
    flat = words[word] * 8 + byte
    row = flat // padded.shape[1]
    column = flat - row * padded.shape[1]
    counts = np.bincount(row, minlength=rows)
    # one line for each row, filled up with nothing
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = np.full((rows, max(count, counts.max())), np.inf, np.float32)
    columns = np.zeros(values.shape, np.int64)
    values[row, place] = squares[row, column]
    columns[row, place] = column
    near = np.argpartition(values, count - 1, axis=1)[:, :count]
    return np.take_along_axis(columns, near, axis=1), counts < count
