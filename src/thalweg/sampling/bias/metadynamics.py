"""Well-tempered metadynamics of several walkers that share one bias [barducci2008, raiteri2006].

Every ``stride`` steps each walker ``r`` adds a Gaussian where it stands, of a height that shrinks with the
bias already there, so that the bias converges to ``V(s) = -(1 - 1/gamma) F(s)`` up to a constant:

``V(s) += sum_r h exp(-V(s_r) / (kT (gamma - 1))) exp(-sum_i (s_i - s_ri)^2 / (2 width_i^2))``

The energy handed to the engine is ``V(s, t) - c(t)``, with the reweighting offset [tiwary2015]

``c(t) = kT log( integral exp(gamma V / ((gamma - 1) kT)) ds / integral exp(V / ((gamma - 1) kT)) ds )``.

The offset exerts no force, and with it the recorded bias energy of every frame is its reweighting exponent: a
frame weighs ``exp(bias_energy / kT)``, also while the bias still grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from thalweg.dynamics.engine import Variable
from thalweg.sampling.bias.grid import BiasGrid
from thalweg.sampling.bias.method import Limits
from thalweg.shapes import Array, Energies, Float, Values
from thalweg.units import KilojoulesPerMole, Picoseconds, whole_multiple

NODES_PER_WIDTH = 4
"""Least grid nodes per Gaussian width; cubic convolution then follows a Gaussian within 0.2 % of its height.

