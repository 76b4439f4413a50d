"""A free energy on a grid as a smooth function of its one or two variables, by cubic splines.

Bins that nothing has visited are filled with the highest energy seen, rising with the distance to the nearest bin that
has been, so that paths keep away from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.shapes import Shaped

STEEP = 5.0
"""Rise [kJ/mol] per bin away from what was visited."""


@dataclass(frozen=True, eq=False)
class Interpolated:
    """A `Landscape` between the bins of a surface.

    Attributes
    ----------
    start, width : (variables,), center of the first bin and distance of bins
    coefficients : ``(*bins,)`` of cubic B-splines
    periods : of the variables
    """

    start: Shaped[np.ndarray, " variables"]
    width: Shaped[np.ndarray, " variables"]
    coefficients: Shaped[np.ndarray, " *bins"]
    periods: tuple[float | None, ...]

    @staticmethod
    def of(surface: FreeEnergySurfaceModel, periods: tuple[float | None, ...]) -> Interpolated:
        """The splines through the bins.

        Parameters
        ----------
        surface : of one or two variables, or three
        periods : period of each variable, or None

        Raises
        ------
        ValueError
            If numbers of variables differ, or fewer than four bins lie along one.
        """
        energy = np.asarray(surface.free_energy, float)
        if energy.ndim != len(periods) or min(energy.shape) < 4:
            raise ValueError(
                f"a surface of {energy.shape} bins for {len(periods)} periods; give one period for each variable, and "
                "four bins at least along each"
            )
        filled = _filled(energy)
        for axis, period in enumerate(periods):
            mode = "mirror" if period is None else "grid-wrap"
            filled = scipy.ndimage.spline_filter1d(filled, 3, axis=axis, mode=mode)
        return Interpolated(
            np.array([ticks[0] for ticks in surface.centers]),
            np.array([ticks[1] - ticks[0] for ticks in surface.centers]),
            filled,
            periods,
        )

    def energy(self, points: Any) -> jax.Array:
        """``(points,)`` [kJ/mol]; beyond the grid, that of its border and a rise."""
        points = jnp.asarray(points)
        total, flat = 0.0, jnp.asarray(self.coefficients, points.dtype)
        places, weights, beyond = [], [], 0.0
        for k, (count, period) in enumerate(zip(flat.shape, self.periods, strict=True)):
            at = (points[:, k] - self.start[k]) / self.width[k]
            if period is None:
                inside = jnp.clip(at, 0.0, count - 1.0)
                beyond = beyond + STEEP * (at - inside) ** 2
                at = inside
            whole = jnp.floor(jax.lax.stop_gradient(at)).astype(int)
            places.append([_index(whole + shift, count, period) for shift in (-1, 0, 1, 2)])
            weights.append(_cubic(at - whole))
        # sum over the 4^d coefficients about each point
        for corner in np.ndindex(*(4,) * flat.ndim):
            value = flat[tuple(places[k][j] for k, j in enumerate(corner))]
            for k, j in enumerate(corner):
                value = value * weights[k][j]
            total = total + value
        return jnp.asarray(total + beyond)


def _cubic(t: jax.Array) -> list[jax.Array]:
    """The four cubic B-splines about a point a fraction ``t`` between two knots."""
    return [
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    ]


def _index(places: jax.Array, count: int, period: float | None) -> jax.Array:
    """Indices around the period, or mirrored at the ends."""
    if period is not None:
        return places % count
    mirrored = jnp.abs(places)
    return jnp.where(mirrored > count - 1, 2 * (count - 1) - mirrored, mirrored)


def _filled(energy: np.ndarray) -> np.ndarray:
    """Energies with unvisited bins above all others."""
    known = np.isfinite(energy)
    if known.all():
        return energy
    away = scipy.ndimage.distance_transform_edt(~known)
    return np.where(known, energy, energy[known].max() + STEEP * away)
