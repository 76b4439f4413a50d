"""Double, triple and quadruple wells in one and two dimensions, with their sources.

Energies in kJ/mol and lengths in nm by the package's units; the literature uses them with ``kT`` and ``D`` of
order one and no units, and so do we in tests.
"""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Array
from thalweg.testsystems.potential import Domain, ModelEnergies, Potential


class HarmonicWell(Potential):
    """One well, ``U(x) = k x^2 / 2``, with everything in closed form (see `oscillator`).

    ``stiffness`` is k [kJ/mol/nm^2].

    Examples
    --------
    >>> float(HarmonicWell(stiffness=4.0).energy(np.array([0.5])))
    0.5
    """

    stiffness: float = 1.0

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        width = 7.0 / self.stiffness**0.5
        return ((-width, width),)

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        return 0.5 * self.stiffness * x[0] ** 2


class CosineWell(Potential):
    """Two equal wells between reflecting walls, ``U(x) = 1 + cos 2x`` for ``-pi <= x <= pi`` [mcgibbon2015].

    The minima are at ``-pi/2`` and ``pi/2``, the barriers 2 high; half a barrier stands at each wall, which
    reflects. The walls are the domain's; dynamics without walls sees a periodic function.

    Examples
    --------
    >>> float(CosineWell().energy(np.array([0.0])))
    2.0
    """

    @property
    def domain(self) -> Domain:
        """Where the walls stand [nm]."""
        return ((-np.pi, np.pi),)

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        return 1.0 + x.__array_namespace__().cos(2.0 * x[0])


class DoubleWell(Potential):
    """The quartic double well ``U(x) = B (x^2 - 1)^2 + c x``.

    ``barrier`` is B, the height of the barrier of the untilted well; ``tilt`` is c and makes the right well
    higher when positive.

    Examples
    --------
    >>> DoubleWell(barrier=5.0, tilt=0.5).energy(np.array([[-1.0, 0.0, 1.0]])).tolist()
    [-0.5, 5.0, 0.5]
    """

    barrier: float = 5.0
    tilt: float = 0.0

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        return ((-2.2, 2.2),)

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        return self.barrier * (x[0] ** 2 - 1.0) ** 2 + self.tilt * x[0]


class PrinzPotential(Potential):
    """Prinz's quadruple well in one dimension [prinz2011].

    ``U(x) = 4 (x^8 + 0.8 exp(-80 x^2) + 0.2 exp(-80 (x - 1/2)^2) + 0.5 exp(-40 (x + 1/2)^2))``

    Examples
    --------
    >>> round(float(PrinzPotential().energy(np.array([0.0]))), 4)
    3.2001
    """

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        return ((-1.25, 1.25),)

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        exp = x.__array_namespace__().exp
        bumps = 0.8 * exp(-80.0 * x[0] ** 2) + 0.2 * exp(-80.0 * (x[0] - 0.5) ** 2)
        return 4.0 * (x[0] ** 8 + bumps + 0.5 * exp(-40.0 * (x[0] + 0.5) ** 2))


class TripleWell1D(Potential):
    """A triple well in one dimension, a polynomial of degree six, as in deeptime [hoffmann2022].

    ``U(x) = 5 - 24.82 x + 41.4251 x^2 - 27.5344 x^3 + 8.53128 x^4 - 1.24006 x^5 + 0.0684 x^6``, used there
    with noise amplitude ``sigma = 0.75``, that is ``kT = D = sigma^2 / 2 = 0.28125``.

    Examples
    --------
    >>> float(TripleWell1D().energy(np.array([0.0])))
    5.0
    """

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        return ((-0.4, 6.5),)

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        powers = (0.0684, -1.24006, 8.53128, -27.5344, 41.4251, -24.82, 5.0)
        # Horner's rule
        value = powers[0] * x[0]
        for coefficient in powers[1:-1]:
            value = (value + coefficient) * x[0]
        return value + powers[-1]


class TripleWell2D(Potential):
    """Two deep wells and a shallow one in two dimensions [schutte2013].

    ``U(x, y) = 3 exp(-x^2 - (y - 1/3)^2) - 3 exp(-x^2 - (y - 5/3)^2) - 5 exp(-(x - 1)^2 - y^2)
    - 5 exp(-(x + 1)^2 - y^2) + x^4 / 5 + (y - 1/3)^4 / 5``, often used with noise amplitude ``sigma = 1.09``,
    that is ``kT = D = sigma^2 / 2 = 0.59405``.

    Examples
    --------
    >>> potential = TripleWell2D()
    >>> bool(potential.energy(np.array([1.0, 0.0])) == potential.energy(np.array([-1.0, 0.0])))
    True
    """

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        return ((-2.7, 2.7), (-2.6, 3.3))

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        exp = x.__array_namespace__().exp
        x, y = x[0], x[1]
        center = 3.0 * exp(-(x**2) - (y - 1 / 3) ** 2) - 3.0 * exp(-(x**2) - (y - 5 / 3) ** 2)
        sides = -5.0 * exp(-((x - 1.0) ** 2) - y**2) - 5.0 * exp(-((x + 1.0) ** 2) - y**2)
        return center + sides + 0.2 * x**4 + 0.2 * (y - 1 / 3) ** 4


class QuadrupleWell(Potential):
    """Four equal wells, a sum of two double wells: ``U(x, y) = (x^2 - 1)^2 + (y^2 - 1)^2``.

    The two coordinates are independent, so every eigenvalue of the generator is a sum of two of the double
    well's: the rates stand as 1 : 1 : 2.

    Examples
    --------
    >>> float(QuadrupleWell().energy(np.array([0.0, 1.0])))
    1.0
    """

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        return ((-2.2, 2.2), (-2.2, 2.2))

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        return (x[0] ** 2 - 1.0) ** 2 + (x[1] ** 2 - 1.0) ** 2


class ObliqueDoubleWell(Potential):
    """A double well along ``x`` whose valley leans: ``U(x, y) = 6 (x^2 - 1)^2 + 3 (y - 0.3 x)^2``.

    Given ``x``, ``y`` is Gaussian with variance ``kT / 6``, so the free energy along ``x`` is the double well
    itself, while the dynamics of ``x`` is slowed by the coupling to ``y``.

    Examples
    --------
    >>> float(ObliqueDoubleWell().energy(np.array([0.0, 0.0])))
    6.0
    """

    @property
    def domain(self) -> Domain:
        """A box [nm] that holds all but a negligible part of the Boltzmann weight."""
        return ((-2.0, 2.0), (-3.0, 3.0))

    def energy(self, x: Array) -> ModelEnergies:
        """Energies ``(*points,)`` [kJ/mol] of ``x`` ``(dims, *points)`` [nm]."""
        return 6.0 * (x[0] ** 2 - 1.0) ** 2 + 3.0 * (x[1] - 0.3 * x[0]) ** 2
