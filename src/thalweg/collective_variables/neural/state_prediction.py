r"""The objective of a state predictive information bottleneck: to tell the state a lag time later from few values
[wang2021].

.. math::  \Bigl\langle \ln D\bigl(y_{t+\tau} \mid z\bigr)
           - \beta \ln \frac{p(z \mid x_t)}{r(z)} \Bigr\rangle, \qquad z = E(x_t) + \sigma \xi, \qquad
           r(z) = \sum_k w_k\, p(z \mid u_k)

===================  ==============================================================================
symbol               here
===================  ==============================================================================
:math:`E, \sigma`    encoder, and the noise of the bottleneck
:math:`D`            decoder: chances of the states
:math:`y`            the state of a frame by labels from outside the network, which are not trained
:math:`u_k, w_k`     a frame that stands for each state, and its weight in the distribution of z
:math:`\beta`        cost of what the bottleneck tells of a frame beyond its state
===================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.neural.encoder import Encoder, Scale
from thalweg.collective_variables.neural.reconstruction import noise_seed
from thalweg.learning.perceptron import Perceptron
from thalweg.shapes import Float
from thalweg.time_series.windows import Batch


class NearestCenters(eqx.Module):
    """States by the nearest of some frames, all features divided by their deviations.

    Attributes
    ----------
    scaling : of the features
    centers : (states, features)
    """

    scaling: Scale
    centers: Float[np.ndarray, "states features"]

    def __call__(self, frames: Any) -> jax.Array:
        """States ``(...)`` of frames ``(..., features)``."""
        apart = self.scaling(frames)[..., None, :] - self.scaling(self.centers)
        return (apart**2).sum(axis=-1).argmin(axis=-1)


class PredictedStates(eqx.Module):
    """States by what a network expects a lag time later: the most probable one.

    Attributes
    ----------
    encoder : from frames to the bottleneck
    decoder : from there to logarithms of chances
    occupied : (states,) whether a frame was in it
    """

    encoder: Encoder
    decoder: Perceptron
    occupied: np.ndarray

    def logits(self, frames: Any) -> jax.Array:
        """Logarithms of the chances of all states a lag time later ``(..., states)``, up to a constant."""
        return jnp.where(
            self.occupied, self.decoder(self.encoder.network(self.encoder.scaling(frames))), -jnp.inf
        )

    def __call__(self, frames: Any) -> jax.Array:
        """States ``(...)`` of frames ``(..., features)``."""
        return self.logits(frames).argmax(axis=-1)


class StatePredictor(eqx.Module):
    """What is trained, and, as NumPy arrays that are not, the labels and what stands for the states.

    Attributes
    ----------
    encoder : from frames to the bottleneck
    decoder : from the bottleneck to logarithms of chances
    spread : (dim,) logarithm of the noise of the bottleneck
    shares : (states,) logarithms of the weights ``w``
    labels : of frames
    typical : (states, features) frames ``u``
    occupied : (states,) whether there is a frame in it
    """

    encoder: Encoder
    decoder: Perceptron
    spread: jax.Array
    shares: jax.Array
    labels: NearestCenters | PredictedStates
    typical: np.ndarray
    occupied: np.ndarray


@dataclass(frozen=True)
class StatePrediction:
    """The objective, for given labels.

    Parameters
    ----------
    dim : values in the bottleneck
    cost : ``beta``
    labels : of frames
    typical : (states, features), a frame of each state
    occupied : (states,), whether there is one
    before : what was trained for other labels, to go on from; None for random weights
    """

    dim: int
    cost: float
    labels: NearestCenters | PredictedStates = field(compare=False)
    typical: Float[np.ndarray, "states features"] = field(compare=False)
    occupied: np.ndarray = field(compare=False)
    before: StatePredictor | None = field(default=None, compare=False)

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> StatePredictor:
        """Networks with random weights, or as they were before."""
        given = {
            "labels": self.labels,
            "typical": np.asarray(self.typical, np.float32),
            "occupied": self.occupied,
        }
        if self.before is not None:
            return replace(self.before, **given)
        keys, states = jax.random.split(key), len(self.occupied)
        return StatePredictor(
            Encoder.init(scaling, hidden, self.dim, keys[0]),
            Perceptron.init((self.dim, *reversed(hidden), states), keys[1], "tanh", offsets=0.5),
            jnp.zeros(self.dim),
            jnp.zeros(states),
            **given,
        )

    def __call__(self, module: StatePredictor, batch: Batch) -> jax.Array:
        encoder = module.encoder
        first, _, weights = batch.ends(encoder.scaling(batch.frames))
        _, states, _ = batch.ends(module.labels(batch.frames)[..., None])
        center, width = encoder.network(first), jnp.exp(module.spread)
        noise = jax.random.normal(jax.random.key(noise_seed(first)), center.shape)
        z = center + width * noise
        chances = jax.nn.log_softmax(jnp.where(module.occupied, module.decoder(z), -1e9), axis=-1)
        told = jnp.take_along_axis(chances, states, axis=1)[:, 0]
        # ln p(z | x) and ln r(z), without the norm of a Gaussian that both have
        own = -0.5 * (noise**2).sum(axis=1)
        apart = (z[:, None] - encoder.network(encoder.scaling(module.typical))) / width
        shares = jax.nn.log_softmax(jnp.where(module.occupied, module.shares, -1e9))
        mixture = jax.nn.logsumexp(shares - 0.5 * (apart**2).sum(axis=-1), axis=1)
        return (weights * (self.cost * (own - mixture) - told)).sum() / weights.sum()

    def functions(self, module: StatePredictor) -> Encoder:
        """What has been learned, as functions of frames."""
        return module.encoder
