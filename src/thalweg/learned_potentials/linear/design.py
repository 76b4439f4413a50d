"""Rows of the least-squares problem of a potential that is linear in its coefficients.

With basis functions ``phi`` of the features of a site, one set of coefficients per element,

    E = sum_i phi(f_i) . c,     F_a = - sum_i  d phi(f_i) / d x_a . c,     V S = sum_i sum_j  r_ij (d phi / d r_ij) . c,

every label is a row. Rows are made a few frames at a time and used up at once: the matrix of all rows is never there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import numpy as np
from scipy import sparse

from thalweg.representations.derivatives import TOGETHER, Pulls, features_and_pulls
from thalweg.representations.environments import Neighborhoods, batches, packed, points_of
from thalweg.representations.representation import Representation
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration

BLOCK_BYTES = 200e6
"""About as much memory goes to the derivatives of a block of frames."""

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""The six components of a symmetric tensor."""


@runtime_checkable
class SiteBasis(Protocol):
    """Functions of the features of a site that a linear potential is made of, one set per element."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of functions for each element."""
        ...

    def values(self, kind: int, features: Float[np.ndarray, "sites features"]) -> np.ndarray:
        """Functions of sites of one element, ``(sites, functions)``."""
        ...

    def pushed(
        self,
        kind: int,
        features: Float[np.ndarray, "sites features"],
        owners: np.ndarray,
        pulls: Float[np.ndarray, "pairs 3 features"],
    ) -> np.ndarray:
        """Derivatives of the functions, ``(pairs, 3, functions)``, given those of the features.

        ``owners`` says to which row of ``features`` each pair belongs.
        """
        ...


class Part(eqx.Module):
    """A representation and the functions of its features that an energy is linear in, see `SiteBasis`."""

    representation: Representation
    basis: eqx.Module

    @property
    def reach(self) -> tuple[tuple[int, ...], float]:
        """Elements and cutoff."""
        return self.representation.elements, self.representation.cutoff


@dataclass(frozen=True)
class Rows:
    """Rows of some frames.

    Attributes
    ----------
    frames : indices of the frames
    energies : (frames, coefficients)
    forces : one (3 atoms, coefficients) per frame, in the order of a flattened (atoms, 3); of no rows where frames have
        energies only
    virials : one (6, coefficients) per frame, in the order of `VOIGT`; stress times volume
    """

    frames: np.ndarray
    energies: np.ndarray
    forces: tuple[np.ndarray, ...]
    virials: tuple[np.ndarray, ...]


