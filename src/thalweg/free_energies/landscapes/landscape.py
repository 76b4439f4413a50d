r"""A free energy as a smooth function of many variables, told by several networks of the same data.

.. math::  F(s) = -kT \ln \frac1M \sum_m e^{-F_m(s)/kT}

Each member :math:`F_m` was fitted to blocks of frames drawn with replacement [efron1979] and stopped by the blocks
not drawn; the spread of the members is the error. Where a surface on a grid ends at two variables, this one goes on
to the number that data can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.blocks import block_labels, statistical_inefficiency
from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.learning.models import Model
from thalweg.machine.surviving import surviving
from thalweg.shapes import Shaped

Periods = tuple[float | None, ...]

AT_ONCE = 20000
"""Points evaluated at a time."""

JUDGED = 32768
"""Frames by which a member is judged, about."""

CORRELATION_TIMES = 5
"""Statistical inefficiencies that a block of frames is long, where no length is given."""

FEWEST_EFFECTIVE = 100
"""Effective frames from which on a surface is fitted."""


@runtime_checkable
class Landscape(Protocol):
    """An energy of points in few variables, differentiable.

    Attributes
    ----------
    periods : period of each variable, None for those without
    """

    @property
    def periods(self) -> Periods: ...

    def energy(self, points: Any) -> Any:
        """``(points,)`` [kJ/mol] of points ``(points, variables)``, JAX arrays with gradients."""
        ...


@dataclass(frozen=True, eq=False)
class NetworkLandscape(Model):
    """A free energy learned by networks.

    Attributes
    ----------
    members : one free energy each, ``(points, variables)`` to ``(points,)`` [kJ/mol]; of densities,
        ``-kT ln p`` with p normalized
    kT : [kJ/mol]
    periods : of the variables
    lower, upper : (variables,), range of the frames; whole periods of periodic variables
    zero : energy [kJ/mol] of the lowest frame, subtracted
    log_likelihoods : (members,), mean logarithm of the density at frames a member was not fitted to; NaN where mean
        forces were fitted
    force_errors : (members,), root mean square error [kJ/mol per unit] of mean forces left out; NaN for densities
    notes : what one should know
    """

    members: tuple[Callable, ...]
    kT: float
    periods: Periods
    lower: Shaped[np.ndarray, " variables"]
    upper: Shaped[np.ndarray, " variables"]
    zero: float
    log_likelihoods: Shaped[np.ndarray, " members"]
    force_errors: Shaped[np.ndarray, " members"]
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, object]:
        """Variables, members, and how well frames left out are told."""
        judged = (
            {"held-out log-likelihood": float(self.log_likelihoods.mean())}
            if np.isfinite(self.log_likelihoods).all()
            else {"held-out force error [kJ/mol per unit]": float(self.force_errors.mean())}
        )
        return {"variables": len(self.periods), "members": len(self.members)} | judged

    def energy(self, points: Any) -> jax.Array:
        """``(points,)`` [kJ/mol], zero at the lowest frame, of points in NumPy or JAX, traced ones too."""
        points = jnp.asarray(points)
        reduced = jnp.stack([-member(points) / self.kT for member in self.members])
        return -self.kT * (jax.nn.logsumexp(reduced, axis=0) - np.log(len(self.members))) - self.zero

    def error(self, points: Shaped[np.ndarray, "points variables"]) -> np.ndarray:
        """Spread of the members ``(points,)`` [kJ/mol]; where there are no frames, they need not disagree enough."""
        return np.std([_in_parts(member, points) for member in self.members], axis=0, ddof=1)

    def log_density(self, points: Shaped[np.ndarray, "points variables"]) -> np.ndarray:
        """``ln p`` at points ``(points,)``.

        Raises
        ------
        ValueError
            If mean forces were fitted, which leave the norm open.
        """
        if not np.isfinite(self.log_likelihoods).all():
            raise ValueError(
                "mean forces leave the norm of the density open; fit a density to frames instead"
            )
        return -(_in_parts(self.energy, points) + self.zero) / self.kT

    def projected(self, columns: tuple[int, ...], bins: int = 36, others: int = 24) -> FreeEnergySurfaceModel:
        """The free energy along one or two of the variables, the others integrated out on a grid.

        Parameters
        ----------
        columns : of the variables kept
        bins : along each of them
        others : grid points along each of the others

        Raises
        ------
        ValueError
            If more than two variables are kept, or the grid of the others is too large.
        """
        if not 1 <= len(columns) <= 2:
            raise ValueError(f"columns={columns}; a surface is drawn along one or two variables")
        rest = [k for k in range(len(self.periods)) if k not in columns]
        size = bins ** len(columns) * others ** len(rest)
        if size > 5e7:
            raise ValueError(
                f"{size:.2g} grid points for {len(self.periods)} variables; lower bins={bins} or others={others}"
            )
        axes = {
            k: _ticks(self.lower[k], self.upper[k], bins if k in columns else others)
            for k in (*columns, *rest)
        }
        grid = np.stack(np.meshgrid(*axes.values(), indexing="ij"), axis=-1).reshape(-1, len(axes))
        points = grid[:, np.argsort(list(axes))]
        shape = (*(bins for _ in columns), -1)
        # p(s) = sum over the others of exp(-F / kT), for each member
        logs = np.stack([-_in_parts(member, points).reshape(shape) / self.kT for member in self.members])
        marginals = -self.kT * np.logaddexp.reduce(logs, axis=-1)
        free = -self.kT * (np.logaddexp.reduce(-marginals / self.kT, axis=0))
        # members agree up to a constant each
        aligned = marginals - marginals.mean(axis=tuple(range(1, marginals.ndim)), keepdims=True)
        return FreeEnergySurfaceModel(
            tuple(axes[k] for k in columns), free - free.min(), np.std(aligned, axis=0, ddof=1)
        )


@dataclass(frozen=True)
class DrawnBlocks:
    """Frames of one member: those fitted, with the number of times their block was drawn, and those left out.

    Attributes
    ----------
    fitted, left_out : rows of the frames
    weights : (frames,) weight of every frame, times how often its block was drawn for those fitted; mean one each
    """

    fitted: np.ndarray
    left_out: np.ndarray
    weights: np.ndarray

    def of(self, sample: WeightedSample, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Some frames ``(rows, variables)`` and their weights ``(rows,)``, in single precision."""
        return sample.points[rows].astype(np.float32), self.weights[rows].astype(np.float32)


