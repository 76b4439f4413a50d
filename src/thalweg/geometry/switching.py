"""Smooth steps from one to zero, for counting contacts."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.shapes import Array, Float


class RationalSwitch(eqx.Module):
    """``s(x) = (1 - x^n) / (1 - x^m)`` of ``x = r / radius``, PLUMED's switch [bonomi2009]; ``s(1) = n / m``.

    Both sides are divided by ``1 - x``, which leaves two geometric sums without the singularity at one, and
    large ``x`` is mapped to ``1 / x``, so that no power overflows.

    Raises
    ------
    ValueError
        Unless ``0 < n < m``.

    Examples
    --------
    >>> RationalSwitch(6, 12)(jnp.array([0.0, 1.0, 1e6])).round(6).tolist()
    [1.0, 0.5, 0.0]
    """

    n: int = eqx.field(static=True, default=6)
    m: int = eqx.field(static=True, default=12)

    def __check_init__(self):
        if not 0 < self.n < self.m:
            raise ValueError(
                f"exponents n={self.n}, m={self.m} do not fall off; give 0 < n < m, such as 6 and 12"
            )

    def __call__(self, x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        far = x > 1.0
        y = jnp.where(far, 1.0 / jnp.where(far, x, 1.0), x)
        ratio = _geometric_sum(y, self.n) / _geometric_sum(y, self.m)
        return jnp.where(far, y ** (self.m - self.n), 1.0) * ratio


class LogisticSwitch(eqx.Module):
    """``s(x) = 1 / (1 + exp(steepness (x - 1)))`` of ``x = r / radius``; ``s(1) = 1/2``.

    Examples
    --------
    >>> LogisticSwitch(50.0)(jnp.array([0.5, 1.0, 1.5])).round(6).tolist()
    [1.0, 0.5, 0.0]
    """

    steepness: float = 15.0

    def __call__(self, x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        return jax.nn.sigmoid(self.steepness * (1.0 - x))


def _geometric_sum(x, terms: int):
    """``1 + x + ... + x^(terms - 1)`` by Horner's rule."""
    total = jnp.ones_like(x)
    for _ in range(terms - 1):
        total = total * x + 1.0
    return total
