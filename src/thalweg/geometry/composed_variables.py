"""Variables made of other variables: switched, side by side, or through any function.

Each obeys `thalweg.dynamics.engine.Variable` and knows its atoms, as those of `thalweg.geometry.variables` do.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from thalweg.geometry.constant_tables import Rows
from thalweg.geometry.dimensionless import Dimensionless
from thalweg.geometry.switching import LogisticSwitch, RationalSwitch
from thalweg.shapes import Box, Positions, Values


class Contacts(Dimensionless):
    """How much distances are contacts, from one (close) to zero (far): ``switch(r / radius)``.

    With a `LogisticSwitch` these are logistic distances, ``1 / (1 + exp(k (r - radius)))`` for a steepness of
    ``k radius``.

    Parameters
    ----------
    distances : a variable of distances: of atoms, of residues
    radius : distance at which the switch is half way [nm]
    switch : `RationalSwitch` or `LogisticSwitch`

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> touching = Contacts(Distances([[0, 1]]), radius=0.5)
    >>> touching.names, touching(jnp.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]])).tolist()
    (('contact 0..1',), [0.5])
    """

    distances: Callable
    radius: float
    switch: RationalSwitch | LogisticSwitch = RationalSwitch()

    @property
    def atoms(self) -> Rows:
        return self.distances.atoms

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"contact {name}" for name in self.distances.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return self.switch(self.distances(positions, box) / self.radius)


class Logarithms(Dimensionless):
    """Natural logarithms of distances in nm: small distances count as much as large ones.

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> Logarithms(Distances([[0, 1]])).names
    ('log 0..1',)
    """

    distances: Callable

    @property
    def atoms(self) -> Rows:
        return self.distances.atoms

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"log {name}" for name in self.distances.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return jnp.log(self.distances(positions, box))


class SineCosine(Dimensionless):
    """Sines of all values of an angular variable, then their cosines: smooth where the angle jumps."""

    angles: Callable

    @property
    def atoms(self) -> Rows:
        return 2 * self.angles.atoms

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{function} {name}" for function in ("sin", "cos") for name in self.angles.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        values = self.angles(positions, box)
        return jnp.concatenate([jnp.sin(values), jnp.cos(values)])


class Concatenate(eqx.Module):
    """The values of several variables, one after the other."""

    variables: tuple[Callable, ...]

    def __init__(self, *variables: Callable):
        self.variables = variables

    @property
    def atoms(self) -> Rows:
        return sum((variable.atoms for variable in self.variables), ())

    @property
    def names(self) -> tuple[str, ...]:
        return sum((tuple(variable.names) for variable in self.variables), ())

    @property
    def units(self) -> tuple[str, ...]:
        return sum((tuple(variable.units) for variable in self.variables), ())

    @property
    def periods(self) -> tuple[float | None, ...]:
        return sum((tuple(variable.periods) for variable in self.variables), ())

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return jnp.concatenate([variable(positions, box) for variable in self.variables])


class Composed(eqx.Module):
    """``function(variable(x))``: a projection, a network, anything differentiable, learned or not.

    Parameters
    ----------
    function : values ``(n, *replicas)`` to new values ``(m, *replicas)``; a JAX function or an Equinox module
    variable : what it is fed with
    names : one name per new value
    units, periods : likewise; dimensionless and not periodic if left out

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> legs = Distances([[0, 1], [1, 2]])
    >>> total = Composed(lambda r: r.sum(axis=0, keepdims=True), legs, names=("length",))
    >>> total(jnp.array([[0.0, 0.0, 0.0], [0.25, 0.0, 0.0], [0.25, 0.5, 0.0]])).tolist()
    [0.75]
    """

    function: Callable
    variable: Callable
    names: tuple[str, ...] = eqx.field(static=True)
    units: tuple[str, ...] = eqx.field(static=True)
    periods: tuple[float | None, ...] = eqx.field(static=True)

    def __init__(
        self,
        function: Callable,
        variable: Callable,
        names: tuple[str, ...],
        units: tuple[str, ...] | None = None,
        periods: tuple[float | None, ...] | None = None,
    ):
        self.function, self.variable, self.names = function, variable, names
        self.units = ("",) * len(names) if units is None else units
        self.periods = (None,) * len(names) if periods is None else periods
        if not len(self.names) == len(self.units) == len(self.periods):
            raise ValueError(
                f"{len(names)} names, {len(self.units)} units, {len(self.periods)} periods; give one each"
            )

    @property
    def atoms(self) -> Rows:
        everyone = tuple(sorted({atom for row in self.variable.atoms for atom in row}))
        return (everyone,) * len(self.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return self.function(self.variable(positions, box))
