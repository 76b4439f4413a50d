r"""On-the-fly probability enhanced sampling of several walkers that share one bias [invernizzi2020, invernizzi2022].

A density of the variable is estimated from where the walkers have been, by few kernels that merge where they lie close
to each other, and the bias raises what is rarely visited, by no more than the barrier that is expected:

.. math::  V(s) = \alpha\,kT \ln\left(\frac{P(s)}{Z} + \epsilon\right), \qquad
           P(s) = \frac{\sum_k h_k\,G_k(s)}{\sum_t w_t}, \qquad Z = \frac1K \sum_k P(s_k)

===================  ==================================================================================
symbol               meaning
===================  ==================================================================================
:math:`G_k`          Gaussian of center :math:`s_k` and its own widths
:math:`Z`            mean of the density over the region explored: new regions are pushed into at once
:math:`\epsilon`     :math:`\exp(-\Delta E / \alpha kT)`: where nobody was yet the bias is :math:`-\Delta E`
:math:`w_t`          weight of what is deposited, with height :math:`w_t \prod_i \sigma_{0,i} / \sigma_i`
===================  ==================================================================================

Two forms: kernels that weigh :math:`w = e^{V/kT}` estimate the density without bias, and with :math:`\alpha = 1 -
1/\gamma` the bias is nearly static soon (`OPES`); kernels that weigh one estimate the density as sampled, and with
:math:`\alpha = \gamma - 1` the bias explores faster and settles later (`OPESExplore`). Both sample the well-tempered
density. Widths shrink with the effective number of deposits :math:`n` by Silverman's rule,
:math:`\sigma = \sigma_0\,(n (d + 2) / 4)^{-1/(d + 4)}`.

Through :math:`Z` the recorded bias energy of every frame is its reweighting exponent, as for metadynamics: a frame
weighs ``exp(bias_energy / kT)``; leave the first part out, while the bias still changes fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.sampling.bias.method import Limits
from thalweg.shapes import Array, Energies, Float, Int, Values
from thalweg.units import Count, KilojoulesPerMole, Picoseconds, whole_multiple

BLOCK = 64
"""Kernels evaluated at a time; capacities are multiples of it."""

THRESHOLD = 1.0
"""Distance, in widths, below which two kernels merge."""

DEEPEST = 80.0
"""Largest logarithm of ``1 / epsilon`` in 32 bits."""


class OPESState(eqx.Module):
    """The kernels, the first ``count`` of each array, and what has been deposited.

    Attributes
    ----------
    centers, widths : (values, kernels)
    heights : (kernels,), zero where there is no kernel
    count : kernels in use
    total, squares : sums of weights and of their squares
    explored : ``Z``
    forced : deposits for which kernels further apart than the threshold had to merge
    """

    centers: Float[Array, "values kernels"]
    widths: Float[Array, "values kernels"]
    heights: Float[Array, " kernels"]
    count: Int[Array, ""]
    total: Float[Array, ""]
    squares: Float[Array, ""]
    explored: Float[Array, ""]
    forced: Int[Array, ""]


class EnhancedProbability(eqx.Module):
    """The bias of `OPES` and `OPESExplore`, which make it from settings.

    Parameters
    ----------
    variable : the biased variable; its periodic values wrap around
    widths : (values,) ``sigma_0``, the spread of the variable within a state, as sampled
    barrier : ``Delta E``, the highest barrier to be crossed [kJ/mol]
    exponent : ``alpha``
    reweighing : 1 where kernels weigh ``exp(V / kT)``, 0 where they weigh one
    bias_factor : ``gamma``; infinite for a flat density
    kT : [kJ/mol]
    stride : steps between deposits
    capacity : kernels at most, rounded up to a multiple of 64. When all are in use, the next deposit merges with the
        nearest kernel however far it is; this is counted and told by `doubts`

    Raises
    ------
    ValueError
        If a setting does not fit the variable or another setting.
    """

    variable: Variable
    widths: Float[Array, " values"]
    barrier: float
    exponent: float
    reweighing: float
    bias_factor: float
    kT: float
    stride: int = eqx.field(static=True)
    capacity: int = eqx.field(static=True)

    def __init__(
        self,
        variable: Any,
        widths: Sequence[float] | Array | float,
        barrier: float,
        exponent: float,
        reweighing: float,
        bias_factor: float,
        kT: float,
        stride: int,
        capacity: int,
    ):
        sizes = np.atleast_1d(np.asarray(widths, float))
        if len(sizes) != len(variable.names) or not (np.isfinite(sizes) & (sizes > 0)).all():
            raise ValueError(
                f"widths {sizes.tolist()} do not fit the variable {variable.names}; give {len(variable.names)} "
                "numbers > 0"
            )
        if not (barrier > 0 and bias_factor > 1 and stride >= 1 and capacity >= 1):
            raise ValueError(
                f"barrier={barrier:g}, bias_factor={bias_factor:g}, stride={stride}, capacity={capacity}: give "
                "barrier > 0, bias_factor > 1, stride >= 1, capacity >= 1"
            )
        if (depth := barrier / (exponent * kT)) > DEEPEST:
            raise ValueError(
                f"barrier={barrier:g} kJ/mol is {depth:.0f} kT in the logarithm of the density, at most {DEEPEST:g} "
                "can be told apart; is kT right?"
            )
        self.variable, self.widths = variable, jnp.asarray(sizes)
        self.barrier, self.exponent, self.reweighing = float(barrier), float(exponent), float(reweighing)
        self.bias_factor, self.kT, self.stride = float(bias_factor), float(kT), stride
        self.capacity = -(-capacity // BLOCK) * BLOCK

    def init(self) -> OPESState:
        values = len(self.variable.names)
        first = jnp.exp(
            -self.reweighing * jnp.asarray(self.barrier / self.kT)
        )  # as if deposited at V = -barrier
        none = jnp.zeros((), jnp.int32)
        return OPESState(
            centers=jnp.zeros((values, self.capacity)),
            widths=jnp.ones((values, self.capacity)),
            heights=jnp.zeros(self.capacity),
            count=none,
            total=first,
            squares=first**2,
            explored=jnp.ones(()),
            forced=none,
        )

    def energy(self, bias_state: OPESState, values: Values) -> Energies:
        floor = jnp.exp(-self.barrier / (self.exponent * self.kT)).astype(values.dtype)
        density = self._density(bias_state, values) / bias_state.explored
        return self.exponent * self.kT * jnp.log(density + floor)

    def update(self, bias_state: OPESState, values: Values) -> OPESState:
        state, dims = bias_state, len(self.widths)
        finite = jnp.isfinite(values).all(0)
        values = jnp.where(finite, values, 0)
        weights = jnp.exp(self.reweighing * self.energy(state, values) / self.kT)
        weights = jnp.where(finite, weights, 0).astype(state.total.dtype)
        total, squares = state.total + weights.sum(), state.squares + (weights**2).sum()
        # Silverman's rule for the number of independent deposits, sum(w)^2 / sum(w^2)
        size = (1 + total) ** 2 / (1 + squares)
        shrink = (size * (dims + 2) / 4) ** (-1 / (dims + 4))
        widths = (self.widths * shrink).astype(state.widths.dtype)
        heights = weights * shrink**-dims
        state = replace(state, total=total, squares=squares)

        def deposit(state, one):
            center, height = one
            taken = self._with_kernel(state, center, widths, height)
            return jax.tree.map(lambda new, old: jnp.where(height > 0, new, old), taken, state), None

        state, _ = jax.lax.scan(deposit, state, (values.T.astype(state.centers.dtype), heights))
        return replace(state, explored=self._mean_density(state))

    def free_energy(self, bias_state: OPESState, values: Values) -> Energies:
        """Estimated ``F(s) = -gamma / (gamma - 1) V(s)`` at ``values``, up to a constant [kJ/mol]."""
        tempering = 1.0 if np.isinf(self.bias_factor) else self.bias_factor / (self.bias_factor - 1)
        return -tempering * self.energy(bias_state, values)

    def doubts(self, bias_state: OPESState) -> tuple[str, ...]:
        """What is wrong with how the bias has grown; empty if nothing."""
        if (forced := int(bias_state.forced)) == 0:
            return ()
        return (
            f"all {self.capacity} kernels are in use: {forced} deposits merged kernels further apart than "
            f"{THRESHOLD:g} widths, so that the bias is smoother than the data allow; give a larger capacity",
        )

    def _density(self, state: OPESState, values: Values) -> Energies:
        """``P`` at ``values`` ``(values, *replicas)``."""
        # whole Gaussians: where they were cut at a fall by epsilon, forces of the exploring form, whose is large, jump
        kernels = [x.astype(values.dtype) for x in (state.centers, state.widths, state.heights)]
        return _summed(self.variable.periods, *kernels, state.count, values) / state.total.astype(
            values.dtype
        )

    def _squared_distance(self, state: OPESState, values: Values) -> Array:
        """Squared distances from the centers of all kernels, in their widths."""
        squared = jnp.zeros((self.capacity, *values.shape[1:]), values.dtype)
        trailing = (-1, *(1,) * (values.ndim - 1))
        for s, centers, widths, period in zip(values, state.centers, state.widths, self.variable.periods):
            apart = _nearest(s - centers.reshape(trailing).astype(values.dtype), period)
            squared = squared + (apart / widths.reshape(trailing).astype(values.dtype)) ** 2
        return squared

    def _with_kernel(self, state: OPESState, center: Array, widths: Array, height: Array) -> OPESState:
        """One kernel more, merged with those near it one after another."""

        def nearest(state, center):
            squared = self._squared_distance(state, center)
            squared = jnp.where(jnp.arange(self.capacity) < state.count, squared, jnp.inf)
            slot = squared.argmin()
            return slot, squared[slot] < THRESHOLD**2

        def meets(carry):
            state, *_, near = carry
            return near | (state.count == self.capacity)

        def merged(carry):
            state, center, widths, height, slot, near = carry
            other = state.heights[slot]
            share = other / (height + other)
            apart = jnp.stack(
                [_nearest(x, p) for x, p in zip(state.centers[:, slot] - center, self.variable.periods)]
            )
            # heights add up, mean and variance are those of both together
            variance = (1 - share) * widths**2 + share * state.widths[:, slot] ** 2
            variance = variance + share * (1 - share) * apart**2
            kept = _without(state, slot)
            kept = replace(kept, forced=kept.forced + jnp.where(near, 0, 1).astype(jnp.int32))
            center = center + share * apart
            return kept, center, jnp.sqrt(variance), height + other, *nearest(kept, center)

        begun = (state, center, widths, height, *nearest(state, center))
        state, center, widths, height, *_ = jax.lax.while_loop(meets, merged, begun)
        slot = state.count
        return replace(
            state,
            centers=state.centers.at[:, slot].set(center),
            widths=state.widths.at[:, slot].set(widths),
            heights=state.heights.at[slot].set(height),
            count=slot + 1,
        )

    def _mean_density(self, state: OPESState) -> Float[Array, ""]:
        """``Z``, over the centers of the kernels in use."""

        def with_block(k, total):
            centers = jax.lax.dynamic_slice_in_dim(state.centers, k * BLOCK, BLOCK, 1)
            used = k * BLOCK + jnp.arange(BLOCK) < state.count
            return total + jnp.where(used, self._density(state, centers), 0).sum()

        blocks = (state.count + BLOCK - 1) // BLOCK
        total = jax.lax.fori_loop(0, blocks, with_block, jnp.zeros((), state.explored.dtype))
        return jnp.where(state.count > 0, total / jnp.maximum(state.count, 1), state.explored)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _summed(periods, centers, widths, heights, count, values):
    """Sum of the first ``count`` kernels at ``values``; the work grows with their number, not with the capacity."""
    return _summed_with_slopes(periods, centers, widths, heights, count, values)[0]


@_summed.defjvp
def _(periods, primals, tangents):
    total, slopes = _summed_with_slopes(periods, *primals)
    return total, (slopes * tangents[-1]).sum(0)  # kernels are constants


def _summed_with_slopes(periods, centers, widths, heights, count, values):
    """The sum ``(*replicas,)`` and its gradient ``(values, *replicas)``, block by block."""
    trailing = (BLOCK, *(1,) * (values.ndim - 1))

    def with_block(k, sums):
        total, slopes = sums
        center, width = (jax.lax.dynamic_slice_in_dim(x, k * BLOCK, BLOCK, 1) for x in (centers, widths))
        height = jax.lax.dynamic_slice_in_dim(heights, k * BLOCK, BLOCK).reshape(trailing)
        steepness = 1 / width
        apart = [
            _nearest(s - c.reshape(trailing), period) * b.reshape(trailing)
            for s, c, b, period in zip(values, center, steepness, periods)
        ]
        kernel = height * jnp.exp(-0.5 * sum(x**2 for x in apart))
        slope = [-(kernel * x * b.reshape(trailing)).sum(0) for x, b in zip(apart, steepness)]
        return total + kernel.sum(0), slopes + jnp.stack(slope)

    start = jnp.zeros(values.shape[1:], values.dtype), jnp.zeros_like(values)
    return jax.lax.fori_loop(0, (count + BLOCK - 1) // BLOCK, with_block, start)


def _nearest(apart: Array, period: float | None) -> Array:
    """A difference of two values, of their nearest images."""
    return apart if period is None else apart - period * jnp.round(apart / period)


def _without(state: OPESState, slot: Array) -> OPESState:
    """Without the kernel at ``slot``, whose place the last one takes."""
    last = state.count - 1
    return replace(
        state,
        centers=state.centers.at[:, slot].set(state.centers[:, last]),
        widths=state.widths.at[:, slot].set(state.widths[:, last]).at[:, last].set(1.0),
        heights=state.heights.at[slot].set(state.heights[last]).at[last].set(0.0),
        count=last,
    )


@dataclass(frozen=True)
class OPES:
    """On-the-fly probability enhanced sampling: kernels estimate the density without bias.

    The choice where a free energy is wanted and the variable is good.

    Parameters
    ----------
    barrier : the highest barrier to be crossed, or a little more [kJ/mol]; the bias is never deeper
    bias_factor : how much flatter the surface becomes, more than one, ``inf`` for flat; ``barrier / kT`` if None
    stride : time between deposits [ps]
    capacity : kernels at most; 256, 1024, 4096 for one, two, three values if None

    Raises
    ------
    ValueError
        If the barrier is not positive or the bias factor not more than one, or, in `on`, the stride is no whole
        number of steps or the barrier no more than ``kT``.

    Examples
    --------
    >>> from thalweg.geometry.variables import Dihedrals
    >>> torsion = Dihedrals([[0, 1, 2, 3]])
    >>> limits = Limits(np.array([-np.pi]), np.array([np.pi]), np.array([0.15]))
    >>> bias = OPES(barrier=30.0).on(torsion, limits, kT=2.5, dt=0.002)
    >>> state = bias.update(bias.init(), jnp.array([[3.1, -3.1]]))     # two walkers, each side of the border
    >>> int(state.count)                                               # are near each other: one kernel
    1
    >>> bias.energy(state, jnp.array([[0.0, np.pi]])).round(1).tolist()  # nobody was at 0
    [-30.0, 0.0]
    """

    cites: ClassVar[tuple[str, ...]] = ("invernizzi2020",)

    barrier: KilojoulesPerMole = 40.0
    bias_factor: float | None = None
    stride: Picoseconds = 1.0
    capacity: Count | None = None

    def __post_init__(self):
        _check(self.barrier, self.bias_factor)

    def on(self, variable: Variable, limits: Limits, kT: float, dt: float) -> EnhancedProbability:
        """The bias of ``variable`` before its first kernel."""
        factor = _bias_factor(self.barrier, self.bias_factor, kT)
        widths = 2 * np.asarray(limits.widths)  # the limits have half the spread within a state
        return EnhancedProbability(
            variable, widths, self.barrier, 1 - 1 / factor, 1.0, factor, kT,
            whole_multiple(self.stride, dt, "stride"), _capacity(self.capacity, variable),
        )  # fmt: skip


@dataclass(frozen=True)
class OPESExplore:
    """The exploring form: kernels estimate the density as sampled, and the bias changes faster at first.

    The choice for a variable that may be poor or a landscape that is not known yet; its free energies take longer.

    Parameters
    ----------
    barrier : the highest barrier to be crossed, or a little more [kJ/mol]; the bias is never deeper
    bias_factor : how much flatter the surface becomes, more than one, finite; ``barrier / kT`` if None
    stride : time between deposits [ps]
    capacity : kernels at most; 256, 1024, 4096 for one, two, three values if None

    Raises
    ------
    ValueError
        If the barrier is not positive or the bias factor not more than one and finite, or, in `on`, the stride is no
        whole number of steps or the barrier no more than ``kT``.
    """

    cites: ClassVar[tuple[str, ...]] = ("invernizzi2020", "invernizzi2022")

    barrier: KilojoulesPerMole = 40.0
    bias_factor: float | None = None
    stride: Picoseconds = 1.0
    capacity: Count | None = None

    def __post_init__(self):
        _check(self.barrier, self.bias_factor)
        if self.bias_factor is not None and np.isinf(self.bias_factor):
            raise ValueError("bias_factor = inf; exploring takes a finite one, or use OPES")

    def on(self, variable: Variable, limits: Limits, kT: float, dt: float) -> EnhancedProbability:
        """The bias of ``variable`` before its first kernel."""
        factor = _bias_factor(self.barrier, self.bias_factor, kT)
        # the density as sampled is wider within a state, F / gamma having a curvature gamma times smaller
        widths = 2 * np.sqrt(factor) * np.asarray(limits.widths)
        return EnhancedProbability(
            variable, widths, self.barrier, factor - 1, 0.0, factor, kT,
            whole_multiple(self.stride, dt, "stride"), _capacity(self.capacity, variable),
        )  # fmt: skip


def _check(barrier: float, bias_factor: float | None) -> None:
    if not barrier > 0:
        raise ValueError(f"barrier = {barrier}; give more than 0 kJ/mol")
    if bias_factor is not None and not bias_factor > 1:
        raise ValueError(f"bias_factor = {bias_factor}; give more than 1")


def _bias_factor(barrier: float, bias_factor: float | None, kT: float) -> float:
    if bias_factor is None and not barrier > kT:
        raise ValueError(f"barrier = {barrier:g} kJ/mol is no more than kT = {kT:g}; no bias is needed")
    return barrier / kT if bias_factor is None else float(bias_factor)


def _capacity(capacity: int | None, variable: Variable) -> int:
    return 256 * 4 ** (min(len(variable.names), 3) - 1) if capacity is None else capacity
