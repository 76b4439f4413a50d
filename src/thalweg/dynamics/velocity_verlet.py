"""Dynamics at constant energy by velocity Verlet, bonds fixed by RATTLE [swope1982, andersen1983].

Kick by half a step, drift, kick by half a step: of second order, symplectic and reversible in time.
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import numpy as np

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase
from thalweg.shapes import Float, Masses
from thalweg.units import Picoseconds


class VelocityVerlet(eqx.Module):
    """Dynamics at constant energy by velocity Verlet.

    Parameters
    ----------
    dt : time step [ps]
    """

    dt: Picoseconds
    supports_constraints: ClassVar[bool] = True

    def step(
        self, phase: Phase, forces_at: ForceFunction, bonds: BondConstraints, noise: NoiseFunction
    ) -> Phase:
        """One step of all replicas; one evaluation of the forces, no ``noise``."""
        dt, tangents = self.dt, bonds.tangents(phase.positions)
        momenta = bonds.projected(phase.momenta + dt / 2 * phase.forces, tangents)
        free = phase.positions + dt * bonds.velocities(momenta)
        positions, momenta = bonds.restored(free, momenta, tangents, dt)
        forces = forces_at(positions)
        return Phase(positions, momenta + dt / 2 * forces, forces)

    def reach(self, masses: Masses) -> Float[np.ndarray, " atoms"]:
        """1 nm, whatever the mass: there is no bath to compare with."""
        return np.ones(len(masses))
