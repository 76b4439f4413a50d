"""Ways downhill: how a gradient becomes a step.

Both kinds give the trainer the same two things: how to start, and one compiled step.
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

    def process(self, loss: Callable, rest: Any, clip: float) -> tuple[Callable, Callable]:
        """``step(weights, state, batch, rate) -> weights, state, loss, finite`` and ``start(weights) -> state``."""
        moments = optax.scale_by_amsgrad if self.monotone else optax.scale_by_adam
        rule = optax.chain(
            optax.clip_by_global_norm(clip),
            moments(*self.memory),
            optax.add_decayed_weights(self.decay),
        )

        @eqx.filter_jit
        def step(weights, state, batch, rate):
            value, gradient = jax.value_and_grad(lambda w: loss(eqx.combine(w, rest), batch))(weights)
            finite = all_finite((gradient, value))
            change, moved = rule.update(gradient, state, weights)
            new = jax.tree.map(lambda w, d: (w - rate * d).astype(w.dtype), weights, change)
            weights, state = jax.tree.map(
                lambda a, b: jnp.where(finite, a, b), (new, moved), (weights, state)
            )
            return weights, state, value, finite

        return step, rule.init

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

    def process(self, loss: Callable, rest: Any, clip: float) -> tuple[Callable, Callable]:
        rule = optax.lbfgs(memory_size=self.memory)

        @eqx.filter_jit
        def step(weights, state, batches, rate):
            fixed, stacked = batches

            def mean(w):
                module = eqx.combine(w, rest)
                return jax.lax.map(lambda one: loss(module, eqx.combine(one, fixed)), stacked).mean()

            value, gradient = optax.value_and_grad_from_state(mean)(weights, state=state)
            change, moved = rule.update(gradient, state, weights, value=value, grad=gradient, value_fn=mean)
            new = optax.apply_updates(weights, change)
            finite = all_finite((change, value))
            new, moved = jax.tree.map(lambda a, b: jnp.where(finite, a, b), (new, moved), (weights, state))
            return new, moved, value, finite

        return step, rule.init

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


def all_finite(tree: Any) -> jax.Array:
    """Whether no number in the tree is infinite or NaN."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()
