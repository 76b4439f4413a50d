r"""Restricted Boltzmann machines: contacts that come together, as hidden units [hinton2002].

.. math::  p(v) \propto \sum_h e^{b \cdot v + c \cdot h + v^T W h} = e^{-F(v)}, \qquad
           F(v) = -b \cdot v - \sum_j \ln\big(1 + e^{c_j + (v^T W)_j}\big)

======================  =====================================================================
symbol                  here
======================  =====================================================================
:math:`v`               contacts of a frame, each there (1) or not (0)
:math:`h`               hidden units, each a set of contacts that are there, or not, together
:math:`W`               weights: which contacts a unit is made of
:math:`b, c`            biases
======================  =====================================================================

The gradient of the likelihood is a difference of means over data and over the model. Means over the model are those of
chains of Gibbs sampling: started at the data every time (`ContrastiveDivergence`), which is biased, or going on while
the weights change (`PersistentChains`) [tieleman2008]. With no more than `ENUMERATED` hidden units the partition
function is a sum, so that likelihoods are exact, and held-out ones say how many units are worth having.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from thalweg.collective_variables.bases.linear_map import mapped, names_of_features
from thalweg.learning.models import Model, Transforming
from thalweg.machine.precision import full_precision
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

ENUMERATED = 20
"""Units of the smaller layer up to which the partition function is summed."""

RARE = 1e-3
"""Least chance of a contact to be there, and not to be there, in the biases at the start."""


@dataclass(frozen=True)
class ContrastiveDivergence:
    """Chains started at the data in every step.

    Parameters
    ----------
    sweeps : updates of both layers
    """

    sweeps: int = 1


@dataclass(frozen=True)
class PersistentChains:
    """Chains that go on while the weights change.

    Parameters
    ----------
    sweeps : updates of both layers in every step
    """

    sweeps: int = 1


class _Weights(NamedTuple):
    """Parameters of the machine: ``W`` (visible, hidden), ``b`` and ``c``."""

    coupling: Any
    visible: Any
    hidden: Any


@dataclass(frozen=True, eq=False)
class BoltzmannMachineModel(Model):
    """A restricted Boltzmann machine.

    Attributes
    ----------
    loadings : (features, hidden), the weights ``W``; named by `loading_importance` and `Importance.grouped`
    visible : (features,), biases of the contacts
    hidden : (hidden,), biases of the units
    names : of the contacts; None where they had none
    """

    loadings: Shaped[np.ndarray, "features hidden"]
    visible: Shaped[np.ndarray, " features"]
    hidden: Shaped[np.ndarray, " hidden"]
    names: tuple[str, ...] | None = None

    def headline(self) -> dict[str, object]:
        """Contacts and units."""
        return {"contacts": len(self.visible), "hidden units": len(self.hidden)}

    def transform(self, data: Any) -> Any:
        """Chances ``(frames, hidden)`` that units are on, of an array, a DataFrame or every trajectory."""

        def values(frames: Any) -> Any:
            if isinstance(frames, Trajectories):
                blocks: list[list[np.ndarray]] = [[] for _ in range(len(frames))]
                for k, _, part in frames.chunks():
                    blocks[k].append(values(part))
                return replace(frames, blocks=[np.concatenate(parts) for parts in blocks], names=None)
            logits = frames @ self.loadings.astype(frames.dtype) + self.hidden.astype(frames.dtype)
            return 1 / (1 + frames.__array_namespace__().exp(-logits))

        return mapped(data, self.names, values)

    def free_energy(self, contacts: Shaped[np.ndarray, "frames features"]) -> Shaped[np.ndarray, " frames"]:
        """``F(v)`` of frames, up to a constant."""
        v = np.asarray(contacts, float)
        return -(v @ self.visible) - np.logaddexp(0, v @ self.loadings + self.hidden).sum(axis=1)

    def log_partition(self) -> float:
        """Logarithm of the sum of ``exp(-F)`` over all contacts, exactly.

        Raises
        ------
        ValueError
            If both layers have more than `ENUMERATED` units.
        """
        few = min(len(self.visible), len(self.hidden))
        if few > ENUMERATED:
            raise ValueError(
                f"the sum has 2^{few} terms; exact likelihoods need a layer of at most {ENUMERATED} units"
            )
        if len(self.visible) <= len(self.hidden):
            machine = BoltzmannMachineModel(self.loadings.T, self.hidden, self.visible)
        else:
            machine = self
        total, size = -np.inf, 1 << 12
        for start in range(0, 1 << few, size):
            # ln sum_v exp(...) at given h: c . h + sum_i ln(1 + exp(b_i + W_i . h))
            h = (np.arange(start, min(start + size, 1 << few))[:, None] >> np.arange(few)) & 1
            terms = h @ machine.hidden + np.logaddexp(0, h @ machine.loadings.T + machine.visible).sum(axis=1)
            total = np.logaddexp(total, np.logaddexp.reduce(terms))
        return float(total)

    def log_likelihood(self, data: TrajectoryData) -> float:
        """Mean logarithm of the chance of a frame [nat], by the weights of the frames; exact.

        Raises
        ------
        ValueError
            As `log_partition`, or if what is given are no contacts.
        """
        frames, weights = _contacts_of(as_trajectories(data))
        return float(-self.log_partition() - (weights / weights.sum()) @ self.free_energy(frames))


@dataclass(frozen=True)
class RestrictedBoltzmannMachine(Transforming):
    """Hidden units by which contacts come together.

    Parameters
    ----------
    hidden : units
    chains : how means over the model are taken
    steps, learning_rate : of Adam; the rate falls to nothing, weights are averages over the second half
    batch : frames in a step, and chains
    penalty : on the sum of absolute weights, so that a unit is made of few contacts
    seed : of the weights and the sampling

    Raises
    ------
    ValueError
        If there is no unit, step or frame.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> site = random.random((4000, 1)) < 0.4
    >>> contacts = np.where(random.random((4000, 6)) < 0.1, ~site, site).astype(float)  # all six, or none
    >>> model = RestrictedBoltzmannMachine(hidden=1, steps=500).fit(contacts)
    >>> independent = RestrictedBoltzmannMachine(hidden=1, steps=1, learning_rate=1e-9).fit(contacts)
    >>> model.log_likelihood(contacts) > independent.log_likelihood(contacts) + 1
    True
    """

    hidden: int = 8
    chains: ContrastiveDivergence | PersistentChains = PersistentChains()
    steps: int = 3000
    learning_rate: float = 0.02
    batch: int = 256
    penalty: float = 0.0
    seed: int = 0

    def __post_init__(self):
        if min(self.hidden, self.steps, self.batch, self.chains.sweeps) < 1 or self.penalty < 0:
            raise ValueError(
                f"hidden={self.hidden}, steps={self.steps}, batch={self.batch} and sweeps={self.chains.sweeps} must "
                f"be positive, penalty={self.penalty} not negative"
            )

    @full_precision()
    def fit(self, data: TrajectoryData) -> BoltzmannMachineModel:
        """Train.

        Parameters
        ----------
        data : contacts ``(frames, features)``, 1 where they are there and 0 where not; frames count by their weights

        Raises
        ------
        ValueError
            If values are not between 0 and 1.
        """
        trajectories = as_trajectories(data)
        frames, weights = _contacts_of(trajectories)
        share = weights / weights.sum()
        mean = np.clip(share @ frames, RARE, 1 - RARE)
        key = jax.random.key(self.seed)
        start = _Weights(
            0.01 * jax.random.normal(key, (frames.shape[1], self.hidden)),
            jnp.asarray(np.log(mean / (1 - mean)), jnp.float32),
            jnp.zeros(self.hidden),
        )
        found = _trained(
            self, start, jnp.asarray(frames, jnp.float32), jnp.asarray(np.cumsum(share), jnp.float32), key
        )
        coupling, visible, hidden = (np.asarray(each, float) for each in found)
        return BoltzmannMachineModel(coupling, visible, hidden, names_of_features(trajectories))


def _contacts_of(data: Trajectories) -> tuple[np.ndarray, np.ndarray]:
    frames = np.concatenate([chunk for _, _, chunk in data.chunks()]).astype(float)
    if frames.min() < 0 or frames.max() > 1:
        raise ValueError(
            f"contacts are 0 or 1, got values from {frames.min():.4g} to {frames.max():.4g}; compare distances with a "
            "radius first, such as (distances < 0.45).astype(float)"
        )
    return frames, np.ones(len(frames)) if data.weights is None else np.concatenate(data.weights)


def _free_energies(weights: _Weights, v: jax.Array) -> jax.Array:
    return -v @ weights.visible - jax.nn.softplus(v @ weights.coupling + weights.hidden).sum(axis=1)


def _sweep(weights: _Weights, v: jax.Array, key: jax.Array) -> jax.Array:
    """Hidden units drawn at given contacts, and contacts at given units."""
    keys = jax.random.split(key)
    h = jax.random.bernoulli(keys[0], jax.nn.sigmoid(v @ weights.coupling + weights.hidden))
    return jax.random.bernoulli(keys[1], jax.nn.sigmoid(h @ weights.coupling.T + weights.visible)).astype(
        v.dtype
    )


@jax.jit(static_argnums=0)
def _trained(
    method: RestrictedBoltzmannMachine,
    start: _Weights,
    frames: jax.Array,
    cumulated: jax.Array,
    key: jax.Array,
) -> _Weights:
    """Averages of the weights over the second half of the steps."""
    rule = optax.adam(optax.linear_schedule(method.learning_rate, 0.0, method.steps))
    goes_on = isinstance(method.chains, PersistentChains)

    def loss(weights, shown, dreamed, penalty):
        # its gradient is the difference of means over data and model
        apart = _free_energies(weights, shown).mean() - _free_energies(weights, dreamed).mean()
        return apart + penalty * jnp.abs(weights.coupling).sum()

    def step(state, number):
        weights, memory, chains, total = state
        keys = jax.random.split(jax.random.fold_in(key, number), 2 + method.chains.sweeps)
        drawn = jnp.searchsorted(cumulated, jax.random.uniform(keys[0], (method.batch,)) * cumulated[-1])
        shown = frames[jnp.minimum(drawn, len(frames) - 1)]
        shown = jax.random.bernoulli(keys[1], shown).astype(frames.dtype)
        chains = chains if goes_on else shown
        for each in keys[2:]:
            chains = _sweep(weights, chains, each)
        # the penalty comes in little by little: at once it would hold small weights at zero
        penalty = method.penalty * jnp.minimum(1.0, 2 * number / method.steps)
        change, memory = rule.update(jax.grad(loss)(weights, shown, chains, penalty), memory)
        weights = optax.apply_updates(weights, change)
        late = number >= method.steps // 2
        total = jax.tree.map(lambda a, w: a + late * w, total, weights)
        return (weights, memory, chains, total), None

    chains = frames[
        jax.random.randint(jax.random.fold_in(key, method.steps), (method.batch,), 0, len(frames))
    ]
    state = (start, rule.init(start), chains.round(), jax.tree.map(jnp.zeros_like, start))
    (_, _, _, total), _ = jax.lax.scan(step, state, jnp.arange(method.steps))
    return jax.tree.map(lambda a: a / (method.steps - method.steps // 2), total)
