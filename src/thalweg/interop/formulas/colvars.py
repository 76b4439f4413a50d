"""Variables as input of Colvars [fiorin2013], the module of LAMMPS, NAMD, GROMACS and VMD.

A ``colvar`` block holds the coordinates as components and the formula as ``customFunction``. Colvars measures
lengths in the unit of its engine and angles in degrees; the formulas take that into account, so that values are ours,
in nm and rad. Where the engine has a box, Colvars takes nearest images by itself.

Colvars derives a formula with every part written out in place. A linear map of a thousand features is no trouble; a
network of more than a handful of units takes minutes to start, and is better given to PLUMED.
"""

from __future__ import annotations

from math import pi

from thalweg.dynamics.engine import Variable
from thalweg.interop.formulas.exported_variables import Coordinate, ExportedVariable, exported
from thalweg.interop.formulas.formulas import one_line, ordered_parts
from thalweg.units import ANGSTROM

AXES = {"x": "(1,0,0)", "y": "(0,1,0)", "z": "(0,0,1)"}


def colvars_input(variable: Variable, name: str = "cv", length: float = ANGSTROM) -> str:
    """A ``colvar`` block for each value of ``variable``, called ``name``, or ``name1``, ``name2``, ...

    Parameters
    ----------
    variable : made of distances, angles and dihedrals; see `exported`
    name : of the colvars
    length : the engine's unit of length [nm]: Å in LAMMPS's units real and metal, and in NAMD; 1 in GROMACS

    Raises
    ------
    thalweg.interop.formulas.traced.NoFormula
        If the variable has no formula.

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> print(colvars_input(Distances([[0, 4]])))
    colvar {
      name cv
      customFunction 0.1*d0_4
      distance {
        name d0_4
        group1 { atomNumbers 1 }
        group2 { atomNumbers 5 }
      }
    }
    """
    parts = exported(variable, name, length, pi / 180)
    return "\n".join(_block(parts, k) for k in range(len(parts.names)))


def _block(parts: ExportedVariable, value: int) -> str:
    coordinates = [coordinate.name for coordinate in parts.coordinates]
    written = ordered_parts([parts.outputs[value]], coordinates, [parts.names[value]])
    used = {name for step in written for name in step.uses}
    lines = ["colvar {", f"  name {parts.names[value]}"]
    if parts.periods[value] is not None:
        lines.append(f"  period {parts.periods[value]:.15g}")
    lines.append(f"  customFunction {one_line(written)}")
    for coordinate in parts.coordinates:
        if coordinate.name in used:
            lines += _component(coordinate)
    return "\n".join([*lines, "}"])


def _component(coordinate: Coordinate) -> list[str]:
    groups = [f"    group{k + 1} {{ atomNumbers {atom + 1} }}" for k, atom in enumerate(coordinate.atoms)]
    if coordinate.kind in AXES:
        origin = "    ref { dummyAtom (0,0,0) }"
        main = f"    main {{ atomNumbers {coordinate.atoms[0] + 1} }}"
        kind, groups = "distanceZ", [main, origin, f"    axis {AXES[coordinate.kind]}"]
    else:
        kind = coordinate.kind
    return [f"  {kind} {{", f"    name {coordinate.name}", *groups, "  }"]
