"""Deep tensor neural network: neighbors' states and distances meet in a factored tensor product [schutt2017].

    x_i <- x_i + sum_j tanh( V ( (A x_j + a) * W(r_ij) ) ) f(r_ij),   W(r) = D Gaussians(r) + d

The published network has no cutoff; here a smooth one, ``f``, takes messages away at a distance that may be chosen as
large as the molecule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.learning.perceptron import LinearLayer
from thalweg.representations.messages.distance_messages import DistanceMessages
from thalweg.shapes import Array, Float
from thalweg.units import Nanometers


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

    cutoff: Nanometers = 0.5
    layers: int = 3
    width: int = 64
    factors: int = 64
    radial: int = 25

    def init(self, elements: Sequence[int], neighbors: float, key: jax.Array) -> DistanceMessages:
        """A random start; see `thalweg.representations.messages.messages.Messages`."""
        keys = iter(jax.random.split(key, 3 * self.layers + 1))
        layers = [
            TensorProduct(
                LinearLayer.init(self.width, self.factors, next(keys)),
                LinearLayer.init(self.radial, self.factors, next(keys)),
                LinearLayer.init(self.factors, self.width, next(keys), False, max(neighbors, 1.0) ** -0.5),
            )
            for _ in range(self.layers)
        ]
        return DistanceMessages.of(layers, elements, self.cutoff, self.width, self.radial, next(keys))


class TensorProduct(eqx.Module):
    """One message of a deep tensor neural network."""

    states: LinearLayer
    distances: LinearLayer
    product: LinearLayer

    def filters(self, radial: Array, decay: Array) -> Float[Array, "*shape factors"]:
        """``W``."""
        return self.distances(radial)

    def __call__(
        self, x: Float[Array, "sites width"], filters: Array, partners: Array, decay: Array
    ) -> Float[Array, "sites width"]:
        return (jnp.tanh(self.product(self.states(x)[partners] * filters)) * decay).sum(1)
