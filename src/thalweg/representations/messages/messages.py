"""Learned messages: sites tell their neighbors about themselves, several times over.

What the kinds have in common: the settings of each (`SchNet`, `DTNN`, `PaiNN`, `EmbeddedDensity`) draw random weights
with ``init(elements, neighbors, key)``, and the module so made is called with `Environments` like any representation.
Its features depend on sites up to ``layers`` cutoffs away; contributions and two derivatives vanish at each cutoff.

Inside, sites are the *first* axis and features the last: what costs is linear maps over the features of edges and
gathering the rows of neighbors, and both want the features of an edge side by side (the adjoint of a gather of
rows is 4 times faster than that of columns).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.representations.environments import Environments
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float, Int


@runtime_checkable
class Messages(Protocol):
    """Settings of one kind of learned messages."""

    @property
    def cutoff(self) -> float:
        """Distance beyond which sites learn nothing from each other [nm]."""
        ...

    def init(self, elements: Sequence[int], neighbors: float, key: jax.Array) -> Representation:
        """A random start for ``elements`` (atomic numbers) with about ``neighbors`` neighbors within the cutoff."""
        ...


@runtime_checkable
class Tabulable(Protocol):
    """Messages with functions of one distance that a table can stand for."""

    def tabulated(self, intervals: int = 512) -> Representation:
        """The same messages, faster, not to be trained any more."""
        ...


class MessageEdges(eqx.Module):
    """Environments with sites first.

    Attributes
    ----------
    distances : to each neighbor [nm]
    vectors : to each neighbor [nm]
    radial : radial functions of the distances, zero from the cutoff on
    partners : site of each neighbor
    kinds : one for the element of the site, zero for others and on sites that only fill a block
    """

    distances: Float[Array, "sites neighbors"]
    vectors: Float[Array, "3 sites neighbors"]
    radial: Float[Array, "sites neighbors functions"]
    partners: Int[Array, "sites neighbors"]
    kinds: Float[Array, "sites elements"]

    @staticmethod
    def of(environments: Environments, elements: int, basis: Callable) -> MessageEdges:
        """Edges of ``environments`` with distances seen through ``basis``."""
        vectors = jnp.swapaxes(environments.vectors, 1, 2)
        distances = jnp.sqrt((vectors * vectors).sum(0))
        kinds = jax.nn.one_hot(environments.kinds, elements, dtype=vectors.dtype)
        radial = jnp.moveaxis(basis(distances), 0, -1)
        return MessageEdges(distances, vectors, radial, jnp.swapaxes(environments.partners, 0, 1), kinds)

    @property
    def units(self) -> Float[Array, "3 sites neighbors"]:
        """Unit vectors to the neighbors."""
        return self.vectors / self.distances
