"""Recursively embedded densities: neighbors' learned states, seen through radial and angular functions.

Each site gathers its neighbors' states ``x`` into densities of rank 0, 1 and 2 [zhang2021],

    A_nc = sum_j R_n(r_ij) x_jc,   A_nc^a = sum_j R_n(r_ij) u_a x_jc,   A_nc^ab = sum_j R_n(r_ij) u_a u_b x_jc,

with ``u`` the unit vector to the neighbor; mixes them into channels; contracts these, with second mixtures of theirs
(primed), to invariants of up to four bodies, ``s, v.v', T:T', v.T.v', (T T):T'``, the Cartesian form of an atomic
cluster expansion [cheng2024]; and lets a small network make of these the state that its neighbors see next. In the
first sum ``x_j`` is the neighbor's element; later ones see its learned scalars, and its vectors along the connecting
line, ``x_j = W(r_ij) * (h_j, v_j.u_ij)``, with filters ``W`` linear in the radial functions instead of the sum's own.
The sums are small matrix products, one per site, which is what a processor does best: training costs a fraction of
what it does with messages that have a vector per edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learning.perceptron import LinearLayer, Perceptron
from thalweg.representations.environments import Environments
from thalweg.representations.radial import BesselBasis
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float
from thalweg.units import Nanometers

RANKS = (slice(0, 1), slice(1, 4), slice(4, 10))
"""Where the components of rank 0, 1 and 2 are: 1; x, y, z; xx, yy, zz, xy, xz, yz."""

TENSOR = np.array([[0, 3, 4], [3, 1, 5], [4, 5, 2]], np.int32)
"""Component of a symmetric tensor in row a, column b."""

FIRST = np.array([0, 4, 8, 1, 2, 5], np.int32)
"""Where the components of a symmetric tensor are in its nine entries."""

TWICE = np.array([1, 1, 1, 2, 2, 2], np.float32)
"""How often a component occurs in a symmetric tensor."""


@dataclass(frozen=True)
class EmbeddedDensity:
    """Settings of a recursively embedded density.

    Parameters
    ----------
    cutoff : reach of one sum [nm]; sites feel each other up to ``layers`` times as far
    layers : number of sums
    channels : densities of each rank after mixing
    states : scalars that a site shows its neighbors
    directions : vectors that it shows them
    radial : number of radial functions
    width : of the hidden layers
    """

    cutoff: Nanometers = 0.45
    layers: int = 2
    channels: int = 32
    states: int = 16
    directions: int = 8
    radial: int = 8
    width: int = 64

    def init(self, elements: Sequence[int], neighbors: float, key: jax.Array) -> EmbeddedDensityMessages:
        """A random start for ``elements`` with about ``neighbors`` neighbors within reach."""
        keys = iter(jax.random.split(key, 16 * self.layers))
        scale = 1 / np.sqrt(max(neighbors, 1.0))
        return EmbeddedDensityMessages(
            layers=tuple(self._layer(depth, len(elements), keys) for depth in range(self.layers)),
            elements=tuple(int(z) for z in elements),
            cutoff=self.cutoff,
            radial=self.radial,
            scale=np.asarray(scale, np.float32),
        )

    def _layer(self, depth, elements, keys):
        """Random weights of one sum: the first sees elements, later ones what their neighbors show."""
        shown = self.states + self.directions
        inputs = self.radial * elements if depth == 0 else shown
        invariants = 5 * self.channels + (0 if depth == 0 else self.width)
        showing = None
        if depth < self.layers - 1:
            showing = Showing(
                LinearLayer.init(self.width, shown, next(keys)),
                LinearLayer.init(self.channels, self.directions, next(keys), False),
                LinearLayer.init(self.radial, shown, next(keys), False, 0.5),
            )
        return DensityLayer(
            tuple(LinearLayer.init(inputs, self.channels, next(keys), False) for _ in RANKS),
            tuple(LinearLayer.init(self.channels, self.channels, next(keys), False) for _ in RANKS),
            Perceptron.init((invariants, self.width, self.width), next(keys)),
            1 + 0.3 * jax.random.normal(next(keys), (elements, 3, self.channels), jnp.float32),
            0.3 * jax.random.normal(next(keys), (elements, self.width), jnp.float32),
            showing,
        )


class Showing(eqx.Module):
    """What a site shows its neighbors.

    Attributes
    ----------
    state : scalars, and gates of the vectors, from the hidden state
    directions : vectors from the densities of rank one
    filters : radial functions that all these are multiplied with
    """

    state: LinearLayer
    directions: LinearLayer
    filters: LinearLayer

    def __call__(
        self, vectors: Array, hidden: Array, partners: Array, units: Array, radial: Array
    ) -> Float[Array, "sites neighbors shown"]:
        """What each site sees of each neighbor."""
        shown, count = self.state(hidden), self.directions.weight.shape[1]
        gated = self.directions(vectors) * shown[:, None, -count:]
        # h_j and v_j of each neighbor, (sites, neighbors, scalars + 3 vectors)
        theirs = jnp.concatenate([shown[:, :-count], gated.reshape(len(hidden), -1)], 1)[partners]
        scalars = shown.shape[1] - count
        # v_j . u_ij, then W(r_ij) * (h_j, v_j . u_ij)
        along = (theirs[..., scalars:].reshape(*partners.shape, 3, count) * units[..., None]).sum(2)
        return self.filters(radial) * jnp.concatenate([theirs[..., :scalars], along], -1)


class DensityLayer(eqx.Module):
    """One sum: mixtures per rank, second mixtures, the network on the invariants.

    Attributes
    ----------
    mix, remix : mixtures of densities, and second mixtures, of the first
    network : invariants (and the last hidden state) to the hidden state
    gain, shift : of channels and of the hidden state, by element
    showing : what neighbors see next; None in the last layer
    """

    mix: tuple[LinearLayer, ...]
    remix: tuple[LinearLayer, ...]
    network: Perceptron
    gain: Float[Array, "elements 3 channels"]
    shift: Float[Array, "elements width"]
    showing: Showing | None

    def __call__(
        self, density: Array, hidden: Array | None, kinds: Array
    ) -> tuple[list[jax.Array], Float[Array, "sites width"]]:
        """Mixed densities of each rank, and the hidden state, from a ``density`` (sites, components, functions).

        ``hidden`` is the last state, None at first; ``kinds`` (sites, elements) are zeros and ones.
        """
        ranks = [
            mixing(density[:, place]) * (kinds @ self.gain[:, rank])[:, None]
            for rank, (place, mixing) in enumerate(zip(RANKS, self.mix))
        ]
        features = _invariants(ranks, [mixing(mixed) for mixing, mixed in zip(self.remix, ranks)])
        if hidden is not None:
            features = jnp.concatenate([features, hidden], 1)
        first, *later = self.network.layers
        hidden = jax.nn.silu(first(features) + kinds @ self.shift)
        for linear in later:
            hidden = jax.nn.silu(linear(hidden))
        return ranks, hidden


class EmbeddedDensityMessages(Representation):
    """A recursively embedded density with its weights; features are the hidden states of all layers."""

    sees_neighbors_only: ClassVar[bool] = False

    layers: tuple[DensityLayer, ...]
    elements: tuple[int, ...] | None = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    radial: int = eqx.field(static=True)
    scale: Float[Array, ""]

    @property
    def width(self) -> int:
        """Number of features."""
        return sum(layer.shift.shape[1] for layer in self.layers)

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        # sites first, neighbors second, so that each sum over neighbors is a matrix product per site:
        # angular (sites, components, neighbors) times radial or shown (sites, neighbors, functions)
        vectors = environments.vectors.transpose(0, 2, 1)
        partners = environments.partners.T
        kinds = jax.nn.one_hot(environments.kinds, len(self.elements), dtype=vectors.dtype)
        distances = jnp.sqrt((vectors * vectors).sum(0))
        x, y, z = vectors / distances
        units = jnp.stack([x, y, z], -1)
        angular = jnp.stack([jnp.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], 1)
        radial = (self.scale * BesselBasis(self.radial, self.cutoff)(distances)).transpose(1, 2, 0)
        neighbor_kinds = kinds[partners]
        # R_n(r_ij) x_jc, x_j the neighbor's element at first
        shown = jnp.concatenate(
            [radial * neighbor_kinds[..., k : k + 1] for k in range(len(self.elements))], -1
        )
        hidden, states = None, []
        for layer in self.layers:
            ranks, hidden = layer(angular @ shown, hidden, kinds)
            states.append(hidden)
            if layer.showing is not None:
                shown = layer.showing(ranks[1], hidden, partners, units, radial)
        return jnp.concatenate(states, 1).T


def _invariants(a: list, b: list) -> Float[Array, "sites features"]:
    """Contractions of densities ``a`` and ``b`` of rank 0, 1, 2, each ``(sites, components, channels)``."""
    (s, v, t), (_, w, q) = a, b
    twice = TWICE[:, None].astype(t.dtype)
    # T with all nine components, (sites, 3, 3, channels); T v and T T
    full = t[:, TENSOR.ravel()].reshape(len(t), 3, 3, -1)
    tensor_vector = (full * v[:, None]).sum(2)
    square = (full[:, :, :, None] * full[:, None]).sum(2)
    square = square.reshape(len(t), 9, -1)[:, FIRST]
    # s, v.v', T:T', v.T.v', (T T):T'
    return jnp.concatenate(
        [
            s[:, 0],
            (v * w).sum(1),
            (t * q * twice).sum(1),
            (tensor_vector * w).sum(1),
            (square * q * twice).sum(1),
        ],
        1,
    )
