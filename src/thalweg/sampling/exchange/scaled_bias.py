"""A part of a bias: rungs of a ladder between no bias and the whole of one.

With factors from 0 to 1 of a bias that fills the wells of a variable, replicas cross barriers where it is whole, and
come back down to where nothing acts on them.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from thalweg.dynamics.engine import Bias, Variable
from thalweg.shapes import Array, Energies, Float, Values


class ScaledBias(eqx.Module):
    """``factor`` times a bias that does not grow.

    Parameters
    ----------
    bias : such as a `FrozenBias`
    factor : of its energy

    Raises
    ------
    ValueError
        If the bias grows.
    """

    bias: Bias
    factor: Float[Array, ""]

    def __init__(self, bias: Any, factor: float):
        if bias.stride is not None:
            raise ValueError(
                f"{type(bias).__name__} grows; hold it by FrozenBias before a part of it is taken"
            )
        self.bias, self.factor = bias, jnp.asarray(factor, float)

    @property
    def variable(self) -> Variable:
        return self.bias.variable

    @property
    def stride(self) -> None:
        return None

    def init(self) -> Any:
        return self.bias.init()

    def energy(self, bias_state: Any, values: Values) -> Energies:
        return self.factor * self.bias.energy(bias_state, values)

    def update(self, bias_state: Any, values: Values) -> Any:
        return bias_state
