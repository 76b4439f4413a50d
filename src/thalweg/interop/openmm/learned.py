"""Learned potentials inside OpenMM, on everything or on a part that the force field leaves to them.

`learned_force` is a ``PythonForce`` of a potential on some particles. `embedded_system` makes the usual mixture of a
learned and a classical description [eastman2024]: inside the part the potential alone acts; between the part and the
rest, and within the rest, the force field acts as before (mechanical embedding),

    U = U_force_field - U_force_field(bonded and direct, inside) + U_learned(part).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import openmm

from thalweg.interop.one_structure import OneStructure, Precision
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential


def learned_force(
    potential: LearnedPotential,
    numbers: Sequence[int] | np.ndarray,
    particles: Sequence[int] | None = None,
    periodic: bool = False,
    precision: Precision = "single",
) -> openmm.PythonForce:
    """A force of ``potential`` on some particles of an OpenMM ``System``.

    Parameters
    ----------
    potential : LearnedPotential
    numbers : (particles,) their atomic numbers
    particles : their indices in the system; None for all
    periodic : whether they see their images in the box of the context
    precision : of positions and forces on our side

    Raises
    ------
    ValueError
        If there are not as many numbers as particles, or the potential does not know an element.
    """
    numbers = np.asarray(numbers, int)
    if particles is not None and len(particles) != len(numbers):
        raise ValueError(
            f"{len(numbers)} atomic numbers given for {len(particles)} particles; give one for each"
        )
    potential.bind(numbers, np.eye(3) if periodic else None)
    structure = OneStructure(potential, precision)

    def energy_and_forces(state):
        positions = state.getPositions(asNumpy=True)._value
        box = state.getPeriodicBoxVectors(asNumpy=True)._value if periodic else None
        energy, forces, _ = structure(numbers, positions, box)
        return energy, forces

    force = openmm.PythonForce(energy_and_forces)
    if particles is not None:
        force.setParticles([int(k) for k in particles])
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force


def embedded_system(
    system: openmm.System,
    potential: LearnedPotential,
    numbers: Sequence[int] | np.ndarray,
    particles: Sequence[int],
    precision: Precision = "single",
) -> openmm.System:
    """A copy of ``system`` in which ``potential`` rules among ``particles`` (atomic ``numbers``).

    Bonded terms and constraints within the part go; nonbonded forces skip its pairs; everything else stays. Bonds
    remain as terms of no strength, so that OpenMM still knows the molecule as one.

    Raises
    ------
    ValueError
        If the system has a force whose share within the part cannot be told.
    """
    part = {int(k) for k in particles}
    mixed = openmm.XmlSerializer.clone(system)
    for k in reversed(range(mixed.getNumConstraints())):
        if set(mixed.getConstraintParameters(k)[:2]) <= part:
            _bonds(mixed).addBond(*mixed.getConstraintParameters(k), 0.0)
            mixed.removeConstraint(k)
    for force in mixed.getForces():
        _release(force, part)
    mixed.addForce(learned_force(potential, numbers, particles, False, precision))
    return mixed


def _bonds(system: openmm.System) -> openmm.HarmonicBondForce:
    found = [force for force in system.getForces() if isinstance(force, openmm.HarmonicBondForce)]
    if not found:
        system.addForce(openmm.HarmonicBondForce())
        return _bonds(system)
    return found[0]


def _release(force: openmm.Force, part: set[int]) -> None:
    """Take out of ``force`` what acts among the particles of ``part`` only."""
    match force:
        # bonded terms keep their place and lose their strength
        case openmm.HarmonicBondForce():
            for k in range(force.getNumBonds()):
                *pair, length, _ = force.getBondParameters(k)
                if set(pair) <= part:
                    force.setBondParameters(k, *pair, length, 0.0)
        case openmm.HarmonicAngleForce():
            for k in range(force.getNumAngles()):
                *three, angle, _ = force.getAngleParameters(k)
                if set(three) <= part:
                    force.setAngleParameters(k, *three, angle, 0.0)
        case openmm.PeriodicTorsionForce():
            for k in range(force.getNumTorsions()):
                *four, times, phase, _ = force.getTorsionParameters(k)
                if set(four) <= part:
                    force.setTorsionParameters(k, *four, times, phase, 0.0)
        case openmm.RBTorsionForce():
            for k in range(force.getNumTorsions()):
                four = force.getTorsionParameters(k)[:4]
                if set(four) <= part:
                    force.setTorsionParameters(k, *four, *[0.0] * 6)
        case openmm.CMAPTorsionForce():
            blank = None
            for k in range(force.getNumTorsions()):
                _, *eight = force.getTorsionParameters(k)
                if set(eight) <= part:
                    blank = force.addMap(4, [0.0] * 16) if blank is None else blank
                    force.setTorsionParameters(k, blank, *eight)
        # nonbonded pairs become exceptions without charge and depth, or are excluded unless they are already
        case openmm.NonbondedForce():
            for pair in itertools.combinations(sorted(part), 2):
                force.addException(*pair, 0.0, 1.0, 0.0, True)
        case openmm.CustomNonbondedForce():
            there = {frozenset(force.getExclusionParticles(k)) for k in range(force.getNumExclusions())}
            for pair in itertools.combinations(sorted(part), 2):
                if frozenset(pair) not in there:
                    force.addExclusion(*pair)
        # of no pair of particles
        case openmm.CMMotionRemover() | openmm.MonteCarloBarostat() | openmm.AndersenThermostat():
            pass
        case _:
            raise ValueError(
                f"the system has a {type(force).__name__}, whose share within the part is not known; remove it, or "
                "write it as a force with terms per bond, angle, torsion or pair"
            )