def design_rows(
    parts: Sequence[Part], configurations: Sequence[Configuration], energies_alone: Sequence[int] = ()
) -> Iterator[Rows]:
    """Rows of all ``configurations``, block by block, in 64 bits; coefficients of the parts side by side.

    Frames whose numbers are in ``energies_alone`` get no rows of derivatives, which cost most by far.
    """
    alone = np.array(sorted(energies_alone), int)
    rest = np.setdiff1d(np.arange(len(configurations)), alone)
    if len(rest):
        yield from _with_derivatives(parts, [configurations[k] for k in rest], rest)
    if len(alone):
        width = max(feature_count(part.representation) for part in parts)
        sites = sum(len(configurations[k]) for k in alone)
        for chosen in np.array_split(alone, min(len(alone), -(-sites * width * 8 // int(BLOCK_BYTES)))):
            yield _energies_alone(parts, [configurations[k] for k in chosen], chosen)


def _energies_alone(parts: Sequence[Part], frames: Sequence[Configuration], numbers: np.ndarray) -> Rows:
    """Rows of energies of frames that have nothing else."""
    columns = []
    for part in parts:
        elements = part.representation.elements
        features = part.representation.features(frames)
        for kind, size in enumerate(part.basis.sizes):
            block = np.zeros((len(frames), size))
            for k, frame in enumerate(frames):
                mine = np.asarray(frame.numbers) == elements[kind]
                if mine.any():
                    block[k] = part.basis.values(kind, features[k][mine]).sum(0)
            columns.append(block)
    energies = np.concatenate(columns, 1)
    empty = np.zeros((0, energies.shape[1]))
    return Rows(numbers, energies, (empty,) * len(frames), (np.full((6, 0), np.nan),) * len(frames))


def _with_derivatives(
    parts: Sequence[Part], configurations: Sequence[Configuration], numbers: np.ndarray
) -> Iterator[Rows]:
    """Rows of energies, forces and stresses."""
    most = [
        max(len(near.partners) for _, near in batches(configurations, *part.reach, 512)) for part in parts
    ]
    with jax.enable_x64(True):
        widths = [max(feature_count(part.representation), *part.basis.sizes) for part in parts]
        # derivatives of the features, or functions, in three axes of every neighbor, 8 bytes each
        bytes_per_site = 24 * max(width * neighbors for width, neighbors in zip(widths, most))
        sites = _fitting_block([len(one) for one in configurations], BLOCK_BYTES / bytes_per_site)
        for chosen, near in batches(configurations, *parts[0].reach, sites):
            frames = [configurations[k] for k in chosen]
            padded = -(-len(near.kinds) // TOGETHER) * TOGETHER
            points = points_of(frames, padded)
            blocks = []
            for part, neighbors in zip(parts, most):
                near = Neighborhoods.of(frames, *part.reach, neighbors, padded)
                pulls = features_and_pulls(part.representation, near, points)
                blocks.append(part_rows(chosen, frames, near, points, pulls, part))
            rows = blocks[0] if len(blocks) == 1 else _beside(blocks)
            yield replace(rows, frames=numbers[chosen])


def _fitting_block(sizes: Sequence[int], most: float) -> int:
    """Sites per block, a multiple of `TOGETHER` between half of ``most`` and ``most``, that leave fewest places empty.

    Frames of such ``sizes`` are `packed`.

    Examples
    --------
    >>> _fitting_block([64] * 10, 200.0), _fitting_block([108] * 10, 200.0)
    (128, 112)
    """
    top = int(np.clip(most / TOGETHER, 2, 32))
    candidates = [TOGETHER * count for count in range(top, top // 2, -1)]
    return min(candidates, key=lambda sites: sum(padded for _, padded in packed(sizes, sites)))


def _beside(blocks):
    """Rows of the same frames for different coefficients, one after the other."""
    return Rows(
        blocks[0].frames,
        np.concatenate([block.energies for block in blocks], 1),
        tuple(np.concatenate(parts, 1) for parts in zip(*(block.forces for block in blocks))),
        tuple(np.concatenate(parts, 1) for parts in zip(*(block.virials for block in blocks))),
    )


def feature_count(representation: Representation) -> int:
    """Number of features of a representation whose elements are filled in."""
    points = np.zeros((3, TOGETHER))
    points[0] = np.arange(TOGETHER)
    alone = Configuration(np.full(TOGETHER, representation.elements[0]), points.T)
    near = Neighborhoods.of([alone], representation.elements, representation.cutoff)
    return jax.eval_shape(lambda points: representation(near.environments(points)), points).shape[0]


def part_rows(
    chosen: np.ndarray,
    frames: Sequence[Configuration],
    near: Neighborhoods,
    points: Float[np.ndarray, "3 sites"],
    pulls: Pulls,
    part: Part,
) -> Rows:
    """Rows of ``frames``, which are ``chosen`` of all, for the coefficients of one ``part``.

    ==============  ===========================================================================
    ``phi(f_i)``    ``basis.values``, (sites, functions)
    ``df_i/dr_ij``  ``changes``, (pairs, 3, features), of the pairs of neighbors of one element
    ``dphi/dr_ij``  ``pushed``, (pairs, 3, functions); ``flat`` in rows (pair, axis)
    ``r_ij``        ``along``, (3, pairs) [nm]
    ==============  ===========================================================================
    """
    basis = part.basis
    offsets = np.concatenate([[0], np.cumsum(basis.sizes)])
    sizes = np.array([len(frame) for frame in frames])
    atoms, count = int(sizes.sum()), offsets[-1]
    energies, forces = np.zeros((len(frames), count)), np.zeros((3 * atoms, count))
    strained = any(frame.stress is not None for frame in frames)
    virials = np.zeros((6 * len(frames), count)) if strained else None
    for kind in range(len(offsets) - 1):
        mine = np.flatnonzero(near.kinds == kind)
        if not len(mine):
            continue
        columns = slice(offsets[kind], offsets[kind + 1])
        # E = sum_i phi(f_i) . c: sites of one element are summed by frame
        ones = np.ones(len(mine))
        by_frame = sparse.csr_matrix(
            (ones, (near.frames[mine], np.arange(len(mine)))), (len(frames), len(mine))
        )
        features = pulls.features[mine]
        energies[:, columns] = by_frame @ basis.values(kind, features)
        centers, slots, changes = pulls.of(mine)
        pushed = basis.pushed(kind, features, np.searchsorted(mine, centers), changes)
        flat = pushed.reshape(3 * len(centers), basis.sizes[kind])
        # F_a = -sum_i dphi(f_i)/dx_a . c
        neighbors = near.partners[slots, centers]
        forces[:, columns] = _differences(centers, neighbors, atoms) @ flat
        if strained:  # V S = sum_i sum_j r_ij (dphi/dr_ij) . c
            along = points[:, neighbors] - points[:, centers] + near.offsets[:, slots, centers]
            virials[:, columns] = _strains(near.frames[centers], along, len(frames)) @ flat
    ends = np.cumsum(sizes)[:-1]
    split = np.split(virials, len(frames)) if strained else [np.full((6, 0), np.nan)] * len(frames)
    return Rows(chosen, energies, tuple(np.split(forces, 3 * ends)), tuple(split))


def _differences(centers, neighbors, atoms):
    """Forces from derivatives in the vectors of pairs: minus for the neighbor, plus for the center."""
    pairs = np.arange(3 * len(centers))
    axes = np.tile(np.arange(3), len(centers))
    rows = np.concatenate([3 * np.repeat(neighbors, 3) + axes, 3 * np.repeat(centers, 3) + axes])
    signs = np.concatenate([-np.ones(len(pairs)), np.ones(len(pairs))])
    return sparse.csr_matrix((signs, (rows, np.concatenate([pairs, pairs]))), (3 * atoms, len(pairs)))


def _strains(frames, along, count):
    """Virials, symmetric, from derivatives in the vectors of pairs."""
    pairs = np.arange(len(frames))
    rows, columns, values = [], [], []
    for v, (a, b) in enumerate(VOIGT):
        for first, second in ((a, b), (b, a)):
            rows.append(6 * frames + v)
            columns.append(3 * pairs + second)
            values.append(0.5 * along[first])
    return sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        (6 * count, 3 * len(frames)),
    )
