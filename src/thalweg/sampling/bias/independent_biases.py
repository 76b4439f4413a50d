"""A bias for each replica alone: independent runs side by side in one loop, for the times at which each leaves a state.

The energy is that of what has been deposited, zero where nothing was: ``V(s)`` of metadynamics without the offset of
its weights, ``V(s) + barrier`` of OPES, which then is the flooding of a state whose transition state it does not reach
[ray2022]. The recorded bias energy is so the exponent by which time runs faster (`thalweg.kinetics.exit_times`), not
the one by which frames weigh. Forces are those of the bias itself.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.dynamics.engine import Variable
from thalweg.shapes import Energies, Values


class IndependentBiases(eqx.Module):
    """A copy of a growing bias for every replica, none of which knows of the others.

    Parameters
    ----------
    bias : `WellTemperedMetadynamics`, or the bias of `OPES` with a barrier some ``kT`` below the one to be crossed
    replicas : as many as the run has

    Raises
    ------
    ValueError
        If the bias is of another kind, which says nothing of where it is zero, or replicas are less than one.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
    >>> line = SimpleNamespace(names=("x",), units=("nm",), periods=(None,))
    >>> one = WellTemperedMetadynamics(line, -2.0, 2.0, 0.3, height=1.0, bias_factor=5.0, kT=1.0, stride=100)
    >>> each = IndependentBiases(one, replicas=2)
    >>> state = each.update(each.init(), jnp.array([[-1.0, 1.0]]))
    >>> each.energy(state, jnp.array([[-1.0, -1.0]])).round(2).tolist()     # the second was never there
    [1.0, 0.0]
    """

    bias: Any
    replicas: int = eqx.field(static=True)

    def __init__(self, bias: Any, replicas: int):
        if replicas < 1 or not (hasattr(bias, "potential") or hasattr(bias, "barrier")):
            raise ValueError(
                f"{replicas} replicas of {type(bias).__name__}; give at least one, of WellTemperedMetadynamics or OPES"
            )
        self.bias, self.replicas = bias, replicas

    @property
    def variable(self) -> Variable:
        return self.bias.variable

    @property
    def stride(self) -> int:
        return self.bias.stride

    def init(self) -> Any:
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * self.replicas), self.bias.init())

    def energy(self, bias_state: Any, values: Values) -> Energies:
        return jax.vmap(self._deposited, in_axes=(0, 1))(bias_state, values)

    def update(self, bias_state: Any, values: Values) -> Any:
        return jax.vmap(lambda state, own: self.bias.update(state, own[:, None]), in_axes=(0, 1))(
            bias_state, values
        )

    def _deposited(self, state: Any, values: Values) -> Energies:
        """The energy of one replica, zero where it has deposited nothing."""
        if hasattr(self.bias, "potential"):
            return self.bias.potential(state, values)
        return self.bias.energy(state, values) + self.bias.barrier
