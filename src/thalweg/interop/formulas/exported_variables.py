"""A variable taken apart for other programs: distances, angles, dihedrals and coordinates, and formulas of them.

Every variable of `thalweg.geometry` that is a function of such internal coordinates can be taken apart, and so can
everything composed of them: linear maps, polynomials, kernels, networks, switches, soft minima. A variable that is
measured in another way (an optimal superposition, the order of a crystal) cannot, and is left to a Python force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.geometry.composed_variables import Composed, Concatenate, Contacts, Logarithms, SineCosine
from thalweg.geometry.coordination import CoordinationNumbers
from thalweg.geometry.residue_distances import SoftResidueDistances
from thalweg.geometry.switching import LogisticSwitch, RationalSwitch
from thalweg.geometry.variables import Angles, Coordinates, Dihedrals, Distances, RadiusOfGyration
from thalweg.interop.formulas.formulas import Formula, Step, ordered_parts
from thalweg.interop.formulas.traced import NoFormula, formulas
from thalweg.shapes import Array

Kind = Literal["distance", "angle", "dihedral", "x", "y", "z"]

AXES: tuple[Kind, ...] = ("x", "y", "z")


@dataclass(frozen=True)
class Coordinate:
    """One internal coordinate [nm or rad], or a component of a position [nm].

    Attributes
    ----------
    kind : "distance", "angle", "dihedral", "x", "y" or "z"
    atoms : indices from 0
    """

    kind: Kind
    atoms: tuple[int, ...]

    @property
    def name(self) -> str:
        """A name for use in formulas, such as ``d0_4``."""
        short = {"distance": "d", "angle": "a", "dihedral": "t"}.get(self.kind, f"{self.kind}_")
        return short + "_".join(map(str, self.atoms))


@dataclass(frozen=True)
class Parts:
    """What a variable is made of: ``variable = function(coordinates)``."""

    coordinates: tuple[Coordinate, ...]
    function: Callable


@dataclass(frozen=True)
class ExportedVariable:
    """A variable as coordinates and formulas.

    Attributes
    ----------
    coordinates : each once
    outputs : a formula of the coordinates for each value
    names : of the values, letters and digits only
    described : the names of the variable
    periods : of the values, None where not periodic
    """

    coordinates: tuple[Coordinate, ...]
    outputs: tuple[Formula, ...]
    names: tuple[str, ...]
    described: tuple[str, ...]
    periods: tuple[float | None, ...]

    @property
    def steps(self) -> list[Step]:
        """The formulas in order, coordinates by their names; names of parts hold ``_s``, so that none is taken."""
        inputs = [coordinate.name for coordinate in self.coordinates]
        return ordered_parts(self.outputs, inputs, self.names, f"{self.names[0]}_s")


def exported(
    variable: Variable, name: str = "cv", length: float = 1.0, angle: float = 1.0
) -> ExportedVariable:
    """A variable taken apart.

    Parameters
    ----------
    variable : made of distances, angles, dihedrals and coordinates by differentiable functions
    name : of its value; several values are ``name1``, ``name2``, ...
    length, angle : units in which the coordinates are given [nm], [rad]; values remain ours

    Raises
    ------
    NoFormula
        If it is not so made; says which part is not.
    ValueError
        If the name is not made of letters and digits, beginning with a letter.

    Examples
    --------
    >>> legs = Composed(lambda r: r.sum(0, keepdims=True), Distances([[0, 1], [1, 2]]), ("legs",))
    >>> [f"{step.name} = {step.text}" for step in exported(legs).steps]
    ['cv = d0_1+d1_2']
    """
    if not (name.isascii() and name.isalnum() and name[0].isalpha()):
        raise ValueError(f"the name {name!r} must be letters and digits, a letter first, such as 'cv'")
    parts = _taken_apart(variable)
    count = len(variable.names)
    unique = tuple(dict.fromkeys(parts.coordinates))
    places = np.array([unique.index(coordinate) for coordinate in parts.coordinates], int)
    units = np.array([angle if c.kind in ("angle", "dihedral") else length for c in unique])
    outputs = formulas(lambda values: parts.function((units * values)[places]), len(unique))
    names = (name,) if count == 1 else tuple(f"{name}{k + 1}" for k in range(count))
    return ExportedVariable(unique, tuple(outputs), names, tuple(variable.names), tuple(variable.periods))


@singledispatch
def _taken_apart(variable: Variable) -> Parts:
    """Coordinates of a variable and the function from them to its values."""
    raise NoFormula(
        f"{type(variable).__name__} is no function of distances, angles, dihedrals and coordinates; use it through "
        "a Python force or a JAX function"
    )


def _same(values):
    return values


@_taken_apart.register
def _(variable: Distances) -> Parts:
    return Parts(tuple(Coordinate("distance", row) for row in variable.atoms), _same)


@_taken_apart.register
def _(variable: Angles) -> Parts:
    return Parts(tuple(Coordinate("angle", row) for row in variable.atoms), _same)


@_taken_apart.register
def _(variable: Dihedrals) -> Parts:
    return Parts(tuple(Coordinate("dihedral", row) for row in variable.atoms), _same)


@_taken_apart.register
def _(variable: Coordinates) -> Parts:
    dims = len(variable.names) // len(variable.members)
    axes = AXES[:dims] * len(variable.members)
    return Parts(tuple(Coordinate(axis, row) for axis, row in zip(axes, variable.atoms)), _same)


@_taken_apart.register
def _(variable: SineCosine) -> Parts:
    inner = _taken_apart(variable.angles)

    def function(values):
        angles = inner.function(values)
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)])

    return Parts(inner.coordinates, function)


@_taken_apart.register
def _(variable: Contacts) -> Parts:
    inner = _taken_apart(variable.distances)
    return Parts(
        inner.coordinates, lambda values: _switched(variable.switch, inner.function(values) / variable.radius)
    )


@_taken_apart.register
def _(variable: CoordinationNumbers) -> Parts:
    links = [(center, other, k) for k, (center, *row) in enumerate(variable.atoms) for other in row]
    owner = np.array([k for *_, k in links], int)

    def function(values):
        near = _switched(variable.switch, values / variable.radius)
        return jax.ops.segment_sum(near, owner, len(variable.names))

    return Parts(tuple(Coordinate("distance", (a, b)) for a, b, _ in links), function)


def _switched(switch: RationalSwitch | LogisticSwitch, x: jax.Array) -> Array:
    """The switch; in few symbols where its exponents allow, ``(1 - x^n) / (1 - x^2n) = 1 / (1 + x^n)``."""
    if isinstance(switch, RationalSwitch) and switch.m == 2 * switch.n:
        return 1 / (1 + x**switch.n)
    return switch(x)


@_taken_apart.register
def _(variable: RadiusOfGyration) -> Parts:
    axes = [Coordinate(axis, (atom,)) for atom in variable.members for axis in "xyz"]
    own = RadiusOfGyration(variable.masses)
    return Parts(tuple(axes), lambda values: own(values.reshape(-1, 3)))


@_taken_apart.register
def _(variable: Logarithms) -> Parts:
    inner = _taken_apart(variable.distances)
    return Parts(inner.coordinates, lambda values: jnp.log(inner.function(values)))


@_taken_apart.register
def _(variable: SoftResidueDistances) -> Parts:
    links = variable.links[0].tolist()
    return Parts(tuple(Coordinate("distance", tuple(row)) for row in links), variable.of_distances)


@_taken_apart.register
def _(variable: Composed) -> Parts:
    inner = _taken_apart(variable.variable)
    return Parts(inner.coordinates, lambda values: variable.function(inner.function(values)))


@_taken_apart.register
def _(variable: Concatenate) -> Parts:
    inner = [_taken_apart(part) for part in variable.variables]
    ends = np.cumsum([len(part.coordinates) for part in inner])[:-1]

    def function(values):
        pieces = jnp.split(values, ends)
        return jnp.concatenate([part.function(piece) for part, piece in zip(inner, pieces)])

    return Parts(sum((part.coordinates for part in inner), ()), function)
