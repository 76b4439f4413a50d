r"""The bias of a learned committor: level along its logit, and highest where reactive trajectories go [trizio2025].

.. math::  V(x) = V_z(z(x)) - \lambda\,kT\,g(x)

with logit z and logarithm g of the squared gradient of `CommittorCoordinates`. The second part, Kolmogorov's, weighs
places of one committor among each other by their reactive flux [kang2024]; the first one grows, and brings all
committors from A to B to be sampled alike. Either alone falls short: the gradient says nothing in the states, where it
is flat, and the logit does not tell the way that reactions take from others of the same committor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from thalweg.dynamics.engine import Variable
from thalweg.geometry.composed_variables import Composed
from thalweg.sampling.bias.method import BiasMethod, Limits
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.bias.static import StaticBias
from thalweg.sampling.bias.sum_of_biases import SumOfBiases
from thalweg.shapes import Energies, Values


@dataclass(frozen=True)
class CommittorBias:
    """A bias that grows along the first of two values, and one that is linear in the second.

    Parameters
    ----------
    along : of the logit
    strength : ``lambda``, one for the ensemble of the variational principle, zero for none

    Raises
    ------
    ValueError
        If the strength is negative, or, in `on`, the variable has not two values.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from thalweg.geometry.variables import Coordinates
    >>> limits = Limits(np.array([-12.0, -9.0]), np.array([12.0, 3.0]), np.array([0.5, 1.0]))
    >>> bias = CommittorBias(OPES(barrier=20.0)).on(Coordinates([0], dims=2), limits, kT=2.5, dt=0.002)
    >>> flat, steep = bias.energy(bias.init(), jnp.array([[0.0, 0.0], [-9.0, 1.0]]))
    >>> round(float(flat - steep), 3)                  # 10 kT
    25.0
    """

    cites: ClassVar[tuple[str, ...]] = ("kang2024", "trizio2025")

    along: BiasMethod = field(default_factory=OPES)
    strength: float = 1.0

    def __post_init__(self):
        if not self.strength >= 0:
            raise ValueError(f"strength = {self.strength}; give zero or more")

    def on(self, variable: Variable, limits: Limits, kT: float, dt: float) -> SumOfBiases:
        """The bias of ``variable``, a logit and the logarithm of a squared gradient."""
        if len(variable.names) != 2:
            raise ValueError(
                f"{len(variable.names)} values, {', '.join(variable.names)}; a committor's bias acts on two, as "
                "CommittorCoordinates has them"
            )
        logit, gradient = (_value(variable, k) for k in range(2))
        own = Limits(*(ends[:1] for ends in limits))
        slope = -float(self.strength) * float(kT)

        def linear(values: Values) -> Energies:
            return slope * values[0]

        return SumOfBiases(self.along.on(logit, own, kT, dt), StaticBias(gradient, linear))


def _value(variable: Variable, k: int) -> Composed:
    """One of the values of a variable."""
    names, units, periods = (getattr(variable, name)[k : k + 1] for name in ("names", "units", "periods"))
    return Composed(lambda values: values[k : k + 1], variable, names, units, periods)
