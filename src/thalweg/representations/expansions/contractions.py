"""The ways to contract moment tensors to scalars, generated rather than tabled [shapeev2016].

A scalar is a multigraph: node ``i`` is a moment ``M`` of radial index ``mu_i`` and rank ``nu_i``, and ``a_ij`` edges
between two nodes are that many indices summed over, so that ``sum_j a_ij = nu_i``. Its level is

    lev = sum_i (2 + s mu_i + nu_i),    s = 4.

All connected graphs up to a level are found once, up to the order of their nodes; graphs of several pieces are
products of connected ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

NODE = 2
"""What each moment adds to the level by being there."""


@dataclass(frozen=True)
class Connected:
    """Scalars that share one connected graph.

    Attributes
    ----------
    edges : number of indices contracted between each two nodes
    assignments : (scalars, nodes) radial function of each node
    levels : (scalars,)
    """

    edges: tuple[tuple[int, ...], ...]
    assignments: np.ndarray
    levels: np.ndarray

    @property
    def ranks(self) -> tuple[int, ...]:
        """Rank of each node's moment."""
        return tuple(sum(row) for row in self.edges)


@dataclass(frozen=True)
class Contractions:
    """All scalars up to a level.

    Attributes
    ----------
    connected : scalars by graph
    products : for each number of factors from two on, (products, 2): a product of one factor less, and one more factor
    levels : (scalars,) in the order connected, products of two, ...
    radial : number of radial functions
    """

    connected: tuple[Connected, ...]
    products: tuple[np.ndarray, ...]
    levels: np.ndarray
    radial: int

    @property
    def rank(self) -> int:
        """Highest rank of a moment."""
        return max(max(graph.ranks) for graph in self.connected)


@lru_cache
def contractions(level: int, step: int = 4, channels: int = 1) -> Contractions:
    """All scalars up to ``level``; radial function ``mu`` of element channel ``c`` has the index ``channels mu + c``.

    Raises
    ------
    ValueError
        If the level admits no scalar.

    Examples
    --------
    >>> [len(contractions(level).levels) for level in (2, 4, 6, 8)]
    [1, 2, 5, 9]
    """
    if level < NODE:
        raise ValueError(f"level={level} admits no moment; use {NODE} or more")
    radial = (level - NODE) // step + 1
    connected = []
    for edges in _graphs(level):
        tuples = sorted(_assignments(edges, level, step, channels))
        if tuples:
            assignments = np.array(tuples, np.int32)
            ranks = sum(sum(row) for row in edges)
            # lev = sum_i (2 + nu_i) + s sum_i mu_i
            levels = NODE * len(edges) + ranks + step * (assignments // channels).sum(1)
            connected.append(Connected(edges, assignments, levels))
    singles = np.concatenate([graph.levels for graph in connected])
    products, levels = _products(singles, level)
    return Contractions(
        tuple(connected), tuple(products), np.concatenate([singles, *levels]), radial * channels
    )


def _products(singles, level):
    """Products of connected scalars of levels ``singles`` up to ``level``: tables, and levels, by number of factors.

    Factors do not descend, so that each product is found once; it is a product of one factor less, times one more.
    """
    products, levels, shorter = [], [], [((k,), value) for k, value in enumerate(singles.tolist())]
    while shorter:
        longer, table = [], []
        for row, (factors, value) in enumerate(shorter):
            for k in range(factors[-1], len(singles)):
                if value + singles[k] <= level:
                    longer.append(((*factors, k), value + int(singles[k])))
                    table.append((row, k))
        if longer:
            products.append(np.array(table, np.int32))
            levels.append(np.array([value for _, value in longer]))
        shorter = longer
    return products, levels


def _graphs(level: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Connected multigraphs whose moments of radial index zero fit into ``level``, each once, as matrices of edges."""
    yield ((0,),)
    for nodes in range(2, (level + 2) // (2 * NODE) + 1):
        most = level - NODE * nodes
        for ranks in _descending(nodes, most):
            if sum(ranks) % 2 or sum(ranks) < 2 * (nodes - 1):
                continue
            # of graphs that differ in the order of their nodes the largest matrix stands for all
            graphs = set()
            for matrix in _matrices(ranks):
                if _is_connected(matrix):
                    graphs.add(max(_reordered(matrix, order) for order in _orders(ranks)))
            yield from sorted(graphs, reverse=True)


def _descending(nodes, most):
    """Ranks from one on in descending order that sum to at most ``most``."""
    if nodes == 0:
        yield ()
        return
    for first in range(most - (nodes - 1), 0, -1):
        for rest in _descending(nodes - 1, most - first):
            if not rest or rest[0] <= first:
                yield (first, *rest)


def _matrices(ranks):
    """Symmetric matrices of nonnegative integers, zero on the diagonal, with ``ranks`` as row sums."""
    if len(ranks) == 1:
        if ranks[0] == 0:
            yield ((0,),)
        return
    first, rest = ranks[0], ranks[1:]
    for row in itertools.product(*(range(min(first, rank) + 1) for rank in rest)):
        if sum(row) == first:
            for inner in _matrices(tuple(a - b for a, b in zip(rest, row))):
                yield ((0, *row), *((a, *line) for a, line in zip(row, inner)))


def _is_connected(matrix):
    reached, ends = {0}, [0]
    while ends:
        for k, count in enumerate(matrix[ends.pop()]):
            if count and k not in reached:
                reached.add(k)
                ends.append(k)
    return len(reached) == len(matrix)


def _orders(ranks):
    """Orders of the nodes that leave the ranks as they are."""
    return [
        order
        for order in itertools.permutations(range(len(ranks)))
        if all(ranks[k] == ranks[place] for place, k in enumerate(order))
    ]


def _reordered(matrix, order):
    return tuple(tuple(matrix[a][b] for b in order) for a in order)


def _assignments(edges, level, step, channels):
    """Radial functions of the nodes, one of each set that symmetries of the graph make equal."""
    ranks = [sum(row) for row in edges]
    spare = (level - NODE * len(ranks) - sum(ranks)) // step
    if spare < 0:
        return set()
    symmetries = [order for order in _orders(ranks) if _reordered(edges, order) == edges]
    tuples = set()
    for indices in itertools.product(range(spare + 1), repeat=len(ranks)):
        if sum(indices) <= spare:
            for kinds in itertools.product(range(channels), repeat=len(ranks)):
                functions = [channels * mu + c for mu, c in zip(indices, kinds)]
                tuples.add(min(tuple(functions[k] for k in order) for order in symmetries))
    return tuples
