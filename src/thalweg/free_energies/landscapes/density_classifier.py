r"""A density learned by telling frames from drawn points [gutmann2012].

A classifier that sees :math:`\nu` points of a known density :math:`p_0` for every frame is best if its odds are those
of the densities,

.. math::  \ln p(s) = \ln p_0(s) + h(s), \qquad
           \max_h\ \langle\ln\sigma(h - \ln\nu)\rangle_{p} + \nu\,\langle\ln\sigma(\ln\nu - h)\rangle_{p_0}

so that nothing is binned and the norm comes by itself [lemke2017]. :math:`p_0` is the product of the densities of the
single variables: what the network has to learn is how they depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.density_method import DensityMethod
from thalweg.free_energies.landscapes.encoding import HARMONICS, Encoding, Marginals
from thalweg.free_energies.landscapes.landscape import JUDGED, DrawnBlocks, WeightedSample
from thalweg.learning.perceptron import Perceptron


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
class DensityClassifier(DensityMethod):
    """The free energy of many variables by a network that tells frames from drawn points.

    Parameters
    ----------
    kT : [kJ/mol]
    periods : period of each variable, None for those without
    hidden : widths of the hidden layers
    drawn : points of the known density for each frame
    epochs : of fifty batches, at most
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

    learning_rate: ClassVar[float] = 3e-3

    hidden: tuple[int, ...] = (128, 128)
    drawn: int = 4

    def problem(self, sample: WeightedSample) -> _Classification:
        """Frames against points of the product of the densities of single variables."""
        return _Classification(self, sample, Marginals.of(sample), Encoding.of(sample, HARMONICS))


@dataclass(frozen=True)
class _Classification:
    """Frames, and the known density that points are drawn from."""

    method: DensityClassifier
    sample: WeightedSample
    base: Marginals
    encoding: Encoding

    @property
    def loss(self) -> Callable:
        return _classification_loss

    def start(self, key: jax.Array) -> ClassifiedEnergy:
        network = Perceptron.init((self.encoding.size, *self.method.hidden, 1), key, last=0.1)
        return ClassifiedEnergy(self.base, self.encoding, network, self.method.kT)

    def batch(self, drawn: DrawnBlocks, rows: np.ndarray, generator: np.random.Generator) -> tuple:
        """Frames, their weights, points of the known density, and how many of these there are for each frame."""
        points = self.base.sample(self.method.drawn * len(rows), generator)
        frames, weights = drawn.of(self.sample, rows)
        return frames, weights, points, np.float32(self.method.drawn)

    def judges(self, drawn: DrawnBlocks, generator: np.random.Generator) -> tuple:
        rows = drawn.left_out[generator.integers(len(drawn.left_out), size=JUDGED)]
        return self.batch(drawn, rows, generator)


def _classification_loss(model: Any, batch: tuple) -> jax.Array:
    """Mean negative logarithm of the probability given to what is true, by any ``model`` with ``odds`` of points."""
    frames, weights, points, ratio = batch
    of_frames = jax.nn.log_sigmoid(model.odds(frames) - jnp.log(ratio))
    of_points = jax.nn.log_sigmoid(jnp.log(ratio) - model.odds(points))
    return -(weights * of_frames).mean() - ratio * of_points.mean()
