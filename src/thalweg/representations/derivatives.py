"""Features of sites together with their derivatives in every neighbor's position: what a linear fit to forces needs.

There are three derivatives per neighbor, so forward differentiation it is, for pairs of a site and a neighbor within
its cutoff. Where features are invariants of a density of neighbors, each derivative starts from the change of the
density by that one neighbor; elsewhere the whole representation is pushed forward. A few pairs at a time, so that what
is computed stays near the processor, and always as many per call, so that one program does for all frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.representations.density import DensityRepresentation, projected
from thalweg.representations.environments import Detached, Neighborhoods, batches, in_blocks, points_of
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration

TOGETHER = 16
"""Sites worked on together."""

PAIRS = 32
"""Pairs worked on together."""

CALL = 64 * PAIRS
"""Pairs per call."""


@dataclass(frozen=True)
class Pulls:
    """Features of sites, and how each neighbor within the cutoff changes them.

    Attributes
    ----------
    features : (sites, features)
    centers, slots : site of each pair, in order, and the row its neighbor has in the neighborhoods
    changes : (pairs, 3, features), ``d feature / d vector`` [1/nm]
    """

    features: Float[np.ndarray, "sites features"]
    centers: Int[np.ndarray, " pairs"]
    slots: Int[np.ndarray, " pairs"]
    changes: Float[np.ndarray, "pairs 3 features"]

    def of(self, sites: Int[np.ndarray, " chosen"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centers, slots and changes of the pairs of some of the sites."""
        chosen = np.isin(self.centers, sites)
        if chosen.all():
            return self.centers, self.slots, self.changes
        return self.centers[chosen], self.slots[chosen], self.changes[chosen]


def features_and_pulls(
    representation: Representation, near: Neighborhoods, points: Float[Array, "3 sites"]
) -> Pulls:
    """Features of every site and their derivatives in the vectors to its neighbors.

    Sites and pairs come first here, features last: rows for a least-squares problem.

    Raises
    ------
    ValueError
        If features depend on more than a site's own neighbors, as learned messages do.
    """
    if not representation.sees_neighbors_only:
        raise ValueError(
            f"{type(representation).__name__} passes messages: its features depend on neighbors of neighbors, and "
            "what it learns is learned with its readout; fit it by MessagePassing"
        )
    present = near.environments(points)
    vectors, neighbor_kinds = np.asarray(present.vectors), np.asarray(present.neighbor_kinds)
    within = (vectors**2).sum(0) < representation.cutoff**2
    centers, slots = np.nonzero(within.T)
    if not isinstance(representation, DensityRepresentation):
        features, changes = map(np.asarray, _features_and_changes(representation, present))
        return Pulls(features, centers, slots, changes[centers, slots])
    features, expanded = jax.tree.map(np.asarray, _expanded(representation, present))
    changes = np.empty((len(centers), 3, len(features)), features.dtype)
    for start in range(0, len(centers), CALL):
        # always CALL pairs, the last again and again where there are no more
        pairs = np.arange(start, start + CALL).clip(max=len(centers) - 1)
        sites, rows = centers[pairs], slots[pairs]
        of_sites = jax.tree.map(lambda leaf: leaf[..., sites], expanded)  # noqa: B023
        pushed = _pushed_pairs(representation, of_sites, vectors[:, rows, sites], neighbor_kinds[rows, sites])
        changes[start : start + CALL] = np.asarray(pushed)[: len(centers) - start]
    return Pulls(features.T, centers, slots, changes)


def with_derivatives(
    representation: Representation, frames: Sequence[Configuration], sites: int = 16 * TOGETHER
) -> Iterator[tuple[np.ndarray, Neighborhoods, Pulls]]:
    """Features of ``frames`` and their derivatives in 64 bits, some frames at a time: which, and who is near whom."""
    with jax.enable_x64(True):
        for chosen, near in batches(frames, representation.elements, representation.cutoff, sites):
            points = points_of([frames[k] for k in chosen], len(near.kinds))
            yield chosen, near, features_and_pulls(representation, near, points)


@eqx.filter_jit
def _expanded(representation, present):
    """Features ``(features, sites)`` and what their changes are made of."""
    return representation.expanded(projected(*representation.factors(present)))


@eqx.filter_jit
def _pushed_pairs(representation, expanded, vectors, neighbor_kinds):
    """Changes of features by each of `CALL` neighbors, ``(pairs, 3, features)``."""

    def block(pairs):
        expanded, vectors, neighbor_kinds = pairs

        def factors(vectors):
            """Radial and angular functions of each pair's neighbor, as of a site that has no other."""
            alone = Detached(vectors[:, None], neighbor_kinds[None], jnp.zeros_like(neighbor_kinds))
            return tuple(functions[:, 0] for functions in representation.factors(alone))

        axes = jnp.broadcast_to(jnp.eye(3, dtype=vectors.dtype)[:, :, None], (3, *vectors.shape))
        values, steps = (
            factors(vectors),
            jax.vmap(lambda step: jax.jvp(factors, (vectors,), (step,))[1])(axes),
        )
        return representation.pushed(expanded, *values, *steps).transpose(2, 0, 1)

    def split(array):
        return jnp.moveaxis(array.reshape(*array.shape[:-1], -1, PAIRS), -2, 0)

    changes = jax.lax.map(block, jax.tree.map(split, (expanded, vectors, neighbor_kinds)))
    return changes.reshape(-1, *changes.shape[2:])


@eqx.filter_jit
def _features_and_changes(representation, present):
    """Features ``(sites, features)`` and changes by every row of neighbors ``(sites, neighbors, 3, features)``."""
    rows, sites = present.partners.shape

    def block(sites_of_block):
        vectors = sites_of_block.vectors

        def push(index):
            """Features, and their change by one component of one row of neighbors, of all sites of the block."""
            step = jnp.zeros((rows * 3,), vectors.dtype).at[index].set(1).reshape(rows, 3, 1)
            step = jnp.broadcast_to(step.transpose(1, 0, 2), vectors.shape)
            return jax.jvp(
                lambda at: representation(Detached(at, sites_of_block.partners, sites_of_block.kinds)),
                (vectors,),
                (step,),
            )

        features, changes = jax.lax.map(push, np.arange(rows * 3))
        return features[0].T, changes.transpose(2, 0, 1).reshape(-1, rows, 3, features.shape[1])

    features, changes = jax.lax.map(block, in_blocks(present, TOGETHER))
    return features.reshape(-1, features.shape[-1])[:sites], changes.reshape(-1, *changes.shape[2:])[:sites]
