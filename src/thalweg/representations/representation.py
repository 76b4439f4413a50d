"""What a representation is: environments as numbers that do not change when the world is turned or relabeled."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import equinox as eqx
import jax
import numpy as np

from thalweg.representations.environments import Environments, batches, points_of
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration, elements_of


class Representation(eqx.Module):
    """A differentiable map from environments to features, one column per site.

    Subclasses are final; they declare ``elements: tuple[int, ...] | None`` (atomic numbers told apart; None until
    `over` fills it in), by keyword only, and ``cutoff: float`` [nm], both static. Contributions of neighbors and their
    first two derivatives vanish at the cutoff; where a published form fades out by a cosine, which its class says, only
    the first does: forces are continuous, second derivatives (vibrations, elastic constants) jump. Features do not
    change when an environment is rotated or reflected or its like neighbors change places.
    """

    sees_neighbors_only: ClassVar[bool] = True
    """Whether features depend on neighbors' vectors and elements alone, not on what these see in their turn."""

    elements: eqx.AbstractVar[tuple[int, ...] | None]
    cutoff: eqx.AbstractVar[float]

    @abc.abstractmethod
    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        """Features of each site; ``kinds`` of the environments are positions in ``elements``."""

    def over(self, elements: Sequence[int]) -> Representation:
        """This representation for given atomic numbers."""
        return replace(self, elements=tuple(int(z) for z in elements))

    def features(self, configurations: Sequence[Configuration]) -> list[np.ndarray]:
        """Features of every atom of each frame, ``(atoms, features)`` each, in 64 bits.

        Raises
        ------
        ValueError
            If an atom is of none of the representation's elements.
        """
        if self.elements is None:
            return self.over(elements_of(configurations)).features(configurations)
        features: list = [None] * len(configurations)
        with jax.enable_x64(True):
            for chosen, near in batches(configurations, self.elements, self.cutoff):
                frames = [configurations[k] for k in chosen]
                present = near.environments(points_of(frames, len(near.kinds)))
                columns = np.asarray(_evaluate(self, present))
                ends = np.cumsum([len(frame) for frame in frames])
                for k, block in zip(chosen, np.split(columns[:, : ends[-1]].T, ends[:-1])):
                    features[k] = block
        return features


@eqx.filter_jit
def _evaluate(representation, environments):
    return representation(environments)
