"""What an integrator is: everything that engines ask of one, on one page.

An integrator is a frozen `equinox.Module` of settings. It says how one step goes, how far an atom may get in it and
whether it keeps bonds of fixed length; no other file knows which integrators there are. A method of your own is such a
class in a file of your own:

    class OBABO(eqx.Module):
        kT: KilojoulesPerMole
        dt: Picoseconds
        friction: PerPicosecond = 1.0
        supports_constraints: ClassVar[bool] = False

        def step(self, phase, forces_at, bonds, noise): ...

        def reach(self, masses):
            return thermal_reach(masses, self.kT, self.dt)

Parameters carry their units in their types (`thalweg.units`), so that a study can give them with units.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.phase import ForceFunction, NoiseFunction, Phase
from thalweg.shapes import Array, Float, Masses, Positions
from thalweg.units import KilojoulesPerMole, Picoseconds

THROWN = 1000.0
"""Thermal energies in the motion of an atom from which its replica counts as diverged."""


@runtime_checkable
class Integrator(Protocol):
    """Advances all replicas by one time step after another.

    Attributes
    ----------
    dt : time step [ps]
    supports_constraints : whether a step keeps bonds of fixed length; engines refuse constraints otherwise
    """

    dt: Picoseconds

    @property
    def supports_constraints(self) -> bool: ...

    def step(
        self, phase: Phase, forces_at: ForceFunction, bonds: BondConstraints, noise: NoiseFunction
    ) -> Phase:
        """All replicas one step later, compiled into the loop: array operations only, nothing read or kept.

        Parameters
        ----------
        phase : positions, momenta and the forces that the step before ended with, replicas last
        forces_at : forces ``(atoms, dims, replicas)`` [kJ/mol/nm] at positions of that shape [nm], a bias
            included; call it as seldom as the method allows, all time is spent there. The phase returned holds the
            last of them: a run begins with a call of which it keeps these alone, those of its start
        bonds : masses, ``bonds.velocities(momenta)``, and constraints if they are supported
        noise : ``noise(shape, dtype)``, independent normal numbers of this step: the same at every call with the
            same shape. What needs several draws a step asks once, for ``(draws, *shape)``
        """
        ...

    def reach(self, masses: Masses) -> Float[Array, " atoms"]:
        """How far each atom of ``masses`` ``(atoms,)`` [amu] may get in one step [nm]; further, its replica is broken.

        `thermal_reach` for dynamics in a bath; infinite where no step is too long.
        """
        ...


@runtime_checkable
class PathWeighted(Protocol):
    """An integrator whose paths under a bias have weights: another force is another noise in every step.

    See `thalweg.dynamics.path_weights`. An integrator offers this beside its step, or not at all.
    """

    def place_of_force(self, phase: Phase, bonds: BondConstraints) -> Positions:
        """Where the force of the step that starts at ``phase`` acts ``(atoms, dims, replicas)`` [nm]."""
        ...

    def response(self, bonds: BondConstraints) -> Float[Array, " atoms"]:
        """What a force on each atom is worth in noise [1 / (kJ/mol/nm)]; nothing for atoms that never move."""
        ...


def thermal_reach(masses: Masses, kT: KilojoulesPerMole, dt: Picoseconds) -> Float[np.ndarray, " atoms"]:
    """``dt sqrt(1000 kT / m)``: how far atoms of ``masses`` ``(atoms,)`` [amu] may get in a bath [nm].

    Infinite for an atom of zero mass, which never moves.

    Examples
    --------
    >>> thermal_reach(np.array([1.0, 0.0]), kT=2.5, dt=0.002).tolist()
    [0.1, inf]
    """
    masses = np.asarray(masses, float)
    lightness = np.divide(1.0, masses, out=np.full(len(masses), np.inf), where=masses > 0)
    return dt * np.sqrt(THROWN * kT * lightness)
