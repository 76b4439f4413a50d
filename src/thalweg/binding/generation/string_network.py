"""Network that reads a row of tokens into a point and writes it again: a variational autoencoder [gomez2018].

Reading is a linear map of all tokens at once, which starts as their principal components, and what a convolution adds
to it. Writing unfolds the point ``z`` into a vector ``z_t`` for each place ``t``, by the same components, which a gated
recurrent unit [cho2014] reads beside the token ``y_t-1`` before:

    r, u = sigmoid(W [y_t-1, z_t] + U h),    c = tanh(W' [y_t-1, z_t] + r * (U' h)),    h <- u h + (1 - u) c,

and a token is as likely as ``h`` and its likeness to ``z_t`` say. What stands where is known from the start and not
carried along by ``h``, which plain recurrent decoders are slow to learn. Properties are predicted from ``z`` by a
small network trained together with it.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.binding.generation.tokens import END, PAD, START
from thalweg.learning.perceptron import LinearLayer, Perceptron
from thalweg.shapes import Array, Float, Int, Shaped

EMBEDDING, CHANNELS, GATHERED = 64, 32, 256
"""Widths: of tokens, of the convolution, of what it is gathered into."""

CERTAIN = -3.0
"""Logarithm of the variance of points at the start."""

LIKENESS = 3.0
"""Weight, at the start, of the likeness of a token to what the point says of its place."""

FLAT = 1e-3
"""Principal components of less than this fraction of the largest variance are not blown up."""


class StringBatch(NamedTuple):
    """Rows of tokens, each with its `END`, filled up by `PAD`; properties, NaN where there are none; noise."""

    tokens: Int[Array, "strings length"]
    properties: Float[Array, "strings properties"]
    noise: Shaped[Array, " 2"]


class StringNetwork(eqx.Module):
    """The network."""

    embedding: Float[Array, "tokens embedding"]
    span: LinearLayer
    unfold: LinearLayer
    places: Float[Array, "length channels"]
    near: LinearLayer
    gather: LinearLayer
    point: LinearLayer
    begin: LinearLayer
    read: LinearLayer
    recur: LinearLayer
    write: LinearLayer
    likeness: Float[Array, ""]
    properties: Perceptron

    @staticmethod
    def init(
        tokens: int,
        rows: Int[np.ndarray, "strings length"],
        latent: int,
        width: int,
        properties: int,
        key: jax.Array,
    ) -> StringNetwork:
        """Random weights for so many tokens, but for the components of ``rows`` that are like those to come."""
        keys, length = jax.random.split(key, 9), rows.shape[1]
        embedding = np.asarray(jax.random.normal(keys[0], (tokens, EMBEDDING), jnp.float32))
        embedding = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
        span, unfold = _components(np.where(rows[..., None] == PAD, 0, embedding[rows]), latent)
        return StringNetwork(
            jnp.asarray(embedding),
            span,
            unfold,
            0.1 * jax.random.normal(keys[1], (length, CHANNELS), jnp.float32),
            LinearLayer.init(3 * EMBEDDING, CHANNELS, keys[2]),
            LinearLayer.init(length * CHANNELS, GATHERED, keys[3]),
            LinearLayer.init(GATHERED, 2 * latent, keys[4], scale=0.2),
            LinearLayer.init(latent, width, keys[5]),
            LinearLayer.init(2 * EMBEDDING, 3 * width, keys[6]),
            LinearLayer.init(width, 3 * width, keys[7], bias=False),
            LinearLayer.init(width, tokens, keys[8]),
            jnp.float32(LIKENESS),
            Perceptron.init((latent, 64, properties), jax.random.fold_in(key, 1)),
        )

    @property
    def length(self) -> int:
        """Tokens of a row at most."""
        return len(self.places)

    @property
    def latent(self) -> int:
        """Dimensions of points."""
        return self.begin.weight.shape[0]

    def encode(
        self, tokens: Int[Array, "strings length"]
    ) -> tuple[Float[Array, "strings latent"], Float[Array, "strings latent"]]:
        """Means of points, and logarithms of their variances."""
        real = (tokens != PAD)[..., None]
        x = jnp.where(real, self.embedding[tokens], 0)
        before, after = (
            jnp.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0))),
            jnp.pad(x[:, 1:], ((0, 0), (0, 1), (0, 0))),
        )
        near = jax.nn.gelu(self.near(jnp.concatenate([before, x, after], 2)) + self.places[: tokens.shape[1]])
        gathered = jax.nn.gelu(_of_first(self.gather, jnp.where(real, near, 0)))
        added, logarithms = jnp.split(self.point(gathered), 2, 1)
        return _of_first(self.span, x) + added, logarithms + CERTAIN

    def logits(
        self, points: Float[Array, "strings latent"], before: Int[Array, "strings length"]
    ) -> Float[Array, "strings length tokens"]:
        """Of each token, the token ``before`` each place given."""
        places = self._unfolded(points)[:, : before.shape[1]]
        inputs = self.read(jnp.concatenate([self.embedding[before], places], 2)).swapaxes(0, 1)

        def step(hidden, given):
            hidden = self._next(hidden, given)
            return hidden, hidden

        _, hidden = jax.lax.scan(step, jnp.tanh(self.begin(points)), inputs)
        return self._said(hidden.swapaxes(0, 1), places)

    def write_out(
        self, points: Float[Array, "strings latent"], key: jax.Array, temperature: Float[Array, ""]
    ) -> Int[Array, "strings length"]:
        """Rows of tokens: the likeliest ones at temperature zero, else drawn."""
        count, places = len(points), self._unfolded(points)

        def step(state, given):
            hidden, last, over = state
            place, key = given
            hidden = self._next(hidden, self.read(jnp.concatenate([self.embedding[last], place], 1)))
            logits = self._said(hidden, place).at[:, : START + 1].set(-jnp.inf)
            noise = jax.random.gumbel(key, logits.shape)
            token = jnp.where(over, PAD, jnp.argmax(logits + temperature * noise, 1))
            return (hidden, token, over | (token == END)), token

        first = (jnp.tanh(self.begin(points)), jnp.full(count, START), jnp.zeros(count, bool))
        _, tokens = jax.lax.scan(step, first, (places.swapaxes(0, 1), jax.random.split(key, places.shape[1])))
        return tokens.T

    def _unfolded(self, points):
        """A vector for each place, (strings, length, embedding)."""
        return self.unfold(points).reshape(len(points), -1, EMBEDDING)

    def _said(self, hidden, places):
        """Logits of tokens, by what was written and by what the point says."""
        return self.write(hidden) + self.likeness * places @ self.embedding.T

    def _next(self, hidden, given):
        """The gated recurrent unit."""
        width = hidden.shape[1]
        recurred = self.recur(hidden)
        gates = jax.nn.sigmoid(given[:, : 2 * width] + recurred[:, : 2 * width])
        reset, kept = gates[:, :width], gates[:, width:]
        new = jnp.tanh(given[:, 2 * width :] + reset * recurred[:, 2 * width :])
        return kept * hidden + (1 - kept) * new


def evidence_loss(network: StringNetwork, batch: StringBatch, divergence: float, dropped: float) -> jax.Array:
    """``-log p(x | z) + divergence KL(q(z | x) | N(0, 1))`` a string, and half the squared errors of properties.

    A fraction ``dropped`` of the tokens before each place is hidden, so that they are looked for in ``z``.
    """
    for_points, for_tokens = jax.random.split(jax.random.wrap_key_data(jnp.asarray(batch.noise)))
    means, logarithms = network.encode(batch.tokens)
    points = means + jnp.exp(logarithms / 2) * jax.random.normal(for_points, means.shape)
    before = jnp.pad(batch.tokens[:, :-1], ((0, 0), (1, 0)), constant_values=START)
    before = jnp.where(jax.random.bernoulli(for_tokens, dropped, before.shape), PAD, before)
    chances = jax.nn.log_softmax(network.logits(points, before))
    surprise = -jnp.take_along_axis(chances, batch.tokens[..., None], 2)[..., 0]
    surprise = jnp.where(batch.tokens != PAD, surprise, 0).sum(1).mean()
    apart = 0.5 * (means**2 + jnp.exp(logarithms) - 1 - logarithms).sum(1).mean()
    return surprise + divergence * apart + property_loss(network.properties, (points, batch.properties))


def property_loss(
    network: Perceptron, batch: tuple[Float[Array, "strings latent"], Float[Array, "strings properties"]]
) -> jax.Array:
    """Half the squared errors of the properties that are known of points, a string."""
    points, properties = batch
    known = ~jnp.isnan(properties)
    off = jnp.where(known, network(points) - jnp.nan_to_num(properties), 0)
    return 0.5 * (off**2).sum(1).mean()


def _of_first(layer: LinearLayer, x):
    """A linear map of all places, of rows that do not reach the last ones."""
    flat = x.reshape(len(x), -1)
    return flat @ layer.weight[: flat.shape[1]] + layer.bias


def _components(embedded, latent):
    """From embedded rows to their principal components, each of variance one, and back."""
    flat = embedded.reshape(len(embedded), -1).astype(np.float64)
    middle = flat.mean(0)
    variances, directions = np.linalg.eigh((flat - middle).T @ (flat - middle) / len(flat))
    variances, directions = variances[::-1][:latent], directions[:, ::-1][:, :latent]
    lengths = np.sqrt(np.maximum(variances, FLAT * variances[0]))
    span, unfold = directions / lengths, (directions * lengths).T
    return (
        LinearLayer(jnp.asarray(span, jnp.float32), jnp.asarray(-middle @ span, jnp.float32)),
        LinearLayer(jnp.asarray(unfold, jnp.float32), jnp.asarray(middle, jnp.float32)),
    )


encode = eqx.filter_jit(StringNetwork.encode)
write_out = eqx.filter_jit(StringNetwork.write_out)
