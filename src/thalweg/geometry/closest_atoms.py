r"""Shortest distances between groups of atoms, exactly.

.. math::  d_{AB} = \min_{a \in A,\, b \in B} |x_a - x_b|

Every pair of groups is wanted, so nothing can be skipped: what counts is that the loops over atoms are plain and
keep to the cache. Groups are sorted by size, odd sizes filled up with an atom that is there already, which changes no
minimum and halves the number of loops to compile. For a block of groups of one size, atoms are taken one at a time
and compared with those of all groups from the block on, which lie side by side by size, their first atoms, their
second atoms and so on. Squares are compared; one root is taken per pair of groups.

The minimum has a kink where the closest pair changes; its gradient there is an average over the pairs. Derivatives
are taken of the pairs asked for only, whose atoms are listed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.internal import distances
from thalweg.shapes import Array, Box, Float, Int, Positions
from thalweg.systems.box import nearest_components

BLOCK = 64
"""Groups of one size that are compared with the rest at once."""


class _Block(NamedTuple):
    """Some groups of one size and the groups of equal or larger size they are compared with.

    Attributes
    ----------
    members : (groups, size) atoms
    partners : for each size, (groups, size) atoms
    offset : where the block's results begin, rows of ``width``
    """

    members: np.ndarray
    partners: tuple[np.ndarray, ...]
    offset: int
    width: int


def closest_distances(
    positions: Positions,
    groups: Sequence[Sequence[int]],
    pairs: Int[Array, "pairs 2"],
    box: Box | None = None,
) -> Float[Array, " pairs *replicas"]:
    """Distances [nm] of the closest atoms of pairs of groups, nearest images if there is a box.

    Work grows with all pairs of the groups that are named, whether each is asked for or not.

    Parameters
    ----------
    positions : ``(atoms, 3, *replicas)`` [nm]
    groups : atoms of each group
    pairs : rows of two groups
    box : box vectors as rows [nm]

    Examples
    --------
    >>> line = jnp.array([[0.0, 0, 0], [0.1, 0, 0], [0.5, 0, 0], [0.75, 0, 0]])
    >>> np.asarray(closest_distances(line, [[0, 1], [2], [3]], np.array([[0, 1], [2, 0]]))).round(3)
    array([0.4 , 0.65], dtype=float32)
    """

    @jax.custom_jvp
    def closest(positions, box):
        return _blockwise(positions, groups, np.asarray(pairs, int), box)

    @closest.defjvp
    def derivative(primals, tangents):
        return jax.jvp(lambda positions, box: _one_by_one(positions, groups, pairs, box), primals, tangents)

    return closest(jnp.asarray(positions), box)


def atom_pairs(
    groups: Sequence[Sequence[int]], pairs: Int[Array, "pairs 2"]
) -> tuple[Int[Array, "links 2"], Int[Array, " links"]]:
    """All pairs of atoms of pairs of groups, and which pair of groups each belongs to, in order.

    Examples
    --------
    >>> atom_pairs([[0, 1], [2]], np.array([[0, 1]]))[0].tolist()
    [[0, 2], [1, 2]]
    """
    links = [(a, b, k) for k, (i, j) in enumerate(pairs.tolist()) for a in groups[i] for b in groups[j]]
    table = np.array(links, int).reshape(-1, 3)
    return table[:, :2], table[:, 2]


def _one_by_one(positions, groups, pairs, box):
    links, owner = atom_pairs(groups, pairs)
    return jax.ops.segment_min(distances(positions, links, box), owner, len(pairs), indices_are_sorted=True)


def _blockwise(positions, groups, pairs, box):
    replicas = positions.shape[2:]
    flat = positions.reshape(*positions.shape[:2], -1)
    blocks, places = _plan(groups, pairs)
    squares = jnp.concatenate([_squares(flat, block, box).reshape(-1, flat.shape[2]) for block in blocks])
    asked = squares.at[places].get(mode="promise_in_bounds")
    apart = asked > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, asked, 1.0)), 0.0).reshape(-1, *replicas)


def _plan(groups: Sequence[Sequence[int]], pairs: np.ndarray) -> tuple[list[_Block], np.ndarray]:
    """Blocks that cover all pairs of the groups named, and the place of each pair in their joined results.

    Ranks of groups are by size. A block has results ``(its groups, width)``, columns from its own first group on, flat.
    """
    filled = {g: [*groups[g], *groups[g][: len(groups[g]) % 2]] for g in np.unique(pairs).tolist()}
    named = sorted(filled, key=lambda g: len(filled[g]))
    by_size = [np.array(list(same)) for _, same in groupby((filled[g] for g in named), len)]
    blocks, offset, start = [], 0, 0
    block_of, row_of = np.zeros((2, len(named)), int)
    for k, alike in enumerate(by_size):
        for first in range(0, len(alike), BLOCK):
            members = alike[first : first + BLOCK]
            width = len(named) - start
            block_of[start : start + len(members)] = len(blocks)
            row_of[start : start + len(members)] = range(len(members))
            blocks.append(_Block(members, (alike[first:], *by_size[k + 1 :]), offset, width))
            offset, start = offset + len(members) * width, start + len(members)
    rank = dict(zip(named, range(len(named))))
    # place = offset of the block + row of the smaller group * width + column of the larger one
    low, high = np.sort([[rank[g] for g in pair] for pair in pairs.tolist()], axis=1).T
    offsets, widths = np.array([(block.offset, block.width) for block in blocks])[block_of[low]].T
    begins = low - row_of[low]
    return blocks, offsets + row_of[low] * widths + high - begins


def _squares(positions, block: _Block, box):
    """Smallest squared distances ``(members, width, replicas)`` of a block's groups and their partners."""
    partners = [positions.at[atoms.T].get(mode="promise_in_bounds") for atoms in block.partners]

    def of_one(atoms):
        return jnp.concatenate([_smallest(atoms, partner, box) for partner in partners])

    return jax.lax.map(of_one, positions.at[block.members].get(mode="promise_in_bounds"))


def _smallest(atoms, partners, box):
    """Smallest squares ``(groups, replicas)`` between ``atoms (size, 3, replicas)`` of one group and the ``partners
    (size, groups, 3, replicas)``."""

    def nearer(smallest, atom):
        # images are searched for all partners at once, which compiles to one search
        squares = map(_square, partners - atom) if box is None else _image_squares(partners - atom, box)
        for square in squares:
            smallest = jnp.where(square < smallest, square, smallest)
        return smallest, None

    start = jnp.full((partners.shape[1], partners.shape[3]), jnp.inf, atoms.dtype)
    return jax.lax.scan(nearer, start, atoms)[0]


def _square(displacement):
    x, y, z = displacement[:, 0], displacement[:, 1], displacement[:, 2]
    return x * x + y * y + z * z


def _image_squares(displacements, box):
    """Squares ``(size, groups, replicas)`` of the nearest images of displacements ``(size, groups, 3, replicas)``."""
    x, y, z = nearest_components([displacements[:, :, k] for k in range(3)], box)
    return x * x + y * y + z * z
