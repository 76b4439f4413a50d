"""Variables as PLUMED input [bonomi2009]: plain actions of every build, no module, no library to load.

Coordinates become ``DISTANCE``, ``ANGLE``, ``TORSION`` and ``POSITION``; linear parts ``COMBINE``, all others
``CUSTOM``. A network is one action for each of its units. PLUMED's own units are ours: nm, rad, kJ/mol. Several
variables in one file may not define a distance twice: join them by `Concatenate` first.
"""

from __future__ import annotations

from thalweg.dynamics.engine import Variable
from thalweg.interop.formulas.exported_variables import Coordinate, exported
from thalweg.interop.formulas.formulas import Step

ACTIONS = {"distance": "DISTANCE", "angle": "ANGLE", "dihedral": "TORSION"}


def plumed_input(variable: Variable, name: str = "cv", periodic: bool = True) -> str:
    """Lines that define ``variable`` for PLUMED; its values are the labels ``name``, or ``name1``, ``name2``, ...

    Parameters
    ----------
    variable : made of distances, angles, dihedrals and coordinates; see `exported`
    name : label
    periodic : whether nearest images are meant where the engine has a box; without it, ``NOPBC``

    Raises
    ------
    thalweg.interop.formulas.traced.NoFormula
        If the variable has no formula.

    Examples
    --------
    >>> from thalweg.geometry.composed_variables import Composed
    >>> from thalweg.geometry.variables import Distances
    >>> legs = Composed(lambda r: r.sum(0, keepdims=True), Distances([[0, 1], [1, 2]]), ("length",))
    >>> print(plumed_input(legs))
    # cv: length
    d0_1: DISTANCE ATOMS=1,2
    d1_2: DISTANCE ATOMS=2,3
    cv: COMBINE ARG=d0_1,d1_2 COEFFICIENTS=1,1 PERIODIC=NO
    """
    parts = exported(variable, name)
    lines = [f"# {label}: {text}" for label, text in zip(parts.names, parts.described)]
    lines += _measured(parts.coordinates, "" if periodic else " NOPBC")
    periods = dict(zip(parts.names, parts.periods))
    arguments = {coordinate.name: _argument(coordinate) for coordinate in parts.coordinates}
    turning = {coordinate.name for coordinate in parts.coordinates if coordinate.kind == "dihedral"}
    lines += [_action(step, periods.get(step.name), arguments, turning) for step in parts.steps]
    return "\n".join(lines)


def _measured(coordinates: tuple[Coordinate, ...], images: str) -> list[str]:
    lines, positions = [], set()
    for coordinate in coordinates:
        atoms = ",".join(str(atom + 1) for atom in coordinate.atoms)
        if coordinate.kind in ACTIONS:
            lines.append(f"{coordinate.name}: {ACTIONS[coordinate.kind]} ATOMS={atoms}{images}")
        elif atoms not in positions:
            positions.add(atoms)
            lines.append(f"p_{coordinate.atoms[0]}: POSITION ATOM={atoms} NOPBC")
    return lines


def _argument(coordinate: Coordinate) -> str:
    """The label of a coordinate; of one component where an action has three."""
    if coordinate.kind in ACTIONS:
        return coordinate.name
    return f"p_{coordinate.atoms[0]}.{coordinate.kind}"


def _action(step: Step, period: float | None, arguments: dict[str, str], turning: set[str]) -> str:
    """One action; ``COMBINE`` would fold periodic arguments, so that they go through ``CUSTOM``."""
    labels = ",".join(arguments.get(name, name) for name in step.uses)
    span = "NO" if period is None else f"{-period / 2:.15g},{period / 2:.15g}"
    if not step.uses:
        raise ValueError(f"{step.name} is the constant {step.text}; leave it out")
    if step.linear is not None and not turning & set(step.uses):
        constant, factors = step.linear
        first = next(iter(factors))
        shift = (
            f" PARAMETERS={_list([-constant / factors[first]] + [0.0] * (len(factors) - 1))}"
            if constant
            else ""
        )
        return f"{step.name}: COMBINE ARG={labels} COEFFICIENTS={_list(list(factors.values()))}{shift} PERIODIC={span}"
    names = ",".join(step.uses)
    return f"{step.name}: CUSTOM ARG={labels} VAR={names} FUNC={step.text} PERIODIC={span}"


def _list(numbers: list[float]) -> str:
    return ",".join(f"{number:.15g}" for number in numbers)
