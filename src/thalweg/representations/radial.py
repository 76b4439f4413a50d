"""How a representation sees distances: cutoff functions and radial bases.

A cutoff function ``f(r)`` goes from one at contact to zero at the cutoff. `smooth_cutoff`,

    f(r) = (1 - (r / r_c)^2)^3,

is even in ``r`` and leaves with two continuous derivatives, so that second derivatives of an energy (vibrations,
elastic constants) do not jump when a neighbor comes or goes. `cosine_cutoff` [behler2007] has only one.

Each basis is a module called with distances of any shape; it returns ``(functions, *shape)``, the cutoff function
included, and is zero from the cutoff on.
"""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float


def smooth_cutoff(distances: Float[Array, " *shape"], cutoff: float) -> Float[Array, " *shape"]:
    """``(1 - (r / r_c)^2)^3`` up to the cutoff [nm], zero beyond; two continuous derivatives there."""
    base = jnp.maximum(1 - (distances / cutoff) ** 2, 0)
    return base * base * base


def cosine_cutoff(distances: Float[Array, " *shape"], cutoff: float) -> Float[Array, " *shape"]:
    """``(1 + cos(pi r / r_c)) / 2`` up to the cutoff [nm] [behler2007]; its second derivative jumps there."""
    return 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(distances / cutoff, 1)))


class GaussianBasis(eqx.Module):
    """``exp(-(r - r_n)^2 / 2 w^2) f(r)``, centers evenly from ``first`` to the cutoff, ``w`` their distance [nm]."""

    count: int = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    first: float = eqx.field(static=True, default=0.0)

    def __call__(self, distances: Float[Array, " *shape"]) -> jax.Array:
        centers = np.linspace(self.first, self.cutoff, self.count)
        width = (self.cutoff - self.first) / max(self.count - 1, 1)
        decay = smooth_cutoff(distances, self.cutoff)
        near = jnp.minimum(distances, self.cutoff)
        return jnp.stack([jnp.exp(-0.5 * ((near - center) / width) ** 2) * decay for center in centers])


class BesselBasis(eqx.Module):
    """``sqrt(2 / r_c) sin(n pi r / r_c) / r f(r)``, n from 1 [gasteiger2020], made free of units by ``r_c^(3/2)``."""

    count: int = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)

    def __call__(self, distances: Float[Array, " *shape"]) -> jax.Array:
        x = jnp.minimum(distances / self.cutoff, 1)
        decay = smooth_cutoff(distances, self.cutoff) * (np.sqrt(2.0) / x)
        twice = 2 * jnp.cos(jnp.pi * x)
        waves = [jnp.zeros_like(x), jnp.sin(jnp.pi * x)]
        for _ in range(self.count - 1):
            waves.append(twice * waves[-1] - waves[-2])
        return jnp.stack([wave * decay for wave in waves[1:]])


@dataclass(frozen=True)
class Exponential:
    """A scale of distances that is finer the shorter they are [drautz2019].

    ``y = 2 (e^(-s x) - e^(-s)) / (1 - e^(-s)) - 1`` of ``x = r / r_c``.

    Parameters
    ----------
    stretch : s
    """

    stretch: float = 2.0

    def __call__(self, x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        """From one at contact to minus one at ``x = 1``."""
        end = np.exp(-self.stretch)
        return 2 * (jnp.exp(-self.stretch * x) - end) / (1 - end) - 1


@dataclass(frozen=True)
class Agnesi:
    """A scale of distances that is finest about ``middle`` and sees no change at contact [witt2023].

    ``g(x) = 1 / (1 + (x / m)^q)`` of ``x = r / r_c``. In condensed matter no neighbor is nearer than some 0.4 cutoffs:
    a scale that is fine down to contact spends half of its functions where nobody ever is.

    Parameters
    ----------
    middle : m, in cutoffs
    power : q
    """

    middle: float = 0.65
    power: int = 5

    def __call__(self, x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        """From one at contact to minus one at ``x = 1``."""
        end = 1 / (1 + self.middle**-self.power)
        return 2 * (1 / (1 + (x / self.middle) ** self.power) - end) / (1 - end) - 1


RadialScale = Exponential | Agnesi


class ChebyshevBasis(eqx.Module):
    """``T_n(y(r)) f(r)``, n from 0, with ``y`` from 1 at contact to -1 at the cutoff.

    ``scale`` is the map from ``x = r / r_c`` to ``y``: `Exponential` or `Agnesi`.
    """

    count: int = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    scale: RadialScale = eqx.field(static=True, default=Exponential())

    def __call__(self, distances: Float[Array, " *shape"]) -> jax.Array:
        x = jnp.minimum(distances / self.cutoff, 1)
        y = self.scale(x)
        decay = smooth_cutoff(distances, self.cutoff)
        terms = [decay, y * decay]
        for _ in range(self.count - 2):
            terms.append(2 * y * terms[-1] - terms[-2])
        return jnp.stack(terms[: self.count])
