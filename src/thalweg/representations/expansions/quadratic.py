"""Features and their products, ``(f_i, f_i^2 / 2, f_i f_j for j > i)``: what quadratic SNAP is linear in [wood2018]."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp

from thalweg.representations.environments import Environments
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float


class Quadratic(Representation):
    """A representation with the products of its features: ``n + n (n + 1) / 2`` of them.

    After the features come, for each ``i``, half the square of feature ``i`` and its products with later ones.
    """

    representation: Representation
    elements: tuple[int, ...] | None = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)

    def __init__(self, representation: Representation):
        self.representation = representation
        self.elements, self.cutoff = representation.elements, representation.cutoff

    def over(self, elements: Sequence[int]) -> Representation:
        return Quadratic(self.representation.over(elements))

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        features = self.representation(environments)
        products = [
            jnp.concatenate([0.5 * row[None] * row[None], row[None] * features[k + 1 :]])
            for k, row in enumerate(features)
        ]
        return jnp.concatenate([features, *products])
