r"""A free energy in many variables from mean forces, by a network whose gradient is fitted to them [schneider2017].

.. math::  \min_F\ \sum_n w_n \sum_i \frac{\left(\partial_i F(s_n) + f_{n,i}\right)^2}{\sigma_i^2}

The forces may be means at restrained points or those of single frames, whose average is the mean force: the least
squares are the same, only noisier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.density_method import BATCH
from thalweg.free_energies.landscapes.encoding import HARMONICS, Encoding
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


class ForceFittedEnergy(eqx.Module):
    """A network of the variables [kJ/mol], zero on average over the frames of the fit.

    Attributes
    ----------
    encoding : of the variables
    network : from the encoding
    unit : [kJ/mol] of the network's values
    zero : [kJ/mol] subtracted
    """

    encoding: Encoding
    network: Perceptron
    unit: float = eqx.field(static=True)
    zero: float = eqx.field(static=True, default=0.0)

    def __call__(self, points: Any) -> jax.Array:
        return self.unit * self.network(self.encoding(points))[:, 0] - self.zero


@dataclass(frozen=True, kw_only=True)
class MeanForceNetwork(Method):
    """The free energy of many variables by a network fitted to mean forces.

    Parameters
    ----------
    kT : [kJ/mol], by which the members are averaged
    periods, hidden, patience, members, block, seed, progress : as for `DensityClassifier`
    epochs : walks over the frames, at most

    Examples
    --------
    >>> s = np.random.default_rng(0).uniform(-np.pi, np.pi, (2000, 1))
    >>> method = MeanForceNetwork(kT=1.0, periods=(2 * np.pi,), hidden=(16,), epochs=40, members=2, block=1)
    >>> surface = method.fit([s], [-2 * np.sin(s)])      # F = -2 cos(s), f = -dF/ds
    >>> rise = surface.energy(jnp.array([[np.pi / 2]])) - surface.energy(jnp.array([[0.0]]))
    >>> bool(abs(rise[0] - 2.0) < 0.2)
    True
    """

    kT: float
    periods: Periods
    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 200
    patience: int = 40
    members: int = 4
    block: int | None = None
    seed: int = 0
    progress: Callable[[str, float], None] | None = field(default=None, compare=False, repr=False)

    def fit(
        self,
        values: Sequence[np.ndarray],
        mean_forces: Sequence[np.ndarray],
        log_weights: Sequence[np.ndarray] | None = None,
    ) -> NetworkLandscape:
        """The surface of mean forces at ``values``, one array ``(points, variables)`` of each for each trajectory.

        Parameters
        ----------
        values : where the forces are
        mean_forces : minus the gradient [kJ/mol per unit of the variable]
        log_weights : of the squared errors, such as the logarithm of the number of frames behind each mean

        Raises
        ------
        ValueError
            If shapes do not fit, forces are not finite, or points are too few.
        """
        sample = WeightedSample.of(values, log_weights, self.periods, self.block)
        forces = np.concatenate([np.asarray(each, float) for each in mean_forces])
        if forces.shape != sample.points.shape or not np.isfinite(forces).all():
            raise ValueError(
                f"mean forces of shape {forces.shape} for points of shape {sample.points.shape}; give one finite "
                "number for each variable of each point"
            )
        deviation = np.sqrt((forces**2).mean(axis=0))
        if not (deviation > 0).any():
            raise ValueError("all mean forces are zero: are they given in kJ/mol per unit of the variable?")
        usual = np.where(deviation > 0, deviation, deviation.max())
        encoding = Encoding.of(sample, HARMONICS)
        unit = float(np.mean(usual * np.array([sample.points[:, k].std() for k in range(len(usual))])))
        fit = _Fit(self, sample, forces, usual, encoding, unit)
        return fitted_landscape(sample, self.kT, self.members, self.seed, fit.member, of_forces=True)


@dataclass(frozen=True)
class _Fit:
    """Forces and what networks are fitted to them with."""

    method: MeanForceNetwork
    sample: WeightedSample
    forces: np.ndarray
    usual: np.ndarray
    encoding: Encoding
    unit: float

    def member(self, drawn: DrawnBlocks, number: int) -> FittedMember:
        """A network, its root mean square error at points left out, and notes."""
        method = self.method
        key = jax.random.key(method.seed * 1000 + number)
        network = Perceptron.init((self.encoding.size, *method.hidden, 1), key)
        judges = self._batch(drawn.left_out[:: max(1, len(drawn.left_out) // JUDGED)], drawn)
        size = min(BATCH // 8, max(32, len(drawn.fitted) // 32), len(drawn.fitted))
        count = max(1, len(drawn.fitted) // size)

        def epoch(generator: np.random.Generator) -> Any:
            order = generator.permutation(drawn.fitted)[: count * size].reshape(count, size)
            return (self._batch(rows, drawn) for rows in order)

        trained = Trainer(method.epochs, Adam(3e-3), patience=method.patience).fit(
            ForceFittedEnergy(self.encoding, network, self.unit),
            _force_error,
            epoch,
            held_out=[judges],
            seed=method.seed + number,
            progress=method.progress,
        )
        fitted = trained.model
        zero = float(fitted(jnp.asarray(self.sample.points[drawn.fitted][:JUDGED], jnp.float32)).mean())
        points, forces, weights, _ = judges
        squares = ((_gradients(fitted, points) + forces) ** 2).mean(axis=1)
        error = float(np.sqrt(np.average(np.asarray(squares, float), weights=weights)))
        member = ForceFittedEnergy(self.encoding, fitted.network, self.unit, zero)
        return FittedMember(member, error, trained.history.notes)

    def _batch(self, rows: np.ndarray, drawn: DrawnBlocks) -> tuple[np.ndarray, ...]:
        arrays = self.sample.points[rows], self.forces[rows], drawn.weights[rows], self.usual
        return tuple(each.astype(np.float32) for each in arrays)


def _gradients(model: Any, points: Any) -> jax.Array:
    """Gradients ``(points, variables)``."""
    return jax.grad(lambda x: model(x).sum())(jnp.asarray(points))


def _force_error(model: ForceFittedEnergy, batch: tuple) -> jax.Array:
    """Mean square of gradient plus force, in units of the usual force of each variable."""
    points, forces, weights, usual = batch
    return (weights * (((_gradients(model, points) + forces) / usual) ** 2).mean(axis=1)).mean()
