"""How errors grow with the distance from the training set, which says where more data would help.

The distance of an atom is that of its features from the nearest features of an atom of the same element in the
training set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.learned_potentials.frames.errors import Error
from thalweg.representations.representation import Representation
from thalweg.shapes import Float, Int
from thalweg.systems.configuration import Configuration, elements_of

BLOCK = 512
"""Environments whose distances to all known ones are taken at a time."""


@dataclass(frozen=True)
class KnownEnvironments:
    """Environments of a training set as points in the features of a representation.

    Attributes
    ----------
    representation : with its elements
    features : (environments, features)
    numbers : (environments,) atomic number of each
    scale : root mean square distance of the features from their mean, the unit of distances
    """

    representation: Representation
    features: Float[np.ndarray, "environments features"]
    numbers: Int[np.ndarray, " environments"]
    scale: float

    @staticmethod
    def of(
        representation: Representation,
        training: Sequence[Configuration],
        most: int | None = None,
    ) -> KnownEnvironments:
        """Those of ``training`` frames; of more than ``most``, so many of each element, evenly among them."""
        if representation.elements is None:
            representation = representation.over(elements_of(training))
        library = np.concatenate(representation.features(training))
        numbers = np.concatenate([frame.numbers for frame in training])
        scale = float(np.sqrt(((library - library.mean(0)) ** 2).sum(1).mean())) or 1.0
        if most is not None and len(library) > most:
            places = [np.flatnonzero(numbers == z) for z in np.unique(numbers)]
            kept = np.concatenate([own[:: -(-len(own) * len(places) // most)] for own in places])
            library, numbers = library[kept], numbers[kept]
        return KnownEnvironments(representation, library, numbers, scale)

    def distances(self, configurations: Sequence[Configuration]) -> tuple[np.ndarray, ...]:
        """How far each atom's environment is from the nearest of its element, (atoms,) for each frame.

        Infinite for elements that are not known.
        """
        points = np.concatenate(self.representation.features(configurations))
        numbers = np.concatenate([frame.numbers for frame in configurations])
        nearest = np.full(len(points), np.inf)
        for z in np.intersect1d(self.numbers, numbers):
            known, mine = self.features[self.numbers == z], np.flatnonzero(numbers == z)
            norms = (known**2).sum(1)
            for start in range(0, len(mine), BLOCK):
                chosen = mine[start : start + BLOCK]
                # |f - g|^2 = |f|^2 - 2 f.g + |g|^2
                squares = norms - 2 * points[chosen] @ known.T + (points[chosen] ** 2).sum(1)[:, None]
                nearest[chosen] = np.sqrt(np.maximum(squares.min(1), 0)) / self.scale
        return tuple(np.split(nearest, np.cumsum([len(frame) for frame in configurations])[:-1]))


def distances_to_training(
    representation: Representation,
    training: Sequence[Configuration],
    configurations: Sequence[Configuration],
) -> tuple[np.ndarray, ...]:
    """How far each atom's environment is from the nearest of the same element in the training set.

    Distances are Euclidean between features, in units of the root mean square distance of training features from
    their mean.

    Returns
    -------
    One (atoms,) array per frame of ``configurations``; infinite for elements that are not in the training set.
    """
    representation = representation.over(elements_of([*training, *configurations]))
    return KnownEnvironments.of(representation, training).distances(configurations)


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
