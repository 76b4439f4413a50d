r"""A density as an invertible map of a cube: rational-quadratic splines that couple variables [durkan2019].

.. math::  \ln p(s) = \sum_i \ln p_i(s_i) + \ln\left|\det\frac{\partial z}{\partial u}\right|,
           \qquad u_i = \int_{-\infty}^{s_i} p_i

Each variable is first turned into its rank :math:`u_i` between zero and one by the density of it alone, or, if it is
periodic, into a fraction of its period. Layers then move some of the coordinates by monotone splines whose knots a
network chooses from the others; splines of periodic ones close on the circle after a rotation [rezende2020]. The norm
is exact and points are drawn at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.density_method import DensityMethod
from thalweg.free_energies.landscapes.encoding import HARMONICS, Marginals, waves_and_deviations
from thalweg.free_energies.landscapes.landscape import JUDGED, DrawnBlocks, WeightedSample
from thalweg.learning.perceptron import Perceptron

KNOTS = 12
"""Pieces of a spline."""

LEAST_WIDTH, LEAST_SLOPE = 1e-3, 1e-3
"""Of a piece of a spline."""


class _Knots(NamedTuple):
    """Monotone splines from the unit interval to itself, ``(points, coordinates, knots)``.

    Attributes
    ----------
    x, y : places of the knots, one more than pieces
    slopes : there
    """

    x: jax.Array
    y: jax.Array
    slopes: jax.Array


def _knots(raw: jax.Array, periodic: np.ndarray) -> _Knots:
    """Splines of free numbers ``(points, coordinates, 3 KNOTS)``: softmax of widths and heights, softplus of slopes.

    The slope at both ends is one, or, on a circle, the same free number.
    """
    widths, heights, slopes = jnp.split(raw, 3, axis=-1)
    x, y = (
        jnp.concatenate([jnp.zeros_like(each[..., :1]), jnp.cumsum(each, axis=-1)], axis=-1)
        for each in (
            LEAST_WIDTH + (1 - LEAST_WIDTH * KNOTS) * jax.nn.softmax(free, axis=-1)
            for free in (widths, heights)
        )
    )
    # softplus(ln(e - 1)) = 1: a network that says zero maps every point to itself
    free = LEAST_SLOPE + jax.nn.softplus(slopes + np.log(np.expm1(1 - LEAST_SLOPE)))
    ends = jnp.where(periodic[:, None], free[..., :1], 1.0)
    return _Knots(x, y, jnp.concatenate([ends, free[..., 1:], ends], axis=-1))


class _Piece(NamedTuple):
    x: jax.Array
    width: jax.Array
    y: jax.Array
    height: jax.Array
    left: jax.Array
    right: jax.Array


def _piece(at: jax.Array, ends: jax.Array, spline: _Knots) -> _Piece:
    """The piece of each spline whose ``ends`` lie about the value ``at`` ``(points, coordinates)``."""
    inside = (at[..., None] >= ends[..., :-1]) & (at[..., None] < ends[..., 1:])
    # values at the very end belong to the last piece
    inside = inside.at[..., -1].set(at >= ends[..., -2])
    inside = inside.at[..., 0].set(at < ends[..., 1])

    def chosen(values: jax.Array) -> jax.Array:
        return jnp.where(inside, values, 0.0).sum(axis=-1)

    x, y, slopes = spline
    return _Piece(
        chosen(x[..., :-1]),
        chosen(jnp.diff(x, axis=-1)),
        chosen(y[..., :-1]),
        chosen(jnp.diff(y, axis=-1)),
        chosen(slopes[..., :-1]),
        chosen(slopes[..., 1:]),
    )


def _splined(at: jax.Array, spline: _Knots) -> tuple[jax.Array, jax.Array]:
    """Values of splines and logarithms of their slopes [durkan2019, Eq. 4, 5]."""
    piece = _piece(at, spline.x, spline)
    steep, t = piece.height / piece.width, (at - piece.x) / piece.width
    bow = t * (1 - t)
    below = steep + (piece.left + piece.right - 2 * steep) * bow
    value = piece.y + piece.height * (steep * t**2 + piece.left * bow) / below
    slope = steep**2 * (piece.right * t**2 + 2 * steep * bow + piece.left * (1 - t) ** 2) / below**2
    return value, jnp.log(slope)


def _unsplined(value: jax.Array, spline: _Knots) -> jax.Array:
    """Where splines have given values [durkan2019, Eq. 6 to 8]."""
    piece = _piece(value, spline.y, spline)
    steep, rise = piece.height / piece.width, value - piece.y
    bend = piece.left + piece.right - 2 * steep
    a = piece.height * (steep - piece.left) + rise * bend
    b = piece.height * piece.left - rise * bend
    c = -steep * rise
    t = 2 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0.0)))
    return piece.x + piece.width * t


class Coupling(eqx.Module):
    """Moves some coordinates of the cube by splines that the others decide.

    Attributes
    ----------
    moved, kept : columns
    periodic : (variables,) which coordinates are circles
    network : from the kept ones to the knots and rotations of the moved ones
    """

    moved: tuple[int, ...] = eqx.field(static=True)
    kept: tuple[int, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)
    network: Perceptron

    @staticmethod
    def init(moved: np.ndarray, periodic: np.ndarray, hidden: Sequence[int], key: jax.Array) -> Coupling:
        """Random weights; the map is nearly the identity."""
        kept = np.setdiff1d(np.arange(len(periodic)), moved)
        waves = 2 * HARMONICS * int(periodic[kept].sum()) + int((~periodic[kept]).sum())
        sizes = (waves + 1, *hidden, len(moved) * (3 * KNOTS + 1))
        network = Perceptron.init(sizes, key, last=0.01)
        return Coupling(tuple(moved.tolist()), tuple(kept.tolist()), tuple(periodic.tolist()), network)

    @property
    def circles(self) -> np.ndarray:
        """Which of the moved coordinates are circles."""
        return np.array(self.periodic)[list(self.moved)]

    def knots(self, u: jax.Array) -> tuple[_Knots, jax.Array]:
        """Splines of the moved coordinates and their rotations, from the kept ones."""
        kept, circles = u[:, list(self.kept)], np.array(self.periodic, bool)[list(self.kept)]
        seen = waves_and_deviations(2 * np.pi * kept[:, circles], 4 * kept[:, ~circles] - 2, HARMONICS)
        raw = self.network(jnp.concatenate([seen, jnp.ones_like(u[:, :1])], axis=1))
        raw = raw.reshape(len(u), len(self.moved), -1)
        rotation = jnp.where(self.circles, raw[..., -1], 0.0)
        return _knots(raw[..., :-1], self.circles), rotation

    def __call__(self, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The cube moved, and the logarithm of the determinant ``(points,)``."""
        spline, rotation = self.knots(u)
        moved = np.array(self.moved)
        value, slope = _splined(_around(u[:, moved] + rotation, self.circles), spline)
        return u.at[:, moved].set(value), slope.sum(axis=1)

    def back(self, z: jax.Array) -> jax.Array:
        """The cube before it was moved."""
        spline, rotation = self.knots(z)
        moved = np.array(self.moved)
        at = _around(_unsplined(z[:, moved], spline) - rotation, self.circles)
        return z.at[:, moved].set(at)


