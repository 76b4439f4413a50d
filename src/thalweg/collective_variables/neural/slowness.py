r"""Objectives of networks that look for slow functions: differentiable scores of a batch.

With covariances of the network's outputs at both ends of pairs, about their means,

.. math::  R_r = \big\| C_{00}^{-1/2}\, C_{0t}\, C_{tt}^{-1/2} \big\|_r^r

is the VAMP-r score [wu2020] that VAMPnets maximize [mardt2018]; its square root of a matrix is a Cholesky factor,
which has the same singular values. State-free reversible VAMPnets [chen2019] average both directions of time and take
:math:`\sum_i \lambda_i^2`. Deep canonical correlation analysis [andrew2013] has a network for each end and
:math:`r = 1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.collective_variables.bases.basis import Joined
from thalweg.collective_variables.neural.encoder import Encoder, Output, Scale
from thalweg.time_series.windows import Batch

RIDGE = 1e-5
"""Added to covariances, relative to their mean diagonal, so that functions may coincide on the way."""


@dataclass(frozen=True)
class VAMPScore:
    """Minus the VAMP-r score of one network at both ends.

    Parameters
    ----------
    dim : number of functions
    r : 1 or 2
    output : "values", or "memberships" of states
    """

    dim: int
    r: int = 2
    output: Output = "values"

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> Encoder:
        """Networks with random weights."""
        return Encoder.init(scaling, hidden, self.dim, key, self.output)

    def __call__(self, module: Encoder, batch: Batch) -> jax.Array:
        return -_score(*_covariances(*batch.ends(module(batch.frames))), self.r)

    def functions(self, module: Encoder) -> Encoder:
        """What has been learned, as functions of frames."""
        return module


@dataclass(frozen=True)
class ReversibleScore:
    """Minus the sum of squared eigenvalues of data averaged with their time reverse.

    Parameters
    ----------
    dim : number of functions
    """

    dim: int

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> Encoder:
        """Networks with random weights."""
        return Encoder.init(scaling, hidden, self.dim, key)

    def __call__(self, module: Encoder, batch: Batch) -> jax.Array:
        first, last, weights = batch.ends(module(batch.frames))
        both, reverse = jnp.concatenate([first, last]), jnp.concatenate([last, first])
        return -_score(*_covariances(both, reverse, jnp.concatenate([weights, weights])), 2)

    def functions(self, module: Encoder) -> Encoder:
        """What has been learned, as functions of frames."""
        return module


class TwoEncoders(eqx.Module):
    """A network for each end of pairs.

    Attributes
    ----------
    first, last : networks of first and of last frames
    """

    first: Encoder
    last: Encoder


@dataclass(frozen=True)
class CanonicalCorrelation:
    """Minus the sum of canonical correlations between two networks, one for each end.

    Parameters
    ----------
    dim : number of functions of each
    """

    dim: int

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> TwoEncoders:
        """Networks with random weights."""
        return TwoEncoders(*(Encoder.init(scaling, hidden, self.dim, each) for each in jax.random.split(key)))

    def __call__(self, module: TwoEncoders, batch: Batch) -> jax.Array:
        first, _, weights = batch.ends(module.first(batch.frames))
        _, last, _ = batch.ends(module.last(batch.frames))
        return -_score(*_covariances(first, last, weights), 1)

    def functions(self, module: TwoEncoders) -> Joined:
        """What has been learned, as functions of frames."""
        return Joined((module.first, module.last))


def _covariances(
    first: jax.Array, last: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Covariances of both ends and between them."""
    share = weights[:, None] / weights.sum()
    x, y = first - (share * first).sum(axis=0), last - (share * last).sum(axis=0)
    return (share * x).T @ x, (share * x).T @ y, (share * y).T @ y


def _score(c00: jax.Array, c0t: jax.Array, ctt: jax.Array, r: int) -> jax.Array:
    """Sum of the ``r``-th powers of singular values of the whitened cross covariance."""
    left, right = _factor(c00), _factor(ctt)
    # L0^-1 C0t Lt^-T (transposed), with C = L L^T in place of the root: singular values are the same
    half = jax.scipy.linalg.solve_triangular(left, c0t, lower=True)
    matrix = jax.scipy.linalg.solve_triangular(right, half.T, lower=True)
    return (matrix**2).sum() if r == 2 else jnp.linalg.svd(matrix, compute_uv=False).sum()


def _factor(covariance: Any) -> jax.Array:
    size = len(covariance)
    return jnp.linalg.cholesky(covariance + RIDGE * jnp.trace(covariance) / size * jnp.eye(size))
