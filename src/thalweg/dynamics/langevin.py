"""Langevin dynamics by the BAOAB splitting, with bonds of fixed length [leimkuhler2013, leimkuhler2016].

``dx = p/m dt``, ``dp = f dt - friction p dt + sqrt(2 friction kT m) dW`` is split into a kick B, a drift A
and the exact thermostat O, composed as B(dt/2) A(dt/2) O(dt) A(dt/2) B(dt/2). Configurational averages are
wrong by order dt^2 only, and for a harmonic well not at all. With constraints, momenta and noise are freed of
their components along the bonds before they move anything, and the two drifts around O are restored together.
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.integrator import thermal_reach
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase
from thalweg.shapes import Float, Masses
from thalweg.units import KilojoulesPerMole, PerPicosecond, Picoseconds


class Langevin(eqx.Module):
    """Langevin dynamics by BAOAB [leimkuhler2013].

    Parameters
    ----------
    kT : thermal energy of the bath [kJ/mol]
    dt : time step [ps]
    friction : [1/ps]
    """

    kT: KilojoulesPerMole
    dt: Picoseconds
    friction: PerPicosecond = 1.0
    supports_constraints: ClassVar[bool] = True

    def step(
        self, phase: Phase, forces_at: ForceFunction, bonds: BondConstraints, noise: NoiseFunction
    ) -> Phase:
        """One step of all replicas; one evaluation of the forces."""
        dt, tangents = self.dt, bonds.tangents(phase.positions)

        momenta = bonds.projected(
            phase.momenta + dt / 2 * phase.forces, tangents
        )  # B, and that of the step before
        halfway = phase.positions + dt / 2 * bonds.velocities(momenta)  # A
        keep = jnp.exp(-self.friction * dt)
        width = jnp.sqrt((1.0 - keep**2) * self.kT * bonds.masses[:, None, None])
        momenta = keep * momenta + bonds.projected(width * noise(momenta.shape, momenta.dtype), tangents)  # O
        free = halfway + dt / 2 * bonds.velocities(momenta)  # A
        positions, momenta = bonds.restored(free, momenta, tangents, dt)

        forces = forces_at(positions)
        return Phase(positions, momenta + dt / 2 * forces, forces)  # B

    def reach(self, masses: Masses) -> Float[np.ndarray, " atoms"]:
        """Not further than an atom with a thousand times its thermal energy [nm]."""
        return thermal_reach(masses, self.kT, self.dt)
