"""A function of one to three variables, kept on a grid and read by cubic convolution [keys1981].

Between nodes the value is a sum over the ``4**d`` nodes around a point, with weights that are cubic in the
distance to them, so the interpolated function and its gradient are continuous and the force is the exact
gradient of the energy.

A periodic axis wraps around. A bounded one carries ghost nodes beyond its limits, and coordinates outside are
bent back, ``x -> limit + reach tanh((x - limit) / reach)``, which leaves value, slope and curvature
continuous at the limit and makes the function constant far away.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Energies, Float, Values

GHOSTS = 6
"""Nodes beyond each limit of a bounded axis; two of them serve the interpolation at the very end."""


MANY_BEYOND = 0.05
"""Share of deposits beyond the limits from which on it is told."""


class BiasGrid(eqx.Module):
    """Nodes of a rectangular grid.

    Attributes
    ----------
    lower, upper : (variables,) limits; on a periodic axis they are one period apart
    bins : number of intervals between the limits on each axis
    periodic : which axes wrap around
    """

    lower: Float[Array, " variables"]
    upper: Float[Array, " variables"]
    bins: tuple[int, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of nodes on each axis, ghosts included."""
        return tuple(n if wraps else n + 1 + 2 * GHOSTS for n, wraps in zip(self.bins, self.periodic))

    @property
    def spacing(self) -> Float[Array, " variables"]:
        return (self.upper - self.lower) / np.asarray(self.bins, np.float32)

    @property
    def interior(self) -> tuple[slice, ...]:
        """The nodes within the limits."""
        return tuple(
            slice(0, n) if wraps else slice(GHOSTS, GHOSTS + n + 1)
            for n, wraps in zip(self.bins, self.periodic)
        )

    def nodes(self, axis: int) -> Float[Array, " nodes"]:
        """Coordinates of the nodes of one axis, ghosts included."""
        first = 0 if self.periodic[axis] else GHOSTS
        return self.lower[axis] + self.spacing[axis] * (jnp.arange(self.shape[axis]) - first)

    def inside(self, values: Values) -> Values:
        """Coordinates bent back to within reach of the limits on bounded axes; periodic ones as they are."""
        return jnp.stack(
            [
                x if wraps else self._bent(x, axis)
                for axis, (x, wraps) in enumerate(zip(values, self.periodic))
            ]
        )

    def outside(self, values: Values) -> Values:
        """How far coordinates lie beyond the limits, zero within; signed."""
        lower, upper = self._limits(values)
        over = jnp.maximum(values - upper, 0) + jnp.minimum(values - lower, 0)
        bounded = ~np.asarray(self.periodic)
        return over * bounded.reshape(-1, *(1,) * (values.ndim - 1))

    def interpolated(self, table: Array, values: Values) -> Energies:
        """The function with node values ``table`` at ``values`` ``(variables, *replicas)``."""
        replicas = values.shape[1:]
        inside = self.inside(values)
        place = jnp.zeros(replicas, jnp.int32)
        weights = []
        for axis, nodes in enumerate(self.shape):
            first = 0 if self.periodic[axis] else GHOSTS
            u = (inside[axis] - self.lower[axis]) / self.spacing[axis] + first
            cell = jnp.floor(u)
            index = (cell.astype(jnp.int32) + np.arange(-1, 3).reshape(4, *(1,) * len(replicas))) % nodes
            place = jnp.expand_dims(place, axis) * nodes + index.reshape((1,) * axis + index.shape)
            weights.append(_cubic(u - cell))
        read = table.reshape(-1).at[place].get(mode="promise_in_bounds")
        for axis, weight in enumerate(weights):
            read = (weight.reshape((4,) + (1,) * (len(weights) - 1 - axis) + replicas) * read).sum(0)
        return read

    def gaussians(self, values: Values, widths: Float[Array, " variables"], heights: Energies) -> Array:
        """Node values of the sum over replicas, the one trailing axis, of Gaussians ``height exp(-|s - s_r|^2
        / 2 width^2)``.
        """
        apart = self._apart(values)
        return _product([jnp.exp(-0.5 * (x / width) ** 2) for x, width in zip(apart, widths)], heights)

    def gaussians_with_slopes(
        self, values: Values, widths: Float[Array, " variables"], heights: Energies
    ) -> tuple[Array, Array]:
        """`gaussians`, and their derivatives ``(variables, *nodes)`` by the place of the node."""
        apart = self._apart(values)
        factors = [jnp.exp(-0.5 * (x / width) ** 2) for x, width in zip(apart, widths)]
        slopes = []
        for axis, (x, width) in enumerate(zip(apart, widths)):
            steep = -x / width**2 * factors[axis]
            slopes.append(_product([*factors[:axis], steep, *factors[axis + 1 :]], heights))
        return _product(factors, heights), jnp.stack(slopes)

    def walls(self, values: Values, widths: Float[Array, " variables"], kT: float) -> Energies:
        """Quadratic walls beyond the limits [kJ/mol], 5 ``kT`` at one width beyond."""
        return (5 * kT * (self.outside(values).T / widths) ** 2).sum(-1).T

    def doubts(self, number: int, beyond: int, what: str = "deposits") -> tuple[str, ...]:
        """What it means that of so many deposits, or frames, some were ``beyond`` the limits; empty where few were."""
        if beyond <= MANY_BEYOND * number:
            return ()
        limits = ", ".join(
            f"{low:.4g} to {high:.4g}" for low, high in zip(np.asarray(self.lower), np.asarray(self.upper))
        )
        return (
            f"{beyond} of {number} {what} were beyond the limits ({limits}), where only walls act: the grid has "
            "been left behind; widen the limits or start within them",
        )

    def _apart(self, values):
        """Distances ``(nodes, replicas)`` of the nodes of each axis from the values, of nearest images."""
        found = []
        for axis, (center, wraps) in enumerate(zip(self.inside(values), self.periodic)):
            apart = self.nodes(axis)[:, None] - center
            if wraps:
                period = self.upper[axis] - self.lower[axis]
                apart = apart - period * jnp.round(apart / period)
            found.append(apart)
        return found

    def _limits(self, values):
        trailing = (-1,) + (1,) * (values.ndim - 1)
        return self.lower.reshape(trailing), self.upper.reshape(trailing)

    def _bent(self, x, axis):
        lower, upper = self.lower[axis], self.upper[axis]
        reach = (GHOSTS - 2) * self.spacing[axis]
        over, under = jnp.maximum(x - upper, 0), jnp.minimum(x - lower, 0)
        return jnp.clip(x, lower, upper) + reach * (jnp.tanh(over / reach) + jnp.tanh(under / reach))


def _product(factors, heights):
    """Sum over replicas of products of one factor ``(nodes, replicas)`` for each axis."""
    axes = "ijk"[: len(factors)]
    return jnp.einsum(f"r,{','.join(axis + 'r' for axis in axes)}->{axes}", heights, *factors)


def _cubic(t):
    """Weights ``(4, *replicas)`` of the nodes at -1, 0, 1, 2 for a point at ``t`` in [0, 1)."""
    return jnp.stack(
        [
            t * (-0.5 + t * (1.0 - 0.5 * t)),
            1.0 + t * t * (-2.5 + 1.5 * t),
            t * (0.5 + t * (2.0 - 1.5 * t)),
            t * t * (-0.5 + 0.5 * t),
        ]
    )
