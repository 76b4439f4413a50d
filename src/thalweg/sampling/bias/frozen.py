"""A bias that has stopped growing: what production runs are made with, and what can be reweighted exactly."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from thalweg.dynamics.engine import Bias, Variable
from thalweg.shapes import Energies, Values


class FrozenBias(eqx.Module):
    """``bias`` held at ``state``: the same energy, never updated.

    Its own bias state is the frozen one, so the arrays pass through a compiled loop as arguments and another
    frozen bias of the same shape compiles nothing anew.
    """

    bias: Bias
    state: Any

    @property
    def variable(self) -> Variable:
        return self.bias.variable

    @property
    def stride(self) -> None:
        return None

    def init(self) -> Any:
        return self.state

    def energy(self, bias_state: Any, values: Values) -> Energies:
        return self.bias.energy(bias_state, values)

    def update(self, bias_state: Any, values: Values) -> Any:
        return bias_state
