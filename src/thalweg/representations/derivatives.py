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
from thalweg.representations.environments import Detached, Neighborhoods, in_blocks
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float

TOGETHER = 16
"""Sites worked on together."""


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
    return _features_and_pulls(representation, near.environments(points))


@eqx.filter_jit
def _features_and_pulls(representation, present):
    rows, sites = present.partners.shape
    features, pulls = jax.lax.map(lambda block: _pushed(representation, block), in_blocks(present, TOGETHER))
    return features.reshape(-1, features.shape[-1])[:sites], pulls.reshape(-1, rows, 3, features.shape[-1])[
        :sites
    ]


def _pushed(representation, block):
    """Features ``(sites, features)`` and pulls ``(sites, neighbors, 3, features)`` of a block."""
    vectors = block.vectors
    rows, sites = vectors.shape[1:]

    def around(vectors):
        return Detached(vectors, block.partners, block.kinds)

    if isinstance(representation, DensityRepresentation):

        def factors(vectors):
            return representation.factors(around(vectors))

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
            return jax.jvp(lambda at: representation(around(at)), (vectors,), (step,))

        features, pulls = jax.lax.map(push, np.arange(rows * 3))
        features = features[0]
    return features.T, pulls.transpose(2, 0, 1).reshape(sites, rows, 3, -1)
