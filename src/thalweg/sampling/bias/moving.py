r"""A harmonic restraint whose center moves: steered dynamics, with the work that it does [jarzynski1997].

Every ``stride`` steps the center jumps by an equal part of the way from ``start`` to ``stop``, and stays there
when it has arrived. All the work is done in the jumps, while the replica stands still, so that it is exact however
long the steps:

.. math::  W = \sum_t \bigl(V(s_t; c_{t+1}) - V(s_t; c_t)\bigr)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Recording, Variable
from thalweg.shapes import Array, Energies, Float, Int, Values


class MovingRestraint(eqx.Module):
    """``V(s, t) = sum_i k_i (s_i - c_i(t))^2 / 2``, of nearest images where a value is periodic.

    Parameters
    ----------
    variable : what is pulled
    start, stop : (values,) between which the center moves; on a periodic value along the straight way of numbers
    stiffness : (values,) ``k`` [kJ/mol per square of the variable's unit]
    jumps : in how many parts it goes
    stride : steps between jumps

    Raises
    ------
    ValueError
        If numbers do not fit the variable.

    Notes
    -----
    Free energies follow by `free_energy_from_work` between ensembles held at ``start`` and at ``stop``: let replicas
    relax under ``HarmonicRestraint(variable, start, stiffness)`` first.
    """

    variable: Variable
    start: Float[Array, " values"]
    stop: Float[Array, " values"]
    stiffness: Float[Array, " values"]
    jumps: int
    stride: int = eqx.field(static=True)

    def __init__(
        self, variable: Any, start: Sequence | Array, stop: Sequence | Array, stiffness: Sequence | Array,
        jumps: int, stride: int,
    ):  # fmt: skip
        given = [jnp.atleast_1d(jnp.asarray(x, float)) for x in (start, stop, stiffness)]
        needed = len(variable.names)
        if any(x.shape != (needed,) for x in given) or jumps < 1 or stride < 1:
            raise ValueError(
                f"start, stop, stiffness have {', '.join(str(len(x)) for x in given)} numbers for the variable "
                f"{variable.names}, jumps={jumps}, stride={stride}; give {needed} each, jumps and stride >= 1"
            )
        self.variable, self.jumps, self.stride = variable, int(jumps), int(stride)
        self.start, self.stop, self.stiffness = given

    @property
    def steps(self) -> int:
        """Steps until the center has arrived."""
        return self.jumps * self.stride

    def init(self) -> Int[Array, ""]:
        """No jumps yet."""
        return jnp.zeros((), jnp.int32)

    def energy(self, bias_state: Int[Array, ""], values: Values) -> Energies:
        return self._energy(jnp.minimum(bias_state, self.jumps) / self.jumps, values)

    def update(self, bias_state: Int[Array, ""], values: Values) -> Int[Array, ""]:
        return bias_state + 1

    def reversed(self) -> MovingRestraint:
        """The way back."""
        return MovingRestraint(self.variable, self.stop, self.start, self.stiffness, self.jumps, self.stride)

    def work(self, recording: Recording) -> Float[np.ndarray, "replicas frames"]:
        """Work done on each replica until after each frame [kJ/mol], of a run from `init` on.

        Raises
        ------
        ValueError
            If there is not one frame for each jump: record every ``stride`` steps.
        """
        values, last = np.asarray(recording.values, float), int(recording.bias_state)
        if values.shape[1] != last:
            raise ValueError(
                f"{values.shape[1]} frames of {last} jumps; the work is done at the jumps: run from the start with "
                f"save_every={self.stride}"
            )
        places = jnp.asarray(np.moveaxis(values, -1, 0))  # (values, replicas, frames)
        before, after = (
            np.minimum(np.arange(values.shape[1]) + shift, self.jumps) / self.jumps for shift in (0, 1)
        )
        done = self._energy(jnp.asarray(after), places) - self._energy(jnp.asarray(before), places)
        return np.cumsum(np.asarray(done, float), axis=1)

    def _energy(self, part: Array, values: Values) -> Energies:
        """With the center at this part of the way, one number or one for each of the last axis."""
        energies = jnp.zeros(values.shape[1:], values.dtype)
        for s, start, stop, k, period in zip(
            values, self.start, self.stop, self.stiffness, self.variable.periods
        ):
            apart = s - (start + (stop - start) * part)
            if period is not None:
                apart = apart - period * jnp.round(apart / period)
            energies = energies + (0.5 * k * apart**2).astype(values.dtype)
        return energies
