"""Correction maps: an energy tabulated on a grid of two dihedrals, with bicubic interpolation [mackerell2004].

On a periodic grid of ``n x n`` energies (spacing ``2 pi / n``) the first and mixed derivatives at the nodes are those
of periodic cubic splines along each direction; inside a cell the energy is the bicubic polynomial

    u(t, s) = sum_{k,l=0..3} c_kl t^k s^l,      t, s in [0, 1],

that has the four corners' values and derivatives. This is what OpenMM evaluates.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline

from thalweg.potentials.explicit_gradient import ExplicitGradient
from thalweg.potentials.internal_coordinates import dihedral, gathered_gradient, internal
from thalweg.shapes import Array, Box, Energies, Float, Int, Positions

HERMITE = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [-3, 3, -2, -1], [2, -2, 1, 1]])
"""From (value, value, slope, slope) at both ends of the unit interval to the coefficients of the cubic."""


class CorrectionMaps(ExplicitGradient):
    """``U = sum_t u_map(t)(phi_t, psi_t)``.

    Attributes
    ----------
    first, second : (4, terms) int, the atoms of both dihedrals
    maps : (terms,) int, the map of each term
    coefficients : (maps, n, n, 4, 4) of ``t^k s^l`` in each cell, the first dihedral's first [kJ/mol]
    """

    first: Int[Array, "4 terms"]
    second: Int[Array, "4 terms"]
    maps: Int[Array, " terms"]
    coefficients: Float[Array, "maps n n 4 4"]
    periodic: bool = eqx.field(static=True, default=False)

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        box = box if self.periodic else None
        dihedrals = [internal(dihedral, positions, atoms, box) for atoms in (self.first, self.second)]
        phi, psi = (jnp.arctan2(q.value[1], q.value[0]) for q in dihedrals)
        u, pull = jax.vjp(self._interpolated, phi, psi)
        by_phi, by_psi = (
            gathered_gradient(positions, atoms, [slope[:, None] * g for g in q.gradient])
            for atoms, q, slope in zip((self.first, self.second), dihedrals, pull(jnp.ones_like(u)))
        )
        return u.sum(0), by_phi + by_psi

    def _interpolated(self, phi, psi):
        n = self.coefficients.shape[1]
        (row, t), (column, s) = _cell(phi, n), _cell(psi, n)
        which = self.maps.reshape(-1, *(1,) * (phi.ndim - 1))
        c = jnp.asarray(self.coefficients, phi.dtype)[which, row, column]
        along = [c[..., k, 0] + s * (c[..., k, 1] + s * (c[..., k, 2] + s * c[..., k, 3])) for k in range(4)]
        return along[0] + t * (along[1] + t * (along[2] + t * along[3]))


def _cell(angle, n):
    """The grid cell of an angle and where in it, in [0, 1)."""
    position = angle * (n / (2 * np.pi))
    position = position - n * jnp.floor(position / n)
    cell = jnp.floor(position)
    return cell.astype(int) % n, position - cell


def correction_maps(
    first: Int[Array, "terms 4"],
    second: Int[Array, "terms 4"],
    maps: Int[Array, " terms"],
    grids: list[Float[Array, "n n"]],
    periodic: bool = False,
) -> tuple[CorrectionMaps, ...]:
    """Correction maps of terms over dihedrals ``first`` and ``second``; one energy for each size of grid.

    ``grids[m][i, j]`` [kJ/mol] is the energy of map ``m`` at ``phi = 2 pi i / n``, ``psi = 2 pi j / n``.
    """
    energies = []
    for size in sorted({len(grids[m]) for m in maps}):
        own = [m for m in range(len(grids)) if len(grids[m]) == size]
        terms = np.isin(maps, own)
        index = np.searchsorted(own, maps[terms])
        coefficients = np.stack([bicubic_coefficients(grids[m]) for m in own])
        energies.append(CorrectionMaps(first[terms].T, second[terms].T, index, coefficients, periodic))
    return tuple(energies)


def bicubic_coefficients(grid: Float[Array, "n n"]) -> np.ndarray:
    """Coefficients ``(n, n, 4, 4)`` of the bicubic polynomial in each cell of a periodic grid.

    Examples
    --------
    >>> waves = np.cos(2 * np.pi * np.arange(24) / 24)[:, None] * np.ones(24)
    >>> bool(np.allclose(bicubic_coefficients(waves)[6, 3].sum(), waves[7, 4]))
    True
    """
    grid = np.asarray(grid, float)
    by_row, by_column = _spline_slopes(grid, 0), _spline_slopes(grid, 1)
    mixed = _spline_slopes(by_column, 0)

    def at_ends(values):
        return values, np.roll(values, -1, 0)

    def corners(values):
        return np.stack([np.stack([end, np.roll(end, -1, 1)], -1) for end in at_ends(values)], -2)

    data = np.concatenate(
        [
            np.concatenate([corners(grid), corners(by_column)], -1),
            np.concatenate([corners(by_row), corners(mixed)], -1),
        ],
        -2,
    )
    return HERMITE @ data @ HERMITE.T


def _spline_slopes(values, axis):
    """Derivatives per grid step at the nodes, of the periodic cubic splines along ``axis``."""
    closed = np.concatenate([values, values.take([0], axis)], axis)
    n = values.shape[axis]
    return CubicSpline(np.arange(n + 1), closed, axis, bc_type="periodic").derivative()(np.arange(n))
