r"""Where a guest is in a host, in numbers that no symmetry of either changes.

Atoms that their bonds cannot tell apart (the same atom of every unit of a ring-shaped host, the arms of a guest, like
atoms of like guests) are one class, and what is measured of two classes is the number of contacts between them,

.. math::  n_{AB} = \sum_{a \in A,\, b \in B} s(|x_a - x_b| / r_0) ,

beside the distance of the guest's center from the host's (the nearest guest's, of several).
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.bond_graph import bonded_atoms
from thalweg.geometry.constant_tables import Names, Rows
from thalweg.geometry.lengths import Lengths
from thalweg.geometry.switching import RationalSwitch
from thalweg.shapes import Box, Int, Positions, Values
from thalweg.systems.topology import Topology


def equivalent_atoms(topology: Topology) -> Int[np.ndarray, " atoms"]:
    """The class of each atom: atoms of one class have the same element and, however far one looks, neighbors of the
    same classes [morgan1965].

    Examples
    --------
    >>> from thalweg.systems.topology import molecules_of
    >>> water = np.array([[0, 1], [0, 2]])
    >>> equivalent_atoms(molecules_of(("O", "H", "H") * 2, np.concatenate([water, water + 3]))).tolist()
    [1, 0, 0, 1, 0, 0]
    """
    bonded = bonded_atoms(topology)
    colors: list = list(topology.elements)
    number = 0
    while True:
        ranks = {color: k for k, color in enumerate(sorted(set(colors)))}
        classes = [ranks[color] for color in colors]
        if len(ranks) == number:
            return np.array(classes)
        number = len(ranks)
        colors = [(classes[i], tuple(sorted(classes[j] for j in bonded[i]))) for i in range(len(classes))]


class CenterDistance(Lengths):
    """Distance [nm] of the center of the heavy atoms of a guest from that of a host, the smallest of several guests.

    Parameters
    ----------
    topology : of all molecules
    host : atoms of the host
    guests : atoms of each guest

    Examples
    --------
    >>> from thalweg.systems.topology import molecules_of
    >>> pair = molecules_of(("C", "C", "O"), np.array([[0, 1]]))
    >>> CenterDistance(pair, [0, 1], [[2]])(jnp.array([[0.0, 0, 0], [0.2, 0, 0], [0.1, 0.3, 0.4]])).tolist()
    [0.5]
    """

    host: tuple[int, ...] = eqx.field(static=True)
    guests: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    names = ("guest to host",)

    def __init__(
        self,
        topology: Topology,
        host: np.ndarray | Sequence[int],
        guests: np.ndarray | Sequence[Sequence[int]],
    ):
        heavy = topology.heavy_atoms
        self.host = tuple(np.intersect1d(host, heavy).tolist())
        self.guests = tuple(tuple(np.intersect1d(guest, heavy).tolist()) for guest in guests)

    @property
    def atoms(self) -> Rows:
        return (self.host + tuple(atom for guest in self.guests for atom in guest),)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        x = jnp.asarray(positions)
        center = x[np.array(self.host)].mean(0)
        squares = [((x[np.array(guest)].mean(0) - center) ** 2).sum(0) for guest in self.guests]
        return jnp.sqrt(jnp.stack(squares).min(0))[None]


class GuestContacts(eqx.Module):
    """The distance of host and guest, and numbers of contacts between classes of their heavy atoms.

    Parameters
    ----------
    topology : of all molecules, with their bonds
    host : atoms of the host
    guests : atoms of each guest
    radius : distance at which a pair counts half a contact [nm]

    Raises
    ------
    ValueError
        If the topology has no bonds.

    Examples
    --------
    >>> from thalweg.systems.topology import molecules_of
    >>> ring = molecules_of(("C", "C", "C", "O"), np.array([[0, 1], [1, 2], [0, 2]]))
    >>> contacts = GuestContacts(ring, [0, 1, 2], [[3]], radius=0.5)
    >>> contacts.names
    ('guest to host', 'C1 - O4')
    """

    distance: CenterDistance
    pairs: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    radius: float
    switch: RationalSwitch

    def __init__(
        self,
        topology: Topology,
        host: np.ndarray | Sequence[int],
        guests: np.ndarray | Sequence[Sequence[int]],
        radius: float = 0.5,
    ):
        self.distance = CenterDistance(topology, host, guests)
        classes = equivalent_atoms(topology)
        guest = [atom for each in self.distance.guests for atom in each]
        self.pairs = tuple(
            (own, other)
            for own in _grouped(self.distance.host, classes)
            for other in _grouped(guest, classes)
        )
        self.names = Names(
            (
                *self.distance.names,
                *(f"{topology.names[a[0]]} - {topology.names[b[0]]}" for a, b in self.pairs),
            )
        )
        self.radius, self.switch = radius, RationalSwitch()

    @property
    def units(self) -> tuple[str, ...]:
        return (*self.distance.units, *("",) * len(self.pairs))

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)

    @property
    def atoms(self) -> Rows:
        return (*self.distance.atoms, *(own + other for own, other in self.pairs))

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        x = jnp.asarray(positions)
        contacts = [self._contacts(x[np.array(own)], x[np.array(other)]) for own, other in self.pairs]
        return jnp.concatenate([self.distance(x, box), jnp.stack(contacts)])

    def _contacts(self, own, other):
        square = ((own[:, None] - other[None]) ** 2).sum(2)
        return self.switch(jnp.sqrt(square) / self.radius).sum((0, 1))


def _grouped(atoms: Sequence[int], classes: np.ndarray) -> list[tuple[int, ...]]:
    """``atoms`` by class, in the order in which classes first occur."""
    groups: dict[int, list[int]] = {}
    for atom in atoms:
        groups.setdefault(int(classes[atom]), []).append(atom)
    return [tuple(group) for group in groups.values()]
