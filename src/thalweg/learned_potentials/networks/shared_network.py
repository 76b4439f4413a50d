"""Networks that read the energy of a site off its features."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.learning.perceptron import Perceptron
from thalweg.shapes import Array, Float, Int


class SharedNetwork(eqx.Module):
    """``e_i = scale network(features_i) + shift(element_i)``: for features that know the element, as messages do.

    Attributes
    ----------
    scale : how much energies of sites vary [kJ/mol]
    shift : of each element [kJ/mol]
    """

    network: Perceptron
    shift: Float[Array, " elements"]
    scale: Float[Array, ""]

    @staticmethod
    def init(
        widths: Sequence[int],
        elements: int,
        scale: Float[Array, ""],
        key: jax.Array,
        nonlinearity: str = "silu",
    ) -> SharedNetwork:
        """Random weights; the last ones small, so that training starts close to zero."""
        network = Perceptron.init((*widths, 1), key, nonlinearity, last=0.1)
        return SharedNetwork(network, jnp.zeros(elements, jnp.float32), scale)

    def __call__(self, features: Float[Array, "features sites"], kinds: Int[Array, " sites"]) -> jax.Array:
        return self.scale * (self.network(features.T)[:, 0] + self.shift[kinds])
