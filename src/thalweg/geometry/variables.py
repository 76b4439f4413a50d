"""Collective variables: maps from positions to a few named numbers, with units and periods.

Each obeys `thalweg.dynamics.engine.Variable`; in addition ``atoms`` lists, column by column, the atoms a
value depends on. With a topology, columns carry names people recognize, such as ``phi ALA2`` or
``ALA2-CA..NME3-N``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.constant_tables import AtomTable, Names, Rows
from thalweg.geometry.internal import angles, dihedrals, distances
from thalweg.geometry.lengths import Lengths
from thalweg.geometry.torsions import atoms_name, dihedral_names
from thalweg.shapes import Array, Box, Float, Positions, Values
from thalweg.systems.topology import Topology


class AtomTuples(eqx.Module):
    """One value of each of some tuples of atoms: what distances, angles and dihedral angles have in common.

    Parameters
    ----------
    tuples : (values, ``size``) indices of atoms
    topology : gives the values names people recognize
    """

    size: ClassVar[int]
    unit: ClassVar[str]
    period: ClassVar[float | None] = None

    table: AtomTable = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, tuples: np.ndarray | Sequence, topology: Topology | None = None):
        self.table = AtomTable(tuples, self.size)
        self.names = Names(self._named(topology))

    def _named(self, topology: Topology | None) -> Iterable[str]:
        return (atoms_name(topology, members) for members in self.table.array.tolist())

    @property
    def atoms(self) -> Rows:
        return self.table.rows

    @property
    def units(self) -> tuple[str, ...]:
        return (self.unit,) * len(self.table)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (self.period,) * len(self.table)


class Distances(AtomTuples):
    """Distances [nm] of pairs of atoms, in the nearest image if there is a box.

    Examples
    --------
    >>> Distances([[0, 1]])(jnp.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]])).tolist()
    [0.5]
    """

    size, unit = 2, "nm"

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return distances(positions, self.table.array, box)


class Angles(AtomTuples):
    """Angles [rad] of triples of atoms at the middle one, in [0, pi]."""

    size, unit = 3, "rad"

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return angles(positions, self.table.array, box)


class Dihedrals(AtomTuples):
    """Dihedral angles [rad] of quadruples of atoms, in (-pi, pi], period 2 pi.

    Examples
    --------
    >>> Dihedrals([[4, 6, 8, 10]]).names
    ('4..6..8..10',)
    """

    size, unit, period = 4, "rad", 2.0 * np.pi

    def _named(self, topology: Topology | None) -> Iterable[str]:
        return super()._named(None) if topology is None else dihedral_names(topology, self.table.array)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return dihedrals(positions, self.table.array, box)


class RadiusOfGyration(eqx.Module):
    """Radius of gyration [nm], ``sqrt(sum_i m_i |x_i - x_c|^2 / sum_i m_i)``, molecules whole.

    Parameters
    ----------
    masses : (atoms,) masses or other weights of the atoms
    atoms : their indices; the first ``len(masses)`` if None
    """

    members: tuple[int, ...] = eqx.field(static=True)
    masses: Float[Array, " members"]

    def __init__(self, masses: Float[Array, " members"], atoms: np.ndarray | Sequence[int] | None = None):
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


class Coordinates(Lengths):
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

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return positions[np.array(self.members)].reshape(-1, *positions.shape[2:])
