r"""Pairs of frames a lag time apart, the later one stopped where a set is entered first.

.. math::  q(x_t) = \mathbb E\left[ q(x_{\min(t+\tau,\,T)}) \mid x_t \right]

for a committor :math:`q`, a start outside A and B, any lag time :math:`\tau` and the time :math:`T` of the first entry
into either set: exact, whatever the lag, the dynamics and the distribution of starts. A pair that the end of its
trajectory cuts short is as good, since that end is set beforehand or is itself an entry; to leave out those that have
entered no set by then would be to choose by what happens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.kinetics.reactions.regions import OUTSIDE, SetOfFrames, labels
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import Trajectories

BLOCKS = 60
"""Blocks of data that are drawn and left out as a whole, about."""

FEWEST_FRAMES = 20
"""Effective frames between A and B below which no committor is fitted."""


@dataclass(frozen=True, eq=False)
class FramesBetween:
    """All frames of trajectories in one array, and which of them lie between A and B.

    Attributes
    ----------
    frames : (frames, features), single precision, trajectories one after the other
    labels : (frames,), outside, in A or in B
    weights : (frames,)
    blocks : (frames,), number of the block of data
    trajectory : (frames,), number of the trajectory
    log_path : (frames,), running logarithm of path weights; None where dynamics are unbiased
    """

    frames: Shaped[np.ndarray, "frames features"]
    labels: Shaped[np.ndarray, " frames"]
    weights: Shaped[np.ndarray, " frames"]
    blocks: Shaped[np.ndarray, " frames"]
    trajectory: Shaped[np.ndarray, " frames"]
    log_path: Shaped[np.ndarray, " frames"] | None = None

    @property
    def between(self) -> np.ndarray:
        """Numbers of the frames outside both sets that have a weight."""
        return np.flatnonzero((self.labels == OUTSIDE) & (self.weights > 0))

    @property
    def effective(self) -> float:
        """Effective number of frames between the sets, ``(sum w)^2 / sum w^2``."""
        return effective_number(self.weights[self.between])


def effective_number(weights: np.ndarray) -> float:
    """Kish's effective number ``(sum w)^2 / sum w^2`` of weighted frames, zero without any.

    Examples
    --------
    >>> effective_number(np.array([2.0, 2.0])), effective_number(np.zeros(0))
    (2.0, 0.0)
    """
    total = weights.sum()
    return float(total**2 / (weights**2).sum()) if total > 0 else 0.0


def frames_between(data: Trajectories, a: SetOfFrames, b: SetOfFrames) -> FramesBetween:
    """Frames in one array, with what belongs to them.

    Raises
    ------
    ValueError
        If the sets overlap or one is empty, or weights leave fewer than `FEWEST_FRAMES` effective frames between them.
    """
    require_memory(
        4 * data.n_frames * data.n_features,
        f"{data.n_frames} frames of {data.n_features} features; give fewer frames",
    )
    where = np.concatenate(labels(data, a, b))
    frames = np.empty((data.n_frames, data.n_features), np.float32)
    offsets = np.concatenate([[0], np.cumsum(data.lengths)])
    for k, start, chunk in data.chunks():
        frames[offsets[k] + start : offsets[k] + start + len(chunk)] = chunk
    weights = np.ones(data.n_frames) if data.weights is None else np.concatenate(list(data.weights))
    trajectory = np.repeat(np.arange(len(data)), data.lengths)
    blocks = _blocks(frames[offsets[:-1]], data.lengths)
    path = None if data.log_path is None else np.concatenate(list(data.log_path))
    found = FramesBetween(frames, where, weights, blocks, trajectory, path)
    count = int((where == OUTSIDE).sum())
    if count == 0:
        raise ValueError(
            f"none of {data.n_frames} frames lies between A and B; make the sets smaller, or add frames between them"
        )
    if found.effective < FEWEST_FRAMES:
        raise ValueError(
            f"the weights of {count} frames between A and B leave {found.effective:.1f} effective ones, needed are "
            f"{FEWEST_FRAMES}; give more frames there, or a bias closer to the free energy"
        )
    return found


def stopped_ends(
    where: Shaped[np.ndarray, " frames"], trajectory: Shaped[np.ndarray, " frames"], lagtime: int
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the first and last frames ``(pairs,)`` of all stopped pairs.

    Parameters
    ----------
    where : label of every frame, trajectories one after the other
    trajectory : to which each belongs
    lagtime : in frames

    Raises
    ------
    TypeError
        If the lag time is no whole number.
    ValueError
        If it is not positive, or there is no pair.

    Examples
    --------
    >>> starts, ends = stopped_ends(np.array([0, 0, 1, 0, 0, 0]), np.zeros(6, int), lagtime=2)
    >>> starts.tolist(), ends.tolist()
    ([0, 1, 3, 4], [2, 2, 5, 5])
    """
    if isinstance(lagtime, bool) or not isinstance(lagtime, int | np.integer):
        raise TypeError(f"lagtime={lagtime!r} must be a whole number of frames; divide a time in ps by dt")
    if lagtime < 1:
        raise ValueError(f"lagtime={lagtime} must be at least one frame")
    count = len(where)
    # the first frame in a set at or after each frame, whatever the trajectory
    hits = np.where(where != OUTSIDE, np.arange(count), count)
    next_hit = np.minimum.accumulate(hits[::-1])[::-1]
    starts = np.flatnonzero(where == OUTSIDE)
    last = np.searchsorted(trajectory, trajectory, side="right")[starts] - 1
    ends = np.minimum(np.minimum(next_hit[starts], starts + lagtime), last)
    complete = ends > starts
    if not complete.any():
        raise ValueError(
            "no frame between A and B is followed by another: pairs need trajectories, not single frames; for weighted "
            "frames alone there is DirichletLoss"
        )
    return starts[complete], ends[complete]


def _blocks(first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Block ``(frames,)`` of every frame; shots that start from one frame are in one block."""
    swarm = np.unique(first, axis=0, return_inverse=True)[1].ravel()
    swarms = int(swarm.max()) + 1
    count = BLOCKS if swarms == len(lengths) else min(BLOCKS, swarms)
    # frames with those of one swarm side by side, cut as if a swarm were one trajectory, and put back
    order = np.argsort(np.repeat(swarm, lengths), kind="stable")
    pieces = segments(np.bincount(swarm, lengths).astype(int), count)
    sorted_blocks = np.repeat(
        [piece.block for piece in pieces], [piece.stop - piece.start for piece in pieces]
    )
    blocks = np.empty(len(order), int)
    blocks[order] = sorted_blocks
    return blocks
