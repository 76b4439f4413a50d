"""The Müller-Brown surface [muller1979], scaled, and with harmonic dimensions added.

``V(x, y) = sum_k A_k exp(a_k (x - X_k)^2 + b_k (x - X_k)(y - Y_k) + c_k (y - Y_k)^2)``

=====  ======  =====  =====  ======  =====  =====
``k``  A       a      b      c       X      Y
=====  ======  =====  =====  ======  =====  =====
1      -200    -1     0      -10     1      0
2      -100    -1     0      -10     0      1/2
3      -170    -13/2  11     -13/2   -1/2   3/2
4      15      7/10   3/5    7/10    -1     1
=====  ======  =====  =====  ======  =====  =====
"""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Array
from thalweg.testsystems.potential import Domain, ModelEnergies, Potential

TERMS = (
    (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
    (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
    (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
    (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
)
"""``A, a, b, c, X, Y`` of each term [muller1979]."""


class MullerBrown(Potential):
    """The Müller-Brown surface divided by ``scale``: three wells, two of them close.

    ``scale = 1`` is the original, up to 100 ``kT`` deep at ``kT = 1``; 10, 15 and 20 make it cross often at
    ``kT = 1``, and ``scale = 1`` at ``kT = 15`` is MSMBuilder's.

    Examples
    --------
    >>> round(float(MullerBrown(scale=20.0).energy(np.array([-0.5582, 1.4417]))), 3)
    -7.335
    """

    scale: float = 1.0

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        return ((-2.0, 1.6), (-0.9, 2.5))

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        exp = x.__array_namespace__().exp
        x, y = x[0], x[1]
        return sum(
            A / self.scale * exp(a * (x - X) ** 2 + b * (x - X) * (y - Y) + c * (y - Y) ** 2)
            for A, a, b, c, X, Y in TERMS
        )


class WithHarmonicDimensions(Potential):
    """A potential with independent harmonic dimensions behind its own: ``U(x) + k/2 |z|^2``.

    Sets that do not mention ``z`` have the committor and rates of ``potential`` alone, which makes a
    high-dimensional problem with a known answer [thiede2019].

    ``dimensions`` is the number of dimensions added and ``stiffness`` is k [kJ/mol/nm^2].

    Examples
    --------
    >>> WithHarmonicDimensions(MullerBrown(scale=20.0), dimensions=8, stiffness=2.0).dims
    10
    """

    potential: Potential
    dimensions: int = 8
    stiffness: float = 1.0

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        width = 7.0 / np.sqrt(self.stiffness)
        return self.potential.domain + ((-width, width),) * self.dimensions

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        own = self.potential.dims
        return self.potential.energy(x[:own]) + 0.5 * self.stiffness * (x[own:] ** 2).sum(axis=0)
