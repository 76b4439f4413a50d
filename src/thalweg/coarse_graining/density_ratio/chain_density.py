r"""Free energies of chains by a convolutional classifier, learned from short chains and good for longer ones.

Conformations :math:`s` of a chain, a few angles a residue, are told from fakes of a known density :math:`p_0`, such as
the product of those of single angles [lemke2017]. The logarithm of the odds is a sum over residues of *one* network of
each residue's neighborhood,

.. math::  F(s) = -kT \Big[\ln p_0(s) + \sum_i h(s_{i-w}, \dots, s_{i+w})\Big]

so that its parameters do not know how long the chain is: fitted to chains of several lengths at once, it
says what a longer one does. Nothing is binned. Angles that a residue does not have, as at the ends, are NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.coarse_graining.density_ratio.fakes import (
    AnglesAlone,
    FakeLadder,
    Fakes,
    MeanOfMembers,
    ProductOfMarginals,
    independent_angles,
)
from thalweg.free_energies.blocks import block_labels, statistical_inefficiency
from thalweg.free_energies.landscapes.encoding import Marginals
from thalweg.free_energies.landscapes.landscape import CORRELATION_TIMES, WeightedSample
from thalweg.learning.models import Method, Model
from thalweg.learning.optimizers import Adam
from thalweg.learning.perceptron import Perceptron
from thalweg.learning.trainer import Trainer
from thalweg.shapes import Float

BATCH, STEPS = 256, 50
"""Frames of a batch, and batches of an epoch."""

JUDGED = 4096
"""Frames by which a member is judged, at most."""

HARMONICS = 3
"""AngleWaves by which the network sees an angle."""

STEP = 0.4
"""Deviation of small moves of an angle [rad]."""


class ChainConvolution(eqx.Module):
    """``ln p_0 + sum_i h(neighborhood of i)`` of chains.

    Attributes
    ----------
    known : ``ln p_0`` of chains
    network : of a neighborhood; a value for each step from the data down to what is known
    window : residues seen on either side
    """

    known: Callable[[Any], jax.Array]
    network: Perceptron
    window: int = eqx.field(static=True)

    def __call__(self, chains: Any) -> jax.Array:
        """Logarithm of the density ``(frames,)``, of ``(frames, residues, angles)``, up to a constant of a length."""
        return self.known(chains) + self.odds(chains).sum(1)

    def odds(self, chains: Any) -> jax.Array:
        """Logarithms of the density of each step over the next ``(frames, steps)``."""
        known = ~jnp.isnan(chains)
        angles = jnp.where(known, chains, 0.0)
        waves = [wave(k * angles) * known for k in range(1, HARMONICS + 1) for wave in (jnp.cos, jnp.sin)]
        # the last column says that there is a residue at all
        seen = jnp.concatenate([*waves, known, jnp.ones_like(angles[..., :1])], -1)
        padded = jnp.pad(seen, ((0, 0), (self.window, self.window), (0, 0)))
        residues = chains.shape[1]
        near = jnp.concatenate([padded[:, k : k + residues] for k in range(2 * self.window + 1)], -1)
        return self.network(near).sum(1)

    @staticmethod
    def size(angles: int, window: int) -> int:
        """Numbers that the network sees of a neighborhood."""
        return (2 * window + 1) * (angles * (2 * HARMONICS + 1) + 1)


@dataclass(frozen=True)
class ChainDensity(Model):
    """A free energy of chains of any length.

    Attributes
    ----------
    members : fitted to other blocks of frames each; their spread is the error
    kT : [kJ/mol]
    proposals : densities of single angles, by which Monte Carlo moves
    angles : of a residue
    lengths : residues of the chains it has seen
    missing : angles that the first and the last residue lack
    accuracies : (members,) share of frames and fakes left out that are told apart, each kind counting half
    """

    members: tuple[ChainConvolution, ...]
    kT: float
    proposals: Marginals
    angles: int
    lengths: tuple[int, ...]
    missing: tuple[tuple[int, ...], tuple[int, ...]]
    accuracies: Float[np.ndarray, " members"]

    def headline(self) -> dict[str, object]:
        return {
            "lengths": ", ".join(map(str, self.lengths)),
            "members": len(self.members),
            "told apart": float(self.accuracies.mean()),
        }

    def energy(self, chains: Float[np.ndarray, "frames residues angles"]) -> Float[np.ndarray, " frames"]:
        """Free energies [kJ/mol] of chains of one length, up to a constant of that length."""
        return np.mean(self._energies(chains), 0)

    def error(self, chains: Float[np.ndarray, "frames residues angles"]) -> Float[np.ndarray, " frames"]:
        """Spread of the members [kJ/mol], each up to its own mean over ``chains``."""
        each = self._energies(chains)
        return (each - each.mean(1, keepdims=True)).std(0, ddof=1)

    def sample(
        self, residues: int, count: int = 500, sweeps: int = 200, every: int = 20, seed: int = 0
    ) -> Float[np.ndarray, "chains frames residues angles"]:
        """Conformations of a chain of any number of ``residues`` by Metropolis Monte Carlo.

        A move takes one residue: to angles drawn one by one, or a small step. The first half of the sweeps is left out.

        Parameters
        ----------
        residues : of the chain, more than were seen if one likes
        count : independent walks
        sweeps : moves of every residue, at least twice ``every``
        every : sweeps between frames
        """
        if residues < 1 or sweeps < 2 * every:
            raise ValueError(
                f"a chain needs a residue, and {every} sweeps between frames at least {2 * every} sweeps; got "
                f"{residues} residues and {sweeps} sweeps"
            )
        rng = np.random.default_rng(seed)
        absent = np.zeros((residues, self.angles), bool)
        absent[0, list(self.missing[0])] = True
        absent[-1, list(self.missing[1])] = True
        pool = jnp.asarray(independent_angles(self.proposals, 50_000, 1, rng)[:, 0])
        start = independent_angles(self.proposals, count, residues, rng)
        x = jnp.asarray(np.where(absent, np.nan, start), jnp.float32)
        keys = jax.random.split(jax.random.key(seed), sweeps // every)
        frames = []
        for key in keys:
            x = _swept(MeanOfMembers(self.members), self.proposals, x, pool, key, every)
            frames.append(np.asarray(x))
        wrapped = np.mod(np.stack(frames[len(frames) // 2 :], 1) + np.pi, 2 * np.pi) - np.pi
        return wrapped

    def _energies(self, chains):
        x = jnp.asarray(np.asarray(chains), jnp.float32)
        return np.stack([-self.kT * np.asarray(_log_density(each, x), float) for each in self.members])


@dataclass(frozen=True, kw_only=True)
class ChainDensityRatio(Method):
    """Fits `ChainDensity` to conformations of chains of one or several lengths.

    Parameters
    ----------
    kT : [kJ/mol]
    window : residues that a residue sees on either side
    fakes : what conformations are told from
    hidden : widths of the hidden layers
    drawn : fakes for each frame
    epochs : of fifty batches, at most
    patience : epochs without improvement on frames left out after which to stop
    members : networks, each of blocks of frames drawn with replacement
    block : frames in a block; several correlation times of the slowest angle if None
    seed : of blocks, weights and fakes
    progress : called with a message and the fraction done

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> turned = rng.vonmises(0.0, 4.0, size=(2000, 3, 1)).cumsum(1)        # neighbors like to have one angle
    >>> method = ChainDensityRatio(kT=1.0, window=1, hidden=(16,), epochs=4, members=2, block=1)
    >>> model = method.fit([turned])
    >>> alike, apart = np.zeros((1, 3, 1)), np.array([[[0.0], [np.pi], [0.0]]])
    >>> bool(model.energy(apart)[0] - model.energy(alike)[0] > 4)
    True
    """

    kT: float
    window: int = 2
    fakes: Fakes = field(default_factory=ProductOfMarginals)
    hidden: tuple[int, ...] = (64, 64)
    drawn: int = 4
    epochs: int = 60
    patience: int = 15
    members: int = 3
    block: int | None = None
    seed: int = 0
    progress: Callable[[str, float], None] | None = field(default=None, compare=False, repr=False)

    def fit(self, chains: Sequence[Float[np.ndarray, "frames residues angles"]]) -> ChainDensity:
        """The density of ``chains``, one array a trajectory [rad]; trajectories may be of chains of different lengths.

        Raises
        ------
        ValueError
            If chains have different numbers of angles, lack others than those of their ends, or are too few or too
            correlated.
        """
        data = [np.asarray(each, float) for each in chains]
        missing = _missing(data)
        angles = Marginals.of(_pooled(data))
        ladder = self.fakes.ladder(data, angles)
        block = self.block or max(1, round(CORRELATION_TIMES * _correlation(data)))
        labels = [block_labels([len(each)], block)[0] for each in data]
        members, accuracies = zip(
            *(self._member(data, labels, ladder, number) for number in range(self.members))
        )
        lengths = tuple(sorted({each.shape[1] for each in data}))
        return ChainDensity(
            members, self.kT, angles, data[0].shape[2], lengths, missing, np.array(accuracies)
        )

    def _member(self, data, labels, ladder: FakeLadder, number):
        """A network fitted to drawn blocks, judged by those not drawn."""
        rng = np.random.default_rng([self.seed, number])
        fitted, left_out = zip(*(_drawn(each, rng) for each in labels))
        shares = np.array([len(rows) for rows in fitted], float)

        def batch(rows_of, size, generator):
            of = generator.choice(len(data), p=shares / shares.sum())
            rows = rows_of[of][generator.integers(len(rows_of[of]), size=size)]
            frames = data[of][rows].astype(np.float32)
            return (frames, *ladder.drawn(frames, self.drawn * size, generator))

        def epoch(generator: np.random.Generator) -> Any:
            for _ in range(STEPS):
                yield batch(fitted, BATCH, generator)

        network = Perceptron.init(
            (ChainConvolution.size(data[0].shape[2], self.window), *self.hidden, ladder.steps),
            jax.random.key(1000 * self.seed + number),
            last=0.1,
        )
        judges = [batch(left_out, BATCH, rng) for _ in range(JUDGED // BATCH)]
        rule = Trainer(self.epochs, Adam(3e-3), patience=self.patience, mean="arithmetic")
        trained = rule.fit(
            ChainConvolution(ladder.known, network, self.window),
            _classification_loss,
            epoch,
            held_out=judges,
            seed=self.seed + number,
            progress=self.progress,
        ).model
        return trained, float(np.mean([_told_apart(trained, each) for each in judges]))


def _classification_loss(model: ChainConvolution, levels: tuple) -> jax.Array:
    """Mean negative logarithm of the probability given to what is true, of each step and the next, added up."""
    loss = jnp.zeros(())
    for k, (upper, lower) in enumerate(pairwise(levels)):
        ratio = lower.shape[0] / upper.shape[0]
        above, below = model.odds(upper)[:, k] - np.log(ratio), np.log(ratio) - model.odds(lower)[:, k]
        loss -= jax.nn.log_sigmoid(above).mean() + ratio * jax.nn.log_sigmoid(below).mean()
    return loss


def _told_apart(model, levels):
    """Balanced accuracy of the data against the first fakes: odds against those of an even guess."""
    upper, lower = (model.odds(each)[:, 0] for each in levels[:2])
    return (float((upper > 0).mean()) + float((lower < 0).mean())) / 2


@eqx.filter_jit
def _log_density(member: ChainConvolution, chains):
    return member(chains)


@partial(eqx.filter_jit)
def _swept(density, proposals, x, pool, key, sweeps):
    """``x`` ``(chains, residues, angles)`` after so many sweeps of moves of every residue."""
    proposed = AnglesAlone(proposals)

    def move(carry, draw):
        x, log_density = carry
        site, key = draw
        pick, kick, small, accept = jax.random.split(key, 4)
        chains, _, angles = x.shape
        fake = pool[jax.random.randint(pick, (chains,), 0, len(pool))]
        near = x[:, site] + STEP * jax.random.normal(kick, (chains, angles))
        is_small = jax.random.bernoulli(small, 0.5, (chains, 1))
        # what a residue lacks stays NaN
        new = jnp.where(jnp.isnan(x[:, site]), jnp.nan, jnp.where(is_small, near, fake))
        tried = x.at[:, site].set(new)
        new_log_density = density(tried)
        # angles drawn from their own densities are as likely the other way as these say
        back = proposed(x[:, site][:, None]) - proposed(new[:, None])
        gain = new_log_density - log_density + jnp.where(is_small[:, 0], 0.0, back)
        taken = jnp.log(jax.random.uniform(accept, (chains,))) < gain
        kept = jnp.where(taken[:, None, None], tried, x), jnp.where(taken, new_log_density, log_density)
        return kept, None

    sites = jnp.tile(jnp.arange(x.shape[1]), sweeps)
    (x, _), _ = jax.lax.scan(move, (x, density(x)), (sites, jax.random.split(key, len(sites))))
    return x


def _drawn(labels, rng):
    """Rows of blocks drawn with replacement, and of those that were not."""
    blocks = int(labels.max()) + 1
    while True:
        times = np.bincount(rng.integers(blocks, size=blocks), minlength=blocks)[labels]
        if (times == 0).any():
            return np.repeat(np.arange(len(labels)), times), np.flatnonzero(times == 0)


def _missing(data) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if not data or any(each.ndim != 3 for each in data):
        raise ValueError("give at least one array (frames, residues, angles) of conformations of a chain")
    if len(angles := {each.shape[2] for each in data}) != 1:
        raise ValueError(f"all chains need as many angles a residue; got {sorted(angles)}")
    found = set()
    for each in data:
        absent = np.isnan(each).all(0)
        if (np.isnan(each).any(0) != absent).any() or absent[1:-1].any():
            raise ValueError(
                "angles may be missing (NaN) in all frames at the ends of a chain, and nowhere else; leave out "
                "frames with undefined angles"
            )
        found.add((tuple(np.flatnonzero(absent[0])), tuple(np.flatnonzero(absent[-1]))))
    if len(found) != 1:
        raise ValueError(f"chains lack different angles at their ends: {sorted(found)}; define them alike")
    first, last = found.pop()
    return tuple(map(int, first)), tuple(map(int, last))


def _pooled(data) -> WeightedSample:
    """Angles of all residues that have them all, as one sample."""
    rows = np.concatenate([each.reshape(-1, each.shape[2]) for each in data])
    columns = [column[~np.isnan(column)] for column in rows.T]
    count = min(map(len, columns))
    points = np.stack([np.mod(column[:count] + np.pi, 2 * np.pi) - np.pi for column in columns], 1)
    ones = np.ones(count)
    return WeightedSample(points, ones, np.arange(count), (2 * np.pi,) * len(columns))


def _correlation(data) -> float:
    """The largest statistical inefficiency of a wave of an angle [frames]."""
    most = 1.0
    for each in data:
        flat = each.reshape(len(each), -1)
        for column in flat.T[~np.isnan(flat).any(0)]:
            most = max(most, *(statistical_inefficiency([wave(column)]) for wave in (np.cos, np.sin)))
    return most
