"""Overdamped Langevin dynamics by Euler-Maruyama.

``x(t + dt) = x(t) + (D/kT) f dt + sqrt(2 D dt) N(0, 1)``. In a harmonic well of stiffness k the sampled
variance is ``(kT/k) / (1 - D k dt / 2 kT)``: the error is of first order in dt, and beyond ``dt = 2 kT / (D
k)`` there is none.
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase
from thalweg.shapes import Array, Float, Masses, Positions
from thalweg.units import KilojoulesPerMole, Picoseconds, SquareNanometersPerPicosecond


class Overdamped(eqx.Module):
    """Overdamped Langevin dynamics ``dx = -D/kT grad U dt + sqrt(2 D) dW``; without constraints.

    Parameters
    ----------
    kT : thermal energy of the bath [kJ/mol]
    dt : time step [ps]
    diffusion : D, the same for all particles [nm^2/ps]
    """

    kT: KilojoulesPerMole
    dt: Picoseconds
    diffusion: SquareNanometersPerPicosecond = 1.0
    supports_constraints: ClassVar[bool] = False

    def step(
        self, phase: Phase, forces_at: ForceFunction, bonds: BondConstraints, noise: NoiseFunction
    ) -> Phase:
        """One step of all replicas; momenta, which this dynamics does not know, stay as they are."""
        drift = self.diffusion / self.kT * self.dt * phase.forces
        steps = drift + jnp.sqrt(2 * self.diffusion * self.dt) * noise(drift.shape, drift.dtype)
        positions = phase.positions + jnp.where(bonds.masses[:, None, None] > 0, steps, 0.0)
        return Phase(positions, phase.momenta, forces_at(positions))

    def reach(self, masses: Masses) -> Float[np.ndarray, " atoms"]:
        """Any length: steps follow no thermal velocity."""
        return np.full(len(masses), np.inf)

    def place_of_force(self, phase: Phase, bonds: BondConstraints) -> Positions:
        """Where the step starts."""
        return phase.positions

    def response(self, bonds: BondConstraints) -> Float[Array, " atoms"]:
        """``sqrt(D dt / 2) / kT`` [1 / (kJ/mol/nm)] [donati2017]; nothing for atoms that never move."""
        return jnp.where(bonds.masses > 0, jnp.sqrt(self.diffusion * self.dt / 2) / self.kT, 0.0)