@dataclass(frozen=True)
class WeightedSample:
    """Weighted frames, and the blocks of correlated ones.

    Attributes
    ----------
    points : (frames, variables)
    weights : (frames,), of mean one
    blocks : (frames,) number of the block of each frame
    periods : of the variables
    """

    points: np.ndarray
    weights: np.ndarray
    blocks: np.ndarray
    periods: Periods
    lower: np.ndarray = field(init=False)
    upper: np.ndarray = field(init=False)

    def __post_init__(self):
        length = np.array([period or 0.0 for period in self.periods])
        lowest, highest = self.points.min(axis=0), self.points.max(axis=0)
        # a period that begins at zero, or in the middle where frames are negative
        periodic, start = length > 0, np.where(lowest < 0, -length / 2, 0.0)
        object.__setattr__(self, "lower", np.where(periodic, start, lowest))
        object.__setattr__(self, "upper", np.where(periodic, start + length, highest))

    @staticmethod
    def of(
        values: Sequence[np.ndarray],
        log_weights: Sequence[np.ndarray] | None,
        periods: Periods,
        block: int | None,
    ) -> WeightedSample:
        """Frames of trajectories, with blocks of ``block`` frames or of several correlation times.

        Raises
        ------
        ValueError
            If shapes do not fit, frames are not finite, a variable does not vary, or weights leave too few frames.
        """
        points = np.concatenate([np.asarray(each, float) for each in values])
        _check(points, periods)
        lengths = [len(each) for each in values]
        logs = np.zeros(len(points)) if log_weights is None else np.concatenate(log_weights).astype(float)
        if len(logs) != len(points):
            raise ValueError(f"{len(logs)} log weights for {len(points)} frames; give one each")
        weights = np.exp(logs - logs.max())
        effective = weights.sum() ** 2 / (weights**2).sum()
        if effective < FEWEST_EFFECTIVE:
            raise ValueError(
                f"weights leave {effective:.3g} effective of {len(points)} frames; a surface of {len(periods)} "
                f"variables needs {FEWEST_EFFECTIVE} at least: sample longer, or with a bias nearer to the surface"
            )
        if block is None:
            block = max(1, round(CORRELATION_TIMES * _correlation(values, periods)))
        labels = np.concatenate(block_labels(lengths, block))
        return WeightedSample(points, weights / weights.mean(), labels, periods)

    def some(self, count: int) -> np.ndarray:
        """About ``count`` of the points, evenly spread, at most twice as many."""
        return self.points[:: max(1, len(self.points) // count)]

    def draws(self, count: int, seed: int) -> list[DrawnBlocks]:
        """Blocks with replacement for each member, those not drawn left out.

        Raises
        ------
        ValueError
            If there are fewer than four blocks.
        """
        blocks = int(self.blocks.max()) + 1
        if blocks < 4:
            raise ValueError(
                f"{len(self.points)} frames are {blocks} independent blocks; give longer or more trajectories, or "
                "block=... where frames are known to be less correlated"
            )
        generator, draws = np.random.default_rng(seed), []
        while len(draws) < count:
            times = np.bincount(generator.integers(blocks, size=blocks), minlength=blocks)[self.blocks]
            fitted, left_out = np.flatnonzero(times), np.flatnonzero(times == 0)
            if not len(left_out) or not self.weights[left_out].sum() > 0:
                continue
            weights = self.weights * np.maximum(times, 1)
            for rows in (fitted, left_out):
                weights[rows] /= weights[rows].mean()
            draws.append(DrawnBlocks(fitted, left_out, weights))
        return draws


class FittedMember(NamedTuple):
    """One member, how it does at what it was not fitted to, and what one should know."""

    member: Callable[[Any], Any]
    judgment: float
    notes: tuple[str, ...]


def fitted_landscape(
    sample: WeightedSample,
    kT: float,
    count: int,
    seed: int,
    fit: Callable[[DrawnBlocks, int], FittedMember],
    of_forces: bool,
) -> NetworkLandscape:
    """A surface of members each fitted to other blocks; one that fails is told.

    Parameters
    ----------
    fit : of frames drawn and the number of the member
    of_forces : whether judgments are errors of forces, or else log-likelihoods
    """
    draws = list(enumerate(sample.draws(count, seed)))
    done = surviving(draws, lambda each: fit(each[1], each[0]), "networks", fewest=2, told=False)
    members, judgments, notes = zip(*done.results, strict=True)
    judged, unknown = np.array(judgments, float), np.full(len(members), np.nan)
    reduced = np.stack([-_in_parts(member, sample.some(JUDGED)) / kT for member in members])
    mixed = -kT * (np.logaddexp.reduce(reduced, axis=0) - np.log(len(members)))
    return NetworkLandscape(
        members,
        kT,
        sample.periods,
        sample.lower,
        sample.upper,
        float(mixed.min()),
        unknown if of_forces else judged,
        judged if of_forces else unknown,
        (*((done.told,) if done.failures else ()), *dict.fromkeys(note for each in notes for note in each)),
    )


def _in_parts(function: Callable, points: np.ndarray) -> np.ndarray:
    """Values of a function at many points, some at a time and padded to one shape."""
    parts = []
    for start in range(0, len(points), AT_ONCE):
        some = np.asarray(points[start : start + AT_ONCE])
        size = len(some)
        if size < AT_ONCE and len(points) > AT_ONCE:
            some = np.concatenate([some, np.repeat(some[-1:], AT_ONCE - size, axis=0)])
        parts.append(np.asarray(function(jnp.asarray(some, jnp.float32)), float)[:size])
    return np.concatenate(parts)


def _ticks(low: float, high: float, count: int) -> np.ndarray:
    """Centers of equal bins."""
    return low + (high - low) * (np.arange(count) + 0.5) / count


def _correlation(values: Sequence[np.ndarray], periods: Periods) -> float:
    """The largest statistical inefficiency of a variable, of its cosine and sine where it is periodic."""
    seen = []
    for k, period in enumerate(periods):
        column = [np.asarray(each, float)[:, k] for each in values]
        if period is None:
            seen.append(column)
        else:
            seen += [[wave(2 * np.pi * each / period) for each in column] for wave in (np.cos, np.sin)]
    return max(statistical_inefficiency(each) for each in seen)


def _check(points: np.ndarray, periods: Periods) -> None:
    """Refuse points that no surface can be made of."""
    if points.ndim != 2 or points.shape[1] != len(periods):
        raise ValueError(
            f"frames of shape {points.shape} for {len(periods)} periods; give (frames, variables), and one period "
            "or None for each variable"
        )
    if not np.isfinite(points).all():
        raise ValueError(f"frame {int(np.argwhere(~np.isfinite(points))[0, 0])} is not finite")
    for k, (spread, period) in enumerate(zip(np.ptp(points, axis=0), periods, strict=True)):
        if spread == 0:
            raise ValueError(f"variable {k} is {points[0, k] + 0.0:g} in all frames; leave it out")
        if period is not None and spread > 1.001 * period:
            raise ValueError(
                f"variable {k} spans {spread:.4g}, more than its period {period:g}; are units those of the period?"
            )
