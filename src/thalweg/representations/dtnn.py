"""Deep tensor neural network: neighbors' states and distances meet in a factored tensor product [schutt2017].

    x_i <- x_i + sum_j tanh( W ( (A x_j + a) * (D Gaussians(r_ij) + d) ) ) f(r_ij)

The published network has no cutoff; here a smooth one, ``f``, takes messages away at a distance that may be chosen as
large as the molecule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.learning.perceptron import Linear
from thalweg.representations.environments import Environments
from thalweg.representations.messages import Edges
from thalweg.representations.radial import GaussianBasis, smooth_cutoff
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float


@dataclass(frozen=True)
class DTNN:
    """Settings of a deep tensor neural network.

    Parameters
    ----------
    cutoff : how far one message goes [nm]
    layers : number of messages
    width : features of a site
    factors : width of the tensor product
    radial : number of Gaussians
    """

    cutoff: float = 0.5
    layers: int = 3
    width: int = 64
    factors: int = 64
    radial: int = 25

    def init(self, elements: Sequence[int], neighbors: float, key: jax.Array) -> DTNNMessages:
        """A random start; see `Messages`."""
        keys = iter(jax.random.split(key, 3 * self.layers + 1))
        layers = [
            TensorProduct(
                Linear.init(self.width, self.factors, next(keys)),
                Linear.init(self.radial, self.factors, next(keys)),
                Linear.init(self.factors, self.width, next(keys), False, max(neighbors, 1.0) ** -0.5),
            )
            for _ in range(self.layers)
        ]
        return DTNNMessages(
            embedding=Linear.init(len(elements), self.width, next(keys), False, len(elements) ** 0.5),
            layers=tuple(layers),
            elements=tuple(int(z) for z in elements),
            cutoff=self.cutoff,
            radial=self.radial,
        )


class TensorProduct(eqx.Module):
    """One message of a deep tensor neural network."""

    states: Linear
    distances: Linear
    product: Linear

    def __call__(self, x: Float[Array, "sites width"], edges: Edges, decay: jax.Array) -> jax.Array:
        factors = self.states(x)[edges.partners] * self.distances(edges.radial)
        return x + (jnp.tanh(self.product(factors)) * decay).sum(1)


class DTNNMessages(Representation):
    """A deep tensor neural network with its weights."""

    sees_neighbors_only: ClassVar[bool] = False

    elements: tuple[int, ...] | None = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    embedding: Linear
    layers: tuple[TensorProduct, ...]
    radial: int = eqx.field(static=True)

    @property
    def width(self) -> int:
        """Number of features."""
        return self.embedding.weight.shape[1]

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        edges = Edges.of(environments, len(self.elements), GaussianBasis(self.radial, self.cutoff))
        decay = smooth_cutoff(edges.distances, self.cutoff)[..., None]
        x = self.embedding(edges.kinds)
        for layer in self.layers:
            x = layer(x, edges, decay)
        return x.T
