"""A structure without clashes to start from, by OpenMM's minimizer: nothing to compile, constraints kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import openmm
from openmm import unit

from thalweg.interop.openmm.checked_xml import deserialized
from thalweg.interop.openmm.platforms import fastest_platform, reproducible
from thalweg.systems.system import System

STIFFNESS = 1e5
"""Of the springs to where atoms are held [kJ/mol/nm^2]: 0.01 nm cost 5 kJ/mol, a fifth of what they cost a bond."""


def relaxed(
    system: System, tolerance: float = 10.0, iterations: int = 500, held: Sequence[int] | np.ndarray = ()
) -> System:
    """``system`` at the nearest minimum of its energy, the same wherever it is done on one kind of machine.

    Parameters
    ----------
    system : System with ``openmm_xml``
    tolerance : root mean square force to stop at [kJ/mol/nm]
    iterations : steps of the minimizer at most
    held : atoms tied to where they are, so that only what is strained gives way

    Raises
    ------
    ValueError
        If the system is not one of OpenMM, or the energy is not finite where the minimizer ends.

    Examples
    --------
    >>> from thalweg.interop.openmm.molecules import alanine_dipeptide
    >>> molecule = alanine_dipeptide()
    >>> bool(np.abs(relaxed(molecule).positions - molecule.positions).max() < 0.05)
    True
    """
    if system.openmm_xml is None:
        raise ValueError("the system was not made by OpenMM, which cannot relax it; build it from files")
    simulated = deserialized(system.openmm_xml)
    if len(held):
        _tie(simulated, np.asarray(system.positions, float), held)
    platform = openmm.Platform.getPlatform(fastest_platform(simulated, graphics=False))
    context = openmm.Context(simulated, openmm.VerletIntegrator(0.001), platform, reproducible(platform))
    if system.box is not None:
        context.setPeriodicBoxVectors(*np.asarray(system.box, float))
    context.setPositions(np.asarray(system.positions, float))
    context.applyConstraints(1e-6)
    context.computeVirtualSites()
    openmm.LocalEnergyMinimizer.minimize(context, tolerance, iterations)
    state = context.getState(energy=True, positions=True)
    if not np.isfinite(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)):
        raise ValueError(
            "the energy of the structure is not finite even after minimizing; mend overlapping atoms"
        )
    return replace(system, positions=state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))


def _tie(system: openmm.System, positions: np.ndarray, held: Sequence[int] | np.ndarray) -> None:
    """Add springs from atoms to where they are."""
    springs = openmm.CustomExternalForce(f"{STIFFNESS / 2}*((x-x0)^2+(y-y0)^2+(z-z0)^2)")
    for name in ("x0", "y0", "z0"):
        springs.addPerParticleParameter(name)
    for atom in held:
        springs.addParticle(int(atom), positions[atom])
    system.addForce(springs)
