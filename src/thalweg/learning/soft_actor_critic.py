r"""Soft actor-critic [haarnoja2018]: a policy of continuous actions, learned from any steps that were ever made.

.. math::  y = r + \gamma\,(1 - d)\,\bigl(\min_i \bar Q_i(s', a') - \alpha \ln \pi(a' \mid s')\bigr), \qquad
           L_Q = (Q_i(s, a) - y)^2, \qquad L_\pi = \alpha \ln \pi(a \mid s) - \min_i Q_i(s, a)

========================  ==============================================================
symbol                    meaning
========================  ==============================================================
:math:`s, a, r, s', d`    a step: state, action, reward, next state, whether it was last
:math:`\pi`               policy: hyperbolic tangents of normal deviates
:math:`Q_i, \bar Q_i`     two critics, and their moving averages
:math:`\alpha`            temperature, so that the policy keeps minus the entropy ``-k``
========================  ==============================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from thalweg.learning.perceptron import Perceptron
from thalweg.shapes import Array, Float
from thalweg.units import Count

QUIETEST, LOUDEST = -5.0, 1.0
"""Logarithms of standard deviations of the policy before the tangent."""


class Steps(NamedTuple):
    """Steps in an environment.

    Attributes
    ----------
    states : (steps, features)
    actions : (steps, k), between -1 and 1
    rewards : (steps,)
    next_states : (steps, features)
    last : (steps,), one where nothing follows by the rules, zero elsewhere
    """

    states: Array
    actions: Array
    rewards: Array
    next_states: Array
    last: Array


class ActorCritic(eqx.Module):
    """A policy, its critics, and all that learning carries on."""

    actor: Perceptron
    critics: tuple[Perceptron, Perceptron]
    averages: tuple[Perceptron, Perceptron]
    log_alpha: Float[Array, ""]
    moments: tuple

    def actions(
        self, states: Float[Array, "steps features"], key: jax.Array | None
    ) -> Float[Array, "steps k"]:
        """Actions drawn from the policy; the likeliest ones without a key."""
        return _drawn(self.actor, states, key)[0]


@dataclass(frozen=True)
class SoftActorCritic:
    """Settings of the learner.

    Parameters
    ----------
    hidden : widths of the networks
    learning_rate : of all of them
    discount : of later rewards
    averaging : share by which the averages of the critics follow them in each step
    batch : steps of which one gradient is made

    Examples
    --------
    What is rewarded is the action 0.5, whatever the state:

    >>> learner, key = SoftActorCritic(hidden=(16,), learning_rate=0.01, discount=0.0), jax.random.key(0)
    >>> actions = jax.random.uniform(key, (500, 1), minval=-1.0)
    >>> states, ends = jnp.zeros((500, 1)), jnp.ones(500)
    >>> steps = Steps(states, actions, -10.0 * (actions[:, 0] - 0.5) ** 2, states, ends)
    >>> learned = learner.learned(learner.begun(1, 1, key), steps, 500, 800, key)
    >>> abs(float(learned.actions(jnp.zeros((1, 1)), None)[0, 0]) - 0.5) < 0.1
    True
    """

    hidden: tuple[Count, ...] = (64, 64)
    learning_rate: float = 1e-3
    discount: float = 0.99
    averaging: float = 0.005
    batch: Count = 128

    def begun(self, features: int, actions: int, key: jax.Array) -> ActorCritic:
        """Random networks for so many features of the state and so many actions."""
        policy, first, second = jax.random.split(key, 3)
        actor = Perceptron.init((features, *self.hidden, 2 * actions), policy, last=0.1)
        sizes = (features + actions, *self.hidden, 1)
        critics = (Perceptron.init(sizes, first), Perceptron.init(sizes, second))
        log_alpha = jnp.zeros(())
        weights: tuple[Any, ...] = (actor, critics, log_alpha)
        moments = tuple(self._rule().init(part) for part in weights)
        return ActorCritic(actor, critics, critics, log_alpha, moments)

    def learned(
        self, now: ActorCritic, steps: Steps, count: int, updates: int, key: jax.Array
    ) -> ActorCritic:
        """After ``updates`` gradients from the first ``count`` of the ``steps``, whose arrays may be longer."""
        return _learned(self, updates, now, jax.tree.map(jnp.asarray, steps), jnp.asarray(count), key)

    def _rule(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)


def _drawn(actor: Perceptron, states: Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Actions and their log probabilities."""
    mean, log_width = jnp.split(actor(states), 2, axis=-1)
    log_width = QUIETEST + 0.5 * (LOUDEST - QUIETEST) * (1 + jnp.tanh(log_width))
    noise = jnp.zeros_like(mean) if key is None else jax.random.normal(key, mean.shape)
    before = mean + jnp.exp(log_width) * noise
    # ln N(before) - ln |d tanh|, the latter as 2 (ln 2 - x - softplus(-2x))
    logs = -0.5 * noise**2 - log_width - 0.5 * jnp.log(2 * jnp.pi)
    logs = logs - 2 * (jnp.log(2.0) - before - jax.nn.softplus(-2 * before))
    return jnp.tanh(before), logs.sum(-1)


