"""Functions of a distance as a table of cubics: what is learned of distances costs little once it is known."""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float


class FilterTable(eqx.Module):
    """Cubics between equidistant points, their values and slopes right at the points.

    Attributes
    ----------
    coefficients : of 1, t, t^2, t^3 side by side, ``t`` from 0 to 1 across each interval
    spacing : of the points [nm]

    Examples
    --------
    >>> table = FilterTable.of(lambda r: jnp.stack([r, r**3], 1), 0.5, 4)
    >>> [round(float(value), 4) for value in table(jnp.array(0.3))]
    [0.3, 0.027]
    """

    coefficients: Float[Array, "intervals columns"]
    spacing: float = eqx.field(static=True)

    @staticmethod
    def of(functions: Callable, reach: float, intervals: int) -> FilterTable:
        """Table of ``functions(distances) -> (distances, functions)`` from 0 to ``reach`` [nm]."""
        with jax.enable_x64(True):
            points = jnp.linspace(0.0, reach, intervals + 1)
            values, slopes = jax.jvp(functions, (points,), (jnp.ones_like(points),))
            f, g = np.asarray(values, float), np.asarray(slopes, float) * reach / intervals
        rise = f[1:] - f[:-1]
        cubics = [f[:-1], g[:-1], 3 * rise - 2 * g[:-1] - g[1:], g[:-1] + g[1:] - 2 * rise]
        return FilterTable(np.concatenate(cubics, 1), reach / intervals)

    def __call__(self, distances: Float[Array, " *shape"]) -> jax.Array:
        """The functions ``(*shape, functions)`` at ``distances`` [nm]; beyond the last point, those at it."""
        place = jnp.minimum(distances / self.spacing, len(self.coefficients))
        interval = jnp.minimum(place.astype(jnp.int32), len(self.coefficients) - 1)
        t = (place - interval)[..., None]
        a, b, c, d = jnp.split(jnp.asarray(self.coefficients, distances.dtype)[interval], 4, -1)
        return a + t * (b + t * (c + t * d))
