r"""A hidden dimension that narrows along a direction: the way of least energy is not that of least free energy.

.. math::  V(x, z) = U(x) + \tfrac{k}{2}\, e^{g \cdot x} z^2, \qquad F(x) = U(x) + \tfrac{kT}{2}\, g \cdot x

The energy of x, with z at rest, is U; its free energy is tilted by entropy alone, up to a constant and exactly.
"""

from __future__ import annotations

from thalweg.shapes import Array
from thalweg.testsystems.potential import Domain, ModelEnergies, Potential


class WithNarrowingDimension(Potential):
    """A potential with one dimension behind its own, whose stiffness grows along ``growth``.

    ``growth`` is g [1/nm], one number for each dimension of ``potential``, and ``stiffness`` is k [kJ/mol/nm^2].

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.testsystems.wells import ObliqueDoubleWell
    >>> narrowing = WithNarrowingDimension(ObliqueDoubleWell(), growth=(0.0, 3.0), stiffness=20.0)
    >>> round(float(narrowing.energy(np.array([0.0, 0.0, 0.1])) - narrowing.energy(np.zeros(3))), 9)
    0.1
    >>> float(narrowing.free_energy(np.array([0.0, 1.0]), kT=1.0))
    10.5
    """

    potential: Potential
    growth: tuple[float, ...] = (0.0, 3.0)
    stiffness: float = 20.0

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        return (*self.potential.domain, (-7.0 / self.stiffness**0.5, 7.0 / self.stiffness**0.5))

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        own, hidden = x[: self.potential.dims], x[self.potential.dims]
        stiffness = self.stiffness * x.__array_namespace__().exp(self._along(own))
        return self.potential.energy(own) + 0.5 * stiffness * hidden**2

    def free_energy(self, x: Array, kT: float) -> ModelEnergies:
        """Free energies ``(*points,)`` [kJ/mol], but for a constant, of the dimensions of ``potential`` alone [nm]."""
        return self.potential.energy(x) + 0.5 * kT * self._along(x)

    def _along(self, x: Array) -> ModelEnergies:
        return sum(g * column for g, column in zip(self.growth, x, strict=True))
