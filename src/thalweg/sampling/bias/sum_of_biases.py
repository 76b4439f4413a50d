"""Several biases at once, each of its own variable: a growing one and walls, or two that grow."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.dynamics.engine import Bias
from thalweg.geometry.composed_variables import Concatenate
from thalweg.shapes import Array, Energies, Int, Values


class SumOfBiasesState(eqx.Module):
    """States of the members, and how many strides of the sum have passed."""

    members: tuple[Any, ...]
    strides: Int[Array, ""]


class SumOfBiases(eqx.Module):
    """A bias whose energy is the sum of others', and whose variable has the values of all in a row.

    Members grow at their own strides. The recorded bias energy is the sum, so that weights undo the walls as well.

    Raises
    ------
    ValueError
        If there are no biases.

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> from thalweg.sampling.bias.umbrella import HarmonicRestraint
    >>> from thalweg.sampling.bias.walls import Walls
    >>> d = Distances([[0, 1]])
    >>> both = SumOfBiases(HarmonicRestraint(d, [1.0], [8.0]), Walls(d, [0.0], [2.0], [100.0]))
    >>> both.energy(both.init(), jnp.array([3.0, 3.0])).tolist()       # the value of each: 16 + 50
    66.0
    """

    biases: tuple[Bias, ...]

    def __init__(self, *biases: Bias):
        if not biases:
            raise ValueError("a sum of no biases; give at least one")
        self.biases = biases

    @property
    def variable(self) -> Concatenate:
        return Concatenate(*(bias.variable for bias in self.biases))

    @property
    def stride(self) -> int | None:
        """The greatest common divisor of the members' strides."""
        strides = [bias.stride for bias in self.biases if bias.stride is not None]
        return math.gcd(*strides) if strides else None

    def init(self) -> SumOfBiasesState:
        return SumOfBiasesState(tuple(bias.init() for bias in self.biases), jnp.zeros((), jnp.int32))

    def energy(self, bias_state: SumOfBiasesState, values: Values) -> Energies:
        energies = [
            bias.energy(state, own)
            for bias, state, own in zip(self.biases, bias_state.members, self._parts(values))
        ]
        return sum(energies[1:], energies[0])

    def update(self, bias_state: SumOfBiasesState, values: Values) -> SumOfBiasesState:
        if self.stride is None:
            return bias_state
        strides, states = bias_state.strides + 1, []
        for bias, state, own in zip(self.biases, bias_state.members, self._parts(values)):
            every = None if bias.stride is None else bias.stride // self.stride
            if every == 1:
                state = bias.update(state, own)
            elif every is not None:
                state = jax.lax.cond(
                    strides % every == 0,
                    lambda state, own, bias=bias: bias.update(state, own),
                    lambda state, own: state,
                    state,
                    own,
                )
            states.append(state)
        return SumOfBiasesState(tuple(states), strides)

    def doubts(self, bias_state: SumOfBiasesState) -> tuple[str, ...]:
        """What the members say is wrong with how they have grown."""
        told = [
            bias.doubts(state)
            for bias, state in zip(self.biases, bias_state.members)
            if hasattr(bias, "doubts")
        ]
        return tuple(doubt for each in told for doubt in each)

    def _parts(self, values: Values) -> list:
        """The values of each member's variable."""
        parts, first = [], 0
        for bias in self.biases:
            number = len(bias.variable.names)
            parts.append(values[first : first + number])
            first += number
        return parts
