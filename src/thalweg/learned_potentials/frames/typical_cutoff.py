"""A cutoff that means the same in every material: the distance within which atoms have so many neighbors on average.

Crystals differ in their nearest distances; measured in neighbors, a recipe sees equally far and costs as much in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.representations.representation import Representation
from thalweg.systems.configuration import Configuration

FRAMES = 50
"""At most this many frames are looked at, evenly spaced."""

LONGEST = 2.0
"""No further than this [nm]."""

STEP = 0.001
"""Cutoffs are rounded up to multiples of this [nm]."""


def cutoff_with_neighbors(configurations: Sequence[Configuration], neighbors: int) -> float:
    """Distance [nm] within which atoms of ``configurations`` have ``neighbors`` neighbors on average.

    Raises
    ------
    ValueError
        If they have fewer even within `LONGEST`, as in small molecules.

    Examples
    --------
    >>> simple = Configuration(np.array([84]), np.zeros((1, 3)), 0.3359 * np.eye(3), (True,) * 3)
    >>> cutoff_with_neighbors([simple], 6), cutoff_with_neighbors([simple], 18)
    (0.336, 0.476)
    """
    frames = [
        configurations[k] for k in np.unique(np.linspace(0, len(configurations) - 1, FRAMES).astype(int))
    ]
    atoms = sum(len(frame) for frame in frames)
    wanted = int(np.ceil(neighbors * atoms / 2))
    reach = 0.4
    while True:
        distances = np.concatenate([contacts(frame, reach)[2] for frame in frames])
        if len(distances) >= wanted:
            farthest = np.partition(distances, wanted - 1)[wanted - 1]
            return round(STEP * float(np.ceil(farthest / STEP)), 6)
        if reach >= LONGEST:
            raise ValueError(
                f"atoms have {2 * len(distances) / atoms:.3g} neighbors within {reach} nm on average, wanted "
                f"{neighbors}; give a cutoff instead of a number of neighbors"
            )
        reach = min(1.3 * reach, LONGEST)


def with_neighbors(
    representation: Representation, configurations: Sequence[Configuration], neighbors: int | None
) -> Representation:
    """The ``representation`` with a cutoff of so many ``neighbors``, or as it is for None."""
    if neighbors is None:
        return representation
    return replace(representation, cutoff=cutoff_with_neighbors(configurations, neighbors))
