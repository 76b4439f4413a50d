"""SchNet: convolutions with continuous filters [schutt2018].

    x_i <- x_i + out( sum_j W(r_ij) * in(x_j) ),   W(r) = filter(Gaussians(r)) f(r),

``*`` feature by feature, ``in`` linear, ``out`` and ``filter`` networks of two layers with shifted softplus; ``f`` is
the smooth cutoff.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax

from thalweg.learning.perceptron import LinearLayer, Perceptron
from thalweg.representations.messages.distance_messages import DistanceMessages
from thalweg.shapes import Array, Float
from thalweg.units import Nanometers


@dataclass(frozen=True)
class SchNet:
    """Settings of SchNet.

    Parameters
    ----------
    cutoff : how far one message goes [nm]
    layers : number of messages
    width : features of a site
    radial : number of Gaussians
    """

    cutoff: Nanometers = 0.5
    layers: int = 3
    width: int = 64
    radial: int = 25

    def init(self, elements: Sequence[int], neighbors: float, key: jax.Array) -> DistanceMessages:
        """A random start; see `thalweg.representations.messages.messages.Messages`.

        Examples
        --------
        >>> SchNet(layers=2).init((1, 8), 2.0, jax.random.key(0)).elements
        (1, 8)
        """
        keys = iter(jax.random.split(key, 3 * self.layers + 1))
        width, scale = self.width, 1 / max(neighbors, 1.0) ** 0.5
        layers = [
            Convolution(
                Perceptron.init((self.radial, width, width), next(keys), "softplus"),
                LinearLayer.init(width, width, next(keys), False),
                Perceptron.init((width, width, width), next(keys), "softplus", last=scale),
            )
            for _ in range(self.layers)
        ]
        return DistanceMessages.of(layers, elements, self.cutoff, width, self.radial, next(keys))


class Convolution(eqx.Module):
    """One message of SchNet."""

    generator: Perceptron
    inward: LinearLayer
    outward: Perceptron

    def filters(self, radial: Array, decay: Array) -> Float[Array, "*shape width"]:
        """``W``."""
        return self.generator(radial) * decay

    def __call__(
        self, x: Float[Array, "sites width"], filters: Array, partners: Array, decay: Array
    ) -> Float[Array, "sites width"]:
        return self.outward((filters * self.inward(x)[partners]).sum(1))
