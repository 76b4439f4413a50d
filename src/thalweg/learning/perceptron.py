"""The plain network: linear maps and one nonlinearity in turn, features last.

Weights are drawn with variance ``1 / inputs`` [lecun1998], so that signals keep their size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float


def shifted_softplus(x: Float[Array, " *shape"]) -> jax.Array:
    """``log((1 + e^x) / 2)``, smooth everywhere and zero at zero [schutt2018]."""
    return jnp.maximum(x, 0) + jnp.log(0.5 + 0.5 * jnp.exp(-jnp.abs(x)))


NONLINEARITIES: dict[str, Callable] = {
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
    "softplus": shifted_softplus,
}
"""Nonlinearities by name; all have continuous second derivatives, as forces that are trained on need."""


class LinearLayer(eqx.Module):
    """``y = x W + b``, over the last axis."""

    weight: Float[Array, "inputs outputs"]
    bias: Float[Array, " outputs"] | None

    @staticmethod
    def init(
        inputs: int, outputs: int, key: jax.Array, bias: bool = True, scale: float = 1.0, offsets: float = 0.0
    ) -> LinearLayer:
        """Random weights of standard deviation ``scale / sqrt(inputs)``; a bias, where there is one, of ``offsets``."""
        weight = scale / np.sqrt(inputs) * jax.random.normal(key, (inputs, outputs), jnp.float32)
        if not bias:
            return LinearLayer(weight, None)
        return LinearLayer(
            weight, offsets * jax.random.normal(jax.random.fold_in(key, 1), (outputs,), jnp.float32)
        )

    def __call__(self, x: Float[Array, "*shape inputs"]) -> jax.Array:
        y = jnp.matmul(x, self.weight)
        return y if self.bias is None else y + self.bias


class Perceptron(eqx.Module):
    """Linear maps with a nonlinearity between any two of them.

    Examples
    --------
    >>> network = Perceptron.init((2, 16, 1), jax.random.key(0))
    >>> network(jnp.zeros((5, 2))).shape
    (5, 1)
    """

    layers: tuple[LinearLayer, ...]
    nonlinearity: str = eqx.field(static=True)

    @staticmethod
    def init(
        widths: Sequence[int],
        key: jax.Array,
        nonlinearity: str = "silu",
        last: float = 1.0,
        offsets: float = 0.0,
    ) -> Perceptron:
        """Random weights for given widths, inputs and outputs included; those of the last map times ``last``.

        Biases have standard deviation ``offsets``. With none, a network of an odd nonlinearity such as tanh is odd
        itself at first, and slow to learn what is even.

        Raises
        ------
        ValueError
            If the nonlinearity is not known.
        """
        if nonlinearity not in NONLINEARITIES:
            raise ValueError(f"nonlinearity {nonlinearity!r} is not one of {', '.join(NONLINEARITIES)}")
        keys = jax.random.split(key, len(widths) - 1)
        scales = [1.0] * (len(widths) - 2) + [last]
        layers = [
            LinearLayer.init(a, b, k, scale=s, offsets=offsets)
            for a, b, k, s in zip(widths, widths[1:], keys, scales)
        ]
        return Perceptron(tuple(layers), nonlinearity)

    def __call__(self, x: Float[Array, "*shape inputs"]) -> jax.Array:
        bend = NONLINEARITIES[self.nonlinearity]
        for layer in self.layers[:-1]:
            x = bend(layer(x))
        return self.layers[-1](x)
