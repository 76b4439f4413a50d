"""Energies of pairs of beads in loops that run: one potential of the distance, its slope taken once for each pair.

A few hundred beads meet each other all, a block of them at a time: nothing is looked up. Where beads see a small part
of the system only, they meet the neighbors of a list, at a cost that grows with their number and not its square.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.potentials.explicit_gradient import ExplicitGradient, per_replica
from thalweg.potentials.pairs import needed_box
from thalweg.shapes import Array, Bool, Box, Energies, Float, Int, Positions
from thalweg.systems.box import close_components
from thalweg.systems.neighbors import ROWS, WORN, NeighborList

SKIN = 0.3
"""Skin of neighbor lists [nm]: beads of a liquid go far between two looks at them, and a new list costs many steps."""

BLOCK = 16
"""Beads that meet all others at once."""

ITSELF = 1e-10
"""Squared distances below this [nm^2] are of a bead with itself."""

PAYS = 3.0
"""A list pays where there are so many times more beads than neighbors within the cutoff and the skin."""


class BeadPairs(ExplicitGradient):
    """``U = sum_{i<j} u(r_ij)`` of beads of two kinds and of different molecules, within a cutoff.

    Attributes
    ----------
    potential : ``u(r)`` of distances [nm], in kJ/mol
    cutoff : [nm]
    between : the two kinds
    kinds : (beads,) of every bead; None where all are of the one kind that is meant
    molecules : (beads,) of every bead; None where each is a molecule
    periodic : whether they stand in a box
    neighbors : the list, once `refreshed` and where it pays
    """

    potential: Callable
    cutoff: float = eqx.field(static=True)
    between: tuple[int, int] = eqx.field(static=True)
    kinds: Int[Array, " beads"] | None
    molecules: Int[Array, " beads"] | None
    periodic: bool = eqx.field(static=True, default=True)
    neighbors: NeighborList | None = None

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        cell = needed_box(box) if self.periodic else None
        if self.neighbors is None:
            return self._all_pairs(positions, cell)
        return self._listed(self.neighbors, positions, cell)

    def _listed(self, near: NeighborList, positions, box):
        """Every pair from both sides, so that nothing is given back."""
        partners = near.partners.reshape(-1, len(positions), *positions.shape[2:])
        # a bead that stands for no neighbor is its own
        counted = partners != jnp.arange(len(positions)).reshape(1, -1, *(1,) * (partners.ndim - 2))
        if self.kinds is not None:
            counted &= self._meant(jnp.asarray(self.kinds), jnp.asarray(self.kinds)[partners])
        apart = [_of_partners(positions[:, k], partners) for k in range(3)]
        energies, pulls = self._pairs(apart, counted, box)
        moved = near.moved(positions.reshape(near.reference.shape))
        holds = jnp.where(moved.max() < 0.5 * near.skin, 1.0, jnp.nan).astype(positions.dtype)
        return 0.5 * holds * energies.sum((0, 1)), holds * jnp.stack([pull.sum(0) for pull in pulls], 1)

    def _all_pairs(self, positions, box):
        """A few beads at a time against all; every pair from both sides."""
        marks = [None if each is None else jnp.asarray(each) for each in (self.kinds, self.molecules)]

        def one(own):
            place, *own_marks = own
            apart = [place[k] - positions[:, k] for k in range(3)]
            energies, pulls = self._pairs(apart, self._counted(own_marks, marks, apart[0]), box)
            return energies.sum(0), jnp.stack([pull.sum(0) for pull in pulls])

        energies, gradient = jax.lax.map(one, (positions, *marks), batch_size=min(BLOCK, len(positions)))
        return 0.5 * energies.sum(0), gradient

    def _pairs(self, apart, counted, box):
        """Energies and ``u'(r) d / r`` of pairs; zero where they are not counted."""
        if box is not None:
            apart = close_components(apart, box)
        square = sum((d * d for d in apart), jnp.zeros_like(apart[0]))
        # a bead is no partner of its own; others are never there
        inside = (square < self.cutoff**2) & (square > ITSELF)
        if counted is not None:
            inside &= counted
        square = jnp.where(inside, square, self.cutoff**2)
        over = jax.lax.rsqrt(square)
        distance = square * over
        energies, slopes = jax.jvp(self.potential, (distance,), (jnp.ones_like(distance),))
        factor = jnp.where(inside, slopes * over, 0.0)
        return jnp.where(inside, energies, 0.0), [factor * d for d in apart]

    def _meant(self, one, other):
        a, b = self.between
        return ((one == a) & (other == b)) | ((one == b) & (other == a))

    def _counted(self, own, others, like):
        """Which of ``others`` a bead of ``own`` kind and molecule has as partners; None where all."""
        (kind, molecule), (kinds, molecules) = own, others
        counted = None if kinds is None else self._meant(kind, per_replica(kinds, like))
        if molecules is None:
            return counted
        apart = per_replica(molecules, like) != molecule
        return apart if counted is None else counted & apart

    def refreshed(self, positions: Positions, box: Box | None = None) -> BeadPairs:
        """With a neighbor list that holds at ``positions``, where a list pays.

        Raises
        ------
        ValueError
            If there is no box and one is needed, or the cutoff exceeds half its smallest width.
        """
        cell = np.asarray(needed_box(box), float) if self.periodic else None
        if cell is not None:
            check_width(self.cutoff, cell)
        if self.neighbors is not None:
            return (
                self if _holds(self.neighbors, positions, cell) else self._with(self._list(positions, cell))
            )
        near = self._list(positions, cell)
        replicas = int(np.prod(np.shape(positions)[2:]))
        own = np.arange(len(positions)).reshape(1, -1, *(1,) * (np.ndim(positions) - 2))
        met = int((near.partners != own).sum()) / len(positions) / replicas
        return self._with(near) if len(positions) > PAYS * met else self

    def _list(self, positions, cell):
        near = self.neighbors
        if near is not None:
            return NeighborList.around(positions, cell, self.cutoff, SKIN, near.excluded, len(near.partners))
        excluded = _of_one_molecule(np.asarray(self.molecules)) if self.molecules is not None else None
        if excluded is None:
            excluded = np.full((len(positions), 0), -1)
        # as many rows as a liquid of this density needs, so that no program is compiled anew while beads move
        mean = 0.0 if cell is None else len(positions) * 4.2 * (self.cutoff + SKIN) ** 3 / np.linalg.det(cell)
        rows = ROWS * int(np.ceil((1.15 * mean + 10) / ROWS))
        return NeighborList.around(positions, cell, self.cutoff, SKIN, excluded, rows)

    def _with(self, neighbors):
        return BeadPairs(
            self.potential, self.cutoff, self.between, self.kinds, self.molecules, self.periodic, neighbors
        )

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        return (
            False
            if self.neighbors is None
            else self.neighbors.stale(positions, box if self.periodic else None)
        )


