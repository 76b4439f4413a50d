"""A harmonic restraint of a variable: the umbrella of umbrella sampling [torrie1977].

``V(s) = sum_i k_i (s_i - c_i)^2 / 2``, with the nearest image of ``c_i`` where ``s_i`` is periodic. A center
for each replica puts a whole row of umbrella windows into one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from thalweg.dynamics.engine import Variable
from thalweg.shapes import Array, Energies, Float, Values


class HarmonicRestraint(eqx.Module):
    """A static bias that holds a variable near a center.

    Parameters
    ----------
    variable : what is restrained
    center : (values,), or (values, replicas) for one window per replica
    stiffness : (values,) ``k`` [kJ/mol per square of the variable's unit]

    Notes
    -----
    On a periodic variable the force jumps half a period away from the center; choose ``k`` so that nothing
    goes there.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> torsion = SimpleNamespace(names=("phi",), units=("rad",), periods=(6.0,))
    >>> restraint = HarmonicRestraint(torsion, center=[2.9], stiffness=[10.0])
    >>> round(float(restraint.energy((), jnp.array([-2.9]))), 3)      # 0.2 apart through the border, not 5.8
    0.2
    """

    variable: Variable
    center: Float[Array, " values *windows"]
    stiffness: Float[Array, " values"]

    def __init__(
        self, variable: Any, center: Sequence | Array | float, stiffness: Sequence[float] | Array | float
    ):
        self.variable = variable
        self.center = jnp.asarray(center, float)
        self.stiffness = jnp.asarray(stiffness, float)
        needed = len(variable.names)
        if self.center.shape[0] != needed or self.stiffness.shape != (needed,):
            raise ValueError(
                f"center {self.center.shape} and stiffness {self.stiffness.shape} do not fit the variable "
                f"{variable.names}; give {needed} numbers of each"
            )

    @property
    def stride(self) -> None:
        return None

    def init(self) -> tuple[()]:
        return ()

    def energy(self, bias_state: tuple[()], values: Values) -> Energies:
        energies = jnp.zeros(values.shape[1:], values.dtype)
        for s, center, k, period in zip(values, self.center, self.stiffness, self.variable.periods):
            apart = s - center
            if period is not None:
                apart = apart - period * jnp.round(apart / period)
            energies = energies + 0.5 * k * apart**2
        return energies

    def update(self, bias_state: tuple[()], values: Values) -> tuple[()]:
        return bias_state

    def windows(self) -> list[HarmonicRestraint]:
        """One restraint per window, each usable on any number of replicas."""
        centers = self.center.reshape(self.center.shape[0], -1)
        return [HarmonicRestraint(self.variable, center, self.stiffness) for center in centers.T]
