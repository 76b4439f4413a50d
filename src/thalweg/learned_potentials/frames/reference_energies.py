"""Energies of the elements that are taken off before anything is learned, and what they cannot know.

Where energies of isolated atoms are not given, energies per element are fitted to those of the frames. Frames whose
compositions are all multiples of one, such as those of one molecule, do not decide them: any change along a direction
``v`` that all compositions are orthogonal to, ``n_frame . v = 0``, leaves the fit as it is. The model is right for
combinations of the compositions it was taught, and off by an unknown constant for all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration, elements_of

PARALLEL = 1e-8
"""Compositions are combinations of each other if so little of them is left, relative to the largest."""


def fitted_references(configurations: Sequence[Configuration]) -> dict[int, float]:
    """Energies per element that explain the energies best, of least norm where these do not decide [kJ/mol]."""
    elements = elements_of(configurations)
    labeled = [frame for frame in configurations if frame.energy is not None]
    if not labeled:
        return dict.fromkeys(elements, 0.0)
    energies = np.array([frame.energy for frame in labeled])
    solution = np.linalg.lstsq(_compositions(labeled, elements), energies, rcond=PARALLEL)[0]
    return {z: float(value) for z, value in zip(elements, solution)}


def undecided(configurations: Sequence[Configuration]) -> Float[np.ndarray, "directions elements"]:
    """Orthonormal directions in energies per element that the labeled frames say nothing about.

    None, ``(0, elements)``, where no frame has an energy: forces leave all of them open, as everyone knows.

    Examples
    --------
    >>> methane = Configuration(np.array([6, 1, 1, 1, 1]), np.eye(5, 3), energy=-1.0)
    >>> (undecided([methane]) ** 2).round(3).tolist()
    [[0.059, 0.941]]
    """
    elements = elements_of(configurations)
    labeled = [frame for frame in configurations if frame.energy is not None]
    if not labeled:
        return np.zeros((0, len(elements)))
    _, values, directions = np.linalg.svd(np.unique(_compositions(labeled, elements), axis=0))
    return directions[np.count_nonzero(values > PARALLEL * values[0]) :]


def of_other_compositions(card: Mapping[str, object], configurations: Sequence[Configuration]) -> list[int]:
    """Indices of the frames whose energies a model with this card cannot know, see `undecided`."""
    directions = np.array(card.get("undecided", ()), float)
    if not len(directions):
        return []
    open_ = np.abs(_compositions(configurations, card["elements"]) @ directions.T).max(1)
    return np.flatnonzero(open_ > 1e-6).tolist()


def _compositions(configurations: Sequence[Configuration], elements: Sequence[int]) -> np.ndarray:
    """Numbers of atoms of each element, ``(frames, elements)``."""
    return np.array(
        [[np.count_nonzero(frame.numbers == z) for z in elements] for frame in configurations], float
    ).reshape(-1, len(elements))
