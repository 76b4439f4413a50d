"""A network of features: scaled to unit variance or whitened, then a perceptron, then perhaps memberships."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.covariances.whitening import whitening
from thalweg.learning.perceptron import Perceptron
from thalweg.machine.precision import full_precision
from thalweg.time_series.trajectories import Trajectories

Output = Literal["values", "memberships"]
Scales = Literal["deviations", "whitened"]

WHITENED_FROM = 1e-6
"""Least eigenvalue of the correlations of features, relative to the largest, of a whitened direction."""


class Scaling(eqx.Module):
    """``(x - mean) / deviation``; features that do not vary become zero. Not trained.

    Attributes
    ----------
    mean, deviation : (features,); deviations are infinite where a feature does not vary
    """

    mean: np.ndarray
    deviation: np.ndarray

    @staticmethod
    def of(data: Trajectories) -> Scaling:
        """The scaling of data."""
        sums = covariances(data, n_blocks=1)
        deviation = np.sqrt(np.maximum(np.diag(sums.c00), 0))
        varies = deviation > 1e-7 * np.maximum(np.abs(sums.mean_0), 1e-30)
        return Scaling(sums.mean_0.astype(np.float32), np.where(varies, deviation, np.inf).astype(np.float32))

    @property
    def size(self) -> int:
        """Number of scaled features."""
        return len(self.mean)

    def __call__(self, x: Any) -> jax.Array:
        return (jnp.asarray(x, jnp.float32) - self.mean) / self.deviation


class WhitenedFeatures(eqx.Module):
    """``(x - mean) @ matrix``, uncorrelated and of unit variance, so that none is louder than another. Not trained.

    Attributes
    ----------
    mean : (features,)
    matrix : (features, rank)
    """

    mean: np.ndarray
    matrix: np.ndarray

    @staticmethod
    def of(data: Trajectories) -> WhitenedFeatures:
        """Whitening of data.

        Raises
        ------
        ValueError
            If all features are constant.
        """
        sums = covariances(data, n_blocks=1)
        found = whitening(sums.mean_0, sums.c00, WHITENED_FROM)
        return WhitenedFeatures(found.mean.astype(np.float32), found.matrix.astype(np.float32))

    @property
    def size(self) -> int:
        """Number of whitened features."""
        return self.matrix.shape[1]

    def __call__(self, x: Any) -> jax.Array:
        return (jnp.asarray(x, jnp.float32) - self.mean) @ self.matrix


Scale = Scaling | WhitenedFeatures
SCALES: dict[Scales, type[Scaling] | type[WhitenedFeatures]] = {
    "deviations": Scaling,
    "whitened": WhitenedFeatures,
}
"""How features are scaled, by name."""


class Encoder(eqx.Module):
    """From features to ``dim`` values, or to memberships that add up to one; its own `Functions` of frames.

    Attributes
    ----------
    scaling : of the features
    network : from scaled features
    output : "values" or "memberships"
    """

    scaling: Scale
    network: Perceptron
    output: Output = eqx.field(static=True)

    @staticmethod
    def init(
        scaling: Scale, hidden: Sequence[int], dim: int, key: jax.Array, output: Output = "values"
    ) -> Encoder:
        """Random weights."""
        network = Perceptron.init((scaling.size, *hidden, dim), key, "tanh", offsets=0.5)
        return Encoder(scaling, network, output)

    @property
    def names(self) -> tuple[str, ...]:
        """One of each output."""
        kind = "state" if self.output == "memberships" else "network"
        return tuple(f"{kind} {k + 1}" for k in range(self.network.layers[-1].weight.shape[1]))

    @full_precision()
    def __call__(self, frames: Any) -> Any:
        """Values ``(..., dim)`` of frames ``(..., features)``: a NumPy array of one, a JAX array otherwise."""
        if isinstance(frames, np.ndarray):
            return np.asarray(_compiled(self, frames))
        values = self.network(self.scaling(frames))
        return jax.nn.softmax(values, axis=-1) if self.output == "memberships" else values


@eqx.filter_jit
def _compiled(encoder: Encoder, frames: Any) -> jax.Array:
    return encoder(jnp.asarray(frames))
