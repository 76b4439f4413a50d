r"""The pathways a reaction takes, widest first [metzner2009] [noe2009].

The capacity of a path is the smallest net flux along it, its bottleneck. The path of largest capacity from A
to B is taken, its capacity subtracted along it, and so on until enough of the flux is explained: capacities
of all paths add up to the total flux. Decompositions are not unique; this one answers first what matters
most.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise

import numpy as np

from thalweg.kinetics.reactions.transition_paths import ReactiveFlux

NEGLIGIBLE = 1e-12
"""Edges of less flux than this share of the total are rounding."""


@dataclass(frozen=True)
class Pathway:
    """One way from A to B.

    Attributes
    ----------
    states : in order, original numbers
    flux : [1/ps], its bottleneck
    share : of the total flux
    bottleneck : the two states between which it is narrowest
    """

    states: tuple[int, ...]
    flux: float
    share: float
    bottleneck: tuple[int, int]

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} %: {' → '.join(map(str, self.states))}"


def pathways(flux: ReactiveFlux, share: float = 0.99, most: int = 1000) -> tuple[Pathway, ...]:
    """Pathways, widest first, until they carry the ``share`` of the flux or there are ``most`` of them.

    Parameters
    ----------
    flux : of `reactive_flux` or `coarse_grained`

    Raises
    ------
    ValueError
        If the share is not between zero and one.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> from thalweg.kinetics.reactions.transition_paths import reactive_flux
    >>> walk = np.array([0, 1, 3, 1, 0, 2, 3, 2, 0, 1, 3, 1, 0])
    >>> for way in pathways(reactive_flux(MarkovStateModel(lagtime=1).fit([walk]), [0], [3])):
    ...     print(way)
    66.7 %: 0 → 1 → 3
    33.3 %: 0 → 2 → 3
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} must lie between zero and one")
    left = _edges(flux)
    goals, ways, explained = set(flux.target.tolist()), [], 0.0
    while len(ways) < most and explained < share * (1 - 1e-9):
        path = _widest(left, flux.start.tolist(), goals)
        if path is None:
            break
        steps = list(pairwise(path))
        narrow = min(steps, key=lambda step: left[step[0]][step[1]])
        capacity = left[narrow[0]][narrow[1]]
        # what the path carries is subtracted along it; its bottleneck is used up
        for i, j in steps:
            left[i][j] -= capacity
            if left[i][j] <= NEGLIGIBLE * flux.total:
                del left[i][j]
        part = capacity / flux.total
        ways.append(Pathway(tuple(path), capacity, part, narrow))
        explained += part
    return tuple(ways)


def _edges(flux: ReactiveFlux) -> dict[int, dict[int, float]]:
    """Net flux from every state to others."""
    entries = flux.net.tocoo()
    carrying = entries.data > NEGLIGIBLE * flux.total
    edges: dict[int, dict[int, float]] = {}
    for i, j, value in zip(entries.row[carrying], entries.col[carrying], entries.data[carrying]):
        edges.setdefault(int(i), {})[int(j)] = float(value)
    return edges


def _widest(edges: dict[int, dict[int, float]], starts: Iterable[int], goals: set[int]) -> list[int] | None:
    """The path of largest capacity: always go on from the state that is reached most widely."""
    origin: dict[int, int | None] = {}
    heap: list[tuple[float, int, int | None]] = [(-np.inf, state, None) for state in starts]
    # Dijkstra's search with the bottleneck in place of the length, negative so that the widest comes first
    while heap:
        width, state, before = heappop(heap)
        if state in origin:
            continue
        origin[state] = before
        if state in goals:
            path = [state]
            while (previous := origin[path[-1]]) is not None:
                path.append(previous)
            return path[::-1]
        for following, value in edges.get(state, {}).items():
            if following not in origin:
                heappush(heap, (max(width, -value), following, state))
    return None
