"""Networks of internal coordinates on top of a prior, fitted to forces [wang2019].

    U(x) = U_prior(x) + NN(f(x)),

``f`` the coordinates of `SeenCoordinates`, so that energies do not change as a molecule turns or moves, and do as it is
reflected. The prior keeps bonds together where there are no frames. Members differ in weights and in the stretches of
frames that are left out, which also stop them; their spread is the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import forces_of
from thalweg.coarse_graining.interactions.interaction import InternalCoordinate
from thalweg.coarse_graining.interactions.kernel import SeenCoordinates, features_and_slopes
from thalweg.learning.models import Method, Model
from thalweg.learning.optimizers import Adam
from thalweg.learning.perceptron import Perceptron
from thalweg.learning.trainer import Trainer
from thalweg.potentials.energy import Energy, Sum
from thalweg.shapes import Box, Energies, Float, Positions

BATCH, STEPS = 512, 20
"""Frames of a batch, and the fewest batches of an epoch."""


class NetworkOfCoordinates(Energy):
    """The mean of several networks of the same coordinates, in units of ``scale`` [kJ/mol]."""

    seen: SeenCoordinates
    networks: tuple[Perceptron, ...]
    scale: float = eqx.field(static=True)

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        positions = jnp.asarray(positions)
        features = self.seen(positions.reshape(*positions.shape[:2], -1)).astype(positions.dtype).T
        mean = jnp.stack([network(features)[:, 0] for network in self.networks]).mean(0)
        return self.scale * mean.reshape(positions.shape[2:])


@dataclass(frozen=True)
class NetworkCoarseModel(Model):
    """A prior and networks.

    Attributes
    ----------
    prior : what was known before
    network : the networks
    info : how the fit went
    """

    prior: Energy
    network: NetworkOfCoordinates
    info: Mapping[str, Any]

    def headline(self) -> Mapping[str, Any]:
        return {"members": len(self.network.networks), **self.info}

    def energy(self) -> Energy:
        """The energy of the beads, to run in an engine."""
        return Sum((self.prior, self.network))

    def force_spread(self, frames: BeadFrames) -> Float[np.ndarray, "frames beads 3"]:
        """Standard deviation of the members' forces [kJ/mol/nm]."""
        each = [
            forces_of(NetworkOfCoordinates(self.network.seen, (one,), self.network.scale), frames)
            for one in self.network.networks
        ]
        return np.std(each, axis=0, ddof=1)


@dataclass(frozen=True)
class NetworkForceMatching(Method):
    """Fits networks to what forces a prior leaves.

    Parameters
    ----------
    coordinates : what networks see
    prior : an energy that holds the beads together, such as ``BoltzmannInversion(...).fit(frames).energy()``
    hidden : widths of the hidden layers
    epochs, patience : at most, and without improvement on frames left out
    learning_rate : at the start
    members : networks
    seed : of weights and batches
    progress : called with a message and the fraction done
    """

    coordinates: Sequence[InternalCoordinate]
    prior: Energy
    hidden: tuple[int, ...] = (96, 96)
    epochs: int = 60
    patience: int = 15
    learning_rate: float = 2e-3
    members: int = 4
    seed: int = 0
    progress: Callable[[str, float], None] | None = field(default=None, compare=False, repr=False)

    def fit(self, frames: BeadFrames) -> NetworkCoarseModel:
        """The model for ``frames``.

        Raises
        ------
        ValueError
            If frames have no forces, or boxes.
        """
        if frames.boxes is not None:
            raise ValueError("these networks are of one molecule; give its frames without boxes")
        labels = frames.needed_forces() - forces_of(self.prior, frames)
        seen = SeenCoordinates.of(self.coordinates, frames)
        features, slopes = features_and_slopes(seen, np.moveaxis(np.asarray(frames.positions, float), 0, -1))
        scale = float(frames.kT)
        data = (
            features.T.astype(np.float32),
            np.moveaxis(slopes, -1, 0).reshape(len(frames), len(features), -1).astype(np.float32),
            (labels.reshape(len(frames), -1) / scale).astype(np.float32),
            (np.ones(len(frames)) if frames.weights is None else frames.weights).astype(np.float32),
        )
        blocks, fits = frames.blocks(2 * self.members), []
        for number in range(self.members):
            out = (blocks == 2 * number) | (blocks == (2 * number + self.members) % (2 * self.members))
            fits.append(self._member(data, np.flatnonzero(~out), np.flatnonzero(out), number))
        networks, left_out = zip(*fits)
        error = scale**2 * float(np.mean(left_out))
        return NetworkCoarseModel(
            self.prior,
            NetworkOfCoordinates(seen, networks, scale),
            {"mean squared residual of frames left out": error},
        )

    def _member(self, data, rows, out, number):
        def epoch(generator: np.random.Generator) -> Any:
            for _ in range(max(STEPS, len(rows) // BATCH)):
                some = generator.choice(rows, min(BATCH, len(rows)), replace=False)
                yield tuple(column[some] for column in data)

        widths = (data[0].shape[1], *self.hidden, 1)
        network = Perceptron.init(
            widths, jax.random.key(1000 * self.seed + number), "tanh", last=0.1, offsets=0.3
        )
        rule = Trainer(self.epochs, Adam(self.learning_rate), patience=self.patience, average=0.99)
        trained = rule.fit(
            network,
            _force_loss,
            epoch,
            held_out=[tuple(column[out] for column in data)],
            seed=self.seed + number,
            progress=self.progress,
        )
        return trained.model, float(np.nanmin(trained.history.held_out))


def _force_loss(network: Perceptron, batch: tuple) -> jax.Array:
    """Weighted mean of ``|F + du/df . df/dx|^2`` over components."""
    features, slopes, labels, weights = batch
    gradient = jax.grad(lambda f: network(f).sum())(features)
    forces = -jnp.einsum("fk,fkc->fc", gradient, slopes)
    return (weights[:, None] * (labels - forces) ** 2).mean() / weights.mean()
