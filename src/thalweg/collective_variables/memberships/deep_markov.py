r"""Reversible deep Markov models: memberships of states and the kinetics between them, learned together [mardt2020].

A network with softmax outputs :math:`\chi`, weights :math:`u` for stationarity and rates :math:`S` are trained for the
VAMP-E score of the model

.. math::  p(x_{t+\tau} | x_t) = \chi(x_t)^T S\, \chi(x_{t+\tau})\; u \cdot \chi(x_{t+\tau})\; \rho(x_{t+\tau})

with averages over a batch and the density :math:`\rho` of last frames. Constraints hold all along: no entry is
negative, being a softplus; :math:`S` is scaled until no row of :math:`S\bar\chi` exceeds one, and what is missing is
added on its diagonal. The network that does best on held-out data is kept; for its memberships the kinetics is then
solved once more from moments of all data, with the stationary weights proper (see `reversible_memberships`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.collective_variables.memberships.fuzzy_markov_model import (
    FuzzyMarkovModel,
    FuzzyMarkovStateModel,
)
from thalweg.collective_variables.neural.encoder import Encoder, Scale
from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.time_series.trajectories import TrajectoryData
from thalweg.time_series.windows import Batch


class ReversibleStates(eqx.Module):
    """Memberships and, before their softplus, weights ``u (states,)`` and rates ``S (states, states)``.

    Attributes
    ----------
    encoder : from frames to memberships
    weights : (states,), ``u`` before its softplus
    rates : (states, states), ``S`` before its softplus
    """

    encoder: Encoder
    weights: jax.Array
    rates: jax.Array


@dataclass(frozen=True)
class ReversibleTransitions:
    """Minus the VAMP-E score of reversible transitions between fuzzy states.

    Parameters
    ----------
    states : their number
    """

    states: int

    def start(self, scaling: Scale, hidden: Sequence[int], key: jax.Array) -> ReversibleStates:
        """A network with random weights, and rates that keep states apart."""
        encoder = Encoder.init(scaling, hidden, self.states, key, "memberships")
        return ReversibleStates(
            encoder, jnp.zeros(self.states), 3.0 * jnp.eye(self.states) - 2.0 * jnp.ones(2 * (self.states,))
        )

    def __call__(self, module: ReversibleStates, batch: Batch) -> jax.Array:
        first, last, weights = batch.ends(module.encoder(batch.frames))
        share = weights[:, None] / weights.sum()
        # u . chi(x_{t+tau}), one on average, and the last memberships weighted by it
        density = last @ jax.nn.softplus(module.weights)
        density = density / (share[:, 0] @ density)
        reached = last * density[:, None]
        rates = _normalized(jax.nn.softplus(module.rates + module.rates.T), (share * reached).sum(axis=0))
        # -R_E = tr S C_00 S C_gg - 2 tr S C_0g with g = chi' (u . chi')
        c00, c0g, cgg = (share * first).T @ first, (share * first).T @ reached, (share * reached).T @ reached
        return jnp.sum(rates * (c00 @ rates @ cgg)) - 2 * jnp.sum(rates * c0g)

    def functions(self, module: ReversibleStates) -> Encoder:
        """The memberships."""
        return module.encoder


def _normalized(rates: jax.Array, mean: jax.Array) -> jax.Array:
    """Rates whose rows, times the mean memberships, add up to one."""
    scaled = rates / (rates @ mean).max()
    return scaled + jnp.diag((1 - scaled @ mean) / mean)


@dataclass(frozen=True)
class DeepMarkovModel(Training):
    """A reversible deep Markov model; trained as `Training` says, whose parameters it takes by keyword.

    Parameters
    ----------
    lagtime : int
        In frames.
    states : int
        Number of fuzzy states.
    n_blocks : int
        About how many blocks of data to keep apart for errors.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sign(np.sin(np.arange(4000) / 100))[:, None] + 0.1 * np.random.default_rng(0).standard_normal((4000, 2))
    >>> model = DeepMarkovModel(5, states=2, hidden=(8,), steps=20, restarts=1).fit([x])
    >>> model.transition_matrix.sum(axis=1).round(6).tolist()
    [1.0, 1.0]
    """

    lagtime: int
    states: int = 2
    n_blocks: int = 40

    def fit(self, data: TrajectoryData) -> FuzzyMarkovModel:
        """Train, then solve.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, or the data cannot be divided in two.
        """
        basis = self.basis(ReversibleTransitions(self.states), self.lagtime)
        return FuzzyMarkovStateModel(self.lagtime, basis, self.n_blocks).fit(data)
