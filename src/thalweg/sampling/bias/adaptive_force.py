r"""The adaptive biasing force of an extended system, whose particle is so fast that it needs no simulation
[darve2008, lesage2017].

A particle :math:`\lambda` hangs on the variable :math:`s` by a spring of thermal width :math:`\sigma`. The mean pull
of the spring at each :math:`\lambda` is the slope of a free energy that needs no derivative of the variable beyond the
first, and against its integral the particle is pushed until it moves freely:

.. math::  A'(\lambda) = \Bigl\langle \frac{kT}{\sigma^2} (\lambda - s) \Bigr\rangle_\lambda, \qquad
           V(\lambda) = -\int r(N_\lambda)\,A'(\lambda)\,d\lambda

The replicas then feel the mean of its pull. In the limit of a fast particle this mean over
:math:`p(\lambda \mid s) \propto e^{-(\lambda - s)^2 / 2\sigma^2 - V(\lambda) / kT}` is known, and so are its shares in
every average: nothing is drawn, there is nothing to be kept for each replica, and the bias is a potential of the
variable,

.. math::  W(s) = -kT \ln \int e^{-(\lambda - s)^2 / 2\sigma^2}\, e^{-V(\lambda) / kT}\, d\lambda

=======================  ===========================================================================
symbol                   meaning
=======================  ===========================================================================
:math:`N_\lambda`        deposits within reach of the spring at :math:`\lambda`
:math:`r(N)`             ramp, from zero to one at ``full_samples``
:math:`\rho(s)`          histogram of the variable under the bias
=======================  ===========================================================================

W is never more than the barrier below its highest place: where the variable has no end, flooding all of it would only
lead ever higher up. In several variables V is the potential whose gradient comes nearest to the mean forces
[henin2021]. The free energy of the variable itself, of which A is a smoothed picture, follows bin by bin from what was
sampled under the bias at each time, converged or not [lesage2017]:
:math:`F'(s) = -kT\,d\ln\rho/ds - \langle W'(s, t)\rangle_s`.

The recorded bias energy is ``W - c(t)`` with the offset of metadynamics, so that a frame weighs
``exp(bias_energy / kT)``; leave the first part out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
import scipy.sparse
from jax.scipy.special import logsumexp

from thalweg.dynamics.engine import Variable
from thalweg.free_energies.landscapes.mean_force_integration import MeanForceIntegration
from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.sampling.bias.grid import BiasGrid
from thalweg.sampling.bias.method import Limits
from thalweg.shapes import Array, Energies, Float, Int, Values
from thalweg.units import Count, KilojoulesPerMole, Picoseconds, whole_multiple

NODES_PER_WIDTH = 2
"""Least nodes per width of the spring; numbers of nodes are multiples of 16, so that few loops are compiled."""

MOST_NODES = 2**19
"""Nodes of the grid from which on it is refused."""

GROUPS = 8
"""Groups of deposits that are told apart for errors."""

RUN_OF_GROUP = 256
"""Consecutive deposits of a walker in one group, where there are fewer walkers than groups."""

HIGHEST = 1e4
"""Barrier, in ``kT``, beyond any."""

FEWEST = 10
"""Deposits in a bin that has a mean force."""


class AdaptiveForceState(eqx.Module):
    """What has been averaged; ``nodes`` are those within the limits.

    Attributes
    ----------
    samples : ``(*nodes,)``, ``N``, in deposits per node
    springs : ``(values, *nodes)``, sums of pulls at each ``lambda`` [kJ/mol per unit]
    potential : ``(*nodes,)``, ``V`` [kJ/mol]
    table : ``W`` at all nodes of the grid [kJ/mol]
    offset : ``c(t)`` [kJ/mol]
    visits : ``(2, groups, *nodes)``, the histogram of the variable, up to the last update whose number is a power of
        two and since; with each power of two the older one is forgotten, so that the first quarter to half of a run,
        when all walkers went the same way, never counts
    slopes : ``(2, groups, values, *nodes)``, sums of ``W'`` there [kJ/mol per unit]
    updates : how often all walkers have deposited
    deposits, beyond : of all walkers, and those beyond the limits
    """

    samples: Array
    springs: Array
    potential: Array
    table: Array
    offset: Float[Array, ""]
    visits: Array
    slopes: Array
    updates: Int[Array, ""]
    deposits: Int[Array, ""]
    beyond: Int[Array, ""]


class MeanForceBias(eqx.Module):
    """The bias of `AdaptiveBiasingForce`, which makes it from settings, of one to three variables.

    Parameters
    ----------
    variable : the biased variable; its periodic values wrap around
    lower, upper : (values,) limits; on a periodic value they must be one period apart. Beyond the limits of a bounded
        value a quadratic wall, 5 ``kT`` at one width beyond, leads back
    widths : (values,) thermal widths ``sigma`` of the springs: the resolution of the bias
    full_samples : deposits within reach of a spring from which on its mean force is trusted
    kT : [kJ/mol]
    stride : steps between deposits
    barrier : free energy up to which the surface is made flat [kJ/mol]

    Raises
    ------
    ValueError
        If a setting does not fit the variable or another setting.
    """

    variable: Variable
    grid: BiasGrid
    widths: Float[Array, " values"]
    modes: tuple[Array, ...]
    stiffness: tuple[Array, ...]
    spread: tuple[Array, ...]
    full_samples: float
    kT: float
    barrier: float
    stride: int = eqx.field(static=True)

    def __init__(
        self,
        variable: Any,
        lower: Sequence[float] | Array | float,
        upper: Sequence[float] | Array | float,
        widths: Sequence[float] | Array | float,
        full_samples: float,
        kT: float,
        stride: int,
        barrier: float = np.inf,
    ):
        lower, upper, widths = (np.atleast_1d(np.asarray(x, float)) for x in (lower, upper, widths))
        _check(variable, lower, upper, widths)
        if not barrier > 0:
            raise ValueError(f"barrier={barrier:g}; give more than 0 kJ/mol, inf for all of the surface")
        if not (full_samples >= 1 and stride >= 1):
            raise ValueError(f"full_samples={full_samples:g}, stride={stride}; give at least 1 of each")
        bins = tuple(16 * int(np.ceil(NODES_PER_WIDTH * x / 16)) for x in (upper - lower) / widths)
        if (nodes := np.prod(bins)) > MOST_NODES:
            raise ValueError(
                f"a grid of {' x '.join(map(str, bins))} = {nodes:.1g} nodes is too large, at most {MOST_NODES}; give "
                f"wider springs than {widths.tolist()}, narrower limits or fewer variables"
            )
        periodic = tuple(period is not None for period in variable.periods)
        grid = BiasGrid(jnp.asarray(lower), jnp.asarray(upper), bins, periodic)
        solved = [np.linalg.eigh(_laplacian(n, wraps)) for n, wraps in zip(bins, periodic)]
        self.variable, self.grid, self.widths = variable, grid, jnp.asarray(widths)
        self.modes = tuple(jnp.asarray(vectors) for _, vectors in solved)
        self.stiffness = tuple(jnp.asarray(np.maximum(values, 0)) for values, _ in solved)
        self.spread = tuple(jnp.asarray(_springs(grid, axis, width)) for axis, width in enumerate(widths))
        self.full_samples, self.kT, self.stride = float(full_samples), float(kT), stride
        self.barrier = float(min(barrier, HIGHEST * kT))

    @property
    def _nodes(self) -> tuple[int, ...]:
        return tuple(len(modes) for modes in self.modes)

    def init(self) -> AdaptiveForceState:
        nodes, values, none = self._nodes, len(self._nodes), jnp.zeros((), jnp.int32)
        return AdaptiveForceState(
            samples=jnp.zeros(nodes),
            springs=jnp.zeros((values, *nodes)),
            potential=jnp.zeros(nodes),
            table=jnp.zeros(self.grid.shape),
            offset=jnp.zeros(()),
            visits=jnp.zeros((2, GROUPS, *nodes)),
            slopes=jnp.zeros((2, GROUPS, values, *nodes)),
            updates=none,
            deposits=none,
            beyond=none,
        )

    def potential(self, bias_state: AdaptiveForceState, values: Values) -> Energies:
        """``W`` and the walls [kJ/mol], without the offset."""
        return self.grid.interpolated(bias_state.table, values) + self.grid.walls(
            values, self.widths, self.kT
        )

    def energy(self, bias_state: AdaptiveForceState, values: Values) -> Energies:
        return self.potential(bias_state, values) - bias_state.offset

    def update(self, bias_state: AdaptiveForceState, values: Values) -> AdaptiveForceState:
        state, interior, kT = bias_state, self.grid.interior, self.kT
        finite = jnp.isfinite(values).all(0)
        values = jnp.where(finite, values, 0)
        applied, slopes = self._applied(state, values)
        # shares of lambda, p(lambda | s) = exp(-(lambda - s)^2 / 2 sigma^2 - V(lambda) / kT) / exp(-W(s) / kT)
        shares = jnp.where(finite, jnp.exp(applied / kT), 0)
        near, pulls = self.grid.gaussians_with_slopes(values, self.widths, shares)
        particle = jnp.exp(-state.potential / kT)
        samples = state.samples + particle * near[interior]
        # kT (lambda - s) / sigma^2 times a Gaussian is -kT times its slope
        springs = state.springs - kT * particle * pulls[:, *interior]
        ramp = jnp.minimum(samples * self._reach / self.full_samples, 1)
        mean = jnp.where(samples > 0, springs / jnp.maximum(samples, 1e-30), 0)
        potential = self._integrated(-ramp * mean)
        state = self._counted(state, values, finite, slopes)
        # c(t) = kT ln of the mean of exp(V / kT) over what has been explored
        explored = jnp.maximum(ramp.sum(), 1e-6)
        offset = kT * (logsumexp(potential / kT, b=ramp + 1e-12) - jnp.log(explored))
        return replace(
            state,
            samples=samples,
            springs=springs,
            potential=potential,
            table=self._felt(potential),
            offset=jnp.where(ramp.sum() > 1e-6, offset, state.offset).astype(state.offset.dtype),
        )

    def free_energy(self, bias_state: AdaptiveForceState) -> FreeEnergySurfaceModel:
        """The free energy of the variable at the nodes, with errors from the spread of groups of deposits.

        Groups are walkers, or runs of deposits where there are fewer walkers than groups; the errors are those of the
        jackknife. Nodes not connected with most of the others by bins of ten deposits are left at infinity.

        Raises
        ------
        ValueError
            If no bin has deposits enough.
        """
        # every bin with half of its neighbors': the same average of counts and of slopes keeps the equation exact
        visits, slopes = (
            self._smoothed(np.asarray(x, float).sum(0)) for x in (bias_state.visits, bias_state.slopes)
        )
        leave_one_out = visits.sum(0) - visits
        known = _largest_part(
            (visits.sum(0) >= FEWEST / self._gathered) & (leave_one_out > 0).all(0), self.grid.periodic
        )
        if known.sum() < 3:
            raise ValueError(
                f"{int(bias_state.deposits)} deposits leave {known.sum()} bins with {FEWEST} of several groups; "
                "sample longer or widen the springs"
            )

        def surface(of):
            count = of(visits)
            forces, errors = self._mean_forces(np.where(known, count, 0), of(slopes))
            free = self._integration.fit(forces, errors)
            return free.centers, np.where(np.isfinite(free.free_energy), free.free_energy, np.nan)

        centers, free = surface(lambda each: each.sum(0))
        others = [surface(lambda each, g=g: each.sum(0) - each[g])[1] for g in range(GROUPS)]
        others = np.stack([each - each[known].mean() for each in others])
        error = np.sqrt((GROUPS - 1) * others.var(0))
        return FreeEnergySurfaceModel(
            centers,
            np.where(known, free - free[known].min(), np.inf),
            np.where(known, error, np.inf),
        )

    def doubts(self, bias_state: AdaptiveForceState) -> tuple[str, ...]:
        """What is wrong with how the bias has grown; empty if nothing."""
        return self.grid.doubts(int(bias_state.deposits), int(bias_state.beyond))

    @property
    def _reach(self) -> Float[Array, ""]:
        """Nodes within reach of a spring."""
        return jnp.prod(np.sqrt(2 * np.pi) * self.widths / self.grid.spacing)

    def _applied(self, state: AdaptiveForceState, values: Values) -> tuple[Energies, Values]:
        """The bias that each replica feels, without offset, and its slope."""
        energies, pullback = jax.vjp(lambda x: self.potential(state, x), values)
        return energies, pullback(jnp.ones_like(energies))[0]

    def _integrated(self, slopes: Array) -> Array:
        """The potential ``(*nodes,)`` whose differences come nearest to ``slopes`` ``(values, *nodes)``."""
        source, total = jnp.zeros(self._nodes, slopes.dtype), jnp.zeros(self._nodes, slopes.dtype)
        for axis, (slope, stiffness) in enumerate(zip(slopes, self.stiffness)):
            h = self.grid.spacing[axis].astype(slopes.dtype)
            rise = 0.5 * (slope + jnp.roll(slope, -1, axis)) / h
            if not self.grid.periodic[axis]:
                last = jnp.arange(rise.shape[axis]) == rise.shape[axis] - 1
                rise = jnp.where(last.reshape(_along(axis, rise.ndim)), 0, rise)
            source = source + jnp.roll(rise, 1, axis) - rise
            total = total + (stiffness.astype(slopes.dtype) / h**2).reshape(_along(axis, rise.ndim))
        # Poisson's equation, in the modes of each axis; the mean is left at zero
        modes = [each.astype(slopes.dtype) for each in self.modes]
        for axis, mode in enumerate(modes):
            source = _applied_along(mode.T, source, axis)
        source = jnp.where(total > 1e-6 * total.max(), source / jnp.maximum(total, 1e-30), 0)
        source = source.at[(0,) * source.ndim].set(0)
        for axis, mode in enumerate(modes):
            source = _applied_along(mode, source, axis)
        return source

    def _felt(self, potential: Array) -> Array:
        """``W`` at all nodes of the grid."""
        lowest = potential.min()
        weights = jnp.exp(-(potential - lowest) / self.kT)
        for axis, spread in enumerate(self.spread):
            weights = _applied_along(spread.astype(weights.dtype), weights, axis)
        felt = lowest - self.kT * jnp.log(weights)
        # smoothly no more than the barrier below the highest place
        return jnp.logaddexp(felt / self.kT, (felt.max() - self.barrier) / self.kT) * self.kT

    def _counted(self, state: AdaptiveForceState, values: Values, finite: Array, slopes: Values):
        """The histogram and the slopes in it, after these deposits."""
        walkers = jnp.arange(values.shape[1])
        turn = 0 if values.shape[1] >= GROUPS else state.updates // RUN_OF_GROUP
        place, inside = [(walkers + turn) % GROUPS], finite
        for axis, (x, n) in enumerate(zip(values, self._nodes)):
            index = jnp.round((x - self.grid.lower[axis]) / self.grid.spacing[axis]).astype(jnp.int32)
            index = index % n if self.grid.periodic[axis] else index
            inside = inside & (index >= 0) & (index < n)
            place.append(index)
        place = tuple(jnp.where(inside, index, 0) for index in place)
        here = inside.astype(state.visits.dtype)
        doubled = (state.updates & (state.updates - 1)) == 0
        kept = jax.lax.cond(
            doubled,
            lambda sums: [jnp.roll(x, -1, 0).at[1].set(0) for x in sums],
            lambda sums: sums,
            [state.visits, state.slopes],
        )
        left = (jnp.abs(self.grid.outside(values)) > 0).any(0) & finite
        return replace(
            state,
            visits=kept[0].at[1, *place].add(here),
            slopes=kept[1].at[1, place[0], :, *place[1:]].add((slopes * here).T.astype(state.slopes.dtype)),
            updates=state.updates + 1,
            deposits=state.deposits + finite.sum().astype(jnp.int32),
            beyond=state.beyond + left.sum().astype(jnp.int32),
        )

    @property
    def _gathered(self) -> float:
        """Bins that a smoothed one stands for, ``1 / sum of squares`` of (1/4, 1/2, 1/4) in every variable."""
        return (8 / 3) ** len(self._nodes)

    def _smoothed(self, sums: np.ndarray) -> np.ndarray:
        """Sums ``(..., *nodes)`` with half of the neighbors' along every axis."""
        for axis, wraps in enumerate(self.grid.periodic, start=sums.ndim - len(self._nodes)):
            sums = scipy.ndimage.convolve1d(
                sums, [0.25, 0.5, 0.25], axis, mode="wrap" if wraps else "constant"
            )
        return sums

    def _mean_forces(self, visits: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``-F'`` ``(*nodes, values)`` [kJ/mol per unit] and errors as far as counts say, NaN where nobody was."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(visits > 0, np.log(visits), np.nan)
            felt = slopes / visits
        forces = []
        for axis, h in enumerate(np.asarray(self.grid.spacing, float)):
            rise = (np.roll(logs, -1, axis) - logs) / h
            if not self.grid.periodic[axis]:
                np.moveaxis(rise, axis, 0)[-1] = np.nan
            both = np.stack([rise, np.roll(rise, 1, axis)])
            seen = np.isfinite(both)
            slope = np.where(seen, both, 0).sum(0) / np.maximum(seen.sum(0), 1)
            forces.append(np.where(visits > 0, self.kT * slope + felt[axis], np.nan))
        errors = np.where(visits > 0, self.kT / np.sqrt(np.maximum(visits, 1e-6)), np.nan)
        return np.stack(forces, -1), np.stack([errors / h for h in np.asarray(self.grid.spacing, float)], -1)

    @property
    def _integration(self) -> MeanForceIntegration:
        """With cells whose centers are the nodes."""
        half = np.asarray(self.grid.spacing, float) / 2
        lower = np.asarray(self.grid.lower, float) - half
        upper = np.asarray(self.grid.upper, float) + np.where(self.grid.periodic, -half, half)
        return MeanForceIntegration(tuple(lower), tuple(upper), tuple(self.variable.periods), samples=1)


@dataclass(frozen=True)
class AdaptiveBiasingForce:
    """The adaptive biasing force of an extended system, for any differentiable variable on any engine.

    Parameters
    ----------
    full_samples : deposits within reach of a spring from which on the mean force there is trusted; less is ramped
    stride : time between deposits [ps]
    barrier : free energy up to which the surface is made flat, which keeps walkers from ever higher places
    resolution : width of the springs, in half spreads of the variable within a state; wider ones settle sooner and
        leave features narrower than they are unbiased

    Raises
    ------
    ValueError
        If the resolution or the barrier is not positive, or, in `on`, the stride is no whole number of steps, or there
        are more than three values or too many nodes.

    Examples
    --------
    >>> from thalweg.geometry.variables import Dihedrals
    >>> limits = Limits(np.array([-np.pi]), np.array([np.pi]), np.array([0.15]))
    >>> bias = AdaptiveBiasingForce().on(Dihedrals([[0, 1, 2, 3]]), limits, kT=2.5, dt=0.002)
    >>> bias.grid.bins, bias.stride
    ((96,), 100)
    """

    cites: ClassVar[tuple[str, ...]] = ("darve2008", "lesage2017", "henin2021")

    full_samples: Count = 200
    stride: Picoseconds = 0.2
    barrier: KilojoulesPerMole = 60.0
    resolution: float = 1.0

    def __post_init__(self):
        for name in ("resolution", "barrier"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}; give more than 0")

    def on(self, variable: Variable, limits: Limits, kT: float, dt: float) -> MeanForceBias:
        """The bias of ``variable`` before anything was averaged."""
        widths = self.resolution * np.asarray(limits.widths)
        stride = whole_multiple(self.stride, dt, "stride")
        return MeanForceBias(
            variable, limits.lower, limits.upper, widths, self.full_samples, kT, stride, self.barrier
        )


def _check(variable: Variable, lower: np.ndarray, upper: np.ndarray, widths: np.ndarray) -> None:
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
    for name, low, high, period in zip(variable.names, lower, upper, variable.periods):
        if period is not None and not np.isclose(high - low, period):
            raise ValueError(
                f"{name} has period {period:g} but limits {low:g} to {high:g}; put them one period apart"
            )


def _laplacian(bins: int, wraps: bool) -> np.ndarray:
    """Of the nodes of an axis: a ring, or a line with both ends."""
    nodes = bins if wraps else bins + 1
    steps = np.roll(np.eye(nodes), -1, 0) - np.eye(nodes)
    steps = steps if wraps else steps[:-1]
    return steps.T @ steps


def _springs(grid: BiasGrid, axis: int, width: float) -> np.ndarray:
    """Chance of each node within the limits, under a spring to each node of the grid."""
    nodes = np.asarray(grid.nodes(axis), float)
    apart = nodes[:, None] - nodes[grid.interior[axis]]
    if grid.periodic[axis]:
        period = float(grid.upper[axis] - grid.lower[axis])
        apart = apart - period * np.round(apart / period)
    kernel = np.exp(-0.5 * (apart / width) ** 2)
    return kernel / kernel.sum(1, keepdims=True)


def _along(axis: int, dims: int) -> tuple[int, ...]:
    return tuple(-1 if k == axis else 1 for k in range(dims))


def _applied_along(matrix: Array, values: Array, axis: int) -> Array:
    return jnp.moveaxis(jnp.tensordot(matrix, values, (1, axis)), 0, axis)


def _largest_part(known: np.ndarray, periodic: tuple[bool, ...]) -> np.ndarray:
    """The largest part of the nodes known in which each is a neighbor of another."""
    numbers, links = np.arange(known.size).reshape(known.shape), []
    for axis, wraps in enumerate(periodic):
        both = known & np.roll(known, -1, axis)
        if not wraps:
            np.moveaxis(both, axis, 0)[-1] = False
        links.append(np.stack([numbers[both], np.roll(numbers, -1, axis)[both]]))
    first, second = np.concatenate(links, 1)
    graph = scipy.sparse.coo_array((np.ones(len(first)), (first, second)), (known.size, known.size))
    _, part = scipy.sparse.csgraph.connected_components(graph, directed=False)
    part = part.reshape(known.shape)
    return known & (part == np.bincount(part[known]).argmax()) if known.any() else known
