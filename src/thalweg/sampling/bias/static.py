"""A bias that is any function of a variable and never grows: a network, a table, minus a free energy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.free_energies.landscapes.landscape import Landscape
from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.sampling.bias.grid import GHOSTS, BiasGrid
from thalweg.shapes import Array, Energies, Values


class StaticBias(eqx.Module):
    """``V(s) = function(s)``.

    Parameters
    ----------
    variable : what is biased
    function : from values ``(values, *replicas)`` to energies ``(*replicas,)`` [kJ/mol], in JAX. Where the bias is
        to be kept in a file, an `equinox.Module` on the face of a room

    Examples
    --------
    >>> from thalweg.geometry.variables import Dihedrals
    >>> bias = StaticBias(Dihedrals([[0, 1, 2, 3]]), lambda values: 5 * jnp.cos(values[0]))
    >>> bias.energy((), jnp.array([[0.0, np.pi]])).tolist()
    [5.0, -5.0]
    """

    variable: Variable
    function: Callable[[Values], Energies]

    @staticmethod
    def against(
        variable: Variable, free_energy: FreeEnergySurfaceModel | Landscape, part: float = 1.0
    ) -> StaticBias:
        """``-part F``, which makes the variable move freely where ``part`` is one.

        Parameters
        ----------
        variable : whose free energy it is
        free_energy : a surface on a grid, or a landscape of networks
        part : how much of it is taken away

        Raises
        ------
        ValueError
            If the variable has another number of values, or another period, than the free energy.
        """
        if isinstance(free_energy, FreeEnergySurfaceModel):
            return StaticBias(variable, _against_surface(variable, free_energy, part))
        if len(free_energy.periods) != len(variable.names):
            raise ValueError(
                f"a landscape of {len(free_energy.periods)} variables for {variable.names}; give the variable it is of"
            )
        return StaticBias(variable, AgainstLandscape(free_energy, part))

    @property
    def stride(self) -> None:
        return None

    def init(self) -> tuple[()]:
        return ()

    def energy(self, bias_state: tuple[()], values: Values) -> Energies:
        return self.function(values)

    def update(self, bias_state: tuple[()], values: Values) -> tuple[()]:
        return bias_state


class Tabulated(eqx.Module):
    """A function of one to three variables by its values ``table`` at the nodes of ``grid``, ghosts included."""

    grid: BiasGrid
    table: Array

    def __call__(self, values: Values) -> Energies:
        return self.grid.interpolated(self.table, values)


class AgainstLandscape(eqx.Module):
    """``-part F`` of a landscape, of values ``(values, *replicas)``."""

    landscape: Any
    part: float

    def __call__(self, values: Values) -> Energies:
        points = values.reshape(len(values), -1).T
        return (-self.part * self.landscape.energy(points)).reshape(values.shape[1:]).astype(values.dtype)


def _against_surface(variable: Variable, surface: FreeEnergySurfaceModel, part: float) -> Tabulated:
    """Nodes are the centers of bins; what is unknown lies as high as the highest known."""
    centers, free = surface.centers, np.asarray(surface.free_energy, float)
    if len(centers) != len(variable.names):
        raise ValueError(
            f"a surface of {len(centers)} variables for {variable.names}; give the variable it is of"
        )
    known = np.isfinite(free)
    table = -part * np.where(known, free, free[known].max())
    periodic = tuple(period is not None for period in variable.periods)
    lower, upper, bins = [], [], []
    for axis, (at, period) in enumerate(zip(centers, variable.periods)):
        width = at[1] - at[0]
        if period is not None and not np.isclose(len(at) * width, period):
            raise ValueError(
                f"{variable.names[axis]} has period {period:g} but the surface spans {len(at) * width:g} of it"
            )
        lower.append(at[0])
        upper.append(at[0] + period if period is not None else at[-1])
        bins.append(len(at) if period is not None else len(at) - 1)
    ghosts = [(0, 0) if wraps else (GHOSTS, GHOSTS) for wraps in periodic]
    grid = BiasGrid(jnp.asarray(lower), jnp.asarray(upper), tuple(bins), periodic)
    return Tabulated(grid, jnp.asarray(np.pad(table, ghosts, mode="edge")))
