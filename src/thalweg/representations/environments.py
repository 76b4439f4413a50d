"""Environments: what every atom sees within reach, as dense padded blocks.

A *site* is an atom of some frame or replica. Its neighbors stand in a column of fixed height, so that everything
computed from them is plain array code, vectorized over sites, which are always the last axis. Rows without a neighbor
hold a vector far beyond the cutoff: whatever vanishes at the cutoff vanishes there, and nothing needs a mask.

A `Neighborhoods` says who is near whom; it is made on the host by vesin's cell lists, images of a small cell
included, and holds for as long as no atom has moved by half of its skin [verlet1967]. Given points it yields
`Environments`, differentiably.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import vesin

from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration

ROWS = 8
"""Neighbor rows come in multiples of this many."""

FAR = 3.0
"""An absent neighbor stands at this many reaches (cutoff and skin)."""


class Environments(eqx.Module):
    """What each site sees.

    Attributes
    ----------
    vectors : from each site to its neighbors [nm]; longer than any cutoff where there is no neighbor
    partners : index of the site that each neighbor is (a periodic image has the index of its original)
    kinds : index of each site's element into the elements agreed on; -1 for a site that only fills a block
    """

    vectors: Float[Array, "3 neighbors sites"]
    partners: Int[Array, "neighbors sites"]
    kinds: Int[Array, " sites"]

    @property
    def distances(self) -> Float[Array, "neighbors sites"]:
        """Lengths of the vectors [nm]; never zero, as no site is its own neighbor."""
        return jnp.sqrt((self.vectors * self.vectors).sum(0))

    @property
    def neighbor_kinds(self) -> Int[Array, "neighbors sites"]:
        """Element indices of the neighbors; those of absent ones mean nothing."""
        return jnp.asarray(self.kinds)[self.partners]


class Detached(Environments):
    """Some sites cut out of a block: ``partners`` holds the kinds of neighbors, which themselves are elsewhere."""

    @property
    def neighbor_kinds(self) -> Int[Array, "neighbors sites"]:
        """Element indices of the neighbors."""
        return self.partners


def in_blocks(environments: Environments, size: int) -> Detached:
    """Sites in blocks of ``size``, a new first axis; the last block is filled up with lone sites of kind -1."""
    vectors, kinds, neighbor_kinds = environments.vectors, environments.kinds, environments.neighbor_kinds
    missing = -vectors.shape[-1] % size
    if missing:
        far = FAR * jnp.ones((*vectors.shape[:-1], missing), vectors.dtype)
        vectors = jnp.concatenate([vectors, far * (1 + jnp.abs(vectors).max())], -1)
        kinds = jnp.concatenate([kinds, jnp.full((missing,), -1, kinds.dtype)])
        nothing = jnp.zeros((neighbor_kinds.shape[0], missing), neighbor_kinds.dtype)
        neighbor_kinds = jnp.concatenate([neighbor_kinds, nothing], -1)

    def split(array):
        return jnp.moveaxis(array.reshape(*array.shape[:-1], -1, size), -2, 0)

    return eqx.tree_at(
        lambda block: (block.vectors, block.partners, block.kinds),
        Detached(vectors, neighbor_kinds, kinds),
        (split(vectors), split(neighbor_kinds), split(kinds)),
    )


class Neighborhoods(eqx.Module):
    """Who is within reach of whom, for all atoms of some frames together.

    Attributes
    ----------
    partners : index of each neighbor's site; the site itself where there is none
    offsets : what to add to the difference of points: a lattice vector, or a long way where there is no neighbor [nm]
    kinds : element index of each site; -1 for sites that only fill the block
    frames : frame of each site; ``frame_count`` for those that only fill the block
    frame_count : number of frames
    """

    partners: Int[Array, "neighbors sites"]
    offsets: Float[Array, "3 neighbors sites"]
    kinds: Int[Array, " sites"]
    frames: Int[Array, " sites"]
    frame_count: int = eqx.field(static=True)

    @staticmethod
    def of(
        configurations: Sequence[Configuration],
        elements: Sequence[int],
        reach: float,
        rows: int = 0,
        sites: int = 0,
    ) -> Neighborhoods:
        """Neighbors within ``reach`` [nm] of all atoms of ``configurations``, in at least ``rows`` rows.

        Parameters
        ----------
        elements : atomic numbers; a site's kind is the position of its number in them
        rows, sites : the least shape of the block; more rows are used where an atom has more neighbors

        Raises
        ------
        ValueError
            If an atom is of no known element, two atoms coincide, or a cell has no volume.

        Examples
        --------
        >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
        >>> near = Neighborhoods.of([water], (1, 8), 0.12)
        >>> near.partners.shape, near.kinds.tolist()
        ((8, 3), [1, 0, 0])
        """
        pairs = [_neighbors(configuration, reach) for configuration in configurations]
        sizes = np.array([len(configuration) for configuration in configurations], int)
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        total = max(int(starts[-1]), sites)
        most = max((int(np.bincount(i, minlength=1).max()) for i, _, _ in pairs), default=0)
        rows = max(rows, -(-max(most, 1) // ROWS) * ROWS)
        # absent neighbors are the site itself, far away; pairs are sorted by i, so that rows count up within a site
        partners = np.tile(np.arange(total, dtype=np.int32), (rows, 1))
        offsets = np.zeros((3, rows, total))
        offsets[0] = FAR * reach
        for start, size, (i, j, shift) in zip(starts, sizes, pairs):
            row = np.arange(len(i)) - np.searchsorted(i, np.arange(size))[i]
            partners[row, i + start] = j + start
            offsets[:, row, i + start] = shift.T
        kinds = np.full(total, -1, np.int32)
        frames = np.full(total, len(configurations), np.int32)
        numbers = np.concatenate([configuration.numbers for configuration in configurations])
        kinds[: starts[-1]] = element_kinds(numbers, elements)
        frames[: starts[-1]] = np.repeat(np.arange(len(configurations)), sizes)
        return Neighborhoods(partners, offsets, kinds, frames, len(configurations))

    def with_rows(self, rows: int, reach: float) -> Neighborhoods:
        """The same with room for more neighbors, who are not there."""
        missing = rows - len(self.partners)
        if missing <= 0:
            return self
        itself = np.arange(self.partners.shape[1], dtype=np.int32)
        far = np.zeros((3, missing, len(itself)))
        far[0] = FAR * reach
        return replace(
            self,
            partners=np.concatenate([self.partners, np.tile(itself, (missing, 1))]),
            offsets=np.concatenate([self.offsets, far], 1),
        )

    def rounded(self) -> Neighborhoods:
        """The same with as many frames as the next power of two, those beyond empty: few shapes compile rarely.

        Examples
        --------
        >>> frames = [Configuration(np.array([1]), np.zeros((1, 3)))] * 3
        >>> near = Neighborhoods.of(frames, (1,), 0.1, sites=4).rounded()
        >>> near.frame_count, near.frames.tolist()
        (4, [0, 1, 2, 4])
        """
        count = 1 << (self.frame_count - 1).bit_length()
        frames = np.where(np.asarray(self.frames) == self.frame_count, count, self.frames).astype(np.int32)
        return replace(self, frames=frames, frame_count=count)

    def environments(self, points: Float[Array, "3 sites"]) -> Environments:
        """What each site sees with the atoms at ``points`` [nm]."""
        points = jnp.asarray(points)
        vectors = points[:, self.partners] - points[:, None, :] + jnp.asarray(self.offsets, points.dtype)
        return Environments(vectors, jnp.asarray(self.partners), jnp.asarray(self.kinds))

    def frame_sums(self, site_values: Float[Array, " sites"]) -> Float[Array, " frames"]:
        """Sum over the atoms of each frame."""
        return jax.ops.segment_sum(
            site_values, jnp.asarray(self.frames), self.frame_count + 1, indices_are_sorted=True
        )[:-1]


def points_of(configurations: Sequence[Configuration], sites: int = 0) -> Float[np.ndarray, "3 sites"]:
    """Positions of all atoms of all ``configurations`` side by side [nm], followed by zeros up to ``sites``."""
    points = np.concatenate([np.asarray(configuration.positions, float) for configuration in configurations])
    return np.pad(points, ((0, max(0, sites - len(points))), (0, 0))).T


def batches(
    configurations: Sequence[Configuration], elements: Sequence[int], reach: float, sites: int = 1024
) -> Iterator[tuple[np.ndarray, Neighborhoods]]:
    """Blocks of frames with up to about ``sites`` atoms, padded to few shapes: frame indices and neighborhoods.

    Frames are taken in order of size, so that little is padding; a frame larger than ``sites`` is a block alone.
    """
    blocks = []
    for chosen, padded in packed([len(configuration) for configuration in configurations], sites):
        frames = [configurations[k] for k in chosen]
        blocks.append((chosen, Neighborhoods.of(frames, elements, reach, 0, padded)))
    # a program is compiled for each shape: few numbers of rows, whatever the frames
    rows = _few_sizes(max((len(near.partners) for _, near in blocks), default=ROWS), ROWS)
    for chosen, near in blocks:
        yield chosen, near.with_rows(rows, reach)


def packed(sizes: Sequence[int], sites: int) -> list[tuple[np.ndarray, int]]:
    """Which frames of such ``sizes`` fill each block of about ``sites``, shorter ones first, and its padded size.

    Examples
    --------
    >>> [(chosen.tolist(), padded) for chosen, padded in packed([5, 100, 3], 16)]
    [([2, 0], 16), ([1], 128)]
    """
    order = np.argsort(sizes, kind="stable")
    ends = np.cumsum(np.asarray(sizes)[order])
    start, blocks = 0, []
    while start < len(order):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + sites, side="right")))
        size = int(ends[stop - 1] - before)
        blocks.append((order[start:stop], sites if size <= sites else _few_sizes(size, 64)))
        start = stop
    return blocks


def _few_sizes(size: int, step: int) -> int:
    """The next of few sizes from ``size`` on: multiples of ``step``, further apart the larger, four to each octave.

    Examples
    --------
    >>> [_few_sizes(size, 8) for size in (8, 41, 64, 65, 100, 130)]
    [8, 48, 64, 80, 112, 160]
    """
    step = max(step, 1 << max(0, (size - 1).bit_length() - 3))
    return -(-size // step) * step


def element_kinds(numbers: Sequence[int] | np.ndarray, elements: Sequence[int]) -> np.ndarray:
    """Position of each atomic number in ``elements``.

    Raises
    ------
    ValueError
        If one is not among them; says which.
    """
    numbers, known = np.asarray(numbers, int), np.asarray(elements, int)
    order = np.argsort(known)
    kinds = order[np.minimum(np.searchsorted(known, numbers, sorter=order), len(known) - 1)]
    strangers = sorted(set(numbers[known[kinds] != numbers].tolist()))
    if strangers:
        raise ValueError(
            f"atomic number{'s' * (len(strangers) > 1)} {', '.join(map(str, strangers))} not among the elements "
            f"known here ({', '.join(map(str, elements))}); fit a model on data that contain them"
        )
    return kinds.astype(np.int32)


def _neighbors(configuration, reach):
    """Pairs ``i, j`` sorted by ``i`` and the shift vectors ``S`` of ``r_ij = x_j - x_i + S`` [nm]."""
    points = np.asarray(configuration.positions, float)
    if not np.isfinite(points).all():
        raise ValueError("positions are not all finite; remove the frame")
    periodic = [bool(flag) for flag in configuration.periodic]
    box = np.zeros((3, 3)) if configuration.box is None else np.asarray(configuration.box, float)
    if any(periodic) and not abs(np.linalg.det(box)) > 0:
        raise ValueError(f"a periodic configuration needs a cell with a volume; got {box.tolist()}")
    search = vesin.NeighborList(cutoff=reach, full_list=True, n_threads=1)
    i, j, shift, distance = search.compute(points, box, periodic if any(periodic) else False, "ijSd")
    if len(distance) and distance.min() < 1e-6:
        closest = int(np.argmin(distance))
        raise ValueError(f"atoms {i[closest]} and {j[closest]} are on top of each other; remove the frame")
    order = np.argsort(i, kind="stable")
    return i[order].astype(int), j[order].astype(int), shift[order].astype(float) @ box
