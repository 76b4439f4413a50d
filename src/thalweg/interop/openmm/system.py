"""An OpenMM ``System`` translated, force by force, into a differentiable energy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openmm

from thalweg.interop.openmm.custom_forces import CUSTOM, custom_centroid_bonds, custom_cv
from thalweg.interop.openmm.values import TranslationError, numbers_of, refuse, term_table
from thalweg.potentials.cmap import correction_maps
from thalweg.potentials.energy import Energy, EnergyElsewhere, Sum
from thalweg.potentials.harmonic import harmonic_angles, harmonic_bonds
from thalweg.potentials.nonbonded import Cutoff, dispersion_correction, nonbonded
from thalweg.potentials.obc import obc2
from thalweg.potentials.torsions import periodic_torsions, ryckaert_bellemans_torsions
from thalweg.systems.box import reduced_box
from thalweg.systems.system import Constraints, System
from thalweg.systems.topology import Topology

NOT_AN_ENERGY = (
    openmm.CMMotionRemover,
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloFlexibleBarostat,
    openmm.MonteCarloMembraneBarostat,
    openmm.AndersenThermostat,
)
"""Forces that change how a simulation moves, not what its energy is: skipped."""


def is_barostat(force: openmm.Force) -> bool:
    """Whether ``force`` changes the box."""
    return "Barostat" in type(force).__name__


def translate(openmm_system: openmm.System) -> Energy:
    """The potential energy of ``openmm_system``, one term per force.

    Motion removers, barostats and thermostats carry no energy and are skipped.

    Raises
    ------
    TranslationError
        Naming the force, or the feature of it, that has no translation.
    """
    n = openmm_system.getNumParticles()
    virtual = [i for i in range(n) if openmm_system.isVirtualSite(i)]
    if virtual:
        raise TranslationError(
            f"{len(virtual)} virtual sites (the first is particle {virtual[0] + 1}) have no translation to the native "
            'engine; use the OpenMM engine (engine = "openmm" in a study), or a water model without them, such as TIP3P'
        )
    masses = particle_masses(openmm_system)
    return Sum(tuple(term for force in openmm_system.getForces() for term in terms(force, masses)))


def terms(force: openmm.Force, masses: np.ndarray) -> tuple[Energy, ...]:
    """The energies one force stands for, none if it carries no energy; ``masses`` ``(atoms,)`` weigh centroids."""
    match force:
        case _ if isinstance(force, NOT_AN_ENERGY):
            return ()
        case openmm.CustomCVForce():
            return custom_cv(force, lambda inner: Sum(terms(inner, masses)))
        case openmm.CustomCentroidBondForce():
            return custom_centroid_bonds(force, masses)
    translator = TRANSLATORS.get(type(force).__name__)
    if translator is None:
        known = ", ".join([*sorted(TRANSLATORS), "CustomCVForce", "CustomCentroidBondForce"])
        raise TranslationError(
            f"force {force.getName()!r} ({type(force).__name__}) has no translation to the native engine; use the "
            f'OpenMM engine (engine = "openmm" in a study), or remove the force. Translated are {known}'
        )
    return translator(force)


def particle_masses(openmm_system: openmm.System) -> np.ndarray:
    """Masses ``(atoms,)`` [amu]."""
    return np.array(
        [numbers_of(openmm_system.getParticleMass(i)) for i in range(openmm_system.getNumParticles())]
    )


def system_constraints(openmm_system: openmm.System) -> Constraints:
    """The fixed distances of ``openmm_system`` [nm]."""
    found = [
        numbers_of(openmm_system.getConstraintParameters(k)) for k in range(openmm_system.getNumConstraints())
    ]
    if not found:
        return Constraints.none()
    i, j, length = np.array(found, float).T
    return Constraints(np.stack([i, j], 1).astype(int), length)


def system_from_openmm(
    openmm_system: openmm.System, topology: Topology, positions: np.ndarray, notes: tuple[str, ...] = ()
) -> System:
    """A `System` with all that ``openmm_system`` says.

    What the native engine cannot do leaves an `EnergyElsewhere` in the place of the energy, which says what it is.

    Parameters
    ----------
    openmm_system : as OpenMM would run it
    topology : of its particles
    positions : (atoms, 3) [nm]
    notes : of what was decided for the user on the way
    """
    box = None
    if openmm_system.usesPeriodicBoundaryConditions():
        vectors = openmm_system.getDefaultPeriodicBoxVectors()
        box = reduced_box(np.array([list(numbers_of(vector)) for vector in vectors]))
    return System(
        topology,
        np.asarray(positions, float),
        particle_masses(openmm_system),
        _translated(openmm_system),
        system_constraints(openmm_system),
        box,
        openmm.XmlSerializer.serialize(openmm_system),
        next((type(force).__name__ for force in openmm_system.getForces() if is_barostat(force)), None),
        notes,
    )


def _translated(openmm_system: openmm.System) -> Energy:
    try:
        return translate(openmm_system)
    except TranslationError as error:
        return EnergyElsewhere(str(error))


def _harmonic_bonds(force):
    pairs, length, stiffness = term_table(force.getBondParameters, force.getNumBonds(), 2, 2)
    return (harmonic_bonds(pairs, length, stiffness, force.usesPeriodicBoundaryConditions()),)


def _harmonic_angles(force):
    triples, angles, stiffness = term_table(force.getAngleParameters, force.getNumAngles(), 3, 2)
    return (harmonic_angles(triples, angles, stiffness, force.usesPeriodicBoundaryConditions()),)


def _periodic_torsions(force):
    quads, multiplicity, phase, barrier = term_table(force.getTorsionParameters, force.getNumTorsions(), 4, 3)
    periodic = force.usesPeriodicBoundaryConditions()
    return (periodic_torsions(quads, multiplicity.astype(int), phase, barrier, periodic),)


def _ryckaert_bellemans(force):
    quads, *coefficients = term_table(force.getTorsionParameters, force.getNumTorsions(), 4, 6)
    periodic = force.usesPeriodicBoundaryConditions()
    return (ryckaert_bellemans_torsions(quads, np.stack(coefficients, 1), periodic),)


def _correction_maps(force):
    terms = np.array([force.getTorsionParameters(k) for k in range(force.getNumTorsions())], int).reshape(
        -1, 9
    )
    grids = []
    for m in range(force.getNumMaps()):
        size, energies = force.getMapParameters(m)
        grids.append(np.array(numbers_of(energies), float).reshape(size, size).T)
    return correction_maps(
        terms[:, 1:5], terms[:, 5:], terms[:, 0], grids, force.usesPeriodicBoundaryConditions()
    )


def _obc2(force):
    refuse(force, force.getNonbondedMethod() != force.NoCutoff, "a cutoff")
    n = force.getNumParticles()
    charge, radius, scale = np.array([numbers_of(force.getParticleParameters(i)) for i in range(n)]).T
    surface = 4 * np.pi * numbers_of(force.getSurfaceAreaEnergy())
    return (obc2(charge, radius, scale, force.getSoluteDielectric(), force.getSolventDielectric(), surface),)


def _nonbonded_terms(force: openmm.NonbondedForce) -> tuple[Energy, ...]:
    """Lennard-Jones, Coulomb, exceptions and dispersion correction of a ``NonbondedForce``."""
    offsets = force.getNumParticleParameterOffsets() or force.getNumExceptionParameterOffsets()
    refuse(force, offsets, "parameter offsets (global parameters of particles or exceptions)")
    method = force.getNonbondedMethod()
    if method not in (force.NoCutoff, force.CutoffNonPeriodic, force.CutoffPeriodic):
        raise TranslationError(
            "PME, LJPME and Ewald summation have no translation to the native engine; use the OpenMM engine "
            '(engine = "openmm" in a study), or a reaction field (electrostatics = "reaction-field" in [system], '
            "nonbondedMethod=CutoffPeriodic in OpenMM)"
        )
    n = force.getNumParticles()
    parameters = np.array([numbers_of(force.getParticleParameters(i)) for i in range(n)])
    exceptions = term_table(force.getExceptionParameters, force.getNumExceptions(), 2, 3)
    # exceptions are pairs with parameters of their own; below a cutoff electrostatics is a reaction field
    cutoff = None
    if method != force.NoCutoff:
        switch = numbers_of(force.getSwitchingDistance()) if force.getUseSwitchingFunction() else None
        cutoff = Cutoff(numbers_of(force.getCutoffDistance()), force.getReactionFieldDielectric(), switch)
    periodic = method == force.CutoffPeriodic
    energies = nonbonded(
        parameters,
        exceptions,
        cutoff,
        periodic,
        periodic and force.getExceptionsUsePeriodicBoundaryConditions(),
    )
    if periodic and force.getUseDispersionCorrection():
        return *energies, dispersion_correction(parameters, cutoff)
    return energies


TRANSLATORS: dict[str, Callable] = {
    "HarmonicBondForce": _harmonic_bonds,
    "HarmonicAngleForce": _harmonic_angles,
    "PeriodicTorsionForce": _periodic_torsions,
    "RBTorsionForce": _ryckaert_bellemans,
    "CMAPTorsionForce": _correction_maps,
    "NonbondedForce": _nonbonded_terms,
    "GBSAOBCForce": _obc2,
    **CUSTOM,
}
"""OpenMM's name of a force, and what translates it."""
