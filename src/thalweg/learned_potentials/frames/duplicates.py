"""Frames that are the same up to a rotation, reflection, translation and a permutation of like atoms.

Two such frames have the same distances between atoms of each pair of elements. Their first moments sort out nearly
all other frames; those that agree are compared distance by distance. (Different arrangements with the same
distances exist [pozdnyakov2020], but do not occur by chance.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import vesin

from thalweg.systems.configuration import Configuration

REACH = 0.6137
"""How far distances of large frames are compared at least [nm]; no multiple of any lattice constant."""

ACROSS = 1.0371
"""How far distances of small periodic frames are compared, in cube roots of the volume of the cell."""

LARGE = 100
"""Frames of more than this many atoms are compared by distances up to `REACH` only."""


def contacts(
    configuration: Configuration, reach: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of atoms, images included, and their distances [nm], each pair once.

    Parameters
    ----------
    reach : greatest distance [nm]; by default as far as frames are compared: all atoms of one that is not large
    """
    points = np.asarray(configuration.positions, float)
    periodic = any(configuration.periodic)
    if not periodic and len(points) <= LARGE:
        i, j = np.triu_indices(len(points), 1)
        distances = np.linalg.norm(points[i] - points[j], axis=1)
        near = distances < (reach or np.inf)
        return i[near], j[near], distances[near]
    box = np.asarray(configuration.box, float) if periodic else np.zeros((3, 3))
    if reach is None:
        small = periodic and len(points) <= LARGE
        reach = max(REACH, ACROSS * configuration.volume ** (1 / 3)) if small else REACH
    search = vesin.NeighborList(cutoff=reach, full_list=False, n_threads=1)
    flags = [bool(flag) for flag in configuration.periodic] if periodic else False
    i, j, distances = search.compute(points, box, flags, "ijd")
    return i.astype(int), j.astype(int), distances


def duplicates(configurations: Sequence[Configuration], tolerance: float = 1e-5) -> list[tuple[int, ...]]:
    """Groups of frames, by index, that are the same within ``tolerance`` [nm] in every distance.

    Examples
    --------
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.09, 0]]))
    >>> rotated = Configuration(np.array([1, 8, 1]), np.array([[1, 1.1, 1], [1, 1, 1], [1.09, 1, 1]]))
    >>> longer = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
    >>> duplicates([water, longer, rotated])
    [(0, 2)]
    """
    groups: dict[tuple, list[int]] = {}
    for k, frame in enumerate(configurations):
        groups.setdefault((np.sort(frame.numbers).tobytes(), any(frame.periodic)), []).append(k)
    repeated = []
    for group in groups.values():
        if len(group) > 1:
            repeated += _same(configurations, np.array(group), tolerance)
    return sorted(repeated)


def _same(configurations, group, tolerance):
    """Groups of the same frames among those of one composition."""
    moments = np.array([_moments(configurations[k]) for k in group])
    order = np.argsort(moments[:, 1], kind="stable")
    group, moments = group[order], moments[order]
    # distances within the tolerance move their mean by no more, their mean square by twice the mean as much
    tolerances = tolerance * np.array([0.0, 1.0, 2 * max(moments[:, 1].max(), 1.0)])
    leader = np.arange(len(group))
    for k in range(len(group)):
        for m in range(k - 1, -1, -1):
            if moments[k, 1] - moments[m, 1] > tolerances[1]:
                break
            close = (np.abs(moments[k] - moments[m]) <= tolerances).all()
            if close and _agree(configurations[group[k]], configurations[group[m]], tolerance):
                leader[k] = leader[m]
                break
    members = [tuple(sorted(group[leader == k].tolist())) for k in np.unique(leader)]
    return [each for each in members if len(each) > 1]


def _moments(configuration):
    """Number, mean and mean square of the distances, weighted by atomic numbers."""
    i, j, distances = contacts(configuration)
    if not len(distances):
        return 0.0, 0.0, 0.0
    weights = (configuration.numbers[i] + 1.0) * (configuration.numbers[j] + 1.0)
    weights /= weights.sum()
    return float(len(distances)), float(weights @ distances), float(weights @ distances**2)


def _agree(first, second, tolerance):
    return all(
        a.shape == b.shape and np.abs(a - b).max(initial=0) <= tolerance
        for a, b in zip(_sorted_distances(first), _sorted_distances(second), strict=True)
    )


def _sorted_distances(configuration):
    """Distances [nm] between atoms of each pair of elements, ascending, pair by pair of elements."""
    i, j, distances = contacts(configuration)
    numbers = np.asarray(configuration.numbers)
    kinds = np.sort(np.stack([numbers[i], numbers[j]]), 0)
    elements = np.unique(numbers)
    return [
        np.sort(distances[(kinds[0] == a) & (kinds[1] == b)]) for a in elements for b in elements if a <= b
    ]
