"""How errors grow with the distance from the training set, which says where more data would help.

The distance of an atom is that of its features from the nearest features of an atom of the same element in the
training set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.learned_potentials.frames.errors import Error
from thalweg.representations.representation import Representation
from thalweg.systems.configuration import Configuration, elements_of


def distances_to_training(
    representation: Representation,
    training: Sequence[Configuration],
    configurations: Sequence[Configuration],
    block: int = 512,
) -> tuple[np.ndarray, ...]:
    """How far each atom's environment is from the nearest of the same element in the training set.

    Distances are Euclidean between features, in units of the root mean square distance of training features from
    their mean.

    Returns
    -------
    One (atoms,) array per frame of ``configurations``; infinite for elements that are not in the training set.
    """
    representation = representation.over(elements_of([*training, *configurations]))
    library = np.concatenate(representation.features(training))
    points = np.concatenate(representation.features(configurations))
    library_numbers = np.concatenate([frame.numbers for frame in training])
    numbers = np.concatenate([frame.numbers for frame in configurations])
    scale = np.sqrt(((library - library.mean(0)) ** 2).sum(1).mean())
    nearest = np.full(len(points), np.inf)
    for z in np.intersect1d(library_numbers, numbers):
        training_features, mine = library[library_numbers == z], np.flatnonzero(numbers == z)
        norms = (training_features**2).sum(1)
        for start in range(0, len(mine), block):
            chosen = mine[start : start + block]
            # |f - g|^2 = |f|^2 - 2 f.g + |g|^2
            squares = norms - 2 * points[chosen] @ training_features.T + (points[chosen] ** 2).sum(1)[:, None]
            nearest[chosen] = np.sqrt(np.maximum(squares.min(1), 0)) / (scale or 1.0)
    return tuple(np.split(nearest, np.cumsum([len(frame) for frame in configurations])[:-1]))


def errors_by_distance(
    distances: Sequence[np.ndarray], forces: Sequence[np.ndarray | None], bins: int = 8
) -> list[tuple[float, Error]]:
    """Force errors in ``bins`` equally filled groups of atoms, by distance to the training set.

    Parameters
    ----------
    distances : one (atoms,) per frame, as from `distances_to_training`
    forces : residuals (atoms, 3) of each frame, or None [kJ/mol/nm]

    Returns
    -------
    Mean distance and error of each group, nearest first; none where there are no atoms.
    """
    pairs = [(far, off) for far, off in zip(distances, forces, strict=True) if off is not None]
    if not pairs:
        return []
    far, off = (np.concatenate(side) for side in zip(*pairs))
    if not len(far):
        return []
    order = np.argsort(far, kind="stable")
    return [
        (float(far[part].mean()), Error.of(off[part]))
        for part in np.array_split(order, min(bins, len(order)))
        if len(part)
    ]
