"""A network that says which amino acid each residue may be, from its backbone and those around it.

Residues pass messages [gilmer2017] to the ``k`` nearest ones, measured at CA, as in ProteinMPNN [dauparas2022]. A pair
is told by the distances of all pairs of N, CA, C, O and virtual CB, by where and how the one stands in the frame of the
other, and by how far apart they are along a chain; a residue by the torsions about it and by how many others stand on
the side of its CB. All of it stays the same when the protein is moved. With ``s_j`` the amino acid of a residue that is
shown, and zero for one that is not,

    m_ij = V silu(A h_i + B h_j + S s_j + P e_ij + c),    h_i <- norm(h_i + mean_j m_ij),    h_i <- norm(h_i + f(h_i))

No residue is told its own amino acid, nor that of any that is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from thalweg.binding.design.backbones import AMINO_ACIDS, Backbone
from thalweg.learning.perceptron import LinearLayer, Perceptron
from thalweg.shapes import Array, Bool, Float, Int

CENTERS = np.linspace(0.2, 2.0, 12)
"""Of Gaussians in which distances are told [nm]."""

FURTHEST = 24
"""Residues further apart along a chain than this are told as this far."""

REACHES = (0.8, 1.0, 1.3)
"""Within which CA are counted on the side of a CB and on the other side [nm]."""

OF_RESIDUE = 18 + 2 * len(REACHES)
OF_PAIR = 25 * len(CENTERS) + 15 + 2 * FURTHEST + 2
"""Numbers that tell a residue, and a pair."""


class Surroundings(NamedTuple):
    """Residues of one or more proteins, and which are near which.

    Attributes
    ----------
    positions : (residues, 4, 3) of N, CA, C and O [nm]
    residues : (residues,) places in `AMINO_ACIDS`, -1 where unknown
    bonded : (residues,) whether to the one before
    chains : (residues,) numbers, different for each chain
    neighbors : (residues, k) from the nearest on
    near : (residues, k) one for neighbors, zero where there are not so many
    weights : (residues,) how much each counts in learning
    """

    positions: Float[Array, "residues 4 3"]
    residues: Int[Array, " residues"]
    bonded: Bool[Array, " residues"]
    chains: Int[Array, " residues"]
    neighbors: Int[Array, "residues k"]
    near: Float[Array, "residues k"]
    weights: Float[Array, " residues"]


def surroundings(
    backbones: Sequence[Backbone],
    k: int,
    size: int | None = None,
    weights: Sequence[np.ndarray] | None = None,
) -> Surroundings:
    """Several proteins side by side, filled up to ``size`` residues with some that count for nothing."""
    count = sum(map(len, backbones))
    fill = (size or count) - count
    positions, residues, bonded, chains, neighbors, near, own_weights = ([] for _ in range(7))
    start = number = 0
    for place, each in enumerate(backbones):
        names = list(dict.fromkeys(each.chains))
        _, found = KDTree(each.positions[:, 1]).query(each.positions[:, 1], min(k + 1, len(each)))
        found = np.reshape(found, (len(each), -1))[:, 1:]
        missing = k - found.shape[1]
        neighbors.append(np.pad(found, ((0, 0), (0, missing))) + start)
        near.append(np.pad(np.ones(found.shape), ((0, 0), (0, missing))))
        positions.append(each.positions)
        residues.append(each.residues)
        bonded.append(each.bonded)
        chains.append(np.array([names.index(name) for name in each.chains]) + number)
        own = np.ones(len(each)) if weights is None else weights[place]
        own_weights.append(np.where(each.residues >= 0, own, 0.0))
        start, number = start + len(each), number + len(names)
    joined = [
        np.concatenate(each) for each in (positions, residues, bonded, chains, neighbors, near, own_weights)
    ]
    # residues of no weight, all in one place of their own
    padded = [np.concatenate([each, np.repeat(each[:1], fill, 0)]) for each in joined]
    padded[1][count:], padded[5][count:], padded[6][count:] = -1, 0.0, 0.0
    kinds = (np.float32, np.int32, bool, np.int32, np.int32, np.float32, np.float32)
    return Surroundings(*(each.astype(kind) for each, kind in zip(padded, kinds)))


class Round(eqx.Module):
    """One passing of messages."""

    own: LinearLayer
    other: LinearLayer
    pair: LinearLayer
    shown: LinearLayer
    message: LinearLayer
    update: Perceptron

    @staticmethod
    def init(width: int, key: jax.Array) -> Round:
        """Random weights."""
        a, b, c, d, e, f = jax.random.split(key, 6)
        return Round(
            LinearLayer.init(width, width, a),
            LinearLayer.init(width, width, b, bias=False),
            LinearLayer.init(width, width, c, bias=False),
            LinearLayer.init(len(AMINO_ACIDS) + 1, width, d, bias=False, scale=4.0),
            LinearLayer.init(width, width, e),
            Perceptron.init((width, 2 * width, width), f, last=0.5),
        )

    def __call__(
        self,
        h: Float[Array, "residues width"],
        pairs: Float[Array, "residues k width"],
        shown: Float[Array, "residues kinds"],
        around: Surroundings,
        dropped: jax.Array,
    ) -> jax.Array:
        sent = (self.other(h) + self.shown(shown))[around.neighbors]
        inner = jax.nn.silu(self.own(h)[:, None] + sent + self.pair(pairs)) * around.near[..., None]
        counts = jnp.maximum(around.near.sum(1, keepdims=True), 1.0)
        h = _norm(h + dropped * self.message(inner.sum(1) / counts))
        return _norm(h + dropped * self.update(h))


class ResidueMessages(eqx.Module):
    """Scores of the twenty amino acids for each residue.

    Attributes
    ----------
    of_residue, of_pair : from what tells a residue, and a pair, to ``width`` numbers
    rounds : of messages
    head : to twenty scores
    """

    of_residue: Perceptron
    of_pair: LinearLayer
    rounds: tuple[Round, ...]
    head: Perceptron

    @staticmethod
    def init(width: int, rounds: int, key: jax.Array) -> ResidueMessages:
        """Random weights."""
        a, b, c, *d = jax.random.split(key, rounds + 3)
        return ResidueMessages(
            Perceptron.init((OF_RESIDUE, width, width), a),
            LinearLayer.init(OF_PAIR, width, b),
            tuple(Round.init(width, each) for each in d),
            Perceptron.init((width, width, len(AMINO_ACIDS)), c, last=0.1),
        )

    def __call__(
        self,
        around: Surroundings,
        visible: Bool[Array, " residues"],
        dropout: float = 0.0,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Scores, (residues, 20): logarithms of probabilities up to a constant.

        Parameters
        ----------
        visible : residues whose amino acid the others are shown
        dropout, key : share of numbers that are left out of each change, at random, in learning
        """
        kinds = len(AMINO_ACIDS)
        known = jnp.where(visible & (around.residues >= 0), around.residues, kinds)
        shown = jax.nn.one_hot(known, kinds + 1)
        h = _norm(self.of_residue(residue_features(around)))
        pairs = _norm(self.of_pair(pair_features(around)))
        for place, each in enumerate(self.rounds):
            kept = jnp.ones(())
            if key is not None and dropout > 0:
                kept = jax.random.bernoulli(jax.random.fold_in(key, place), 1 - dropout, h.shape) / (
                    1 - dropout
                )
            h = each(h, pairs, shown, around, kept)
        return self.head(h)