def _around(u: jax.Array, periodic: np.ndarray) -> jax.Array:
    """Coordinates of circles between zero and one."""
    return jnp.where(periodic, u - jnp.floor(u), u)


class FlowEnergy(eqx.Module):
    """``-kT ln p`` [kJ/mol] of a flow.

    Attributes
    ----------
    base : densities of the single variables
    start : (variables,), where the period of a periodic one begins
    layers : of the flow
    kT : [kJ/mol]
    """

    base: Marginals
    start: np.ndarray
    layers: tuple[Coupling, ...]
    kT: float = eqx.field(static=True)

    def __call__(self, points: Any) -> jax.Array:
        u, logs = self.ranks(points)
        for layer in self.layers:
            u, slope = layer(u)
            logs = logs + slope
        return -self.kT * logs

    def ranks(self, points: Any) -> tuple[jax.Array, jax.Array]:
        """The point of the cube of each point, and the logarithm of the determinant."""
        periodic = self.base.lengths > 0
        length = np.where(periodic, self.base.lengths, 1.0)
        fraction = (points - self.start) / length
        z = (points[:, None, :] - self.base.centers) / self.base.widths
        shares = self.base.shares / self.base.shares.sum(axis=0)
        rank = (shares * jax.scipy.stats.norm.cdf(z)).sum(axis=1)
        exponent = -0.5 * z**2 - jnp.log(self.base.widths * np.sqrt(2 * np.pi)) + jnp.log(shares)
        slope = jnp.where(periodic, -np.log(length), jax.nn.logsumexp(exponent, axis=1))
        return jnp.where(periodic, fraction - jnp.floor(fraction), jnp.clip(rank, 0.0, 1.0)), slope.sum(
            axis=1
        )


