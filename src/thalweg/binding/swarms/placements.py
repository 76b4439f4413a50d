"""Guests set down around a host in places and orientations drawn at random: where a swarm begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from thalweg.shapes import Float

TRIES = 1000
"""Draws of one guest before there is said to be no room."""


def placements(
    positions: Float[np.ndarray, "atoms 3"],
    host: np.ndarray | Sequence[int],
    guests: np.ndarray | Sequence[Sequence[int]],
    number: int,
    shell: tuple[float, float],
    seed: int = 0,
    clearance: float = 0.4,
) -> Float[np.ndarray, "number atoms 3"]:
    """Structures in which each guest lies somewhere else, its center evenly spread over a spherical shell.

    Parameters
    ----------
    positions : of all atoms [nm]; molecules are moved as they are
    host : atoms of the host, which stays
    guests : atoms of each guest
    number : of structures
    shell : least and largest distance of a guest's center from the host's (means of the atoms' positions) [nm]
    seed : of the draws
    clearance : least distance of an atom of one molecule from those of another [nm]

    Raises
    ------
    ValueError
        If there is no room for a guest.

    Examples
    --------
    >>> places = placements(np.zeros((2, 3)), [0], [[1]], 100, (1.0, 2.0))
    >>> apart = np.linalg.norm(places[:, 1], axis=1)
    >>> bool(apart.min() > 1.0), bool(apart.max() < 2.0), bool(np.abs(np.mean(apart**3) - 4.5) < 1.0)
    (True, True, True)
    """
    if not 0 <= shell[0] < shell[1]:
        raise ValueError(f"shell = {shell} nm is empty; give a least and a larger distance")
    random, start = np.random.default_rng(seed), np.asarray(positions, float)
    structures = np.repeat(start[None], number, axis=0)
    center = start[np.asarray(host)].mean(0)
    for structure in structures:
        taken = [np.asarray(host)]
        for guest in map(np.asarray, guests):
            around = KDTree(structure[np.concatenate(taken)])
            own = start[guest] - start[guest].mean(0)
            for _ in range(TRIES):
                distance = np.cbrt(random.uniform(shell[0] ** 3, shell[1] ** 3))
                way = random.normal(size=3)
                place = center + distance * way / np.linalg.norm(way)
                structure[guest] = place + Rotation.random(rng=random).apply(own)
                if around.query(structure[guest])[0].min() > clearance:
                    break
            else:
                raise ValueError(
                    f"found no room for a guest between {shell[0]:g} and {shell[1]:g} nm from the host in {TRIES} "
                    f"draws, {clearance:g} nm from all other molecules; take a wider shell or fewer guests"
                )
            taken.append(guest)
    return structures
