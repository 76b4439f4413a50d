"""Frames whose labels are beyond doubt not those of their atoms: others look like them and have other labels.

A label that is far from all others may be right: of a frame that is compressed, torn apart or of another phase. So
each suspect is held against the frames most like it, by what their pairs and densities are per atom
(`embedded_pairs`). It is given up where frames as near as usual exist, and its label differs from theirs by far more
than labels of such neighbors differ elsewhere; large forces count only where no atoms are closer than they are in
those neighbors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.learned_potentials.frames.embedded_pairs import frame_features
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import COVALENT_RADII
from thalweg.units import unit

NEIGHBORS = 5
"""Frames that a suspect is compared with."""

FEWEST = 12
"""Frames there must be besides suspects."""

USUAL = 400
"""Frames of which it is looked up how near neighbors are and how far apart their labels."""

NEAR = 2.0
"""A suspect has neighbors if they are no further than this many times the 90th percentile of the distance usual."""

GROSS = 30.0
"""Energies further than this many robust standard deviations of usual differences from those of neighbors are wrong."""

LEAST_ENERGY = unit("meV", "energy") * 20
"""Energies per atom nearer than this to those of neighbors are never given up [kJ/mol]."""

STRONG = 20.0
"""Forces larger than this many times the largest of the neighbors are wrong."""

CLOSER = 0.95
"""Contacts shorter than this fraction of the shortest of the neighbors may explain large forces."""


def gross_outliers(
    configurations: Sequence[Configuration],
    energies: Sequence[int],
    forces: Sequence[int],
    per_atom: Callable[[Sequence[int]], np.ndarray],
) -> tuple[int, ...]:
    """Those of the suspects that are beyond doubt, by index.

    Parameters
    ----------
    energies, forces : frames suspected for their energy and for their forces
    per_atom : energies per atom of frames by index, less what composition explains [kJ/mol]; NaN where there are none
    """
    suspects = sorted({*energies, *forces})
    others = [k for k in range(len(configurations)) if k not in set(suspects) and len(configurations[k]) > 1]
    if len(others) < FEWEST or not suspects:
        return ()
    if len(others) > 2 * USUAL:
        others = [others[k] for k in np.random.default_rng(0).permutation(len(others))[: 2 * USUAL]]
    elements = np.array(elements_of(configurations))
    known = np.array([frame_features(configurations[k], elements) for k in others])
    asked = np.array([frame_features(configurations[k], elements) for k in suspects])
    scale = known.std(0)
    varied = scale > 1e-6 * (np.abs(known).max(0) + 1e-300)
    known, asked = known[:, varied] / scale[varied], asked[:, varied] / scale[varied]
    levels = per_atom(others)
    sample = np.arange(len(others))[:: max(1, len(others) // USUAL)]
    near, far = _neighbors(known[sample], known, itself=sample)
    usual = np.quantile(far, 0.9)
    spread = 1.4826 * np.nanmedian(np.abs(levels[sample] - np.nanmedian(levels[near], 1)))
    limit = max(GROSS * spread, LEAST_ENERGY) if np.isfinite(spread) else np.inf
    mine, distance = _neighbors(asked, known)
    found = []
    for row, k in enumerate(suspects):
        if distance[row] > NEAR * usual:
            continue
        alike = [others[m] for m in mine[row]]
        off = abs(per_atom([k])[0] - np.nanmedian(levels[mine[row]]))
        wrong = k in energies and off > limit
        if wrong or (k in forces and _too_strong(configurations, k, alike)):
            found.append(k)
    return tuple(found)


def _neighbors(points, known, itself=None):
    """Indices of the nearest of ``known`` (points, NEIGHBORS), and the distance of the last of them."""
    squares = (points**2).sum(1)[:, None] + (known**2).sum(1) - 2 * points @ known.T
    if itself is not None:
        squares[np.arange(len(points)), itself] = np.inf
    nearest = np.argsort(squares, 1, kind="stable")[:, :NEIGHBORS]
    return nearest, np.sqrt(np.maximum(np.take_along_axis(squares, nearest[:, -1:], 1)[:, 0], 0))


def _too_strong(configurations, k, alike):
    """Whether the largest force of frame ``k`` is beyond those of frames ``alike`` and no contact explains it."""
    strengths = [_largest(configurations[m]) for m in alike]
    if _largest(configurations[k]) <= STRONG * max(*strengths, unit("meV/Å", "force") * 10):
        return False
    return _shortest(configurations[k]) > CLOSER * min(_shortest(configurations[m]) for m in alike)


def _largest(frame):
    return 0.0 if frame.forces is None else float(np.linalg.norm(frame.forces, axis=1).max())


def _shortest(frame):
    """Shortest contact, over the sum of covalent radii; one if there is none within four thirds of it."""
    radii = COVALENT_RADII[frame.numbers]
    i, j, distances = contacts(frame, float(8 / 3 * radii.max()))
    return min(1.3, float((distances / (radii[i] + radii[j])).min(initial=1.3)))
