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

from thalweg.learning.perceptron import Linear, Perceptron
from thalweg.representations.environments import Environments
from thalweg.representations.messages import Edges
from thalweg.representations.radial import GaussianBasis, smooth_cutoff
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float


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

    cutoff: float = 0.5
    layers: int = 3
    width: int = 64
    radial: int = 25

    def init(self, elements: Sequence[int], neighbors: float, key: jax.Array) -> SchNetMessages:
        """A random start; see `Messages`.

        Examples
        --------
        >>> SchNet(layers=2).init((1, 8), 2.0, jax.random.key(0)).elements
        (1, 8)
        """
        keys = iter(jax.random.split(key, 4 * self.layers + 1))
        width, scale = self.width, 1 / max(neighbors, 1.0) ** 0.5
        layers = [
            Convolution(
                Perceptron.init((self.radial, width, width), next(keys), "softplus"),
                Linear.init(width, width, next(keys), False),
                Perceptron.init((width, width, width), next(keys), "softplus", last=scale),
            )
            for _ in range(self.layers)
        ]
        return SchNetMessages(
            embedding=Linear.init(len(elements), width, next(keys), False, len(elements) ** 0.5),
            layers=tuple(layers),
            elements=tuple(int(z) for z in elements),
            cutoff=self.cutoff,
            radial=self.radial,
        )


class Convolution(eqx.Module):
    """One message of SchNet."""

    filters: Perceptron
    inward: Linear
    outward: Perceptron

    def __call__(self, x: Float[Array, "sites width"], edges: Edges, decay: jax.Array) -> jax.Array:
        filters = self.filters(edges.radial) * decay
        return x + self.outward((filters * self.inward(x)[edges.partners]).sum(1))


class SchNetMessages(Representation):
    """SchNet with its weights."""

    elements: tuple[int, ...] | None = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    embedding: Linear
    layers: tuple[Convolution, ...]
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
