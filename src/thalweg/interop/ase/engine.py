"""ASE as an engine: dynamics with any ASE calculator, a quantum code say, behind the usual interface.

ASE's own loop costs some 200 us a step. It is meant for energies that cost far more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import ase
import numpy as np
from ase import units
from ase.calculators.calculator import Calculator
from ase.constraints import FixBondLengths
from ase.md import langevin, verlet
from ase.md.md import MolecularDynamics

from thalweg.dynamics.engine import Bias, Observer, Recording
from thalweg.dynamics.in_turn import BiasForce, Broken, Place, run_in_turn
from thalweg.dynamics.integrator import Integrator
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.recording import check_integrator, check_kept_box
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.ase.calculator import EnergyCalculator
from thalweg.potentials.energy import EnergyElsewhere
from thalweg.systems.state import State
from thalweg.systems.system import System
from thalweg.units import ANGSTROM, BOLTZMANN, ELECTRONVOLT

PICOSECOND = 1000.0 * units.fs
"""One picosecond in ASE's unit of time."""

MOMENTUM = (1.0 / ANGSTROM) / PICOSECOND
"""One amu nm/ps in ASE's unit of momentum."""


class ASEEngine:
    """Runs a system with ASE's integrators and a calculator.

    Langevin dynamics is ASE's, with the center of mass left to move: fixing it, as ASE does if not told
    otherwise, samples the wrong ensemble for small systems. Its configurations are wrong by order dt, not
    dt^2 as in BAOAB.

    Parameters
    ----------
    system : System
    integrator : Langevin, VelocityVerlet, or another that `_ase_dynamics` has been taught
    calculator : any ASE calculator; the system's own energy if None

    Raises
    ------
    ValueError
        If the integrator is one that ASE does not have, or does not keep constraints, or the system has a barostat or
        an energy that only another program evaluates.
    """

    def __init__(self, system: System, integrator: Integrator, calculator: Calculator | None = None):
        check_integrator(integrator, system.constraints)
        check_kept_box(system, type(self).__name__)
        if calculator is None and isinstance(system.energy, EnergyElsewhere):
            raise ValueError(system.energy.reason)
        _ase_dynamics(integrator, ase.Atoms(), 0)
        self.system, self.integrator = system, integrator
        self.calculator = EnergyCalculator(system.energy) if calculator is None else calculator

    def run(
        self,
        state: State,
        steps: int,
        *,
        save_every: int,
        bias: Bias | None = None,
        bias_state: Any = None,
        observers: Sequence[Observer] = (),
    ) -> Recording:
        """Advance all replicas by ``steps``; see `thalweg.dynamics.engine.Engine.run`."""
        return run_in_turn(
            lambda seed, force: _Atoms(self, seed, force if force.acts else None, state.box is not None),
            self.system,
            self.integrator,
            state,
            steps,
            save_every=save_every,
            bias=bias,
            bias_state=bias_state,
            observers=observers,
        )


@singledispatch
def _ase_dynamics(integrator: Integrator, atoms: ase.Atoms, seed: int) -> MolecularDynamics:
    """The same dynamics of ``atoms`` in ASE, with noise from ``seed``.

    An integrator of your own joins by ``@ase_dynamics.register`` above a function of these three in its own file.

    Raises
    ------
    ValueError
        If ASE has no such dynamics.
    """
    raise ValueError(
        f"ASE's engine has no {type(integrator).__name__} dynamics; use Langevin, or the native engine"
    )


@_ase_dynamics.register
def _(integrator: Langevin, atoms: ase.Atoms, seed: int) -> MolecularDynamics:
    return langevin.Langevin(
        atoms,
        integrator.dt * PICOSECOND,
        temperature_K=integrator.kT / BOLTZMANN,
        friction=integrator.friction / PICOSECOND,
        fixcm=False,
        rng=np.random.RandomState(seed),
    )


@_ase_dynamics.register
def _(integrator: VelocityVerlet, atoms: ase.Atoms, seed: int) -> MolecularDynamics:
    return verlet.VelocityVerlet(atoms, integrator.dt * PICOSECOND)


class _Atoms:
    """The walker: one ``Atoms`` object that replicas use in turn."""

    def __init__(self, engine: ASEEngine, seed: int, force: BiasForce | None, periodic: bool):
        system = engine.system
        elements = [element or "X" for element in system.topology.elements]
        self.atoms = ase.Atoms(
            elements, system.positions / ANGSTROM, masses=system.masses, cell=np.eye(3), pbc=periodic
        )
        self.atoms.calc = engine.calculator
        held = system.constraints
        acting = [] if force is None else [_BiasOnAtoms(force)]
        if len(held.pairs):
            acting.append(FixBondLengths(held.pairs, bondlengths=held.distances / ANGSTROM))
        self.atoms.set_constraint(acting)
        self.dynamics = _ase_dynamics(engine.integrator, self.atoms, seed)

    def advance(self, replica: int, place: Place, steps: int) -> Place:
        atoms = self.atoms
        if place.box is not None:
            atoms.set_cell(np.asarray(place.box, float) / ANGSTROM)
        atoms.set_positions(place.positions / ANGSTROM, apply_constraint=False)
        atoms.set_momenta(place.momenta * MOMENTUM, apply_constraint=False)
        if place.kT is not None:
            self.dynamics.set_temperature(temperature_K=place.kT / BOLTZMANN)
        with np.errstate(all="ignore"):
            try:
                self.dynamics.run(steps)
            except (RuntimeError, FloatingPointError) as trouble:
                raise Broken(str(trouble)) from trouble
            own = atoms.get_potential_energy(apply_constraint=False) * ELECTRONVOLT
        return Place(atoms.get_positions() * ANGSTROM, atoms.get_momenta() / MOMENTUM, place.box, own)


class _BiasOnAtoms:
    """A bias in the way ASE adds forces to a calculator's, as its ``Hookean`` does."""

    def __init__(self, force: BiasForce):
        self.force = force

    def _at(self, atoms):
        """Energy [kJ/mol] and forces [kJ/mol/nm]."""
        return self.force(
            atoms.positions * ANGSTROM, np.asarray(atoms.cell) * ANGSTROM if atoms.pbc.any() else None
        )

    def adjust_positions(self, atoms, new):
        """Positions are free."""

    def adjust_momenta(self, atoms, momenta):
        """Momenta are free."""

    def adjust_forces(self, atoms, forces):
        """Add the bias to ``forces`` [eV/Å]."""
        forces += self._at(atoms)[1] * (ANGSTROM / ELECTRONVOLT)

    def adjust_potential_energy(self, atoms):
        """The bias energy [eV]."""
        return self._at(atoms)[0] / ELECTRONVOLT

    def get_removed_dof(self, atoms):
        """A bias takes no degree of freedom."""
        return 0
