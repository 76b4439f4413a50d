r"""A density learned by telling frames from drawn points [gutmann2012].

A classifier that sees :math:`\nu` points of a known density :math:`p_0` for every frame is best if its odds are those
of the densities,

.. math::  \ln p(s) = \ln p_0(s) + h(s), \qquad
           \max_h\ \langle\ln\sigma(h - \ln\nu)\rangle_{p} + \nu\,\langle\ln\sigma(\ln\nu - h)\rangle_{p_0}

so that nothing is binned and the norm comes by itself [lemke2017]. :math:`p_0` is the product of the densities of the
single variables: what the network has to learn is how they depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.encoding import Encoding, Marginals
from thalweg.free_energies.landscapes.landscape import (
    JUDGED,
    DrawnBlocks,
    FittedMember,
    NetworkLandscape,
    Periods,
    WeightedSample,
    fitted_landscape,
)
from thalweg.learning.models import Method
from thalweg.learning.optimizers import Adam
from thalweg.learning.perceptron import Perceptron
from thalweg.learning.trainer import Trainer

HARMONICS = 3
"""Waves by which a network sees a periodic variable."""

BATCH = 2048
"""Frames of a batch."""

STEPS_OF_EPOCH = 50
"""Batches between two looks at frames left out."""


class ClassifiedEnergy(eqx.Module):
    """``-kT (ln p_0 + h)`` [kJ/mol].

    Attributes
    ----------
    base : known density
    encoding : of the variables
    network : from the encoding to the logarithm of the odds
    kT : [kJ/mol]
    """

    base: Marginals
    encoding: Encoding
    network: Perceptron
    kT: float = eqx.field(static=True)

    def odds(self, points: Any) -> jax.Array:
        """Logarithm of the density over the known one ``(points,)``."""
        return self.network(self.encoding(points))[:, 0]

    def __call__(self, points: Any) -> jax.Array:
        return -self.kT * (self.base.log_density(points) + self.odds(points))


@dataclass(frozen=True, kw_only=True)
class DensityClassifier(Method):
    """The free energy of many variables by a network that tells frames from drawn points.

    Parameters
    ----------
    kT : [kJ/mol]
    periods : period of each variable, None for those without
    hidden : widths of the hidden layers
    drawn : points of the known density for each frame
    epochs : at most; each is `STEPS_OF_EPOCH` batches
    patience : epochs without improvement on frames left out after which to stop
    members : networks, each of blocks drawn with replacement
    block : frames in a block; several correlation times if None
    seed : of blocks, weights and drawn points
    progress : called with a message and the fraction done

    Examples
    --------
    >>> x = np.random.default_rng(0).vonmises(0.0, 2.0, size=(4000, 1))
    >>> method = DensityClassifier(kT=1.0, periods=(2 * np.pi,), hidden=(16,), epochs=5, members=2, block=1)
    >>> surface = method.fit([x])
    >>> rise = surface.energy(jnp.array([[np.pi / 2]])) - surface.energy(jnp.array([[0.0]]))
    >>> bool(abs(rise[0] - 2.0) < 0.5)                   # F = -2 cos(s)
    True
    """

    kT: float
    periods: Periods
    hidden: tuple[int, ...] = (128, 128)
    drawn: int = 4
    epochs: int = 60
    patience: int = 15
    members: int = 4
    block: int | None = None
    seed: int = 0
    progress: Callable[[str, float], None] | None = field(default=None, compare=False, repr=False)

    def fit(
        self, values: Sequence[np.ndarray], log_weights: Sequence[np.ndarray] | None = None
    ) -> NetworkLandscape:
        """The surface of ``values``, one array ``(frames, variables)`` for each trajectory.

        Parameters
        ----------
        values : variables along trajectories
        log_weights : of every frame, up to a common constant

        Raises
        ------
        ValueError
            If shapes do not fit, a variable does not vary, or frames are too few or too correlated.
        """
        sample = WeightedSample.of(values, log_weights, self.periods, self.block)
        base, encoding = Marginals.of(sample), Encoding.of(sample, HARMONICS)

        def member(drawn: DrawnBlocks, number: int) -> FittedMember:
            key = jax.random.key(self.seed * 1000 + number)
            network = Perceptron.init((encoding.size, *self.hidden, 1), key, last=0.1)
            start = ClassifiedEnergy(base, encoding, network, self.kT)
            judges = self._batch(
                sample, drawn.left_out, drawn, base, np.random.default_rng([self.seed, number, 1]), JUDGED
            )
            trained = Trainer(self.epochs, Adam(3e-3), patience=self.patience, mean="arithmetic").fit(
                start,
                _classification,
                lambda generator: self._epoch(sample, drawn, base, generator),
                held_out=[judges],
                seed=self.seed + number,
                progress=self.progress,
            )
            return FittedMember(
                trained.model, log_likelihood(trained.model, sample, drawn), trained.history.notes
            )

        return fitted_landscape(sample, self.kT, self.members, self.seed, member, of_forces=False)

    def _epoch(
        self, sample: WeightedSample, drawn: DrawnBlocks, base: Marginals, generator: np.random.Generator
    ) -> Iterator[tuple]:
        for _ in range(STEPS_OF_EPOCH):
            yield self._batch(sample, drawn.fitted, drawn, base, generator, BATCH)

    def _batch(
        self,
        sample: WeightedSample,
        rows: np.ndarray,
        drawn: DrawnBlocks,
        base: Marginals,
        generator: np.random.Generator,
        size: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.float32]:
        """Frames, their weights, points of the known density, and how many of these there are for each frame."""
        chosen = rows[generator.integers(len(rows), size=size)]
        points = base.sample(self.drawn * size, generator)
        weights = drawn.weights[chosen].astype(np.float32)
        return sample.points[chosen].astype(np.float32), weights, points, np.float32(self.drawn)


def _classification(model: ClassifiedEnergy, batch: tuple) -> jax.Array:
    """Mean negative logarithm of the probability given to what is true."""
    frames, weights, points, ratio = batch
    of_frames = jax.nn.log_sigmoid(model.odds(frames) - jnp.log(ratio))
    of_points = jax.nn.log_sigmoid(jnp.log(ratio) - model.odds(points))
    return -(weights * of_frames).mean() - ratio * of_points.mean()


def log_likelihood(model: Any, sample: WeightedSample, drawn: DrawnBlocks) -> float:
    """Mean of ``ln p`` at the frames that a member, an energy with its ``kT``, was not fitted to."""
    rows = drawn.left_out[:: max(1, len(drawn.left_out) // JUDGED)]
    logs = -np.asarray(model(jnp.asarray(sample.points[rows], jnp.float32)), float) / model.kT
    return float(np.average(logs, weights=drawn.weights[rows]))
