"""PaiNN: messages with directions [schutt2021].

Each site has scalars ``s`` and vectors ``v`` that turn with the molecule. A message and an update make one layer,

    s_i += sum_j p(s_j) * W(r_ij)                       [first third of p and W]
    v_i += sum_j v_j p(s_j) * W(r_ij) + u_ij p(s_j) * W(r_ij)          [second and third third]
    s_i += a + b (U v_i).(V v_i),   v_i += c U v_i,   (a, b, c) = q(s_i, |V v_i|),

with ``p`` and ``q`` networks of two layers, ``W`` linear in radial functions, ``u`` the unit vector to the neighbor,
and ``|v| = sqrt(v.v + 10^-4)``, smooth at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.learning.perceptron import LinearLayer, Perceptron
from thalweg.representations.environments import Environments
from thalweg.representations.messages.messages import MessageEdges
from thalweg.representations.radial import BesselBasis
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float
from thalweg.units import Nanometers


@dataclass(frozen=True)
class PaiNN:
    """Settings of PaiNN.

    Parameters
    ----------
    cutoff : how far one message goes [nm]
    layers : number of messages
    width : scalars, and vectors, of a site
    radial : number of Bessel functions
    """

    cutoff: Nanometers = 0.5
    layers: int = 3
    width: int = 64
    radial: int = 12

    def init(self, elements: Sequence[int], neighbors: float, key: jax.Array) -> PaiNNMessages:
        """A random start; see `Messages`."""
        keys = iter(jax.random.split(key, 5 * self.layers + 1))
        width, scale = self.width, 1 / max(neighbors, 1.0) ** 0.5
        layers = [
            VectorMessage(
                Perceptron.init((width, width, 3 * width), next(keys)),
                LinearLayer.init(self.radial, 3 * width, next(keys), False, 0.2 * scale),
                LinearLayer.init(width, width, next(keys), False),
                LinearLayer.init(width, width, next(keys), False),
                Perceptron.init((2 * width, width, 3 * width), next(keys), last=0.3),
            )
            for _ in range(self.layers)
        ]
        return PaiNNMessages(
            embedding=LinearLayer.init(len(elements), width, next(keys), False, len(elements) ** 0.5),
            layers=tuple(layers),
            elements=tuple(int(z) for z in elements),
            cutoff=self.cutoff,
            radial=self.radial,
        )


class VectorMessage(eqx.Module):
    """One message and update of PaiNN."""

    states: Perceptron
    filters: LinearLayer
    left: LinearLayer
    right: LinearLayer
    update: Perceptron

    def __call__(
        self, s: Array, v: Array | None, edges: MessageEdges, units: Array
    ) -> tuple[jax.Array, jax.Array | None]:
        """Scalars ``(sites, width)`` and vectors ``(sites, 3, width)`` after one layer; ``v`` None stands for zero."""
        message = self.states(s)[edges.partners] * self.filters(edges.radial)
        # the thirds of p(s_j) * W(r_ij): for scalars, along the neighbor's vectors, and along the direction to it
        scalar, by_vector, by_direction = jnp.split(message, 3, -1)
        s = s + scalar.sum(1)
        vectors = units @ by_direction
        if v is not None:
            vectors = v + vectors + (v[edges.partners] * by_vector[:, :, None]).sum(1)
        # U v, V v and |V v|, then the update of both
        left, right = self.left(vectors), self.right(vectors)
        length = jnp.sqrt((right * right).sum(1) + 1e-4)
        a, b, c = jnp.split(self.update(jnp.concatenate([s, length], -1)), 3, -1)
        return s + a + b * (left * right).sum(1), vectors + c[:, None] * left


class PaiNNMessages(Representation):
    """PaiNN with its weights; features are the scalars."""

    sees_neighbors_only: ClassVar[bool] = False

    elements: tuple[int, ...] | None = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    embedding: LinearLayer
    layers: tuple[VectorMessage, ...]
    radial: int = eqx.field(static=True)

    @property
    def width(self) -> int:
        """Number of features."""
        return self.embedding.weight.shape[1]

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        edges = MessageEdges.of(environments, len(self.elements), BesselBasis(self.radial, self.cutoff))
        units = jnp.moveaxis(edges.units, 0, 1)
        s, v = self.embedding(edges.kinds), None
        for layer in self.layers:
            s, v = layer(s, v, edges, units)
        return s.T
