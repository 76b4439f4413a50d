"""An OpenMM ``System`` translated, force by force, into a differentiable energy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openmm

from thalweg.potentials.energy import Energy, Sum
from thalweg.potentials.generalized_born import OBC2, generalized_born
from thalweg.potentials.harmonic import harmonic_angles, harmonic_bonds
from thalweg.potentials.nonbonded import Cutoff, nonbonded
from thalweg.potentials.torsions import periodic_torsions, ryckaert_bellemans_torsions
from thalweg.systems.system import Constraints, System
from thalweg.systems.topology import Topology
from thalweg.units import COULOMB

NOT_AN_ENERGY = (
    openmm.CMMotionRemover,
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloMembraneBarostat,
    openmm.AndersenThermostat,
)
"""Forces that change how a simulation moves, not what its energy is: skipped."""


class TranslationError(ValueError):
    """A term of an OpenMM ``System`` has no translation; the message names it and says what to do."""


def translate(openmm_system: openmm.System) -> Energy:
    """The potential energy of ``openmm_system``, one term per force.

    Motion removers, barostats and thermostats carry no energy and are skipped.

    Raises
    ------
    TranslationError
        Naming the force, or the feature of it, that has no translation.
    """
    return Sum(tuple(term for force in openmm_system.getForces() for term in terms(force)))


def terms(force: openmm.Force) -> tuple[Energy, ...]:
    """The energies one OpenMM force stands for; none for motion removers, barostats and thermostats."""
    if isinstance(force, NOT_AN_ENERGY):
        return ()
    translator = TRANSLATORS.get(type(force).__name__)
    if translator is None:
        raise TranslationError(
            f"force {force.getName()!r} ({type(force).__name__}) has no translation to the native engine; known are "
            f"{', '.join(sorted(TRANSLATORS))}. Run this system with the OpenMM engine, or remove the force"
        )
    return translator(force)


def system_constraints(openmm_system: openmm.System) -> Constraints:
    """The fixed distances of ``openmm_system`` [nm]."""
    found = [
        _plain(openmm_system.getConstraintParameters(k)) for k in range(openmm_system.getNumConstraints())
    ]
    if not found:
        return Constraints.none()
    i, j, length = np.array(found, float).T
    return Constraints(np.stack([i, j], 1).astype(int), length)


def system_from_openmm(openmm_system: openmm.System, topology: Topology, positions: np.ndarray) -> System:
    """A `System` with the energy, masses, constraints and box of ``openmm_system``; ``positions`` ``(atoms, 3)`` [nm]."""
    n = openmm_system.getNumParticles()
    masses = np.array([_plain(openmm_system.getParticleMass(i)) for i in range(n)])
    box = None
    if openmm_system.usesPeriodicBoundaryConditions():
        box = np.array([_plain(vector) for vector in openmm_system.getDefaultPeriodicBoxVectors()])
    return System(
        topology,
        np.asarray(positions, float),
        masses,
        translate(openmm_system),
        system_constraints(openmm_system),
        box,
        openmm.XmlSerializer.serialize(openmm_system),
    )


def _harmonic_bonds(force):
    pairs, length, stiffness = _table(force.getBondParameters, force.getNumBonds(), 2, 2)
    return (harmonic_bonds(pairs, length, stiffness, force.usesPeriodicBoundaryConditions()),)


def _harmonic_angles(force):
    triples, angles, stiffness = _table(force.getAngleParameters, force.getNumAngles(), 3, 2)
    return (harmonic_angles(triples, angles, stiffness, force.usesPeriodicBoundaryConditions()),)


def _periodic_torsions(force):
    quads, multiplicity, phase, barrier = _table(force.getTorsionParameters, force.getNumTorsions(), 4, 3)
    periodic = force.usesPeriodicBoundaryConditions()
    return (periodic_torsions(quads, multiplicity.astype(int), phase, barrier, periodic),)


def _ryckaert_bellemans(force):
    quads, *coefficients = _table(force.getTorsionParameters, force.getNumTorsions(), 4, 6)
    periodic = force.usesPeriodicBoundaryConditions()
    return (ryckaert_bellemans_torsions(quads, np.stack(coefficients, 1), periodic),)


def _nonbonded(force):
    return nonbonded_terms(force)


def _obc2(force):
    if force.getNonbondedMethod() != openmm.GBSAOBCForce.NoCutoff:
        raise TranslationError(
            "GBSAOBCForce with a cutoff has no translation; use NoCutoff, or the OpenMM engine"
        )
    n = force.getNumParticles()
    charge, radius, scale = np.array([_plain(force.getParticleParameters(i)) for i in range(n)]).T
    tau = COULOMB * (1 / force.getSoluteDielectric() - 1 / force.getSolventDielectric())
    surface = 4 * np.pi * _plain(force.getSurfaceAreaEnergy())
    return (generalized_born(charge, radius, scale, OBC2, tau, surface),)


def nonbonded_terms(force: openmm.NonbondedForce) -> tuple[Energy, ...]:
    """Lennard-Jones, Coulomb, exceptions and dispersion correction of a ``NonbondedForce``."""
    if force.getNumParticleParameterOffsets() or force.getNumExceptionParameterOffsets():
        raise TranslationError(
            "NonbondedForce with parameter offsets has no translation; fix the global parameters in the particles, "
            "or use the OpenMM engine"
        )
    method = force.getNonbondedMethod()
    if method not in (force.NoCutoff, force.CutoffNonPeriodic, force.CutoffPeriodic):
        raise TranslationError(
            "NonbondedForce with PME, LJPME or Ewald summation has no translation; use the OpenMM engine, or "
            "nonbondedMethod=CutoffPeriodic"
        )
    n = force.getNumParticles()
    parameters = np.array([_plain(force.getParticleParameters(i)) for i in range(n)])
    exceptions = _table(force.getExceptionParameters, force.getNumExceptions(), 2, 3)
    cutoff = None
    if method != force.NoCutoff:
        switch = _plain(force.getSwitchingDistance()) if force.getUseSwitchingFunction() else None
        cutoff = Cutoff(_plain(force.getCutoffDistance()), force.getReactionFieldDielectric(), switch)
    periodic = method == force.CutoffPeriodic
    return nonbonded(parameters, exceptions, cutoff, periodic)


TRANSLATORS: dict[str, Callable] = {
    "HarmonicBondForce": _harmonic_bonds,
    "HarmonicAngleForce": _harmonic_angles,
    "PeriodicTorsionForce": _periodic_torsions,
    "RBTorsionForce": _ryckaert_bellemans,
    "NonbondedForce": _nonbonded,
    "GBSAOBCForce": _obc2,
}
"""OpenMM's name of a force, and what translates it."""


def _plain(value):
    """Numbers of OpenMM quantities in its own units, which are ours."""
    if isinstance(value, (list, tuple)) and not isinstance(value, openmm.Vec3):
        return [_plain(v) for v in value]
    return value.value_in_unit_system(openmm.unit.md_unit_system) if openmm.unit.is_quantity(value) else value


def _table(parameters, count, atoms, columns):
    """The index columns of a force's terms as ``(terms, atoms)`` int, and each parameter as ``(terms,)``."""
    rows = np.array([_plain(parameters(k)) for k in range(count)], float).reshape(count, atoms + columns)
    return rows[:, :atoms].astype(int), *rows[:, atoms:].T
