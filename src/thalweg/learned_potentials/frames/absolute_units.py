"""Units of a whole file, which forces and energies that belong together do not show: by what nature fixes.

Atoms bond at about the sum of their covalent radii; if no two atoms of any frame come nearer than some 1.6 times that,
lengths are in bohr and were taken for ångström, unless atoms are noble. And a total energy with all electrons is about
that of the atoms, by the statistical theory with its corrections [schwinger1981]

    E(Z) = -0.7687 Z^(7/3) + Z^2 / 2 - 0.2699 Z^(5/3)   [Hartree],

within a few percent; energies that match it in one unit are in that unit. Pseudopotentials and energies of formation
match in none, and nothing is said of them, nor of heavier atoms, where core electrons can be left out in too many ways.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII
from thalweg.units import ANGSTROM, BOHR, ELECTRONVOLT, HARTREE, KILOCALORIE

TOTAL = 0.04
"""Total energies match if they are this close to those of the atoms."""

HEAVIEST = 16
"""Of heavier atoms, energies without core electrons may match by chance."""

UNITS = {"eV": ELECTRONVOLT, "Ha": HARTREE, "kcal/mol": KILOCALORIE, "kJ/mol": 1.0}
"""In which total energies come."""

NOBLE = {2, 10, 18, 36, 54, 86}

APART = (1.55, 2.4)
"""Nearest distances in bohr taken for ångström are about 1.9 times the sum of the covalent radii."""

FRAMES = 100
FEWEST = 10


def unit_of_energies(configurations: Sequence[Configuration]) -> str | None:
    """The unit that total energies are in as if they had been taken for eV; None if none or eV.

    Examples
    --------
    >>> water = [Configuration(np.array([8, 1, 1]), np.zeros((3, 3)), energy=-76.4 * ELECTRONVOLT)] * 10
    >>> unit_of_energies(water)
    'Ha'
    """
    frames = [frame for frame in _some(configurations) if frame.energy is not None and len(frame)]
    if len(frames) < FEWEST or any(frame.numbers.max() > HEAVIEST for frame in frames):
        return None
    numbers = np.array([frame.energy for frame in frames]) / ELECTRONVOLT
    totals = HARTREE * np.array([_of_atoms(frame.numbers).sum() for frame in frames])
    for name, size in UNITS.items():
        if np.abs(numbers * size / totals - 1).max() < TOTAL:
            return None if name == "eV" else name
    return None


def _of_atoms(numbers):
    """Total energies of atoms with these atomic ``numbers`` [Hartree]."""
    z = np.asarray(numbers, float)
    return -0.768745 * z ** (7 / 3) + z**2 / 2 - 0.269900 * z ** (5 / 3)


def lengths_in_bohr(configurations: Sequence[Configuration]) -> float | None:
    """How far nearest atoms are apart, in sums of covalent radii, where bohr taken for ångström explain it.

    Examples
    --------
    >>> far = [Configuration(np.array([1, 9]), np.array([[0, 0, 0], [0, 0, 0.0917 / 0.529]]))] * 10
    >>> round(lengths_in_bohr(far), 1)
    2.0
    """
    frames = [
        frame
        for frame in _some(configurations)
        if (len(frame) > 1 or any(frame.periodic)) and not NOBLE & set(frame.numbers.tolist())
    ]
    if len(frames) < FEWEST:
        return None
    nearest = np.concatenate([_nearest(frame) for frame in frames])
    low, high = APART
    typical = float(np.median(nearest))
    inside = np.quantile(nearest, 0.05) > low and low < typical < high
    # in ångström these would be the distances of bonds
    return typical if inside and 0.7 < typical * BOHR / ANGSTROM < 1.3 else None


def _nearest(frame):
    """Distance of each atom to its nearest neighbor, over the sum of their covalent radii; 9 if there is none near."""
    radii = COVALENT_RADII[frame.numbers]
    i, j, distances = contacts(frame, float(2 * APART[1] * radii.max()))
    ratios = distances / (radii[i] + radii[j])
    nearest = np.full(len(frame), 9.0)
    np.minimum.at(nearest, i, ratios)
    np.minimum.at(nearest, j, ratios)
    return nearest


def _some(configurations):
    step = max(1, len(configurations) // FRAMES)
    return configurations[::step]
