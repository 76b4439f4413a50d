"""Sets that share nothing: random, by group, in folds, and points far from each other.

Everything is in indices, so that whatever is numbered can be split. Frames of one trajectory resemble each other;
splitting them by trajectory (or by blocks of time, with ``np.arange(frames) // length`` as groups) is what tells
how a model does on others.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np

from thalweg.shapes import Array, Float


def random_split(count: int, sizes: Sequence[int], seed: int = 0) -> tuple[np.ndarray, ...]:
    """Disjoint random sets of the given ``sizes`` out of ``count``, each in ascending order.

    Raises
    ------
    ValueError
        If there are not as many.

    Examples
    --------
    >>> train, test = random_split(10, (6, 4))
    >>> sorted([*train, *test]) == list(range(10))
    True
    """
    if sum(sizes) > count or min(sizes, default=0) < 0:
        raise ValueError(f"cannot draw sets of {', '.join(map(str, sizes))} out of {count}; ask for fewer")
    order = np.random.default_rng(seed).permutation(count)
    ends = np.cumsum([0, *sizes])
    return tuple(np.sort(order[start:stop]) for start, stop in pairwise(ends))


def group_split(
    groups: Sequence[Hashable], fractions: Sequence[float], seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Disjoint sets of whole groups, of about the given ``fractions`` of all, which they use up.

    Groups are dealt from the largest down, at random among equals, each to the set that lacks most.

    Parameters
    ----------
    groups : name of the group of each, such as the trajectory of a frame
    fractions : relative sizes of the sets

    Raises
    ------
    ValueError
        If there are fewer groups than sets.

    Examples
    --------
    >>> train, test = group_split(["a", "a", "b", "b", "b", "c"], (0.5, 0.5))
    >>> len(train), len(test)
    (3, 3)
    """
    members = _members(groups)
    if len(members) < len(fractions):
        raise ValueError(
            f"{len(members)} groups cannot fill {len(fractions)} sets; split at random or into blocks of time"
        )
    shares = np.asarray(fractions, float) / np.sum(fractions)
    order = np.random.default_rng(seed).permutation(len(members))
    order = sorted(order, key=lambda k: -len(members[k]))
    sets: list[list[np.ndarray]] = [[] for _ in shares]
    lack = shares * len(groups)
    for position, k in enumerate(order):
        empty = [each for each, chosen in enumerate(sets) if not chosen]
        choice = int(np.argmax(lack))
        if len(order) - position <= len(empty):
            choice = empty[0]
        sets[choice].append(members[k])
        lack[choice] -= len(members[k])
    return tuple(np.sort(np.concatenate(each)) for each in sets)


def folds(
    count: int, parts: int, seed: int = 0, groups: Sequence[Hashable] | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """``parts`` pairs of a training set and a test set; each index is tested once, groups are kept whole.

    Raises
    ------
    ValueError
        If there are fewer indices (or groups) than parts.

    Examples
    --------
    >>> sorted(int(k) for _, test in folds(5, 2) for k in test)
    [0, 1, 2, 3, 4]
    """
    tests = group_split(range(count) if groups is None else groups, [1.0] * parts, seed)
    everything = np.arange(count)
    return [(np.setdiff1d(everything, test), test) for test in tests]


def farthest_points(
    features: Float[Array, "points features"],
    count: int,
    start: int | None = None,
    others: Float[Array, "others features"] | None = None,
) -> np.ndarray:
    """Indices of ``count`` points, each as far as possible from those before it [gonzalez1985].

    Parameters
    ----------
    features : (points, features), distances in which are Euclidean
    start : the first point; the one farthest from the mean unless given, or from ``others`` where there are some
    others : points from which all are to be far, too

    Raises
    ------
    ValueError
        If there are fewer points.

    Examples
    --------
    >>> farthest_points(np.array([[0.0], [1.0], [0.9], [0.45]]), 3).tolist()
    [0, 1, 3]
    """
    points = np.asarray(features, float)
    if count > len(points):
        raise ValueError(f"cannot choose {count} of {len(points)} points; ask for fewer")
    gap = np.full(len(points), np.inf)
    for other in () if others is None else np.asarray(others, float):
        gap = np.minimum(gap, ((points - other) ** 2).sum(1))
    if start is None:
        start = int(np.argmax(gap if np.isfinite(gap).all() else ((points - points.mean(0)) ** 2).sum(1)))
    chosen = [start][:count]
    while len(chosen) < count:
        gap = np.minimum(gap, ((points - points[chosen[-1]]) ** 2).sum(1))
        gap[chosen] = -1.0
        chosen.append(int(np.argmax(gap)))
    return np.array(chosen, int)


def _members(groups):
    """Indices of each group, groups in order of appearance."""
    members: dict[Hashable, list[int]] = {}
    for k, group in enumerate(groups):
        members.setdefault(group, []).append(k)
    return [np.array(each) for each in members.values()]