def _worth(critics: tuple[Perceptron, Perceptron], states: Array, actions: Array) -> jax.Array:
    """What each critic expects ``(critics, steps)``."""
    together = jnp.concatenate([states, actions], axis=-1)
    return jnp.stack([critic(together)[..., 0] for critic in critics])


@partial(jax.jit, static_argnums=(0, 1))
def _learned(
    settings: SoftActorCritic, updates: int, now: ActorCritic, steps: Steps, count: Array, key: jax.Array
) -> ActorCritic:
    rule = settings._rule()

    def critic_loss(critics: tuple, model: ActorCritic, batch: Steps, draw: jax.Array) -> jax.Array:
        actions, logs = _drawn(model.actor, batch.next_states, draw)
        ahead = _worth(model.averages, batch.next_states, actions).min(0) - jnp.exp(model.log_alpha) * logs
        target = batch.rewards + settings.discount * (1 - batch.last) * ahead
        return ((_worth(critics, batch.states, batch.actions) - jax.lax.stop_gradient(target)) ** 2).mean()

    def actor_loss(actor: Perceptron, model: ActorCritic, batch: Steps, draw: jax.Array) -> tuple:
        actions, logs = _drawn(actor, batch.states, draw)
        worth = _worth(model.critics, batch.states, actions).min(0)
        return (jnp.exp(model.log_alpha) * logs - worth).mean(), logs.mean()

    def update(model: ActorCritic, draw: jax.Array) -> tuple[ActorCritic, None]:
        which, first, second = jax.random.split(draw, 3)
        chosen = jax.random.randint(which, (settings.batch,), 0, count)
        batch = jax.tree.map(lambda array: array[chosen], steps)
        of_critics = jax.grad(critic_loss)(model.critics, model, batch, first)
        critics, m_critics = _stepped(rule, model.critics, of_critics, model.moments[1])
        model = eqx.tree_at(lambda m: m.critics, model, critics)
        of_actor, logs = jax.grad(actor_loss, has_aux=True)(model.actor, model, batch, second)
        actor, m_actor = _stepped(rule, model.actor, of_actor, model.moments[0])
        # more noise where the policy has less entropy than -k
        of_alpha = -(logs - batch.actions.shape[-1])
        log_alpha, m_alpha = _stepped(rule, model.log_alpha, of_alpha, model.moments[2])
        follow = settings.averaging
        averages = jax.tree.map(lambda old, new: (1 - follow) * old + follow * new, model.averages, critics)
        return ActorCritic(actor, critics, averages, log_alpha, (m_actor, m_critics, m_alpha)), None

    return jax.lax.scan(update, now, jax.random.split(key, updates))[0]


def _stepped(rule: optax.GradientTransformation, weights: Any, gradient: Any, moments: Any) -> tuple:
    change, moments = rule.update(gradient, moments)
    return optax.apply_updates(weights, change), moments
