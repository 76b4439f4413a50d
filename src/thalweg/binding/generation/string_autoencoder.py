"""Molecules as points of a continuous space, learned from their strings: settings, training and what comes of it.

A variational autoencoder [gomez2018] of SMILES or SELFIES, whichever symbols it is given. Training begins at the
principal components of embedded strings: a linear code that a network would be long in finding, of unit variance along
each coordinate. Properties, where given, are learned together with it, so that the space is ordered by them.

Random points are drawn from a normal distribution of the mean and covariance that molecules of the training set have in
the space, or from the standard normal one, which they follow only where ``divergence`` is large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.binding.generation.string_network import (
    StringBatch,
    StringNetwork,
    encode,
    evidence_loss,
    property_loss,
    write_out,
)
from thalweg.binding.generation.tokens import END, PAD, TokenAlphabet
from thalweg.learning.models import Method, Model
from thalweg.learning.optimizers import Adam
from thalweg.learning.schedules import Cosine
from thalweg.learning.splits import random_split
from thalweg.learning.trainer import History, Trainer
from thalweg.shapes import Bool, Float, Int

STEP = 12
"""Rows of a batch are filled up to a multiple of so many tokens, which keeps compilation rare."""

AT_ONCE = 256
"""Strings that are encoded or decoded together."""

SETTLING, SETTLED = 40, 64
"""Epochs and batches in which the prediction of properties is trained on."""

SPANNING = 8000
"""Strings whose principal components are taken."""


@dataclass(frozen=True)
class StringAutoencoder(Method):
    """Settings of the autoencoder.

    Parameters
    ----------
    latent : dimensions of the space
    width : of the recurrent unit
    merges : pairs of symbols that become tokens of their own
    divergence : weight of the divergence from the standard normal distribution; small ones reconstruct better
    dropped : fraction of tokens that are hidden from the decoder while it learns
    epochs, batch, learning_rate : of training
    held_out : fraction of strings that the best epoch is chosen by
    seed : of weights, noise and batches
    """

    latent: int = 196
    width: int = 192
    merges: int = 300
    divergence: float = 0.02
    dropped: float = 0.1
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 3e-3
    held_out: float = 0.02
    seed: int = 0

    def fit(
        self,
        strings: Sequence[Sequence[str]],
        properties: Float[np.ndarray, "strings properties"] | None = None,
        progress: Callable[[str, float], None] | None = None,
    ) -> StringAutoencoderModel:
        """The space of these strings.

        Parameters
        ----------
        strings : symbols of each molecule, as of `thalweg.interop.smiles_symbols`
        properties : what is to be predicted from points, NaN where it is not known
        progress : called with a message and the fraction done

        Raises
        ------
        ValueError
            If there are fewer strings than a batch has, or not one row of properties for each.
        """
        if len(strings) < 2 * self.batch:
            raise ValueError(
                f"{len(strings)} strings are fewer than two batches of {self.batch}; use a smaller batch"
            )
        given = np.zeros((len(strings), 0)) if properties is None else np.asarray(properties, float)
        if len(given) != len(strings):
            raise ValueError(f"{len(given)} rows of properties for {len(strings)} strings; give one for each")
        alphabet = TokenAlphabet.of(strings, self.merges)
        rows = _rows(alphabet.tokens(strings))
        means, spreads = (
            (np.nanmean(given, 0), np.nanstd(given, 0)) if given.size else (np.zeros(0), np.ones(0))
        )
        spreads = np.where(spreads > 0, spreads, 1.0)
        data = _Data(rows, ((given - means) / spreads).astype(np.float32), self.batch)
        network = StringNetwork.init(
            len(alphabet), rows[:SPANNING], self.latent, self.width, len(means), jax.random.key(self.seed)
        )
        judged = max(int(self.held_out * len(rows)), min(self.batch, len(rows) // 4))
        taught, held_out = random_split(len(rows), (len(rows) - judged, judged), self.seed)
        trainer = Trainer(self.epochs, Adam(self.learning_rate, memory=(0.9, 0.99)), Cosine(warmup=0.03))
        trained = trainer.fit(
            network,
            _Loss(self.divergence, self.dropped),
            data.shuffled(taught),
            held_out=list(data.batches(held_out, np.random.default_rng(self.seed))),
            seed=self.seed,
            progress=progress,
        )
        network = _with_settled_properties(trained.model, data, taught, held_out, self.seed)
        points = _points(network, rows[taught])
        covariance = np.atleast_2d(np.cov(points.T)) + 1e-6 * np.eye(self.latent)
        return StringAutoencoderModel(
            network,
            alphabet,
            means,
            spreads,
            points.mean(0),
            np.linalg.cholesky(covariance),
            trained.history,
        )


@dataclass(frozen=True, eq=False, repr=False)
class StringAutoencoderModel(Model):
    """A space of molecules.

    Attributes
    ----------
    network : reads and writes
    alphabet : tokens of its strings
    means, spreads : (properties,) of the training set
    center : (latent,) mean point of the training set
    factor : (latent, latent) lower Cholesky factor of the covariance of its points
    history : of training
    """

    network: StringNetwork
    alphabet: TokenAlphabet
    means: Float[np.ndarray, " properties"]
    spreads: Float[np.ndarray, " properties"]
    center: Float[np.ndarray, " latent"]
    factor: Float[np.ndarray, "latent latent"]
    history: History

    def headline(self) -> dict[str, object]:
        """Sizes, and the loss of held-out strings."""
        best = float(self.history.held_out[self.history.best])
        return {
            "tokens": len(self.alphabet),
            "length": self.length,
            "latent": len(self.center),
            "held_out": best,
        }

    @property
    def length(self) -> int:
        """Tokens of the longest string that it reads or writes, its `END` included."""
        return self.network.length

    def encode(self, strings: Sequence[Sequence[str]]) -> Float[np.ndarray, "strings latent"]:
        """The point of each string, the mean of where it may be.

        Raises
        ------
        ValueError
            If a string is longer than those of the training set, or has a symbol that none of them has.
        """
        return _points(self.network, self._tokens(strings))

    def decode(
        self, points: Float[np.ndarray, "points latent"], temperature: float = 0.0, seed: int = 0
    ) -> list[tuple[str, ...]]:
        """Symbols at each point: the likeliest token after the other, or drawn at a ``temperature`` of one."""
        rows, key = [], jax.random.key(seed)
        for start in range(0, len(points), AT_ONCE):
            own = np.asarray(points[start : start + AT_ONCE], np.float32)
            filled = np.pad(own, ((0, AT_ONCE - len(own)), (0, 0)))
            written = write_out(
                self.network, jnp.asarray(filled), jax.random.fold_in(key, start), jnp.float32(temperature)
            )
            rows.append(np.asarray(written)[: len(own)])
        return self.alphabet.strings(np.concatenate(rows)) if rows else []

    def readable(self, strings: Sequence[Sequence[str]]) -> Bool[np.ndarray, " strings"]:
        """Whether each string has known symbols alone and is short enough."""
        symbols, found = set(self.alphabet.symbols), np.zeros(len(strings), bool)
        familiar = [k for k, each in enumerate(strings) if symbols.issuperset(each)]
        tokens = self.alphabet.tokens([strings[k] for k in familiar])
        found[familiar] = [len(each) < self.length for each in tokens]
        return found

    def reconstructed(self, strings: Sequence[Sequence[str]]) -> Bool[np.ndarray, " strings"]:
        """Whether each string is what its point says."""
        found = self.decode(self.encode(strings))
        return np.array([tuple(a) == b for a, b in zip(strings, found)], bool)

    def random_points(self, count: int, seed: int = 0) -> Float[np.ndarray, "points latent"]:
        """Points as scattered as those of the training set."""
        drawn = np.random.default_rng(seed).normal(size=(count, len(self.center)))
        return self.center + drawn @ self.factor.T

    def predict(self, points: Float[np.ndarray, "points latent"]) -> Float[np.ndarray, "points properties"]:
        """Properties expected at points."""
        found = self.network.properties(jnp.asarray(points, jnp.float32))
        return self.means + self.spreads * np.asarray(found, float)

    def _tokens(self, strings):
        tokens = self.alphabet.tokens(strings)
        longest = max(map(len, tokens), default=0)
        if longest >= self.length:
            raise ValueError(
                f"a string has {longest} tokens, more than the {self.length - 1} that the model reads; leave it out"
            )
        return _rows(tokens, self.length)


class _Loss(eqx.Module):
    """The loss with its settings, alike for two that are alike."""

    divergence: float = eqx.field(static=True)
    dropped: float = eqx.field(static=True)

    def __call__(self, network: StringNetwork, batch: StringBatch) -> jax.Array:
        return evidence_loss(network, batch, self.divergence, self.dropped)


@dataclass(frozen=True, eq=False)
class _Data:
    """Rows of tokens, scaled properties, and batches of rows of about one length."""

    rows: Int[np.ndarray, "strings length"]
    properties: Float[np.ndarray, "strings properties"]
    size: int

    def shuffled(self, indices: np.ndarray) -> Callable[[np.random.Generator], Iterator[StringBatch]]:
        """Other batches in every epoch."""
        return lambda generator: self.batches(indices, generator)

    def batches(self, indices: np.ndarray, generator: np.random.Generator) -> Iterator[StringBatch]:
        """Whole batches in random order; what is left over waits for another epoch."""
        lengths = (self.rows[indices] != PAD).sum(1) + STEP / 2 * generator.random(len(indices))
        sorted_ = indices[np.argsort(lengths, kind="stable")]
        first = generator.integers(len(indices) % self.size + 1)
        for k in generator.permutation(len(indices) // self.size):
            own = sorted_[first + k * self.size : first + (k + 1) * self.size]
            rows = self.rows[own]
            longest = int((rows != PAD).sum(1).max())
            yield StringBatch(
                rows[:, : STEP * -(-longest // STEP)],
                self.properties[own],
                generator.integers(2**32, size=2, dtype=np.uint32),
            )


def _with_settled_properties(
    network: StringNetwork, data: _Data, taught: np.ndarray, held_out: np.ndarray, seed: int
) -> StringNetwork:
    """The network with what predicts properties trained on, points fixed: few labels need more epochs than strings."""
    if not data.properties.shape[1]:
        return network
    known = np.asarray(np.isfinite(data.properties).any(1))
    batches = []
    for indices in (taught[known[taught]], held_out[known[held_out]]):
        size = min(SETTLED, len(indices))
        points = np.asarray(_points(network, data.rows[indices]), np.float32)
        whole = range(0, len(indices) - size + 1, max(size, 1))
        batches.append([(points[k : k + size], data.properties[indices[k : k + size]]) for k in whole])
    if not batches[0] or not len(batches[0][0][0]):
        return network
    trainer = Trainer(SETTLING, Adam(1e-3), Cosine())
    judged = [each for each in batches[1] if len(each[0])]
    settled = trainer.fit(network.properties, property_loss, batches[0], held_out=judged, seed=seed)
    return eqx.tree_at(lambda each: each.properties, network, settled.model)


def _rows(tokens: Sequence[np.ndarray], length: int = 0) -> Int[np.ndarray, "strings length"]:
    """Rows with `END`, filled up to one length."""
    length = length or STEP * -(-(max(map(len, tokens), default=0) + 1) // STEP)
    rows = np.full((len(tokens), length), PAD, np.int32)
    for row, own in zip(rows, tokens):
        row[: len(own)], row[len(own)] = own, END
    return rows


def _points(network: StringNetwork, rows: np.ndarray) -> np.ndarray:
    """Means of points of rows."""
    found = []
    for start in range(0, len(rows), AT_ONCE):
        own = rows[start : start + AT_ONCE]
        filled = np.pad(own, ((0, AT_ONCE - len(own)), (0, 0)), constant_values=END)
        found.append(np.asarray(encode(network, jnp.asarray(filled))[0], float)[: len(own)])
    return np.concatenate(found) if found else np.zeros((0, network.latent))
