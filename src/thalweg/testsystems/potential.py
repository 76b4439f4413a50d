"""What every model potential offers: an energy with a domain, differentiable, and usable by any engine.

A model potential is an energy ``U(x)`` of one point ``x`` in one to a few dimensions. It is written once as
array code that serves JAX arrays (in dynamics, differentiable) and NumPy arrays (64-bit, in exact answers)
alike.
"""

from __future__ import annotations

import abc

import equinox as eqx
import numpy as np

from thalweg.shapes import Array, Box, Energies, Float, Positions

Domain = tuple[tuple[float, float], ...]
"""A box: ``(lower, upper)`` [nm] of each dimension."""

ModelEnergies = Array | np.floating
"""Energies ``(*points,)``; NumPy makes that of a single point a scalar."""


class Potential(eqx.Module):
    """A model energy ``U(x)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm].

    Called like any energy, with positions ``(1, dims, *replicas)``, it is the energy of a system of one
    particle, so every engine runs it. Subclasses are final and define `energy` and `domain`.
    """

    @property
    @abc.abstractmethod
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the usual Boltzmann weight."""

    @abc.abstractmethod
    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm], in the library of ``x``."""

    @property
    def dims(self) -> int:
        """Number of dimensions."""
        return len(self.domain)

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        """Energies ``(*replicas,)`` [kJ/mol] of a particle at ``positions`` ``(1, dims, *replicas)`` [nm]."""
        return self.energy(positions[0])

    def refreshed(self, positions: Positions, box: Box | None = None) -> Potential:
        """Itself: a model potential has no neighbour list."""
        return self

    def gradient(self, x: Float[np.ndarray, " dims *points"]) -> Float[np.ndarray, " dims *points"]:
        """``dU/dx`` [kJ/mol/nm] of a NumPy array to machine precision, by the complex step [squire1998].

        ``dU/dx_d = Im U(x + i h e_d) / h`` with ``h = 1e-30``: no difference is taken, so nothing cancels.
        For JAX arrays use ``jax.grad``.

        Examples
        --------
        >>> from thalweg.testsystems.wells import DoubleWell
        >>> DoubleWell(barrier=5.0).gradient(np.array([[-1.0, 0.5, 1.0]]))
        array([[ 0. , -7.5,  0. ]])
        """
        step = 1e-30
        shifted = x + 1j * step * np.eye(len(x)).reshape(len(x), len(x), *(1,) * (x.ndim - 1))
        return np.stack([self.energy(z).imag / step for z in shifted])
