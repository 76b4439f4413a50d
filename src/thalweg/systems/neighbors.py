"""Neighbor lists: which atoms are near each atom, good until one of them has moved far enough.

A list made with radius ``cutoff + skin`` holds every pair within ``cutoff`` until some atom has moved by more than
``skin / 2`` [verlet1967]. It is made on the host by vesin's cell lists and used inside compiled loops, so its shape
stays the same as long as it can: rows are padded in steps, with room to grow.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import vesin

from thalweg.shapes import Array, Bool, Box, Int, Positions

ROWS = 16
"""Tables are padded to a multiple of this many neighbors."""

WORN = 0.4
"""Fraction of the skin an atom may cross before a list asks to be renewed; at one half it fails."""


class NeighborList(eqx.Module):
    """All pairs within ``cutoff`` of each other, excluded pairs left out, each pair from both sides.

    Attributes
    ----------
    partners : ``(rows, atoms, *replicas)`` int, the neighbors of each atom; the atom itself where it has no more
    reference : positions for which the list was made [nm]
    box : (3, 3) reduced box of that moment [nm], or None
    excluded : (atoms, most) int, partners an atom never has, -1 where there are no more
    cutoff, skin : [nm]
    """

    partners: Int[Array, "rows atoms *replicas"]
    reference: Positions
    box: Box | None
    excluded: Int[Array, "atoms most"]
    cutoff: float = eqx.field(static=True)
    skin: float = eqx.field(static=True)

    @staticmethod
    def around(
        positions: Positions,
        box: Box | None,
        cutoff: float,
        skin: float,
        excluded: Int[Array, "atoms most"],
        rows: int = 0,
    ) -> NeighborList:
        """The list for ``positions`` ``(atoms, 3, *replicas)`` [nm], with at least ``rows`` rows.

        Raises
        ------
        ValueError
            If ``cutoff`` exceeds half the smallest width of the box.

        Examples
        --------
        >>> line = np.array([[0.0, 0, 0], [0.3, 0, 0], [0.9, 0, 0]])
        >>> near = NeighborList.around(line, None, 0.4, 0.1, np.full((3, 0), -1))
        >>> near.partners[0].tolist()
        [1, 0, 2]
        """
        points = np.asarray(positions, float)
        cell = None if box is None else np.asarray(box, float)
        if cell is not None and 2 * cutoff > cell.diagonal().min() * (1 + 1e-6):
            raise ValueError(
                f"cutoff of {cutoff} nm exceeds half the smallest width of the box, {cell.diagonal().min() / 2:.4f} "
                "nm; use a larger box or a smaller cutoff"
            )
        replicas = points.shape[2:]
        flat = points.reshape(*points.shape[:2], -1)
        pairs = [_pairs(flat[..., r], cell, cutoff + skin, excluded) for r in range(flat.shape[2])]
        most = max((np.bincount(i).max() for i, _ in pairs if len(i)), default=0)
        if most > rows:
            rows = -(-int(1.1 * most + 1) // ROWS) * ROWS
        tables = np.stack([_table(i, j, len(points), rows) for i, j in pairs], -1)
        return NeighborList(
            tables.reshape(rows, len(points), *replicas), points, cell, excluded, cutoff, skin
        )

    def moved(self, positions: Positions) -> jax.Array:
        """The furthest any atom has moved since the list was made [nm], ``(*replicas,)``."""
        positions = jnp.asarray(positions)
        displacement = positions - jnp.asarray(self.reference, positions.dtype).reshape(positions.shape)
        return jnp.sqrt((displacement * displacement).sum(1).max(0))

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""]:
        """Whether the list should be renewed before another step."""
        changed = False if box is None else (jnp.asarray(box) != jnp.asarray(self.box, box.dtype)).any()
        return (self.moved(positions) > WORN * self.skin).any() | changed

    def refreshed(self, positions: Positions, box: Box | None = None) -> NeighborList:
        """This list if it still holds at ``positions``, or a new one, of the same shape if it fits."""
        positions = np.asarray(positions)
        if positions.shape == self.reference.shape and not self.stale(positions, box):
            return self
        return NeighborList.around(positions, box, self.cutoff, self.skin, self.excluded, len(self.partners))


def _pairs(points, cell, radius, excluded):
    """Pairs ``i, j`` closer than ``radius``, from both sides, sorted by ``i``, each once, without the excluded."""
    n = len(points)
    search = vesin.NeighborList(cutoff=radius, full_list=True, n_threads=1)
    i, j = search.compute(points, np.zeros((3, 3)) if cell is None else cell, cell is not None, "ij")
    keys = np.sort(i.astype(np.int64) * n + j.astype(np.int64))
    counted = np.diff(keys, prepend=-1) > 0
    never = np.concatenate([(np.arange(n)[:, None] * n + excluded)[excluded >= 0], np.arange(n) * (n + 1)])
    at = np.searchsorted(keys, never)
    at = at[at < len(keys)]
    counted[at] &= ~np.isin(keys[at], never)
    return keys[counted] // n, keys[counted] % n


def _table(i, j, n, rows):
    """Neighbors ``j`` of each ``i`` down the columns of a ``(rows, n)`` table, padded with the atom itself."""
    table = np.tile(np.arange(n, dtype=np.int32), (rows, 1))
    start = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=n))])
    table[np.arange(len(i)) - start[i], i] = j
    return table