def virtual_carbons(positions: Float[Array, "residues 4 3"]) -> Float[Array, "residues 3"]:
    """Where CB would be [nm]."""
    n, ca, c = positions[:, 0], positions[:, 1], positions[:, 2]
    first, second = ca - n, c - ca
    across = 10 * jnp.cross(first, second)
    return ca - 0.58273431 * across + 0.56802827 * first - 0.54067466 * second


def _frames(positions: Float[Array, "residues 4 3"]) -> Float[Array, "residues 3 3"]:
    """Rotations whose rows are the axes of each residue: towards C, towards N in the plane, across."""
    n, ca, c = positions[:, 0], positions[:, 1], positions[:, 2]
    first = _unit(c - ca)
    second = _unit(n - ca - first * ((n - ca) * first).sum(-1, keepdims=True))
    return jnp.stack([first, second, jnp.cross(first, second)], 1)


def residue_features(around: Surroundings) -> Float[Array, "residues features"]:
    """Torsions of each residue and of those before and after, and how many others are on either side."""
    positions, before = around.positions, around.bonded[:, None]
    n, ca, c = positions[:, 0], positions[:, 1], positions[:, 2]
    last_ca, last_c = jnp.roll(ca, 1, 0), jnp.roll(c, 1, 0)
    next_n, after = jnp.roll(n, -1, 0), jnp.roll(before, -1, 0)
    phi = before * _torsion(last_c, n, ca, c)
    omega = before * _torsion(last_ca, last_c, n, ca)
    psi = after * _torsion(n, ca, c, next_n)
    own = jnp.concatenate([phi, psi, omega], 1)
    # what is not bonded tells nothing
    turned = [before * jnp.roll(own, 1, 0), own, after * jnp.roll(own, -1, 0)]
    towards = ca[around.neighbors] - ca[:, None]
    distances = jnp.linalg.norm(towards + 1e-6, axis=-1)
    side = (towards * (virtual_carbons(positions) - ca)[:, None]).sum(-1) > 0
    counts = [
        (around.near * jax.nn.sigmoid((reach - distances) / 0.05) * where).sum(1, keepdims=True) / 8
        for reach in REACHES
        for where in (side, ~side)
    ]
    return jnp.concatenate([*turned, *counts], 1)


