"""Labeled frames as batches of one shape, and how far a term is from their labels.

The loss of a batch is the weighted sum of squares over labels that are there,

    chi^2 = sum_f dE_f^2 / (w_E^2 n_f) + sum_i |dF_i|^2 / w_F^2 + sum_f |V_f dS_f|^2 / (w_S^2 n_f),

divided by what it is on average for a term that says zero, so that it starts near one whatever the units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.environments import Environments, Neighborhoods, points_of
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration


class FrameBatch(eqx.Module):
    """Some frames and what is known of them, all in 32 bits.

    Attributes
    ----------
    near : who is near whom
    points : where the atoms are [nm]
    energies, forces, virials : labels; virials are stresses times volumes [kJ/mol]; zero where missing
    energy_weights, force_weights, virial_weights : what squares are multiplied with; zero where a label is missing
    strained : whether any frame has a stress
    """

    near: Neighborhoods
    points: Float[Array, "3 sites"]
    energies: Float[Array, " frames"]
    forces: Float[Array, "3 sites"]
    virials: Float[Array, "frames 3 3"]
    energy_weights: Float[Array, " frames"]
    force_weights: Float[Array, " sites"]
    virial_weights: Float[Array, " frames"]
    strained: bool = eqx.field(static=True)


def squared_error(term: eqx.Module, batch: FrameBatch) -> jax.Array:
    """``chi^2`` of a term that has ``site_energies`` (a `SiteTerm`), as a fraction of that of zero."""
    near = batch.near
    present = near.environments(batch.points)

    def total(vectors):
        sites = term.site_energies(Environments(vectors, present.partners, present.kinds))
        return sites.sum(), sites

    pull, sites = jax.grad(total, has_aux=True)(present.vectors)
    # F_i = sum_j dE/dr_ij - sum of what i gets as a neighbor of others
    onto_neighbors = pull.reshape(3, -1).T
    received = (
        jnp.zeros((batch.points.shape[1], 3), pull.dtype).at[near.partners.reshape(-1)].add(onto_neighbors).T
    )
    forces = pull.sum(1) - received
    error = (batch.energy_weights * (near.frame_sums(sites) - batch.energies) ** 2).sum()
    error += (batch.force_weights * (forces - batch.forces) ** 2).sum()
    if batch.strained:
        # V S = sum r_ij (x) dE/dr_ij, symmetric
        virial = jnp.einsum("ans,bns->sab", pull, present.vectors)
        frames = jax.ops.segment_sum(virial, jnp.asarray(near.frames), near.frame_count + 1)[:-1]
        frames = (frames + frames.swapaxes(1, 2)) / 2
        error += (batch.virial_weights[:, None, None] * (frames - batch.virials) ** 2).sum()
    return error


@dataclass(frozen=True)
class FrameBatches:
    """Frames with their neighbor lists, dealt out in blocks of one shape.

    Attributes
    ----------
    blocks : one-frame batches
    sites : sites per block; frames are added while they fit
    frames : most frames per block
    """

    blocks: tuple[FrameBatch, ...]
    sites: int
    frames: int

    @staticmethod
    def of(
        configurations: Sequence[Configuration],
        elements: Sequence[int],
        reach: float,
        weights: Weights,
        frames: int,
        like: FrameBatches | None = None,
    ) -> FrameBatches:
        """Batches of about ``frames`` frames of average size; of the shape and scale of those in ``like``.

        Raises
        ------
        ValueError
            If there is no label at all, or a label is not finite.
        """
        lists = [Neighborhoods.of([frame], elements, reach) for frame in configurations]
        rows = max(len(near.partners) for near in lists)
        sizes = [len(frame) for frame in configurations]
        if like is not None:
            rows = max(rows, len(like.blocks[0].near.partners))
        lists = [near.with_rows(rows, reach) for near in lists]
        lists = [replace(near, offsets=near.offsets.astype(np.float32)) for near in lists]
        blocks = [_labeled(frame, near, weights) for frame, near in zip(configurations, lists)]
        null = [_null(block) for block in blocks]
        if not np.isfinite(null).all():
            raise ValueError(
                f"frame {int(np.argmin(np.isfinite(null)))} has a label that is not finite; remove it"
            )
        sites = max(max(sizes), round(frames * float(np.mean(sizes))))
        most = max(1, min(len(blocks), sites // min(sizes)))
        if like is not None:
            sites, most = max(max(sizes), like.sites), like.frames
        if not sum(null) / max(1, -(-sum(sizes) // sites)) > 0:
            raise ValueError("no frame has a label that is not zero; there is nothing to learn")
        return FrameBatches(tuple(blocks), sites, most)

    def scaled(self, factor: float) -> FrameBatches:
        """All weights times ``factor``."""

        def weights(b):
            return (b.energy_weights, b.force_weights, b.virial_weights)

        blocks = [
            eqx.tree_at(weights, b, tuple(np.float32(factor) * w for w in weights(b))) for b in self.blocks
        ]
        return FrameBatches(tuple(blocks), self.sites, self.frames)

    @property
    def null(self) -> float:
        """``chi^2`` of a term that says zero, per average batch."""
        sizes = sum(block.points.shape[1] for block in self.blocks)
        return float(sum(_null(block) for block in self.blocks) * min(1.0, self.sites / sizes))

    def __call__(self, generator: np.random.Generator) -> Iterator[FrameBatch]:
        """All frames in random order."""
        return self.dealt(generator.permutation(len(self.blocks)))

    def dealt(self, order: Sequence[int] | np.ndarray) -> Iterator[FrameBatch]:
        """Frames in a given order."""
        chosen, size = [], 0
        for k in order:
            more = self.blocks[k].points.shape[1]
            if chosen and (size + more > self.sites or len(chosen) == self.frames):
                yield _joined(chosen, self.sites, self.frames)
                chosen, size = [], 0
            chosen.append(self.blocks[k])
            size += more
        yield _joined(chosen, self.sites, self.frames)


def _null(block):
    return float(
        (block.energy_weights * block.energies**2).sum()
        + (block.force_weights * block.forces**2).sum()
        + (block.virial_weights[:, None, None] * block.virials**2).sum()
    )


def _labeled(frame, near, weights):
    atoms, flags = len(frame), [frame.energy is not None, frame.forces is not None, frame.stress is not None]
    energy = np.array([frame.energy if flags[0] else 0.0], np.float32)
    forces = np.asarray(frame.forces if flags[1] else np.zeros((atoms, 3)), np.float32).T
    virial = np.asarray(frame.stress * frame.volume if flags[2] else np.zeros((3, 3)), np.float32)[None]
    count = np.ones(1, np.float32)
    return FrameBatch(
        near,
        points_of([frame]).astype(np.float32),
        energy,
        forces,
        virial,
        count * flags[0] / np.float32(atoms * weights.energy**2),
        np.full(atoms, flags[1] / weights.force**2, np.float32),
        count * flags[2] / np.float32(atoms * weights.stress**2),
        flags[2],
    )


def _joined(blocks, sites, frames):
    """One block of many, filled up to ``sites`` and ``frames``."""
    rows = len(blocks[0].near.partners)
    total = sum(block.points.shape[1] for block in blocks)
    spare, more = sites - total, frames - len(blocks)
    starts = np.cumsum([0, *(block.points.shape[1] for block in blocks)])
    # sites that fill up are of no element and no frame, each its own neighbor, 10 nm away
    own = np.tile(np.arange(total, sites, dtype=np.int32), (rows, 1))
    far = np.zeros((3, rows, spare), np.float32)
    far[0] = 10.0
    near = Neighborhoods(
        np.concatenate([*(b.near.partners + s for b, s in zip(blocks, starts)), own], 1).astype(np.int32),
        np.concatenate([*(b.near.offsets for b in blocks), far], 2),
        np.concatenate([*(b.near.kinds for b in blocks), np.full(spare, -1)]).astype(np.int32),
        np.concatenate([np.repeat(np.arange(len(blocks)), np.diff(starts)), np.full(spare, frames)]).astype(
            np.int32
        ),
        frames,
    )

    def side_by_side(field, extra, axis=0):
        """A field of all blocks, with ``extra`` zeros at the end: labels that weigh nothing."""
        parts = [getattr(block, field) for block in blocks]
        shape = list(parts[0].shape)
        shape[axis] = extra
        return np.concatenate([*parts, np.zeros(shape, np.float32)], axis)

    return FrameBatch(
        near,
        side_by_side("points", spare, 1),
        side_by_side("energies", more),
        side_by_side("forces", spare, 1),
        side_by_side("virials", more),
        side_by_side("energy_weights", more),
        side_by_side("force_weights", spare),
        side_by_side("virial_weights", more),
        any(block.strained for block in blocks),
    )
