"""Nearest neighbors in many dimensions: blocks of products of matrices, far blocks left out.

Trees look at most points there, one by one. Here points are divided into leaves of about a hundred that lie together.
For each leaf of queries a part of the points bounds how far neighbors are. Leaves whose boxes lie farther are left
out; of the others all squared distances come from one product in single precision, about the middle of the leaf, where
near points lose least. Distances of those chosen are then taken in double precision.
"""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Shaped

LEAF, QUERIES = 128, 256
"""Points of a leaf, and queries asked at a time, at most."""

PART = 16
"""One point in so many bounds the distance of neighbors."""

WORD = 8
"""Comparisons looked at together."""

EXTENT = 100.0
"""Extent of all points, in distances of neighbors, up to which single precision is enough far from their middle."""


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
    order, starts = _leaves(points, LEAF)
    centered, turned = points[order] - points.mean(axis=0), queries - points.mean(axis=0)
    lower, upper = np.minimum.reduceat(centered, starts), np.maximum.reduceat(centered, starts)
    sizes = np.diff(np.append(starts, len(points)))
    asked, heads = _leaves(queries, QUERIES)
    indices = np.empty((len(queries), count), np.int64)
    distances = np.empty((len(queries), count))
    whole = _SquaredDistances(centered)
    # the place among a part of the points that bounds the count-th of all, hardly ever too small
    place = int(np.ceil(count / PART + 2.5 * np.sqrt(count / PART)))
    for start, stop in zip(heads, np.append(heads[1:], len(queries))):
        rows = asked[start:stop]
        block = turned[rows]
        middle = block.mean(axis=0)
        bounds = np.full(len(rows), np.inf, np.float32)
        if place < len(points) // PART:
            some = _SquaredDistances(centered[::PART] - middle).of(block - middle)
            bounds = np.partition(some, place, axis=1)[:, place]
        # leaves whose boxes come near enough
        away = np.maximum(0.0, np.maximum(lower - block.max(axis=0), block.min(axis=0) - upper))
        near = (away**2).sum(axis=1) <= bounds.max()
        if sizes[near].sum() > len(points) / 2 and whole.norms.max() < EXTENT**2 * bounds.min():
            found, missing = whole.smallest(block, bounds, count)
        else:
            columns = np.flatnonzero(np.repeat(near, sizes))
            few = _SquaredDistances(centered[columns] - middle)
            found, missing = few.smallest(block - middle, bounds, count)
            found = columns[found]
        if missing.any():
            squares = _SquaredDistances(centered - middle).of(block[missing] - middle)
            found[missing] = np.argpartition(squares, count - 1, axis=1)[:, :count]
        apart = centered[found.ravel()].reshape(*found.shape, -1) - block[:, None]
        exact = np.sqrt(np.einsum("nkd,nkd->nk", apart, apart))
        sorting = np.argsort(exact, axis=1)
        indices[rows] = order[np.take_along_axis(found, sorting, axis=1)]
        distances[rows] = np.take_along_axis(exact, sorting, axis=1)
    return indices, distances


class _SquaredDistances:
    """Squared distances of points from blocks of others, each by one product in single precision.

    With :math:`m` the middle of a block, :math:`|x - y|^2 = |x - m|^2 + 2 (x - m) m + |y - m|^2 - 2 (x - m) y`: the
    norms of :math:`y - m` are taken in double precision, so that little is lost where the block is small.
    """

    def __init__(self, points: np.ndarray):
        self.size, dims = points.shape
        self.points = points
        self.norms = np.einsum("nd,nd->n", points, points)
        # columns in whole words of eight bytes, the last ones infinitely far
        self.table = np.zeros((dims + 2, -(-self.size // WORD) * WORD), np.float32)
        self.table[:dims, : self.size] = points.T
        self.table[dims] = np.inf
        self.table[dims + 1] = 1.0
        self.squares = np.empty((0, self.table.shape[1]), np.float32)
        self.within = np.empty((0, self.table.shape[1]), bool)

    def of(self, block: np.ndarray) -> np.ndarray:
        """Squared distances ``(n, points or a few more)`` of a block ``(n, dims)``, valid until the next call."""
        dims = block.shape[1]
        middle = block.mean(axis=0)
        apart = block - middle
        left = np.ones((len(block), dims + 2), np.float32)
        left[:, :dims] = -2 * apart
        left[:, dims + 1] = np.einsum("nd,nd->n", apart, apart) + 2 * apart @ middle
        self.table[dims, : self.size] = self.norms - self.points @ (2 * middle) + middle @ middle
        if len(self.squares) < len(block):
            self.squares = np.empty((len(block), self.table.shape[1]), np.float32)
            self.within = np.empty(self.squares.shape, bool)
        return np.matmul(left, self.table, out=self.squares[: len(block)])

    def smallest(self, block: np.ndarray, bounds: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers ``(n, count)`` of the points nearest to each of a block, none of them above its bound, and which
        ``(n,)`` had a bound that was too small."""
        squares = self.of(block)
        within = np.less_equal(squares, bounds[:, None], out=self.within[: len(block)])
        # most entries are above: eight at a time are looked at
        words = np.flatnonzero(within.reshape(-1).view(np.uint64) != 0)
        word, byte = np.nonzero(within.reshape(-1, WORD)[words])
        flat = words[word] * WORD + byte
        row = flat // squares.shape[1]
        counts = np.bincount(row, minlength=len(block))
        # one line for each row, filled up with nothing
        starts = np.cumsum(counts) - counts
        values = np.full((len(block), max(count, counts.max())), np.inf, np.float32)
        values[row, np.arange(len(row)) - np.repeat(starts, counts)] = squares.reshape(-1)[flat]
        near = np.argpartition(values, count - 1, axis=1)[:, :count]
        column = flat - row * squares.shape[1]
        return column[np.minimum(starts[:, None] + near, len(column) - 1)], counts < count


def _leaves(points: Shaped[np.ndarray, "points dims"], most: int) -> tuple[np.ndarray, np.ndarray]:
    """An order ``(points,)`` in which points that lie together stand together, and where each leaf of at most ``most``
    starts.

    Examples
    --------
    >>> order, starts = _leaves(np.random.default_rng(0).random((1000, 3)), 128)
    >>> sorted(order.tolist()) == list(range(1000)), len(starts)
    (True, 8)
    """
    order, starts = [], []
    waiting = [np.arange(len(points))]
    placed = 0
    while waiting:
        own = waiting.pop()
        if len(own) <= most:
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
