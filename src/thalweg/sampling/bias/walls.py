"""Walls that keep a variable within limits: nothing between them, half a parabola beyond each.

``V(s) = sum_i k_i (max(s_i - upper_i, 0)^2 + max(lower_i - s_i, 0)^2) / 2``
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.shapes import Array, Energies, Float, Values


class Walls(eqx.Module):
    """A static bias that leads back to between ``lower`` and ``upper``; add it to others by `SumOfBiases`.

    Parameters
    ----------
    variable : what is held
    lower, upper : (values,) limits; ``-inf`` or ``inf`` for none. On a periodic value the allowed stretch goes from
        ``lower`` up to ``upper``, also through the border: 2 to 4 rad is allowed at -2.5 rad
    stiffness : (values,) ``k`` [kJ/mol per square of the variable's unit]

    Raises
    ------
    ValueError
        If numbers do not fit the variable, or a limit of a periodic value is infinite.

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> walls = Walls(Distances([[0, 1]]), lower=[-np.inf], upper=[2.0], stiffness=[100.0])
    >>> walls.energy((), jnp.array([[0.5, 2.5]])).tolist()
    [0.0, 12.5]
    """

    variable: Variable
    lower: Float[Array, " values"]
    upper: Float[Array, " values"]
    stiffness: Float[Array, " values"]

    def __init__(
        self, variable: Any, lower: Sequence | Array, upper: Sequence | Array, stiffness: Sequence | Array
    ):
        given = [np.atleast_1d(np.asarray(x, float)) for x in (lower, upper, stiffness)]
        needed = len(variable.names)
        if (
            any(x.shape != (needed,) for x in given)
            or not (given[0] < given[1]).all()
            or (given[2] < 0).any()
        ):
            raise ValueError(
                f"walls {given[0].tolist()} to {given[1].tolist()} of stiffness {given[2].tolist()} do not fit the "
                f"variable {variable.names}; give {needed} of each, lower < upper, stiffness >= 0"
            )
        for name, low, high, period in zip(variable.names, *given[:2], variable.periods):
            if period is not None and not 0 < high - low <= period:
                raise ValueError(
                    f"{name} has period {period:g}; allow a stretch of at most that, not {low:g} to {high:g}"
                )
        self.variable = variable
        self.lower, self.upper, self.stiffness = (jnp.asarray(x) for x in given)

    @property
    def stride(self) -> None:
        return None

    def init(self) -> tuple[()]:
        return ()

    def energy(self, bias_state: tuple[()], values: Values) -> Energies:
        energies = jnp.zeros(values.shape[1:], values.dtype)
        limits = zip(values, self.lower, self.upper, self.stiffness, self.variable.periods)
        for s, low, high, k, period in limits:
            if period is None:
                beyond = jnp.maximum(s - high, 0) + jnp.maximum(low - s, 0)
            else:
                apart = s - 0.5 * (low + high)
                apart = apart - period * jnp.round(apart / period)
                beyond = jnp.maximum(jnp.abs(apart) - 0.5 * (high - low), 0)
            energies = energies + (0.5 * k * beyond**2).astype(values.dtype)
        return energies

    def update(self, bias_state: tuple[()], values: Values) -> tuple[()]:
        return bias_state
