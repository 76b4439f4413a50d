"""Sequences for a given backbone: probabilities of amino acids, sequences drawn from them, and what these are worth.

A network (`ResidueMessages`) is trained to name hidden residues where any part of the others is shown, from none to
all, so that it answers both questions: which amino acid from the backbone alone, and which if the others are known. A
sequence is drawn as order-agnostic decoding does [dauparas2022]: residues in random order, in several goes, each go
shown what was drawn before; then all again from ``p(s_i | others)`` (Gibbs), if sweeps are asked for.

Probabilities are those of the network to the power ``1 / T``, one temperature for all, the likeliest on proteins held
out [guo2017]. They are of natural sequences of known structures: what is likely need not fold.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar

from thalweg.binding.design.backbones import AMINO_ACIDS, Backbone, sequence_of
from thalweg.binding.design.network import ResidueMessages, Surroundings, surroundings
from thalweg.learning.models import Method, Model
from thalweg.learning.optimizers import Adam
from thalweg.learning.trainer import Trainer
from thalweg.shapes import Bool, Float

PARTS = 8
"""In which residues are hidden, one part after the other, where all others are to be known."""

PADDED = 160
"""Residues are filled up to multiples of this, so that few programs are compiled."""

ALL_HIDDEN = 0.4
"""Share of training steps in which no residue is shown."""


@dataclass(frozen=True)
class SequenceDesign(Method):
    """Settings of the network and of its training.

    Parameters
    ----------
    width : numbers that a residue, and a pair, is told by
    rounds : of messages
    neighbors : residues that each one hears of
    epochs : walks over the proteins
    learning_rate, decay : of Adam
    dropout : share of each change that is left out in training
    noise : standard deviation by which atoms are displaced in training [nm]
    held_out : share of groups of proteins by which the best epoch and the temperature are chosen
    batch : residues of a step, at least; proteins are not cut
    seed : of weights, order and noise
    """

    width: int = 64
    rounds: int = 2
    neighbors: int = 16
    epochs: int = 30
    learning_rate: float = 4e-3
    decay: float = 1e-2
    dropout: float = 0.2
    noise: float = 0.005
    held_out: float = 0.1
    batch: int = 320
    seed: int = 0

    def fit(
        self,
        backbones: Sequence[Backbone],
        groups: Sequence[Hashable] | None = None,
        weights: Sequence[Float[np.ndarray, " residues"]] | None = None,
    ) -> SequenceDesignModel:
        """The network trained on proteins, whose own sequences are the answers.

        Parameters
        ----------
        groups : of each protein, such as its cluster; held out whole
        weights : of residues of each protein, zero for those that only surround the others

        Raises
        ------
        ValueError
            If there are fewer than four groups, or no residue to learn from.
        """
        names = list(range(len(backbones))) if groups is None else list(groups)
        own = [np.ones(len(each)) for each in backbones] if weights is None else list(weights)
        kinds = list(dict.fromkeys(names))
        if len(kinds) < 4 or len(names) != len(backbones) or len(own) != len(backbones):
            raise ValueError(
                f"{len(backbones)} backbones in {len(kinds)} groups, with weights of {len(own)}; at least four groups "
                "are needed, a group and weights for each backbone"
            )
        generator = np.random.default_rng(self.seed)
        out = {
            kinds[k] for k in generator.permutation(len(kinds))[: max(1, round(self.held_out * len(kinds)))]
        }
        held = [k for k, name in enumerate(names) if name in out]
        rest = [k for k, name in enumerate(names) if name not in out]
        batches = _Batches([backbones[k] for k in rest], [own[k] for k in rest], self)
        judged = _packed([backbones[k] for k in held], [own[k] for k in held], self, generator)
        if not any((each.weights > 0).any() for each in judged) or not any(own[k].any() for k in rest):
            raise ValueError("no residue to learn from: all are unknown, or of weight zero")
        start = ResidueMessages.init(self.width, self.rounds, jax.random.key(self.seed))
        trained = Trainer(self.epochs, Adam(self.learning_rate, decay=self.decay), average=0.95).fit(
            start,
            _Entropy(self.dropout),
            batches,
            held_out=[
                (each, np.zeros(len(each.residues), bool), jax.random.key(0), False) for each in judged
            ],
            seed=self.seed,
        )
        scores = [
            np.asarray(_scores(trained.model, each, jnp.zeros(len(each.residues), bool))) for each in judged
        ]
        known = [each.weights > 0 for each in judged]
        temperature = _temperature(
            np.concatenate([a[k] for a, k in zip(scores, known)]),
            np.concatenate([each.residues[k] for each, k in zip(judged, known)]),
        )
        return SequenceDesignModel(self, trained.model, temperature)


@dataclass(frozen=True, eq=False, repr=False)
class SequenceDesignModel(Model):
    """The trained network.

    Attributes
    ----------
    method : its settings
    network : scores
    temperature : by which scores are divided
    """

    method: SequenceDesign
    network: ResidueMessages
    temperature: float

    def probabilities(
        self, backbone: Backbone, shown: Bool[np.ndarray, " residues"] | None = None
    ) -> Float[np.ndarray, "residues 20"]:
        """Of `AMINO_ACIDS` for each residue, where the amino acids of residues that are ``shown`` are known; of none
        unless given.

        Each row is about a residue as if it were hidden, even if it is shown to others.
        """
        around = self._around(backbone)
        visible = np.zeros(len(around.residues), bool)
        if shown is not None:
            visible[: len(backbone)] = shown
        return _softmax(
            np.asarray(_scores(self.network, around, visible))[: len(backbone)] / self.temperature
        )

    def given_others(self, backbone: Backbone, seed: int = 0) -> Float[np.ndarray, "residues 20"]:
        """The same where all others are known, but for those of one part in `PARTS` drawn with it."""
        part = np.random.default_rng(seed).integers(0, PARTS, len(backbone))
        found = np.zeros((len(backbone), len(AMINO_ACIDS)))
        for k in range(PARTS):
            found[part == k] = self.probabilities(backbone, part != k)[part == k]
        return found

    def sample(
        self,
        backbone: Backbone,
        temperature: float = 0.1,
        fixed: Bool[np.ndarray, " residues"] | None = None,
        goes: int = 16,
        sweeps: int = 0,
        seed: int = 0,
    ) -> DesignedSequence:
        """A sequence for the backbone.

        Parameters
        ----------
        temperature : 1 for sequences as probable as the network has it, less for more probable ones
        fixed : residues that keep their amino acid; others are designed
        goes : in which residues are drawn, each go knowing those before
        sweeps : of drawing every residue anew, in as many goes
        seed : of order and draws

        Raises
        ------
        ValueError
            If the temperature is not above zero, nothing is to be designed, or a fixed residue is unknown.
        """
        keep = np.zeros(len(backbone), bool) if fixed is None else np.asarray(fixed, bool)
        if temperature <= 0:
            raise ValueError(
                f"temperature={temperature:g}; use a small one, such as 0.01, for the most probable"
            )
        if keep.shape != (len(backbone),) or keep.all():
            raise ValueError(
                f"fixed is of shape {keep.shape} with {int(keep.sum())} residues; of {len(backbone)} at least one is "
                "to be designed"
            )
        if len(bad := np.flatnonzero(keep & (backbone.residues < 0))):
            raise ValueError(f"{backbone.name(int(bad[0]))} is fixed, but its amino acid is not known")
        generator = np.random.default_rng(seed)
        drawn, shown = np.where(keep, backbone.residues, -1), keep.copy()
        open_ = np.flatnonzero(~keep)
        for _sweep in range(sweeps + 1):
            for part in np.array_split(generator.permutation(open_), min(goes, len(open_))):
                shown[part] = False
                asked = Backbone(backbone.positions, drawn, backbone.chains, backbone.names)
                logs = np.log(np.maximum(self.probabilities(asked, shown)[part], 1e-30))
                steps = np.cumsum(_softmax(logs / temperature), 1)
                drawn[part] = np.minimum(
                    (generator.random((len(part), 1)) > steps).sum(1), len(AMINO_ACIDS) - 1
                )
                shown[part] = True
        return self.judged(backbone, sequence_of(drawn), ~keep)

    def judged(
        self, backbone: Backbone, sequence: str, designed: Bool[np.ndarray, " residues"] | None = None
    ) -> DesignedSequence:
        """How a sequence compares with the one that the backbone has, and how probable the network finds it.

        Raises
        ------
        ValueError
            If the sequence does not fit the backbone.
        """
        asked = backbone.with_sequence(sequence)
        where = np.ones(len(backbone), bool) if designed is None else designed
        told = where & (asked.residues >= 0)
        chosen = self.given_others(asked)[np.flatnonzero(told), asked.residues[told]]
        native = told & (backbone.residues >= 0)
        return DesignedSequence(
            sequence,
            float((asked.residues == backbone.residues)[native].mean()) if native.any() else float("nan"),
            float(np.exp(-np.log(np.maximum(chosen, 1e-12)).mean())),
            np.bincount(asked.residues[told], minlength=len(AMINO_ACIDS)) / told.sum(),
        )

    def _around(self, backbone: Backbone) -> Surroundings:
        size = -(-len(backbone) // PADDED) * PADDED
        return surroundings([backbone], self.method.neighbors, size)


@dataclass(frozen=True, eq=False, repr=False)
class DesignedSequence(Model):
    """A sequence and what it is worth.

    Attributes
    ----------
    sequence : chains one after the other
    recovery : share of designed residues that are as in the backbone's own sequence; NaN where that is unknown
    perplexity : of designed residues, each given all others
    composition : (20,) shares of `AMINO_ACIDS` among designed residues
    """

    sequence: str
    recovery: float
    perplexity: float
    composition: Float[np.ndarray, " 20"]


@dataclass(frozen=True)
class _Entropy:
    """``-log p`` of hidden residues."""

    dropout: float

    def __call__(self, network, batch):
        around, visible, key, learning = batch
        logs = jax.nn.log_softmax(network(around, visible, self.dropout if learning else 0.0, key))
        weights = around.weights * (~visible)
        own = jnp.take_along_axis(logs, jnp.maximum(around.residues, 0)[:, None], 1)[:, 0]
        return -(weights * own).sum() / jnp.maximum(weights.sum(), 1e-6)


@dataclass(frozen=True)
class _Batches:
    """Proteins in new company, displaced and partly shown, anew in each epoch."""

    backbones: list[Backbone]
    weights: list[np.ndarray]
    method: SequenceDesign

    def __call__(self, generator: np.random.Generator):
        for around in _packed(self.backbones, self.weights, self.method, generator):
            moved = around.positions + self.method.noise * generator.normal(size=around.positions.shape)
            share = 0.0 if generator.random() < ALL_HIDDEN else generator.random()
            visible = generator.random(len(around.residues)) < share
            key = jax.random.key(int(generator.integers(2**31)))
            yield around._replace(positions=moved.astype(np.float32)), visible, key, True


def _packed(backbones, weights, method, generator):
    """Proteins put together, in random order, until they fill a batch; sizes are multiples of it."""
    bins: list[list[int]] = []
    for k in generator.permutation(len(backbones)):
        if not np.any(weights[k]):
            continue
        for own in bins:
            if sum(len(backbones[j]) for j in own) + len(backbones[k]) <= method.batch:
                own.append(int(k))
                break
        else:
            bins.append([int(k)])
    packed = []
    for own in bins:
        count = sum(len(backbones[k]) for k in own)
        size = -(-count // method.batch) * method.batch
        packed.append(
            surroundings([backbones[k] for k in own], method.neighbors, size, [weights[k] for k in own])
        )
    return packed


@eqx.filter_jit
def _scores(network, around, visible):
    return network(around, visible)


def _temperature(scores, residues):
    """The likeliest one."""

    def minus_likelihood(logarithm):
        return -np.log(_softmax(scores / np.exp(logarithm))[np.arange(len(residues)), residues]).mean()

    return float(np.exp(minimize_scalar(minus_likelihood, bounds=(-1.5, 1.5), method="bounded").x))


def _softmax(scores):
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)
