"""Collective variables: maps from positions to a few named numbers, with units and periods.

Each obeys `thalweg.dynamics.engine.Variable`; in addition ``atoms`` lists, column by column, the atoms a
value depends on. With a topology, columns carry names people recognize, such as ``phi ALA2`` or
``ALA2-CA..NME3-N``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.constant_tables import AtomTable, Names, Rows
from thalweg.geometry.internal import angles, dihedrals, distances
from thalweg.geometry.switching import LogisticSwitch, RationalSwitch
from thalweg.geometry.torsions import atoms_name, dihedral_names
from thalweg.shapes import Array, Box, Float, Positions, Values
from thalweg.systems.topology import Topology


class Distances(eqx.Module):
    """Distances [nm] of pairs of atoms, in the nearest image if there is a box.

    Examples
    --------
    >>> Distances([[0, 1]])(jnp.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]])).tolist()
    [0.5]
    """

    table: AtomTable = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, pairs: np.ndarray | Sequence, topology: Topology | None = None):
        self.table = AtomTable(pairs, 2)
        self.names = Names(atoms_name(topology, pair) for pair in self.table.array.tolist())

    @property
    def atoms(self) -> Rows:
        return self.table.rows

    @property
    def units(self) -> tuple[str, ...]:
        return ("nm",) * len(self.table)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.table)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return distances(positions, self.table.array, box)


class Angles(eqx.Module):
    """Angles [rad] of triples of atoms at the middle one, in [0, pi]."""

    table: AtomTable = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, triples: np.ndarray | Sequence, topology: Topology | None = None):
        self.table = AtomTable(triples, 3)
        self.names = Names(atoms_name(topology, triple) for triple in self.table.array.tolist())

    @property
    def atoms(self) -> Rows:
        return self.table.rows

    @property
    def units(self) -> tuple[str, ...]:
        return ("rad",) * len(self.table)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.table)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return angles(positions, self.table.array, box)


class Dihedrals(eqx.Module):
    """Dihedral angles [rad] of quadruples of atoms, in (-pi, pi], period 2 pi.

    Examples
    --------
    >>> Dihedrals([[4, 6, 8, 10]]).names
    ('4..6..8..10',)
    """

    table: AtomTable = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, quads: np.ndarray | Sequence, topology: Topology | None = None):
        self.table = AtomTable(quads, 4)
        if topology is None:
            self.names = Names(atoms_name(None, quad) for quad in self.table.array.tolist())
        else:
            self.names = Names(dihedral_names(topology, self.table.array))

    @property
    def atoms(self) -> Rows:
        return self.table.rows

    @property
    def units(self) -> tuple[str, ...]:
        return ("rad",) * len(self.table)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (2.0 * np.pi,) * len(self.table)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return dihedrals(positions, self.table.array, box)


class Contacts(eqx.Module):
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

    @property
    def units(self) -> tuple[str, ...]:
        return ("",) * len(self.names)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return self.switch(self.distances(positions, box) / self.radius)


class Logarithms(eqx.Module):
    """Natural logarithms of distances in nm: small distances count as much as large ones.

    Examples
    --------
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

    @property
    def units(self) -> tuple[str, ...]:
        return ("",) * len(self.names)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return jnp.log(self.distances(positions, box))


class RadiusOfGyration(eqx.Module):
    """Radius of gyration [nm], ``sqrt(sum_i m_i |x_i - x_c|^2 / sum_i m_i)``, molecules whole.

    Parameters
    ----------
    masses : (atoms,) masses or other weights of the atoms
    atoms : their indices; the first ``len(masses)`` if None
    """

    members: tuple[int, ...] = eqx.field(static=True)
    masses: Float[Array, "members"]

    def __init__(self, masses: Float[Array, "members"], atoms: np.ndarray | Sequence[int] | None = None):
        self.members = tuple(range(len(masses))) if atoms is None else tuple(np.asarray(atoms, int).tolist())
        self.masses = masses

    names = ("radius of gyration",)
    units = ("nm",)
    periods = (None,)

    @property
    def atoms(self) -> Rows:
        return (self.members,)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        x = positions[np.array(self.members)]
        weights = jnp.asarray(self.masses / self.masses.sum(), x.dtype)
        centered = x - jnp.tensordot(weights, x, 1)
        return jnp.sqrt(jnp.tensordot(weights, (centered**2).sum(axis=1), 1))[None]


class Coordinates(eqx.Module):
    """Cartesian coordinates [nm] of some particles: the natural variables of a model potential.

    Examples
    --------
    >>> Coordinates([0], dims=2).names
    ('0 x', '0 y')
    """

    members: tuple[int, ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, atoms: np.ndarray | Sequence[int], dims: int = 3, topology: Topology | None = None):
        self.members = tuple(np.asarray(atoms, int).tolist())
        self.names = tuple(
            f"{atoms_name(topology, [a])} {axis}" for a in self.members for axis in "xyz"[:dims]
        )

    @property
    def atoms(self) -> Rows:
        dims = len(self.names) // len(self.members)
        return tuple((atom,) for atom in self.members for _ in range(dims))

    @property
    def units(self) -> tuple[str, ...]:
        return ("nm",) * len(self.names)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return positions[np.array(self.members)].reshape(-1, *positions.shape[2:])


class SineCosine(eqx.Module):
    """Sines of all values of an angular variable, then their cosines: smooth where the angle jumps."""

    angles: Callable

    @property
    def atoms(self) -> Rows:
        return 2 * self.angles.atoms

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{function} {name}" for function in ("sin", "cos") for name in self.angles.names)

    @property
    def units(self) -> tuple[str, ...]:
        return ("",) * len(self.names)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)

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
