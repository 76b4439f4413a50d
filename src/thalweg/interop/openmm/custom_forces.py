"""OpenMM's custom forces, whose energies are formulas, translated.

Global parameters take their default values: in the translated energy they are constants.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openmm

from thalweg.interop.openmm.values import numbers_of, refuse
from thalweg.potentials.born_formulas import BornIntegral, BornPair, BornValue
from thalweg.potentials.energy import Energy
from thalweg.potentials.expressions import Discrete, Expression
from thalweg.potentials.generalized_born import GeneralizedBorn
from thalweg.potentials.internal_coordinates import InternalEnergy, angle, dihedral, distance
from thalweg.potentials.nonbonded import Cutoff
from thalweg.potentials.pairs import AllPairs, PairEnergy
from thalweg.potentials.restraints import (
    FormulaOfInternal,
    FormulaOfPair,
    OfEnergies,
    OnPoints,
    OnPositions,
)


def _custom_bonds(force: openmm.CustomBondForce) -> tuple[Energy, ...]:
    rows = [force.getBondParameters(k) for k in range(force.getNumBonds())]
    return _of_internal(
        force, distance, "r", rows, 2, force.getPerBondParameterName, force.getNumPerBondParameters()
    )


def _custom_angles(force: openmm.CustomAngleForce) -> tuple[Energy, ...]:
    rows = [force.getAngleParameters(k) for k in range(force.getNumAngles())]
    return _of_internal(
        force, angle, "theta", rows, 3, force.getPerAngleParameterName, force.getNumPerAngleParameters()
    )


def _custom_torsions(force: openmm.CustomTorsionForce) -> tuple[Energy, ...]:
    rows = [force.getTorsionParameters(k) for k in range(force.getNumTorsions())]
    return _of_internal(
        force,
        dihedral,
        "theta",
        rows,
        4,
        force.getPerTorsionParameterName,
        force.getNumPerTorsionParameters(),
    )


def _of_internal(force, coordinate, variable, rows, atoms, name_of, count):
    if not rows:
        return ()
    members = np.array([row[:atoms] for row in rows], int)
    values = np.array([list(row[atoms]) for row in rows], float).reshape(len(rows), count)
    parameters = {name_of(k): values[:, k] for k in range(count)} | _constants(force)
    potential = FormulaOfInternal(Expression(force.getEnergyFunction()), variable, parameters)
    return (InternalEnergy(coordinate, potential, members.T, force.usesPeriodicBoundaryConditions()),)


def _custom_external(force: openmm.CustomExternalForce) -> tuple[Energy, ...]:
    rows = [force.getParticleParameters(k) for k in range(force.getNumParticles())]
    if not rows:
        return ()
    count = force.getNumPerParticleParameters()
    values = np.array([list(row[1]) for row in rows], float).reshape(len(rows), count)
    per_particle = {force.getPerParticleParameterName(k): values[:, k] for k in range(count)}
    parameters = per_particle | _constants(force)
    return (OnPositions(force.getEnergyFunction(), np.array([row[0] for row in rows]), parameters),)


def _custom_compound_bonds(force: openmm.CustomCompoundBondForce) -> tuple[Energy, ...]:
    return _on_points(force, "p", None, force.getNumParticlesPerBond())


def custom_centroid_bonds(force: openmm.CustomCentroidBondForce, masses: np.ndarray) -> tuple[Energy, ...]:
    groups = np.zeros((force.getNumGroups(), len(masses)))
    for k, row in enumerate(groups):
        atoms, weights = force.getGroupParameters(k)
        row[list(atoms)] = weights or masses[list(atoms)]
    return _on_points(force, "g", groups / groups.sum(1, keepdims=True), force.getNumGroupsPerBond())


def _on_points(force, prefix, groups, points):
    rows = [force.getBondParameters(k) for k in range(force.getNumBonds())]
    if not rows:
        return ()
    refuse(force, force.getNumTabulatedFunctions(), "tabulated functions")
    count = force.getNumPerBondParameters()
    values = np.array([list(row[1]) for row in rows], float).reshape(len(rows), count)
    parameters = {force.getPerBondParameterName(k): values[:, k] for k in range(count)} | _constants(force)
    members = np.array([list(row[0]) for row in rows], int).reshape(len(rows), points).T
    periodic = force.usesPeriodicBoundaryConditions()
    return (OnPoints(force.getEnergyFunction(), prefix, groups, members, parameters, periodic),)


def _custom_nonbonded(force: openmm.CustomNonbondedForce) -> tuple[Energy, ...]:
    refuse(force, force.getNumInteractionGroups(), "interaction groups")
    refuse(force, force.getNumComputedValues(), "computed values")
    refuse(force, force.getUseLongRangeCorrection(), "a long-range correction")
    n = force.getNumParticles()
    names = tuple(force.getPerParticleParameterName(k) for k in range(force.getNumPerParticleParameters()))
    excluded = np.array(
        [force.getExclusionParticles(k) for k in range(force.getNumExclusions())], int
    ).reshape(-1, 2)
    cutoff, periodic = _cutoff_of(force)
    expression = Expression(force.getEnergyFunction(), _tables(force))
    interaction = FormulaOfPair(expression, names, _constants(force), cutoff)
    return (PairEnergy(interaction, _particle_parameters(force, n), AllPairs.but(n, excluded), periodic),)


def custom_cv(force: openmm.CustomCVForce, translated: Callable) -> tuple[Energy, ...]:
    """``translated`` turns one OpenMM force into one energy."""
    inner = range(force.getNumCollectiveVariables())
    energies = {force.getCollectiveVariableName(k): translated(force.getCollectiveVariable(k)) for k in inner}
    return (OfEnergies(Expression(force.getEnergyFunction(), _tables(force)), energies, _constants(force)),)


def _custom_born(force: openmm.CustomGBForce) -> tuple[Energy, ...]:
    """Generalized Born models of the usual shape: one value summed over pairs, then values and energies of it."""
    n = force.getNumParticles()
    names = tuple(force.getPerParticleParameterName(k) for k in range(force.getNumPerParticleParameters()))
    values = [force.getComputedValueParameters(k) for k in range(force.getNumComputedValues())]
    energies = [force.getEnergyTermParameters(k) for k in range(force.getNumEnergyTerms())]
    # I = sum over pairs of h, B = b(I), energies s of one atom and g of pairs (see generalized_born)
    single, pairs = force.SingleParticle, (force.ParticlePair, force.ParticlePairNoExclusions)
    shape = [kind == single for _, _, kind in values]
    refuse(force, shape != [False, True], "other computed values than one over pairs and one of it")
    refuse(force, force.getNumExclusions(), "exclusions")
    cutoff, periodic = _cutoff_of(force)
    (summed, integral, _), (born, radius, _) = values
    known, functions = _constants(force), _tables(force)

    def expression(text):
        return Expression(text, functions)

    return (
        GeneralizedBorn(
            BornIntegral(expression(integral), names, known, cutoff),
            BornValue((expression(radius),), names, summed, known),
            BornValue(
                tuple(expression(text) for text, kind in energies if kind == single), names, born, known
            ),
            BornPair(
                tuple(expression(text) for text, kind in energies if kind in pairs),
                names,
                born,
                known,
                cutoff,
            ),
            _particle_parameters(force, n),
            AllPairs.but(n, np.zeros((0, 2), int)),
            periodic,
        ),
    )


def _particle_parameters(force, n: int) -> tuple[np.ndarray, ...]:
    """Each per-particle parameter as an array ``(atoms,)``."""
    return tuple(np.array([numbers_of(list(force.getParticleParameters(i))) for i in range(n)], float).T)


def _constants(force) -> dict[str, float]:
    """Global parameters at their defaults."""
    return {
        force.getGlobalParameterName(k): force.getGlobalParameterDefaultValue(k)
        for k in range(force.getNumGlobalParameters())
    }


def _tables(force) -> dict[str, Discrete]:
    """The force's tabulated functions."""
    found = {}
    for k in range(force.getNumTabulatedFunctions()):
        name, function = force.getTabulatedFunctionName(k), force.getTabulatedFunction(k)
        discrete = isinstance(function, (openmm.Discrete1DFunction, openmm.Discrete2DFunction))
        refuse(force, not discrete, f"the tabulated function {name} of type {type(function).__name__}")
        *shape, values = function.getFunctionParameters()
        found[name] = Discrete(np.array(values, float).reshape(*reversed(shape or [-1])).T)
    return found


def _cutoff_of(force) -> tuple[Cutoff | None, bool]:
    """The cutoff of a custom force and whether it is periodic."""
    method = force.getNonbondedMethod()
    if method == force.NoCutoff:
        return None, False
    switch = None
    if isinstance(force, openmm.CustomNonbondedForce) and force.getUseSwitchingFunction():
        switch = numbers_of(force.getSwitchingDistance())
    return Cutoff(numbers_of(force.getCutoffDistance()), switch=switch), method == force.CutoffPeriodic


CUSTOM: dict[str, Callable] = {
    "CustomBondForce": _custom_bonds,
    "CustomAngleForce": _custom_angles,
    "CustomTorsionForce": _custom_torsions,
    "CustomExternalForce": _custom_external,
    "CustomCompoundBondForce": _custom_compound_bonds,
    "CustomNonbondedForce": _custom_nonbonded,
    "CustomGBForce": _custom_born,
}
"""OpenMM's name of a custom force, and what translates it."""
