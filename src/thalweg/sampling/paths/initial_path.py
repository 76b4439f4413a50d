r"""The first guess of a path: a straight line, or images whose interatomic distances go straight [smidstrup2014].

.. math::  S_k(x) = \sum_{i<j} d_{ij}^{-4}\,\left(d_{ij} - d_{ij}^{(k)}\right)^2

On a straight line atoms of a molecule run through each other. The image-dependent pair potential S, whose distances
:math:`d_{ij}^{(k)}` lie between those of the ends, is relaxed as a band: no energy is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.machine.memory import require_memory
from thalweg.sampling.paths.ends import nearest_images
from thalweg.sampling.paths.surface import Surface
from thalweg.shapes import Shaped
from thalweg.systems.configuration import Configuration

NEAREST = 0.6
"""Atoms of a straight path nearer than this part of their shortest distance in the ends are on top of each other."""

ASIDE = 0.01
"""How far atoms are pushed aside, by chance but always alike, where they would meet on a line [nm]."""


def straight_path(
    start: Shaped[np.ndarray, "atoms dims"], end: Shaped[np.ndarray, "atoms dims"], images: int
) -> Shaped[np.ndarray, "images atoms dims"]:
    """Images at equal distances on a straight line, ends included.

    Examples
    --------
    >>> straight_path(np.zeros((1, 2)), np.ones((1, 2)), 3)[1].tolist()
    [[0.5, 0.5]]
    """
    share = np.linspace(0.0, 1.0, images)[:, None, None]
    return (1 - share) * start + share * end


def bent_where_atoms_meet(
    path: Shaped[np.ndarray, "images atoms 3"], like: Configuration, fixed: Sequence[int] = ()
) -> np.ndarray:
    """A path with atoms pushed aside where they would run through each other, so that they find a way around."""
    distances = np.stack([_distances(image, like)[0] for image in path])
    if not distances.size or (distances >= NEAREST * np.minimum(distances[0], distances[-1])).all():
        return path
    push = np.random.default_rng(0).normal(size=path[0].shape)
    push[list(fixed)] = 0.0
    bow = np.sin(np.pi * np.linspace(0, 1, len(path)))[:, None, None]
    return path + ASIDE * bow * push


def pair_potential(path: Shaped[np.ndarray, "images atoms 3"], like: Configuration) -> Surface:
    """``S`` of all images between the ends of ``path`` and minus its gradient; in 1/nm^2 and 1/nm^3.

    Examples
    --------
    >>> stretched = straight_path(np.array([[0.0, 0, 0], [0.1, 0, 0]]), np.array([[0.0, 0, 0], [0.2, 0, 0]]), 3)
    >>> surface = pair_potential(stretched, Configuration(np.array([1, 1]), stretched[0]))
    >>> surface(stretched[1:2])[0].round(9).tolist()
    [0.0]
    """
    atoms = path.shape[1]
    require_memory(
        8 * 8 * len(path) * atoms**2, f"pairs of {atoms} atoms in {len(path)} images; use a straight path"
    )
    first, last = (_distances(image, like)[0] for image in (path[0], path[-1]))
    wanted = straight_path(first[None], last[None], len(path))[1:-1, 0]
    i, j = np.triu_indices(atoms, 1)

    def surface(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        energies, forces = np.zeros(len(images)), np.zeros(images.shape)
        for k, image in enumerate(images):
            d, steps = _distances(image, like)
            d = np.maximum(d, 1e-3)
            off = d - wanted[k]
            energies[k] = (off**2 / d**4).sum()
            # dS/dd along the unit vector from i to j
            slope = (2 * off / d**4 - 4 * off**2 / d**5)[:, None] * steps / d[:, None]
            np.add.at(forces[k], i, slope)
            np.add.at(forces[k], j, -slope)
        return energies, forces

    return surface


def _distances(image: np.ndarray, like: Configuration) -> tuple[np.ndarray, np.ndarray]:
    """Distances ``(pairs,)`` of all pairs of atoms, and the steps ``(pairs, 3)`` from the first to the second."""
    i, j = np.triu_indices(len(image), 1)
    steps = nearest_images(image[j] - image[i], like)
    return np.linalg.norm(steps, axis=1), steps
