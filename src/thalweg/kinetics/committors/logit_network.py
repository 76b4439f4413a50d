r"""A committor as a network that holds its boundary values exactly.

.. math::  \ln \frac{q}{1 - q} = f(x) + \ln d_A(x) - \ln d_B(x)

With the distances :math:`d_A, d_B` from the sets, zero inside them, :math:`q` is 0 on A and 1 on B for any network
:math:`f` and continuous at their borders. What is learned is a logit, so that a committor of :math:`e^{-20}` beside A
is as easy to say as one of one half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.neural.encoder import Scale
from thalweg.kinetics.reactions.regions import Region
from thalweg.learning.perceptron import Perceptron
from thalweg.machine.precision import full_precision

NEAREST = 1e-12
"""Distance from a set below which a frame counts as on its border."""


SHORTEST = 64
"""Frames that are handed to the compiled network at least."""


class LogitNetwork(eqx.Module):
    """Committor ``(frames, 1)`` of frames ``(frames, features)``; `Functions` of frames.

    Attributes
    ----------
    scaling : of the features
    network : from scaled features to ``f``
    a, b : the sets
    """

    scaling: Scale
    network: Perceptron
    a: Region = eqx.field(static=True)
    b: Region = eqx.field(static=True)

    @staticmethod
    def init(scaling: Scale, hidden: Sequence[int], a: Region, b: Region, key: jax.Array) -> LogitNetwork:
        """Random weights."""
        network = Perceptron.init((scaling.size, *hidden, 1), key, "tanh", offsets=0.5)
        return LogitNetwork(scaling, network, a, b)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the one value."""
        return ("committor",)

    @full_precision()
    def logits(self, frames: jax.Array) -> jax.Array:
        """``ln q / (1 - q)`` of frames outside the sets ``(frames,)``; large and of the right sign inside."""
        to_a, to_b = (jnp.maximum(region.distance(frames), NEAREST) for region in (self.a, self.b))
        return self.network(self.scaling(frames))[:, 0] + jnp.log(to_a) - jnp.log(to_b)

    def probabilities(self, frames: jax.Array) -> jax.Array:
        """Committor ``(frames,)``: 0 in A, 1 in B."""
        inside_a, inside_b = (region.distance(frames) <= 0 for region in (self.a, self.b))
        between = jax.nn.sigmoid(self.logits(frames))
        return jnp.where(inside_a, 0.0, jnp.where(inside_b, 1.0, between))

    def __call__(self, frames: Any) -> Any:
        """Committor ``(frames, 1)``: a NumPy array of one, a JAX array otherwise."""
        if isinstance(frames, np.ndarray):
            # of few different lengths, since each is compiled
            filled = max(SHORTEST, 1 << max(len(frames) - 1, 0).bit_length())
            given = np.zeros((filled, frames.shape[1]), np.float32)
            given[: len(frames)] = frames
            return np.asarray(_compiled(self, given)[: len(frames)], float)
        return self.probabilities(frames)[:, None]


@eqx.filter_jit
def _compiled(network: LogitNetwork, frames: Any) -> jax.Array:
    return network(jnp.asarray(frames))
