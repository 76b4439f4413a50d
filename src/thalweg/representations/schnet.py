"""SchNet: convolutions with continuous filters [schutt2018].

    x_i <- x_i + out( sum_j W(r_ij) * in(x_j) ),   W(r) = filter(Gaussians(r)) f(r),

``*`` feature by feature, ``in`` linear, ``out`` and ``filter`` networks of two layers with shifted softplus; ``f`` is
the smooth cutoff. Once trained, the filters are functions of one distance, and in simulations a table of cubics takes
their place (`SchNetMessages.tabulated`), exact to the rounding of 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

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


class FilterTable(eqx.Module):
    """Functions of a distance as cubics between equidistant points, their values and slopes right at the points.

    Attributes
    ----------
    coefficients : of 1, t, t^2, t^3 side by side, ``t`` from 0 to 1 across each interval
    spacing : of the points [nm]
    """

    coefficients: Float[Array, "intervals columns"]
    spacing: float = eqx.field(static=True)

    @staticmethod
    def of(functions: Callable, reach: float, intervals: int) -> FilterTable:
        """Table of ``functions(distances) -> (distances, functions)`` from 0 to ``reach`` [nm]."""
        with jax.enable_x64(True):
            points = jnp.linspace(0.0, reach, intervals + 1)
            values, slopes = jax.jvp(functions, (points,), (jnp.ones_like(points),))
            f, g = np.asarray(values, float), np.asarray(slopes, float) * reach / intervals
        rise = f[1:] - f[:-1]
        cubics = [f[:-1], g[:-1], 3 * rise - 2 * g[:-1] - g[1:], g[:-1] + g[1:] - 2 * rise]
        return FilterTable(np.concatenate(cubics, 1), reach / intervals)

    def __call__(self, distances: Float[Array, "*shape"]) -> jax.Array:
        place = jnp.minimum(distances / self.spacing, len(self.coefficients))
        interval = jnp.minimum(place.astype(jnp.int32), len(self.coefficients) - 1)
        t = (place - interval)[..., None]
        a, b, c, d = jnp.split(jnp.asarray(self.coefficients, distances.dtype)[interval], 4, -1)
        return a + t * (b + t * (c + t * d))


class Convolution(eqx.Module):
    """One message of SchNet."""

    filters: Perceptron | FilterTable
    inward: Linear
    outward: Perceptron

    def __call__(self, x: Float[Array, "sites width"], edges: Edges, decay: jax.Array) -> jax.Array:
        if isinstance(self.filters, FilterTable):
            filters = self.filters(edges.distances)
        else:
            filters = self.filters(edges.radial) * decay
        return x + self.outward((filters * self.inward(x)[edges.partners]).sum(1))


class SchNetMessages(Representation):
    """SchNet with its weights."""

    sees_neighbors_only: ClassVar[bool] = False

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

    def tabulated(self, intervals: int = 512) -> SchNetMessages:
        """The same messages, several times faster, with filters that cannot be trained any more."""
        basis = GaussianBasis(self.radial, self.cutoff)

        def filters(layer, distances):
            decay = smooth_cutoff(distances, self.cutoff)[..., None]
            return layer.filters(jnp.moveaxis(basis(distances), 0, -1)) * decay

        layers = tuple(
            replace(layer, filters=FilterTable.of(partial(filters, layer), self.cutoff, intervals))
            for layer in self.layers
        )
        return replace(self, layers=layers)
