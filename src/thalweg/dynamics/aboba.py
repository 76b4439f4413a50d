"""Langevin dynamics by the ABOBA splitting, whose force acts once, in the middle of a step [leimkuhler2013].

``A(dt/2) B(dt/2) O(dt) B(dt/2) A(dt/2)`` with drift A, kick B and thermostat O as in `langevin`. What another force
would have done to a step is what another noise would have done, so that runs under a bias have path weights
(`path_weights`); `Langevin`, by BAOAB, samples configurations better and has none.
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.integrator import thermal_reach
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase
from thalweg.shapes import Array, Float, Masses, Positions
from thalweg.units import KilojoulesPerMole, PerPicosecond, Picoseconds


class ABOBA(eqx.Module):
    """Langevin dynamics by ABOBA [leimkuhler2013], whose biased paths have weights; without constraints.

    Parameters
    ----------
    kT : thermal energy of the bath [kJ/mol]
    dt : time step [ps]
    friction : [1/ps]
    """

    kT: KilojoulesPerMole
    dt: Picoseconds
    friction: PerPicosecond = 1.0
    supports_constraints: ClassVar[bool] = False

    def step(
        self, phase: Phase, forces_at: ForceFunction, bonds: BondConstraints, noise: NoiseFunction
    ) -> Phase:
        """One step of all replicas; one evaluation of the forces."""
        dt, halfway = self.dt, self.place_of_force(phase, bonds)  # A
        forces = forces_at(halfway)
        keep = jnp.exp(-self.friction * dt)
        width = jnp.sqrt((1.0 - keep**2) * self.kT * bonds.masses[:, None, None])
        momenta = keep * (phase.momenta + dt / 2 * forces) + width * noise(forces.shape, forces.dtype)  # B, O
        momenta = momenta + dt / 2 * forces  # B
        return Phase(halfway + dt / 2 * bonds.velocities(momenta), momenta, forces)  # A

    def reach(self, masses: Masses) -> Float[np.ndarray, " atoms"]:
        """Not further than an atom with a thousand times its thermal energy [nm]."""
        return thermal_reach(masses, self.kT, self.dt)

    def place_of_force(self, phase: Phase, bonds: BondConstraints) -> Positions:
        """Half a drift after ``phase``."""
        return phase.positions + self.dt / 2 * bonds.velocities(phase.momenta)

    def response(self, bonds: BondConstraints) -> Float[Array, " atoms"]:
        """``dt (1 + d) / 2 sqrt((1 - d^2) m kT)``, ``d = exp(-friction dt)`` [1 / (kJ/mol/nm)] [kieninger2021]."""
        keep = jnp.exp(-self.friction * self.dt)
        return self.dt / 2 * (1 + keep) * jnp.sqrt(bonds.inverse_masses / ((1 - keep**2) * self.kT))