@dataclass(frozen=True, kw_only=True)
class SplineFlow(DensityMethod):
    """The free energy of many variables by a normalizing flow.

    Parameters
    ----------
    kT, periods, epochs, patience, members, block, seed, progress : as for `DensityClassifier`
    hidden : widths of the hidden layers of each coupling
    layers : couplings; two for each variable, at least six, if None

    Examples
    --------
    >>> x = np.random.default_rng(0).vonmises(0.0, 2.0, size=(4000, 1))
    >>> method = SplineFlow(kT=1.0, periods=(2 * np.pi,), hidden=(8,), layers=1, epochs=5, members=2, block=1)
    >>> surface = method.fit([x])
    >>> rise = surface.energy(jnp.array([[np.pi / 2]])) - surface.energy(jnp.array([[0.0]]))
    >>> bool(abs(rise[0] - 2.0) < 0.5)                   # F = -2 cos(s)
    True
    """

    learning_rate: ClassVar[float] = 2e-3

    hidden: tuple[int, ...] = (64, 64)
    layers: int | None = None

    def problem(self, sample: WeightedSample) -> _Likelihood:
        """The likelihood of the frames."""
        return _Likelihood(self, sample, Marginals.of(sample))

    def initial(self, base: Marginals, sample: WeightedSample, key: jax.Array) -> FlowEnergy:
        """A flow near the identity, whose layers move each half of the variables in turn."""
        variables, periodic = len(self.periods), base.lengths > 0
        count = max(6, 2 * variables) if self.layers is None else self.layers
        generator, layers = np.random.default_rng(self.seed), []
        for k, each in enumerate(jax.random.split(key, count)):
            if k % 2 == 0:
                order = generator.permutation(variables)
            half = order[: (variables + 1) // 2] if k % 2 == 0 else order[(variables + 1) // 2 :]
            moved = np.sort(half if len(half) else order)
            layers.append(Coupling.init(moved, periodic, self.hidden, each))
        return FlowEnergy(base, sample.lower.astype(np.float32), tuple(layers), self.kT)


@dataclass(frozen=True)
class _Likelihood:
    """Frames, and the densities of the single variables."""

    method: SplineFlow
    sample: WeightedSample
    base: Marginals

    @property
    def loss(self) -> Callable:
        return _negative_log_likelihood

    def start(self, key: jax.Array) -> FlowEnergy:
        return self.method.initial(self.base, self.sample, key)

    def batch(self, drawn: DrawnBlocks, rows: np.ndarray, generator: np.random.Generator) -> tuple:
        return drawn.of(self.sample, rows)

    def judges(self, drawn: DrawnBlocks, generator: np.random.Generator) -> tuple:
        return drawn.of(self.sample, drawn.left_out[:: max(1, len(drawn.left_out) // JUDGED)])


def drawn_points(flow: FlowEnergy, count: int, seed: int) -> np.ndarray:
    """Points ``(count, variables)`` drawn from the density of a flow.

    Parameters
    ----------
    flow : one member of a surface that `SplineFlow` has fitted
    count : of points
    seed : of the points
    """
    z = jax.random.uniform(jax.random.key(seed), (count, len(flow.start)))
    for layer in reversed(flow.layers):
        z = layer.back(z)
    periodic = flow.base.lengths > 0
    ranks, points = np.asarray(z, float), np.empty((count, len(flow.start)))
    for k, rank in enumerate(ranks.T):
        if periodic[k]:
            points[:, k] = flow.start[k] + flow.base.lengths[k] * rank
        else:
            points[:, k] = _quantiles(
                rank, flow.base.centers[:, k], flow.base.widths[:, k], flow.base.shares[:, k]
            )
    return points


def _quantiles(ranks: np.ndarray, centers: np.ndarray, widths: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Where a sum of Gaussians has given ranks, off a fine table."""
    from scipy.stats import norm

    reach = 8 * widths[-1]
    ticks = np.sort(np.concatenate([centers, np.linspace(centers[-1] - reach, centers[-1] + reach, 4000)]))
    table = (shares / shares.sum() * norm.cdf((ticks[:, None] - centers) / widths)).sum(axis=1)
    return np.interp(ranks, table, ticks)


def _negative_log_likelihood(model: FlowEnergy, batch: tuple) -> jax.Array:
    points, weights = batch
    return (weights * model(points)).mean() / model.kT
