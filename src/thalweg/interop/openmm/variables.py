"""Variables as OpenMM forces, whose energy [kJ/mol] is the value of the variable.

Such a force goes into a ``CustomCVForce``, as the variable of a bias, or is the bias itself where the variable already
is an energy. `formula_force` writes the variable as a formula of a ``CustomCompoundBondForce``: OpenMM compiles it, and
it needs nothing of ours, so a serialized system can be sent anywhere. OpenMM writes every part of a formula in place
before it takes derivatives, which a network with several layers makes too large; then, and for variables that have
no formula, `python_force` calls ours. `variable_forces` takes the first where it can.
"""

from __future__ import annotations

import jax
import numpy as np
import openmm

from thalweg.dynamics.engine import Variable
from thalweg.interop.formulas.exported_variables import Coordinate, ExportedVariable, exported
from thalweg.interop.formulas.formulas import expanded_size, one_line, ordered_parts
from thalweg.interop.formulas.traced import NoFormula

LARGEST = 300
"""Symbols of a formula, written out, up to which OpenMM derives it in a second; time grows as their square."""


def variable_forces(variable: Variable, periodic: bool = False) -> list[openmm.Force]:
    """One force for each value of ``variable``: of its formula where it has a moderate one, else of Python.

    Parameters
    ----------
    variable : any
    periodic : whether nearest images are meant

    Examples
    --------
    >>> from thalweg.geometry.composed_variables import SineCosine
    >>> from thalweg.geometry.variables import Distances, Dihedrals
    >>> [type(force).__name__ for force in variable_forces(SineCosine(Dihedrals([[4, 6, 8, 14]])))]
    ['CustomCompoundBondForce', 'CustomCompoundBondForce']
    """
    values = range(len(variable.names))
    try:
        parts = exported(variable)
    except NoFormula:
        return [python_force(variable, value, periodic) for value in values]
    if max(expanded_size([output]) for output in parts.outputs) > LARGEST:
        return [python_force(variable, value, periodic) for value in values]
    return [formula_force(parts, value, periodic) for value in values]


def openmm_xml(variable: Variable, name: str = "cv", periodic: bool = False) -> str:
    """A serialized ``CustomCVForce`` of no energy yet, whose collective variables are those of ``variable``.

    Where it is read, ``setEnergyFunction`` makes a bias of it, such as ``"10*(cv-0.5)^2"``.

    Parameters
    ----------
    variable : with a formula; see `thalweg.interop.formulas.exported_variables.exported`
    name : of its value; several values are ``name1``, ``name2``, ...
    periodic : whether nearest images are meant

    Raises
    ------
    NoFormula
        If it has none.

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> force = openmm.XmlSerializer.deserialize(openmm_xml(Distances([[0, 1], [1, 2]])))
    >>> [force.getCollectiveVariableName(k) for k in range(force.getNumCollectiveVariables())]
    ['cv1', 'cv2']
    """
    parts, force = exported(variable, name), openmm.CustomCVForce("0")
    for value, label in enumerate(parts.names):
        force.addCollectiveVariable(label, formula_force(parts, value, periodic))
    return openmm.XmlSerializer.serialize(force)


def formula_force(
    parts: ExportedVariable, value: int = 0, periodic: bool = False
) -> openmm.CustomCompoundBondForce:
    """The force of one value of a variable taken apart by `exported`."""
    atoms = sorted({atom for coordinate in parts.coordinates for atom in coordinate.atoms})
    point = {atom: k + 1 for k, atom in enumerate(atoms)}
    texts = [_text(coordinate, point) for coordinate in parts.coordinates]
    formula = one_line(ordered_parts([parts.outputs[value]], texts, [parts.names[value]]))
    force = openmm.CustomCompoundBondForce(len(atoms), formula)
    force.addBond(atoms, [])
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setName(parts.described[value])
    return force


def python_force(variable: Variable, value: int = 0, periodic: bool = False) -> openmm.PythonForce:
    """The force of one value of a variable through our own compiled code, in double precision.

    Parameters
    ----------
    variable : any
    value : which of its values
    periodic : whether it sees nearest images
    """
    compiled = jax.jit(jax.value_and_grad(lambda x, box: variable(x, box)[value]))

    def energy_and_forces(state):
        positions = state.getPositions(asNumpy=True)._value
        box = state.getPeriodicBoxVectors(asNumpy=True)._value if periodic else None
        with jax.enable_x64(True):
            energy, gradient = compiled(positions, box)
        return float(energy), -np.asarray(gradient)

    force = openmm.PythonForce(energy_and_forces)
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setName(variable.names[value])
    return force


def _text(coordinate: Coordinate, point: dict[int, int]) -> str:
    if coordinate.kind in ("x", "y", "z"):
        return f"{coordinate.kind}{point[coordinate.atoms[0]]}"
    return f"{coordinate.kind}({','.join(f'p{point[atom]}' for atom in coordinate.atoms)})"
