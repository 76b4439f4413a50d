r"""Objectives of networks that pass frames through a bottleneck and give them back, now or a lag time later.

.. math::  \big\langle |D(E(x_t)) - x_{t+\tau}|^2 \big\rangle

in scaled features. At :math:`\tau = 0` this is an autoencoder, nonlinear PCA [kramer1991]; later a time-lagged
autoencoder [wehmeyer2018]. With noise in the bottleneck and the cost of telling it from a normal distribution,
:math:`\beta` times its relative entropy, a variational autoencoder [kingma2014]; a variational dynamics encoder
[hernandez2018] is lagged, and adds what the autocorrelation of its bottleneck lacks of one.

A decoder pays for variance as well as for slowness. Of whitened features all have the same variance, and what tells
most of later frames is what is slow; otherwise, where variance is large and fast, prefer a score of slowness
(`slowness`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.collective_variables.neural.encoder import Encoder, Scale
from thalweg.learning.perceptron import Perceptron
from thalweg.time_series.windows import Batch


class Autoencoding(eqx.Module):
    """An encoder, a decoder, and where the bottleneck is noisy the logarithm of the noise as a function of frames.

    Attributes
    ----------
    encoder : from frames to the bottleneck
    decoder : from the bottleneck to scaled features
    spread : logarithm of the noise of the bottleneck, or None
    """

    encoder: Encoder
    decoder: Perceptron
    spread: Encoder | None = None

    @staticmethod
    def start(scaling: Scale, hidden: Sequence[int], dim: int, key: jax.Array) -> Autoencoding:
        """Random weights, no noise."""
        keys = jax.random.split(key)
        decoder = Perceptron.init((dim, *reversed(hidden), scaling.size), keys[1])
        return Autoencoding(Encoder.init(scaling, hidden, dim, keys[0]), decoder)


@dataclass(frozen=True)
class Reconstruction:
    """Mean squared error of what a bottleneck of ``dim`` values lets through.

    Parameters
    ----------
    dim : values in the bottleneck
    """

    dim: int

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> Autoencoding:
        """Networks with random weights."""
        return Autoencoding.start(scaling, hidden, self.dim, key)

    def __call__(self, module: Autoencoding, batch: Batch) -> jax.Array:
        first, last, weights = batch.ends(module.encoder.scaling(batch.frames))
        return _average(_squares(module.decoder(module.encoder.network(first)), last), weights)

    def functions(self, module: Autoencoding) -> Encoder:
        """What has been learned, as functions of frames."""
        return module.encoder


@dataclass(frozen=True)
class VariationalReconstruction:
    """The same with a noisy bottleneck.

    Parameters
    ----------
    dim : values in the bottleneck
    capacity : weight ``beta`` of the relative entropy between the bottleneck and a normal distribution
    slowness : weight of what the autocorrelation of the bottleneck lacks of one; one for a variational dynamics encoder
    """

    dim: int
    capacity: float = 1e-2
    slowness: float = 0.0

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> Autoencoding:
        """Networks with random weights."""
        keys = jax.random.split(key)
        spread = Encoder.init(scaling, hidden, self.dim, keys[1])
        return replace(Autoencoding.start(scaling, hidden, self.dim, keys[0]), spread=spread)

    def __call__(self, module: Autoencoding, batch: Batch) -> jax.Array:
        assert module.spread is not None
        first, last, weights = batch.ends(module.encoder.scaling(batch.frames))
        center, width = module.encoder.network(first), module.spread.network(first)
        # z = E(x) + e^s xi; relative entropy of N(E, e^{2s}) against N(0, 1), (E^2 + e^{2s} - 1 - 2 s) / 2 per value
        noise = jax.random.normal(jax.random.key(noise_seed(first)), center.shape)
        given = module.decoder(center + jnp.exp(width) * noise)
        entropy = 0.5 * (center**2 + jnp.exp(2 * width) - 1 - 2 * width).sum(axis=1)
        loss = _average(_squares(given, last) + self.capacity * entropy, weights)
        if not self.slowness:
            return loss
        return loss + self.slowness * (1 - _autocorrelation(center, module.encoder.network(last), weights))

    def functions(self, module: Autoencoding) -> Encoder:
        """What has been learned, as functions of frames."""
        return module.encoder


def _squares(given: jax.Array, wanted: jax.Array) -> jax.Array:
    return ((given - wanted) ** 2).mean(axis=1)


def _average(values: jax.Array, weights: jax.Array) -> jax.Array:
    return (weights * values).sum() / weights.sum()


def _autocorrelation(first: jax.Array, last: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean over values of the correlation between both ends."""
    share = weights[:, None] / weights.sum()
    x, y = first - (share * first).sum(axis=0), last - (share * last).sum(axis=0)
    scale = jnp.sqrt((share * x**2).sum(axis=0) * (share * y**2).sum(axis=0) + 1e-12)
    return ((share * x * y).sum(axis=0) / scale).mean()


def noise_seed(frames: jax.Array) -> jax.Array:
    """A seed that is another one for other frames, so that equal runs have equal noise."""
    return jax.lax.bitcast_convert_type(frames.sum(), jnp.int32).astype(jnp.uint32)
