r"""A bias that is deepest where a committor changes most: it holds replicas in the transition state ensemble
[kang2024].

.. math::  V_K(x) = -\lambda\,kT \ln\bigl(|\nabla q(x)|^2 + \epsilon\bigr)

The density under it is proportional to :math:`|\nabla q|^{2 \lambda} e^{-U / kT}`, for :math:`\lambda = 1` that of the
variational principle by which the committor q is found. To bring all of q to be sampled alike as well, add a bias along
q: ``SumOfBiases(Kolmogorov().on(q, ...), OPES().on(q, ...))``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.dynamics.engine import Variable
from thalweg.sampling.bias.method import Limits
from thalweg.shapes import Box, Energies, Positions, Values


class LogSquaredGradient(eqx.Module):
    """``ln(|grad q|^2 + floor)`` of a variable of one value, over all atoms [of q's unit per nm]."""

    inner: Variable
    floor: float

    @property
    def names(self) -> tuple[str, ...]:
        return (f"ln |grad {self.inner.names[0]}|^2",)

    @property
    def units(self) -> tuple[str, ...]:
        return ("",)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        """Values ``(1, *replicas)``."""
        slopes = jax.grad(lambda x: self.inner(x, box).sum())(positions)
        return jnp.log((slopes**2).sum((0, 1)) + self.floor)[None]


class KolmogorovBias(eqx.Module):
    """The static bias, linear in its variable; made by `Kolmogorov`."""

    variable: LogSquaredGradient
    strength: float
    kT: float

    @property
    def stride(self) -> None:
        return None

    def init(self) -> tuple[()]:
        return ()

    def energy(self, bias_state: tuple[()], values: Values) -> Energies:
        return -self.strength * self.kT * values[0]

    def update(self, bias_state: tuple[()], values: Values) -> tuple[()]:
        return bias_state


@dataclass(frozen=True)
class Kolmogorov:
    """The Kolmogorov bias of a committor.

    Parameters
    ----------
    strength : ``lambda``, one for the ensemble of the variational principle
    floor : ``epsilon`` [of q per nm, squared], which bounds the bias in the states, where q is flat

    Raises
    ------
    ValueError
        If a setting is not positive, or, in `on`, the variable has more than one value.

    Examples
    --------
    >>> from thalweg.geometry.variables import Coordinates
    >>> bias = Kolmogorov(strength=1.0, floor=1e-4).on(Coordinates([0], dims=1), None, kT=2.5, dt=0.002)
    >>> steep = bias.variable(jnp.zeros((1, 1)))                       # the slope of a coordinate is one
    >>> round(float(bias.energy((), steep)), 3)
    -0.0
    """

    cites: ClassVar[tuple[str, ...]] = ("kang2024",)

    strength: float = 1.0
    floor: float = 1e-6

    def __post_init__(self):
        if not (self.strength > 0 and self.floor > 0):
            raise ValueError(f"strength = {self.strength}, floor = {self.floor}; give more than 0")

    def on(self, variable: Variable, limits: Limits | None, kT: float, dt: float) -> KolmogorovBias:
        """The bias of ``variable``, a committor; limits and dt do not matter."""
        if len(variable.names) != 1:
            raise ValueError(f"a committor has one value, not {len(variable.names)}: {variable.names}")
        return KolmogorovBias(
            LogSquaredGradient(variable, float(self.floor)), float(self.strength), float(kT)
        )
