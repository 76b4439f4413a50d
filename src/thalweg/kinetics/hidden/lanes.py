r"""Lanes: pieces of observed sequences, stepped through side by side.

A recursion along time is slow one frame after another and fast on hundreds of frames at once. So all
sequences are put in a row, the row is cut into pieces of equal length, and step ``t`` treats the ``t``-th
frames of `WIDTH` pieces together; where a sequence opens inside a piece, the recursion starts afresh. A
piece does not know what lies before and after it; it therefore runs in through some frames before its first
one and on through as many after its last, long enough that its own frames no longer depend on how the run-in
was started (`forward_backward` looks, and lengthens it where needed). Where that would be too long there is
no run-in, and what lies before and after is worked out from all states a piece may begin in
(`lane_boundaries`).

`WIDTH` lanes of no more than `ROWS` steps are one group, small enough to stay in the cache. A group goes all
the way ahead and back before the next one's turn, so that memory does not grow with the data.

At a lag time of several frames a trajectory holds as many interleaved sequences, each frame belonging to
one: every frame is used, and each sequence has the step of the lag time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments

WIDTH = 64
"""Lanes of a group."""

ROWS = 1024
"""Most steps of a group."""


@contextmanager
def on_processor() -> Iterator[None]:
    """Have JAX work in 64 bits on the processor, whose memory NumPy shares, even where there is a GPU.

    Examples
    --------
    >>> with on_processor():
    ...     (jnp.ones(2) / 3).dtype.name
    'float64'
    """
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        yield


@dataclass(frozen=True, eq=False)
class Lanes:
    """Pieces of sequences, and their frames in the order in which they are stepped through.

    Attributes
    ----------
    lagtime : frames between steps
    run_in : steps before and after a lane's own ones
    length : a lane's own steps
    frames : (groups, `ROWS`, `WIDTH`), numbers of frames (all trajectories in a row)
    own : (groups, `ROWS`, `WIDTH`), whether the frame is its lane's own; each frame is that of one lane
    opening : (groups, `ROWS`, `WIDTH`), whether the frame is the first of its sequence or beyond all frames
    block : (frames,), block of data for resampling, by number of frame
    order : (frames,), numbers of frames, sequence after sequence, as lanes own them one after another
    """

    lagtime: int
    run_in: int
    length: int
    frames: np.ndarray
    own: np.ndarray
    opening: np.ndarray
    block: Shaped[np.ndarray, " frames"]
    order: Shaped[np.ndarray, " frames"]

    def __len__(self) -> int:
        """Number of lanes."""
        return len(self.frames) * WIDTH

    @property
    def n_blocks(self) -> int:
        """Number of blocks of data."""
        return int(self.block.max()) + 1

    @property
    def steps(self) -> int:
        """Steps of a lane, with those before and after its own ones."""
        return self.length + 2 * self.run_in

    @property
    def rows(self) -> slice:
        """The steps that are a lane's own."""
        return slice(self.run_in, self.run_in + self.length)

    @property
    def used(self) -> int:
        """Lanes that own frames, which come first."""
        return -(-len(self.block) // self.length)

    def laid(self, flat: np.ndarray) -> np.ndarray:
        """Values ``(..., frames)`` of all steps as ``(groups, ..., steps * WIDTH)``."""
        frames = self.frames[:, : self.steps].reshape(len(self.frames), -1)
        return np.ascontiguousarray(np.moveaxis(flat[..., frames], -2, 0))

    def weights(self, multiplicities: np.ndarray) -> np.ndarray:
        """How often each frame counts, given how often its block ``(blocks,)`` does, like `own`."""
        return np.asarray(multiplicities, float)[self.block[self.frames]] * self.own

    @cached_property
    def once(self) -> np.ndarray:
        """Weights of frames that count once, like `own`."""
        return self.own.astype(float)

    @cached_property
    def whole(self) -> list[bool]:
        """Whether all lanes of a group own all of `rows`; only those of the last groups may not."""
        return [bool(own[self.rows].all()) for own in self.own]

    @cached_property
    def opens(self) -> list[np.ndarray]:
        """Where sequences open among the own places of each group, counted from the first of `rows`."""
        begun = (self.own & self.opening)[:, self.rows]
        return [np.flatnonzero(group) for group in begun]

    @cached_property
    def afresh(self) -> list[jax.Array]:
        """Openings ``(ROWS, WIDTH)`` of each group, as compiled functions take them."""
        with on_processor():
            return [jnp.asarray(group) for group in self.opening]

    @cached_property
    def linked(self) -> list[jax.Array]:
        """How often transitions into frames count, where frames count once, like `afresh`."""
        with on_processor():
            return [jnp.asarray(group) for group in self.once * ~self.opening]


def lanes(lengths: np.ndarray, lagtime: int, n_blocks: int, run_in: int) -> Lanes:
    """Trajectories of these lengths [frames] cut into lanes.

    Parameters
    ----------
    n_blocks : about how many blocks of data to tell apart
    run_in : steps before and after the own frames of a lane, fewer than half of `ROWS`

    Examples
    --------
    >>> cut = lanes(np.array([6, 3]), lagtime=2, n_blocks=1, run_in=0)
    >>> cut.length, cut.frames[0, 0, :9].tolist(), cut.opening[0, 0, :9].astype(int).tolist()
    (1, [0, 2, 4, 1, 3, 5, 6, 8, 7], [1, 0, 0, 1, 0, 0, 1, 0, 1])
    """
    lengths = np.asarray(lengths)
    ends = np.cumsum(lengths)
    # the block of data of every frame, by its number in the row of all trajectories
    total, block = int(ends[-1]), np.empty(int(ends[-1]), int)
    pieces = segments(lengths, n_blocks)
    for piece in pieces:
        start = ends[piece.trajectory] - lengths[piece.trajectory]
        block[start + piece.start : start + piece.stop] = piece.block
    # interleaved sequences of frames a lag time apart, one after another
    sequences = [
        np.arange(end - length + shift, end, lagtime)
        for end, length in zip(ends.tolist(), lengths.tolist())
        for shift in range(min(lagtime, length))
    ]
    order, opens = np.concatenate(sequences), np.zeros(total, bool)
    opens[np.cumsum([0, *map(len, sequences[:-1])])] = True
    # as few groups of WIDTH lanes as hold all frames, then lanes of equal length
    longest = ROWS - 2 * run_in
    groups = -(-total // (longest * WIDTH))
    length = -(-total // (groups * WIDTH))
    # (groups, ROWS, WIDTH) places in the row of sequences; run-ins reach into the neighbors' places
    step = np.arange(ROWS)[:, None] - run_in
    place = (np.arange(groups * WIDTH) * length).reshape(groups, 1, WIDTH) + step
    inside = (place >= 0) & (place < total)
    clipped = np.clip(place, 0, total - 1)
    own = inside & (step >= 0) & (step < length)
    return Lanes(lagtime, run_in, length, order[clipped], own, opens[clipped] | ~inside, block, order)
