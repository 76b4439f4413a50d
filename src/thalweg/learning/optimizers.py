"""Ways downhill: how a gradient becomes a step.

Both kinds give the trainer the same two things: a state to start with, and one compiled step, kept for all runs whose
models, losses and batches have the same structure and shapes.

Gradients are clipped at a multiple of their usual length, not at a fixed one: late in a training they
are a thousand times shorter than at its start, and one frame unlike all others must not throw the weights away then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax


@dataclass(frozen=True)
class Adam:
    """Adam [kingma2015], with decoupled weight decay [loshchilov2019] where ``decay`` is not zero.

    Parameters
    ----------
    learning_rate : length of a step of each parameter
    decay : weights shrink by ``learning_rate * decay`` a step
    memory : of the mean gradient and of its mean square
    monotone : the mean square never falls [reddi2018] (AMSGrad)
    """

    learning_rate: float = 1e-3
    decay: float = 0.0
    memory: tuple[float, float] = (0.9, 0.999)
    monotone: bool = False

    def start(self, weights: Any, clip: float) -> Any:
        """State before the first step."""
        return self._rule(clip).init(weights)

    def step(
        self, loss: Callable, clip: float, rest: Any, weights: Any, state: Any, batch: Any, rate: jax.Array
    ) -> tuple[Any, Any, jax.Array, jax.Array]:
        """Weights and state after a step, the loss before it, and whether its gradient was finite."""
        return _adam_step(self, clip, loss, rest, weights, state, batch, rate)

    def _rule(self, clip):
        moments = optax.scale_by_amsgrad if self.monotone else optax.scale_by_adam
        decay = optax.add_decayed_weights(self.decay)
        return optax.chain(_clipped_to_usual(clip), moments(*self.memory), decay)

    def gathered(self, batches: Iterable) -> Iterable:
        """Batches as they come: a step for each."""
        return batches


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory quasi-Newton steps on all batches at once, with a line search [nocedal1980].

    A second-order method for small networks and smooth losses: no learning rate to choose, tens of gradients instead of
    thousands, but no help from noise against overfitting. All batches must have the same shapes.
    """

    memory: int = 20
    learning_rate: float = 1.0

    def start(self, weights: Any, clip: float) -> Any:
        """State before the first step."""
        return optax.lbfgs(memory_size=self.memory).init(weights)

    def step(
        self, loss: Callable, clip: float, rest: Any, weights: Any, state: Any, batch: Any, rate: jax.Array
    ) -> tuple[Any, Any, jax.Array, jax.Array]:
        """Weights and state after a line search, the loss before it, and whether all was finite."""
        return _lbfgs_step(self, loss, rest, weights, state, batch)

    def gathered(self, batches: Iterable) -> Iterator:
        """All batches stacked on a new first axis, as the one batch of the epoch.

        Raises
        ------
        ValueError
            If their shapes differ.
        """
        arrays, fixed = zip(*(eqx.partition(batch, eqx.is_array_like) for batch in batches))
        shapes = {tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(one)) for one in arrays}
        if len(shapes) > 1:
            raise ValueError(
                f"a full-batch optimizer needs batches of one shape, got {len(shapes)}; pad them alike"
            )
        yield fixed[0], jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays)


def _clipped_to_usual(most: float) -> optax.GradientTransformation:
    """Gradients scaled down to ``most`` times the running mean of their norms, over some 50 steps, where longer.

    Examples
    --------
    >>> rule = _clipped_to_usual(3.0)
    >>> _, state = rule.update(jnp.array([1.0]), rule.init(jnp.zeros(1)))
    >>> round(float(rule.update(jnp.array([100.0]), state)[0][0]), 3)
    3.0
    """

    def init(params):
        return jnp.zeros((), jnp.float32)

    def update(updates, state, params=None):
        norm = optax.tree.norm(updates)
        usual = jnp.where(state > 0, state, norm)
        taken = jnp.minimum(norm, most * usual)
        factor = taken / jnp.maximum(norm, 1e-30)
        updated = (0.98 * usual + 0.02 * taken).astype(jnp.float32)
        return jax.tree.map(lambda g: (factor * g).astype(g.dtype), updates), updated

    return optax.GradientTransformation(init, update)


@eqx.filter_jit
def _adam_step(settings, clip, loss, rest, weights, state, batch, rate):
    value, gradient = jax.value_and_grad(lambda w: loss(eqx.combine(w, rest), batch))(weights)
    change, updated = settings._rule(clip).update(gradient, state, weights)
    new = jax.tree.map(lambda w, d: (w - rate * d).astype(w.dtype), weights, change)
    return _if_finite((gradient, value), (new, updated), (weights, state), value)


@eqx.filter_jit
def _lbfgs_step(settings, loss, rest, weights, state, batches):
    fixed, stacked = batches
    rule = optax.lbfgs(memory_size=settings.memory)

    def mean(w):
        module = eqx.combine(w, rest)
        return jax.lax.map(lambda one: loss(module, eqx.combine(one, fixed)), stacked).mean()

    value, gradient = optax.value_and_grad_from_state(mean)(weights, state=state)
    change, updated = rule.update(gradient, state, weights, value=value, grad=gradient, value_fn=mean)
    new = optax.apply_updates(weights, change)
    return _if_finite((change, value), (new, updated), (weights, state), value)


def _if_finite(checked, new, old, value):
    """``new`` weights and state if no number in ``checked`` is infinite or NaN, else the ``old`` ones."""
    finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(checked)]).all()
    weights, state = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)
    return weights, state, value, finite
