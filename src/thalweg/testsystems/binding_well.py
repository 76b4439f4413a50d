r"""A guest that binds: a particle about an attractive center in a sphere, with exact constants.

The vector from host to guest moves in

.. math::  U(x) = -\epsilon\, e^{-|x|^2 / 2 w^2} + \frac{k}{2} \max(0, |x| - R)^2 .

Everything follows from integrals over the distance r with the weight :math:`\psi(r) = r^2 e^{-U(r)/kT}`. Mean
first-passage times of diffusion are, inward to a and outward to b [szabo1980],

.. math::  D\,T_{in}(r) = \int_a^r \frac{dy}{\psi(y)} \int_y^\infty \psi(z)\, dz ,\qquad
           D\,T_{out}(r) = \int_r^b \frac{dy}{\psi(y)} \int_0^y \psi(z)\, dz .
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from scipy.integrate import cumulative_trapezoid, trapezoid

from thalweg.shapes import Array
from thalweg.testsystems.potential import Domain, ModelEnergies, Potential

POINTS = 20001
"""Distances at which integrands are taken."""


class BindingWell(Potential):
    """A Gaussian well in a sphere.

    Attributes
    ----------
    depth : of the well [kJ/mol]
    width : of the Gaussian [nm]
    radius : of the sphere [nm]
    stiffness : of its wall [kJ/mol/nm^2]

    Examples
    --------
    >>> well = BindingWell()
    >>> float(well.energy(np.zeros(3))), bool(well.association_constant(0.4, kT=1.0) > 1.0)
    (-6.0, True)
    """

    depth: float = 6.0
    width: float = 0.15
    radius: float = 1.2
    stiffness: float = 1000.0

    @property
    def domain(self) -> Domain:
        """The cube about the sphere and what its wall lets through [nm]."""
        end = self.radius + 5 / self.stiffness**0.5
        return ((-end, end),) * 3

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(3, *points)`` [nm]."""
        library = np if isinstance(x, np.ndarray) else jnp
        square = (x**2).sum(0)
        beyond = library.maximum(library.sqrt(square + 1e-12) - self.radius, 0.0)
        return -self.depth * library.exp(-square / (2 * self.width**2)) + self.stiffness / 2 * beyond**2

    def association_constant(self, within: float, kT: float) -> float:
        """``4 pi`` times the integral of ``r^2 exp(-U / kT)`` up to ``within`` [nm^3]."""
        r, weight = self._weights(kT)
        return float(4 * np.pi * trapezoid(np.where(r <= within, weight, 0.0), r))

    def passage_inward(self, outside: float, target: float, kT: float, diffusion: float) -> float:
        """Mean time [ps] until a guest at equilibrium beyond ``outside`` [nm] first comes to ``target`` [nm]."""
        r, weight = self._weights(kT)
        beyond = _rest(weight, r)
        times = cumulative_trapezoid(np.where(r >= target, beyond / weight, 0.0), r, initial=0.0) / diffusion
        within = weight * (r >= outside)
        return float(trapezoid(within * times, r) / trapezoid(within, r))

    def passage_outward(self, inside: float, target: float, kT: float, diffusion: float) -> float:
        """Mean time [ps] until a guest at equilibrium within ``inside`` [nm] first comes to ``target`` [nm]."""
        r, weight = self._weights(kT)
        so_far = cumulative_trapezoid(weight, r, initial=0.0)
        times = _rest(np.where(r <= target, so_far / weight, 0.0), r) / diffusion
        within = weight * (r <= inside)
        return float(trapezoid(within * times, r) / trapezoid(within, r))

    def _weights(self, kT: float) -> tuple[np.ndarray, np.ndarray]:
        """Distances ``(points,)`` and the weight of each, without the solid angle."""
        r = np.linspace(1e-4, self.domain[0][1], POINTS)
        along = np.stack([r, np.zeros(POINTS), np.zeros(POINTS)])
        return r, r**2 * np.exp(-np.asarray(self.energy(along)) / kT)


def _rest(values: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The integral from each of ``r`` to the last."""
    return cumulative_trapezoid(values[::-1], -r[::-1], initial=0.0)[::-1]