def check_width(cutoff: float, box: Float[np.ndarray, "3 3"]) -> None:
    """Raise a ValueError if ``cutoff`` [nm] exceeds half the smallest width of a reduced ``box``."""
    half = float(np.diagonal(box).min()) / 2
    if cutoff > half * (1 + 1e-6):
        raise ValueError(
            f"cutoff of {cutoff} nm exceeds half the smallest width of the box, {half:.4f} nm, and beads would meet "
            "their own images; use a larger box or a smaller cutoff"
        )


def _of_one_molecule(molecules: Int[np.ndarray, " beads"]) -> Int[np.ndarray, "beads most"]:
    """The other beads of each bead's molecule, -1 where there are no more.

    Examples
    --------
    >>> _of_one_molecule(np.array([0, 0, 1])).tolist()
    [[1], [0], [-1]]
    """
    _, numbers, sizes = np.unique(molecules, return_inverse=True, return_counts=True)
    most = int(sizes.max(initial=1)) - 1
    table = np.full((len(molecules), most), -1)
    for group in np.split(np.argsort(numbers, kind="stable"), np.cumsum(sizes)[:-1]):
        for place, bead in enumerate(group):
            table[bead, : len(group) - 1] = np.delete(group, place)
    return table


def _of_partners(x, partners):
    """``x_own - x_partner``; partners are the same in all replicas, or ``(rows, beads, *replicas)``."""
    if partners.ndim == 2:
        return x - x[partners]
    return x - jnp.take_along_axis(x[None], partners, 1)


def _holds(near: NeighborList, positions, cell) -> bool:
    """`NeighborList.stale` answered on the host, where most of the time of a new list would go into asking."""
    points, before = np.asarray(positions, float), np.asarray(near.reference)
    if points.shape != before.shape or (cell is not None and not np.array_equal(cell, np.asarray(near.box))):
        return False
    return ((points - before) ** 2).sum(1).max() <= (WORN * near.skin) ** 2
