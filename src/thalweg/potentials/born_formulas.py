"""The four functions of a `GeneralizedBorn` energy given as formulas, as ``CustomGBForce`` has them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.potentials.expressions import Expression, energy_of
from thalweg.potentials.nonbonded import Cutoff
from thalweg.potentials.restraints import pair_names


class BornIntegral(eqx.Module):
    """``h`` as a formula of ``r`` and the parameters ``p1, p2`` of both atoms."""

    expression: Expression
    names: tuple[str, ...] = eqx.field(static=True)
    constants: dict[str, float]
    cutoff: Cutoff | None = None

    def __call__(self, r: jax.Array, own: list[jax.Array], partner: list[jax.Array]) -> jax.Array:
        values = self.constants | {"r": r} | pair_names(self.names, own, partner)
        return _within(self.cutoff, r, energy_of(self.expression, values, r))


class BornValue(eqx.Module):
    """The sum of formulas of one atom's parameters and of the value called ``variable``."""

    expressions: tuple[Expression, ...]
    names: tuple[str, ...] = eqx.field(static=True)
    variable: str = eqx.field(static=True)
    constants: dict[str, float]

    def __call__(self, value: jax.Array, parameters: list[jax.Array]) -> jax.Array:
        values = self.constants | {self.variable: value} | dict(zip(self.names, parameters))
        return sum((energy_of(e, values, value) for e in self.expressions), jnp.zeros_like(value))


class BornPair(eqx.Module):
    """``g`` as the sum of formulas of ``r``, both atoms' parameters and their Born radii ``<born>1, <born>2``."""

    expressions: tuple[Expression, ...]
    names: tuple[str, ...] = eqx.field(static=True)
    born: str = eqx.field(static=True)
    constants: dict[str, float]
    cutoff: Cutoff | None = None

    def __call__(
        self,
        r: jax.Array,
        born: jax.Array,
        partner_born: jax.Array,
        own: list[jax.Array],
        partner: list[jax.Array],
    ) -> jax.Array:
        values = (
            self.constants
            | {"r": r}
            | pair_names((self.born, *self.names), [born, *own], [partner_born, *partner])
        )
        return _within(
            self.cutoff, r, sum((energy_of(e, values, r) for e in self.expressions), jnp.zeros_like(r))
        )


def _within(cutoff: Cutoff | None, r: jax.Array, value: jax.Array) -> jax.Array:
    """``value`` below the cutoff, zero beyond."""
    return value if cutoff is None else jnp.where(r < cutoff.radius, value, 0.0)
