"""A structure without clashes to start from, by OpenMM's minimizer: nothing to compile, constraints kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import openmm
from openmm import unit

from thalweg.interop.openmm.checked_xml import deserialized
from thalweg.interop.openmm.platforms import fastest_platform, reproducible
from thalweg.systems.system import System


def relaxed(system: System, tolerance: float = 10.0, iterations: int = 500) -> System:
    """``system`` at the nearest minimum of its energy, the same wherever it is done on one kind of machine.

    Parameters
    ----------
    system : System with ``openmm_xml``
    tolerance : root mean square force to stop at [kJ/mol/nm]
    iterations : steps of the minimizer at most

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
