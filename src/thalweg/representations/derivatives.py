"""Features of sites together with their derivatives in every neighbor's position: what a linear fit to forces needs.

There are three derivatives per neighbor, so forward differentiation it is. Where features are invariants of a density
of neighbors, each of them starts from the change of the density by that one neighbor; elsewhere the whole
representation is pushed forward. A few sites at a time, so that what is computed stays near the processor.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.representations.density import DensityRepresentation, projected
from thalweg.representations.environments import Environments, Neighborhoods
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float

TOGETHER = 16
"""Sites worked on together; numbers of sites must be multiples of it."""


def features_and_pulls(
    representation: Representation, near: Neighborhoods, points: Float[Array, "3 sites"]
) -> tuple[Float[Array, "sites features"], Float[Array, "sites neighbors 3 features"]]:
    """Features of every site and ``d feature / d vector`` for each of its neighbors [1/nm].

    Sites come first here, features last: rows for a least-squares problem.

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
    return _features_and_pulls(representation, near, points)


@eqx.filter_jit
def _features_and_pulls(representation, near, points):
    present = near.environments(points)
    rows, sites = present.partners.shape
    blocks = sites // TOGETHER

    def split(array):
        return jnp.moveaxis(array.reshape(*array.shape[:-1], blocks, TOGETHER), -2, 0)

    def block(parts):
        vectors, neighbor_kinds, kinds = parts
        # partners point into a block that holds one site of each kind behind the sites themselves
        partners = TOGETHER + jnp.maximum(neighbor_kinds, 0)
        seen = _Seen(vectors, partners, kinds, len(representation.elements))
        return _pushed(representation, seen)

    features, pulls = jax.lax.map(
        block, (split(present.vectors), split(present.neighbor_kinds), split(present.kinds))
    )
    return features.reshape(sites, -1), pulls.reshape(sites, rows, 3, -1)


class _Seen(eqx.Module):
    """A few sites and the kinds of their neighbors, without the neighbors' own environments."""

    vectors: jax.Array
    partners: jax.Array
    kinds: jax.Array
    elements: int = eqx.field(static=True)

    def around(self, vectors):
        kinds = jnp.concatenate([self.kinds, jnp.arange(self.elements, dtype=self.kinds.dtype)])
        return _Detached(vectors, self.partners, self.kinds, kinds)


class _Detached(Environments):
    """Environments whose partners are kinds only."""

    partner_kinds: jax.Array

    @property
    def neighbor_kinds(self):
        return self.partner_kinds[self.partners]


def _pushed(representation, seen):
    """Features ``(sites, features)`` and pulls ``(sites, neighbors, 3, features)`` of a block."""
    vectors = seen.vectors
    rows, sites = vectors.shape[1:]
    if isinstance(representation, DensityRepresentation):

        def factors(vectors):
            return representation.factors(seen.around(vectors))

        (radial, angular) = factors(vectors)
        density = projected(radial, angular)
        axes = jnp.broadcast_to(jnp.eye(3, dtype=vectors.dtype)[:, :, None, None], (3, *vectors.shape))
        steps = jax.vmap(lambda step: jax.jvp(factors, (vectors,), (step,))[1])(axes)
        radial_steps, angular_steps = (step.transpose(1, 2, 0, 3) for step in steps)
        changes = radial_steps[:, None] * angular[None, :, :, None] + (
            radial[:, None, :, None] * angular_steps[None]
        )
        steps = changes.reshape(*density.shape[:2], rows * 3, sites)
        features, pulls = jax.vmap(
            lambda step: jax.jvp(representation.invariants, (density,), (step,)),
            in_axes=2,
            out_axes=(None, 0),
        )(steps)
    else:

        def push(index):
            step = jnp.zeros((rows * 3,), vectors.dtype).at[index].set(1).reshape(rows, 3, 1)
            step = jnp.broadcast_to(step.transpose(1, 0, 2), vectors.shape)
            return jax.jvp(lambda at: representation(seen.around(at)), (vectors,), (step,))

        features, pulls = jax.lax.map(push, np.arange(rows * 3))
        features = features[0]
    return features.T, pulls.transpose(2, 0, 1).reshape(sites, rows, 3, -1)