def pair_features(around: Surroundings) -> Float[Array, "residues k features"]:
    """Distances of atoms, direction and turn of the one in the frame of the other, and how far along the chain."""
    positions, neighbors = around.positions, around.neighbors
    atoms = jnp.concatenate([positions, virtual_carbons(positions)[:, None]], 1)
    gaps = atoms[:, None, :, None] - atoms[neighbors][:, :, None, :]
    distances = jnp.sqrt((gaps**2).sum(-1) + 1e-8).reshape(*neighbors.shape, 25)
    width = CENTERS[1] - CENTERS[0]
    radial = jnp.exp(-(((distances[..., None] - CENTERS) / width) ** 2)).reshape(*neighbors.shape, -1)
    own = _frames(positions)
    others = own[neighbors]
    towards = _unit(positions[neighbors][:, :, 1] - positions[:, None, 1])
    seen = jnp.einsum("rax,rkx->rka", own, towards)
    back = jnp.einsum("rkax,rkx->rka", others, -towards)
    turn = jnp.einsum("rax,rkbx->rkab", own, others).reshape(*neighbors.shape, 9)
    steps = jnp.arange(len(neighbors))
    along = jnp.clip(neighbors - steps[:, None], -FURTHEST, FURTHEST) + FURTHEST
    same = around.chains[neighbors] == around.chains[:, None]
    told = jax.nn.one_hot(jnp.where(same, along, 2 * FURTHEST + 1), 2 * FURTHEST + 2)
    return jnp.concatenate([radial, seen, back, turn, told], -1)


def _unit(vectors):
    return vectors / jnp.sqrt((vectors**2).sum(-1, keepdims=True) + 1e-10)


def _torsion(a, b, c, d):
    """Sine and cosine."""
    axis = _unit(c - b)
    first = jnp.cross(b - a, axis)
    second = jnp.cross(axis, d - c)
    cosine, sine = (first * second).sum(-1), (jnp.cross(first, second) * axis).sum(-1)
    return _unit(jnp.stack([sine, cosine], -1))


def _norm(values):
    centered = values - values.mean(-1, keepdims=True)
    return centered * jax.lax.rsqrt((centered**2).mean(-1, keepdims=True) + 1e-5)
