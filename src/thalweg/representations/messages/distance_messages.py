"""Messages that depend on distances alone: what SchNet and the deep tensor neural network have in common.

    x_i <- x_i + m( x, W(r_ij) ),   W(r) functions of the distance, learned on Gaussians of it,

starting from a vector for each element. What ``m`` and ``W`` are, a layer says. Once trained, ``W`` are functions of
one distance, and in simulations tables take their place (`DistanceMessages.tabulated`), exact to the rounding of 32
bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.learning.perceptron import LinearLayer
from thalweg.representations.environments import Environments
from thalweg.representations.messages.filter_table import FilterTable
from thalweg.representations.messages.messages import MessageEdges
from thalweg.representations.radial import GaussianBasis, smooth_cutoff
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float, Int


@runtime_checkable
class DistanceLayer(Protocol):
    """One message."""

    def filters(
        self, radial: Float[Array, "*shape functions"], decay: Float[Array, "*shape 1"]
    ) -> Float[Array, "*shape columns"]:
        """``W`` from Gaussians of distances and the smooth cutoff."""
        ...

    def __call__(
        self,
        x: Float[Array, "sites width"],
        filters: Float[Array, "sites neighbors columns"],
        partners: Int[Array, "sites neighbors"],
        decay: Float[Array, "sites neighbors 1"],
    ) -> Float[Array, "sites width"]:
        """``m``, zero for neighbors beyond the cutoff."""
        ...


class DistanceMessages(Representation):
    """Layers with their weights; features are the states after the last.

    Attributes
    ----------
    embedding : of elements
    layers : one after the other
    radial : number of Gaussians
    tables : of the filters of each layer; none while they are trained
    """

    sees_neighbors_only: ClassVar[bool] = False

    elements: tuple[int, ...] | None = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    embedding: LinearLayer
    layers: tuple[eqx.Module, ...]
    radial: int = eqx.field(static=True)
    tables: tuple[FilterTable, ...] = ()

    @staticmethod
    def of(
        layers: Sequence[DistanceLayer],
        elements: Sequence[int],
        cutoff: float,
        width: int,
        radial: int,
        key: jax.Array,
    ) -> DistanceMessages:
        """``layers`` after a random embedding of ``elements`` in ``width`` features."""
        return DistanceMessages(
            elements=tuple(int(z) for z in elements),
            cutoff=cutoff,
            embedding=LinearLayer.init(len(elements), width, key, False, len(elements) ** 0.5),
            layers=tuple(layers),
            radial=radial,
        )

    @property
    def width(self) -> int:
        """Number of features."""
        return self.embedding.weight.shape[1]

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        edges = MessageEdges.of(environments, len(self.elements), GaussianBasis(self.radial, self.cutoff))
        decay = smooth_cutoff(edges.distances, self.cutoff)[..., None]
        x = self.embedding(edges.kinds)
        for k, layer in enumerate(self.layers):
            filters = self.tables[k](edges.distances) if self.tables else layer.filters(edges.radial, decay)
            x = x + layer(x, filters, edges.partners, decay)
        return x.T

    def tabulated(self, intervals: int = 512) -> DistanceMessages:
        """The same messages, faster, with filters that cannot be trained any more."""

        def filters_of(layer):
            def filters(distances):
                radial = GaussianBasis(self.radial, self.cutoff)(distances)
                return layer.filters(
                    jnp.moveaxis(radial, 0, -1), smooth_cutoff(distances, self.cutoff)[..., None]
                )

            return filters

        tables = [FilterTable.of(filters_of(layer), self.cutoff, intervals) for layer in self.layers]
        return replace(self, tables=tuple(tables))
