r"""How networks see variables: waves of periodic ones, deviations of the others; and densities of single variables.

.. math::  s \mapsto (\cos 2\pi k s/P,\ \sin 2\pi k s/P)_{k \le K} \quad\text{or}\quad (s - \bar s)/\sigma
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.landscape import Periods, WeightedSample

HARMONICS = 3
"""Waves by which a network sees a periodic variable."""

KERNELS = 64
"""Kernels that the density of one variable is a sum of."""

BROAD, BROAD_SHARE = 2.5, 0.02
"""Width, in deviations of the frames, and share of the broad part of the density of one variable."""


class Encoding(eqx.Module):
    """Variables as a network sees them; not trained.

    Attributes
    ----------
    periodic, others : columns of either kind
    frequency : (periodic,), ``2 pi / period``
    center, scale : (others,)
    harmonics : waves of each periodic variable
    """

    periodic: tuple[int, ...] = eqx.field(static=True)
    others: tuple[int, ...] = eqx.field(static=True)
    frequency: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    harmonics: int = eqx.field(static=True)

    @staticmethod
    def of(sample: WeightedSample, harmonics: int) -> Encoding:
        """The encoding of a sample's variables."""
        periodic = np.array([period is not None for period in sample.periods])
        plain = sample.points[:, ~periodic]
        return Encoding(
            tuple(np.flatnonzero(periodic).tolist()),
            tuple(np.flatnonzero(~periodic).tolist()),
            np.array([2 * np.pi / period for period in sample.periods if period is not None], np.float32),
            plain.mean(axis=0).astype(np.float32),
            plain.std(axis=0).astype(np.float32),
            harmonics,
        )

    @property
    def size(self) -> int:
        """Number of values."""
        return 2 * self.harmonics * len(self.periodic) + len(self.others)

    def __call__(self, points: Any) -> jax.Array:
        angles = points[:, np.array(self.periodic, int)] * self.frequency
        deviations = (points[:, np.array(self.others, int)] - self.center) / self.scale
        return waves_and_deviations(angles, deviations, self.harmonics)


def waves_and_deviations(angles: jax.Array, deviations: jax.Array, harmonics: int) -> jax.Array:
    """Cosines and sines of multiples of angles ``(points, periodic)``, and the deviations, side by side."""
    multiples = [k * angles for k in range(1, harmonics + 1)]
    waves = [wave(each) for each in multiples for wave in (jnp.cos, jnp.sin)]
    return jnp.concatenate([*waves, deviations], axis=1)


class Marginals(eqx.Module):
    r"""Variables one by one: :math:`p(s) = \prod_i p_i(s_i)`, each a sum of Gaussians; not trained.

    The broad part of each makes tails that fall as a Gaussian does, so that an energy confines; a periodic variable has
    the flat density of its period there.

    Attributes
    ----------
    centers : (kernels, variables), the last one that of the broad part
    widths, shares : (kernels, variables)
    periods : of the variables
    """

    centers: np.ndarray
    widths: np.ndarray
    shares: np.ndarray
    periods: Periods = eqx.field(static=True)

    @staticmethod
    def of(sample: WeightedSample) -> Marginals:
        """The densities of a sample's variables."""
        columns = [
            _kernels(x, sample.weights, low, high, period)
            for x, low, high, period in zip(
                sample.points.T, sample.lower, sample.upper, sample.periods, strict=True
            )
        ]
        centers, widths, shares = (
            np.stack(each, axis=1).astype(np.float32) for each in zip(*columns, strict=True)
        )
        return Marginals(centers, widths, shares, sample.periods)

    @property
    def lengths(self) -> np.ndarray:
        """Periods ``(variables,)``, zero for variables without."""
        return np.array([period or 0.0 for period in self.periods], np.float32)

    def broad_or_flat(self, exponent: jax.Array) -> jax.Array:
        """Logarithms of kernels ``(points, kernels, variables)``, the broad one flat where the variable is periodic."""
        periodic = self.lengths > 0
        flat = -np.log(np.where(periodic, self.lengths, 1.0))
        return jnp.concatenate([exponent[:, :-1], jnp.where(periodic, flat, exponent[:, -1:])], axis=1)

    def log_density(self, points: Any) -> jax.Array:
        """``ln p`` ``(points,)``."""
        return self.log_densities(points).sum(axis=1)

    def log_densities(self, points: Any) -> jax.Array:
        """``ln p_i`` of each variable ``(points, variables)``."""
        away = points[:, None, :] - self.centers
        around = away - self.lengths * jnp.round(away / np.where(self.lengths > 0, self.lengths, 1.0))
        exponent = -0.5 * (around / self.widths) ** 2 - jnp.log(self.widths * np.sqrt(2 * np.pi))
        return jax.nn.logsumexp(self.broad_or_flat(exponent) + jnp.log(self.shares), axis=1)

    def sample(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Points ``(count, variables)`` drawn from the density; periodic ones are not wrapped."""
        columns = []
        for center, width, share, period in zip(
            self.centers.T, self.widths.T, self.shares.T, self.lengths, strict=True
        ):
            kernel = generator.choice(len(share), size=count, p=share / share.sum(dtype=float))
            drawn = center[kernel] + width[kernel] * generator.standard_normal(count)
            flat = period * generator.random(count)
            columns.append(np.where((period > 0) & (kernel == len(share) - 1), flat, drawn))
        return np.stack(columns, axis=1).astype(np.float32)


def _kernels(
    x: np.ndarray, weights: np.ndarray, low: float, high: float, period: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centers, widths and shares of the kernels of one variable: a histogram, spread by a bin, and the broad part."""
    if period is not None:
        x = low + (x - low) % period
    masses, edges = np.histogram(x, KERNELS, (low, high), weights=weights)
    bin_width = (high - low) / KERNELS
    mean = np.average(x, weights=weights)
    spread = np.sqrt(np.average((x - mean) ** 2, weights=weights))
    shares = (1 - BROAD_SHARE) * masses / masses.sum()
    return (
        np.append(edges[:-1] + bin_width / 2, mean),
        np.append(np.full(KERNELS, bin_width), BROAD * spread),
        np.append(np.maximum(shares, 1e-12), BROAD_SHARE),
    )