Numbers of nodes are powers of two: few shapes, so that a compiled loop serves many variables.
"""


class MetadynamicsState(eqx.Module):
    """What has been deposited: ``V`` at the nodes of the grid [kJ/mol], and the offset ``c(t)`` [kJ/mol]."""

    table: Array
    offset: Array


class WellTemperedMetadynamics(eqx.Module):
    """A bias that fills the free-energy wells of one to three variables.

    Parameters
    ----------
    variable : the biased variable; its periodic values wrap around
    lower, upper : (values,) limits of the grid. On a periodic value they must be one period apart. Beyond the
        limits of a bounded value the bias levels off smoothly within one width, a quadratic wall, 5 ``kT``
        at one width beyond, leads back, and nothing is added.
    widths : (values,) standard deviations of the Gaussians, in the variable's units
    height : height of the first Gaussian [kJ/mol]; with many walkers all of them add one at a time
    bias_factor : ``gamma`` > 1; the free energy is explored as if at ``gamma`` times the temperature
    kT : [kJ/mol]
    stride : steps between deposits

    Raises
    ------
    ValueError
        If a setting does not fit the variable or another setting.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> torsion = SimpleNamespace(names=("phi",), units=("rad",), periods=(2 * np.pi,))
    >>> settings = dict(widths=0.3, height=1.0, bias_factor=10.0, kT=2.5, stride=500)
    >>> bias = WellTemperedMetadynamics(torsion, -np.pi, np.pi, **settings)
    >>> state = bias.update(bias.init(), jnp.array([[3.0, -3.0]]))     # two walkers, each side of the border
    >>> round(float(bias.potential(state, jnp.array([np.pi]))), 2)     # 2 exp(-(0.14 / 0.3)^2 / 2)
    1.79
    """

    variable: Variable
    grid: BiasGrid
    widths: Float[Array, " values"]
    height: float
    bias_factor: float
    kT: float
    stride: int = eqx.field(static=True)

    def __init__(
        self,
        variable: Any,
        lower: Sequence[float] | Array | float,
        upper: Sequence[float] | Array | float,
        widths: Sequence[float] | Array | float,
        height: float,
        bias_factor: float,
        kT: float,
        stride: int,
    ):
        lower, upper, widths = (np.atleast_1d(np.asarray(x, float)) for x in (lower, upper, widths))
        _check(variable, lower, upper, widths, height, bias_factor, stride)
        bins = tuple(2 ** int(np.ceil(np.log2(NODES_PER_WIDTH * x))) for x in (upper - lower) / widths)
        periodic = tuple(period is not None for period in variable.periods)
        self.variable = variable
        self.grid = BiasGrid(jnp.asarray(lower), jnp.asarray(upper), bins, periodic)
        self.widths = jnp.asarray(widths)
        self.height, self.bias_factor, self.kT, self.stride = (
            float(height),
            float(bias_factor),
            float(kT),
            stride,
        )

    def init(self) -> MetadynamicsState:
        return MetadynamicsState(jnp.zeros(self.grid.shape), jnp.zeros(()))

    def potential(self, bias_state: MetadynamicsState, values: Values) -> Energies:
        """The sum of all Gaussians and the walls, ``V(s, t)`` [kJ/mol], without the offset."""
        return self.grid.interpolated(bias_state.table, values) + self.grid.walls(
            values, self.widths, self.kT
        )

    def energy(self, bias_state: MetadynamicsState, values: Values) -> Energies:
        return self.potential(bias_state, values) - bias_state.offset

    def update(self, bias_state: MetadynamicsState, values: Values) -> MetadynamicsState:
        finite = jnp.isfinite(values).all(0)
        values = jnp.where(finite, values, 0)
        tempered = self.kT * (self.bias_factor - 1)
        here = self.grid.interpolated(bias_state.table, values)
        # beyond the limits no force of a Gaussian leads back: there they would only pile up
        within = finite & ~(jnp.abs(self.grid.outside(values)) > 0).any(0)
        heights = jnp.where(within, self.height * jnp.exp(-here / tempered), 0)
        table = bias_state.table + self.grid.gaussians(values, self.widths, heights)
        filled = table[self.grid.interior] / tempered
        offset = self.kT * (logsumexp(self.bias_factor * filled) - logsumexp(filled))
        return MetadynamicsState(table, offset)

    def free_energy(self, bias_state: MetadynamicsState) -> np.ndarray:
        """Estimated ``-gamma / (gamma - 1) V`` at the nodes within the limits, minimum at zero [kJ/mol]."""
        free = -self.bias_factor / (self.bias_factor - 1) * np.asarray(bias_state.table[self.grid.interior])
        return free - free.min()

    @classmethod
    def for_data(
        cls,
        variable: Variable,
        trajectories: Sequence[np.ndarray],
        *,
        kT: float,
        height: float,
        bias_factor: float,
        stride: int,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> WellTemperedMetadynamics:
        """Metadynamics with limits and widths read off unbiased trajectories; see `limits_and_widths`."""
        grid = limits_and_widths(trajectories, variable.periods, bounds)
        return cls(variable, *grid, height, bias_factor, kT, stride)


@dataclass(frozen=True)
class Metadynamics:
    """Well-tempered metadynamics of a variable that is learned on the way.

    Parameters
    ----------
    height : of the first Gaussians [kJ/mol]
    bias_factor : how much flatter the surface becomes; more than one
    stride : time between Gaussians [ps]

    Raises
    ------
    ValueError
        If the bias factor is not more than one, or, in `on`, the stride is no whole number of steps.
    """

    cites: ClassVar[tuple[str, ...]] = ("barducci2008", "raiteri2006", "tiwary2015")

    height: KilojoulesPerMole = 1.0
    bias_factor: float = 10.0
    stride: Picoseconds = 1.0

    def __post_init__(self):
        if not self.bias_factor > 1:
            raise ValueError(f"bias_factor = {self.bias_factor}; give more than 1")

    def on(self, variable: Variable, limits: Limits, kT: float, dt: float) -> WellTemperedMetadynamics:
        """The bias of ``variable`` before its first Gaussian."""
        stride = whole_multiple(self.stride, dt, "stride")
        return WellTemperedMetadynamics(variable, *limits, self.height, self.bias_factor, kT, stride)


def limits_and_widths(
    trajectories: Sequence[np.ndarray],
    periods: Sequence[float | None],
    bounds: tuple[np.ndarray, np.ndarray] | None = None,
    margin: float = 2.0,
    window: int = 20,
) -> Limits:
    """Lower and upper limits and Gaussian widths for a variable seen along unbiased trajectories.

    A width is half the standard deviation of a value inside a state: the median over windows of ``window``
    frames; at least 1/125 of the range, which keeps the grid within 512 nodes a side. A bounded value may go
    ``margin`` times the sampled span beyond what was seen, as far as the variable can go at all.

    Parameters
    ----------
    trajectories : each (frames, values)
    periods : of the values, None where not periodic
    bounds : lower and upper (values,), between which the variable is known to stay; infinite where unknown

    Raises
    ------
    ValueError
        If no trajectory is as long as a window.
    """
    seen = np.concatenate(trajectories).astype(float)
    span = margin * (seen.max(0) - seen.min(0))
    lower, upper = seen.min(0) - span, seen.max(0) + span
    if bounds is not None:
        lower, upper = np.maximum(lower, bounds[0]), np.minimum(upper, bounds[1])
    for i, period in enumerate(periods):
        if period is not None:
            lower[i], upper[i] = -period / 2, period / 2
    widths = np.maximum(0.5 * _spread_within_states(trajectories, periods, window), (upper - lower) / 125)
    return Limits(lower, upper, widths)


def _spread_within_states(trajectories, periods, window):
    spreads = []
    for values in trajectories:
        values = np.column_stack(
            [x if p is None else np.unwrap(x, period=p) for x, p in zip(values.T, periods)]
        )
        whole = len(values) - len(values) % window
        if whole:
            spreads.append(values[:whole].reshape(-1, window, values.shape[1]).std(1))
    if not spreads:
        longest = max(map(len, trajectories))
        raise ValueError(
            f"trajectories of at most {longest} frames hold no window of {window}; give longer ones"
        )
    return np.median(np.concatenate(spreads), 0)


def _check(variable, lower, upper, widths, height, bias_factor, stride):
    needed = len(variable.names)
    if not len(lower) == len(upper) == len(widths) == needed or needed > 3:
        raise ValueError(
            f"lower, upper, widths have {len(lower)}, {len(upper)}, {len(widths)} numbers for the variable "
            f"{variable.names}; give {needed} each, and bias at most 3 variables"
        )
    if not (np.all(upper > lower) and np.all(widths > 0)):
        raise ValueError(
            f"limits {lower} to {upper} and widths {widths} leave no grid; give lower < upper, widths > 0"
        )
    for name, low, high, width, period in zip(variable.names, lower, upper, widths, variable.periods):
        if period is not None and not np.isclose(high - low, period):
            raise ValueError(
                f"{name} has period {period:g} but limits {low:g} to {high:g}; put them one period apart"
            )
        if (high - low) / width > 1000:
            raise ValueError(
                f"{name}: {(high - low) / width:.0f} widths between the limits; use at most 1000"
            )
    if height <= 0 or bias_factor <= 1 or stride < 1:
        raise ValueError(
            f"height={height:g}, bias_factor={bias_factor:g}, stride={stride}: "
            "give height > 0, bias_factor > 1, stride >= 1"
        )
