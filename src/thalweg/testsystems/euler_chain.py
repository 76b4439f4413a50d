"""The Markov chain that an Euler-Maruyama simulation really samples, exact at its finite time step.

``x' = x - D/kT U'(x) dt + sqrt(2 D dt) xi`` in one dimension. Simulated data relax at the rates of this
chain, which differ from those of the continuous process by a part of order dt: on Prinz's potential with dt =
0.001 by 1.2 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.testsystems.chain import eigenvalues
from thalweg.testsystems.potential import Domain, Potential


@dataclass(frozen=True)
class EulerChain:
    """The transition density of one Euler-Maruyama step on a grid, by the midpoint rule.

    The density is smooth, so with cells half as wide as the noise ``sqrt(2 D dt)`` the error is below 1e-8,
    and it falls exponentially from there.

    Attributes
    ----------
    potential : Potential, in one dimension
    domain : ``((lower, upper),)`` [nm], wide enough that what leaves it does not matter
    cells : number of cells
    kT : [kJ/mol]
    dt : time step [ps]
    diffusion : [nm^2/ps]

    Raises
    ------
    ValueError
        If the cells are wider than the noise of a step.

    Examples
    --------
    >>> from thalweg.testsystems.wells import PrinzPotential
    >>> EulerChain(PrinzPotential(), ((-1.3, 1.3),), 150).eigenvalues(3, steps=100).round(5).tolist()
    [0.88832, 0.45086, 0.21103]
    """

    potential: Potential
    domain: Domain
    cells: int
    kT: float = 1.0
    dt: float = 1e-3
    diffusion: float = 1.0

    def __post_init__(self):
        if self.spacing > self.noise:
            needed = int(np.ceil(self.cells * self.spacing / self.noise))
            raise ValueError(f"{self.cells} cells are wider than a step's noise; use at least {needed}")

    @property
    def spacing(self) -> float:
        """Width of a cell [nm]."""
        ((lower, upper),) = self.domain
        return (upper - lower) / self.cells

    @property
    def noise(self) -> float:
        """Standard deviation of a step, ``sqrt(2 D dt)`` [nm]."""
        return float(np.sqrt(2.0 * self.diffusion * self.dt))

    @property
    def points(self) -> np.ndarray:
        """Centers of the cells (cells,) [nm]."""
        return self.domain[0][0] + self.spacing * (np.arange(self.cells) + 0.5)

    def transition_matrix(self) -> np.ndarray:
        """Probabilities (cells, cells) of one step, rows summing to one."""
        x = self.points
        drift = -self.diffusion / self.kT * self.dt * self.potential.gradient(x[None])[0]
        # Gaussian about x - D/kT U'(x) dt of variance 2 D dt, at cell centers; rows absorb the factor of normalization
        density = np.exp(-0.5 * ((x[None, :] - (x + drift)[:, None]) / self.noise) ** 2)
        return density / density.sum(axis=1, keepdims=True)

    def eigenvalues(self, count: int, steps: int = 1) -> np.ndarray:
        """The ``count`` largest eigenvalues (count,) below one of ``steps`` steps."""
        return eigenvalues(self.transition_matrix(), count + 1)[1:] ** steps

    def timescales(self, count: int) -> np.ndarray:
        """The ``count`` slowest relaxation times (count,) [ps]."""
        return -self.dt / np.log(self.eigenvalues(count))
