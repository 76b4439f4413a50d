r"""Lanes: pieces of observed sequences, stepped through side by side.

A recursion along time is slow one frame after another and fast on thousands of frames at once. So long
sequences are cut into pieces, and step ``t`` treats the ``t``-th frames of all pieces together. A piece
does not know what lies before and after it; it therefore runs in through some frames before its first one
and on through as many after its last, long enough that its own frames no longer depend on how the run-in
was started (`forward_backward` looks and lengthens it where needed).

At a lag time of several frames a trajectory holds as many interleaved sequences, each frame belonging to
one: every frame is used, and each sequence has the step of the lag time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from thalweg.collective_variables.blocks import segments

FRAME_COST = 1e-3
"""What one more lane costs at every step, relative to the step itself; decides how long lanes should be."""

MOST_LANES = 6000
"""More lanes than this leave the cache."""


@dataclass(frozen=True, eq=False)
class Lanes:
    """Pieces of sequences, longest first, and their frames in the order in which they are stepped through.

    Attributes
    ----------
    steps : (lanes,), frames of each lane, run-in and run-out included
    begin, end : (lanes,), the steps ``[begin, end)`` that are its own
    opening : (lanes,), whether the first step is the first frame of a sequence
    after : (lanes,), the lane that holds the next frame of the sequence, -1 for none
    block : (lanes,), block of data for resampling
    alive : (longest,), lanes that still run at each step: the first ``alive[t]`` ones
    frames : (total,), numbers of frames (all trajectories in a row), step by step
    lagtime : frames between steps
    """

    steps: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    opening: np.ndarray
    after: np.ndarray
    block: np.ndarray
    lagtime: int
    first: np.ndarray
    alive: np.ndarray = field(init=False)
    offsets: np.ndarray = field(init=False)
    frames: np.ndarray = field(init=False)
    own: np.ndarray = field(init=False)

    def __post_init__(self):
        longest = int(self.steps[0])
        alive = np.searchsorted(-self.steps, -np.arange(longest), side="left")
        offsets = np.concatenate([[0], np.cumsum(alive)])
        step = np.repeat(np.arange(longest), alive)
        lane = np.arange(len(step)) - offsets[step]
        object.__setattr__(self, "alive", alive)
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "frames", self.first[lane] + step * self.lagtime)
        object.__setattr__(self, "own", (step >= self.begin[lane]) & (step < self.end[lane]))

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def n_blocks(self) -> int:
        """Number of blocks of data."""
        return int(self.block.max()) + 1

    @cached_property
    def at(self) -> list[slice]:
        """Where the frames of every step lie in ``frames``."""
        return [slice(a, b) for a, b in pairwise(self.offsets.tolist())]

    @cached_property
    def whole(self) -> list[bool]:
        """Whether all frames of a step belong to their lanes."""
        return np.minimum.reduceat(self.own, self.offsets[:-1]).tolist()

    def place(self, lanes: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Where single frames lie in ``frames``."""
        return self.offsets[steps] + lanes


def lanes(lengths: np.ndarray, lagtime: int, n_blocks: int, run_in: int) -> Lanes:
    """Trajectories of these lengths [frames] cut into lanes.

    Parameters
    ----------
    n_blocks : about how many blocks of data to tell apart
    run_in : steps before and after the own frames of a lane

    Examples
    --------
    >>> cut = lanes(np.array([6, 3]), lagtime=2, n_blocks=1, run_in=0)
    >>> cut.steps.tolist(), cut.frames.tolist()
    ([3, 3, 2, 1], [0, 1, 6, 7, 2, 3, 8, 4, 5])
    """
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    total = int(lengths.sum())
    length = max(np.sqrt(2 * run_in * total * FRAME_COST), total / MOST_LANES, 1.0)
    wanted = int(total / (length * lagtime)) if run_in else 1
    pieces = segments(lengths, max(wanted, n_blocks))
    number = 1 + max(piece.block for piece in pieces)
    blocks = min(n_blocks, number)
    rows: list[tuple[int, ...]] = []
    for piece in pieces:
        length, block = int(lengths[piece.trajectory]), piece.block * blocks // number
        for shift in range(lagtime):
            begin = piece.start + (shift - piece.start) % lagtime
            if begin < piece.stop:
                count = -(-(piece.stop - begin) // lagtime)
                earlier = min(run_in, (begin - shift) // lagtime)
                later = min(run_in, (length - 1 - begin) // lagtime - count + 1)
                first = begin - earlier * lagtime
                opening, closing = first == shift, begin + count * lagtime >= length
                rows.append(
                    (
                        int(starts[piece.trajectory]) + first,
                        earlier + count + later,
                        earlier,
                        earlier + count,
                        opening,
                        begin + starts[piece.trajectory],
                        -1 if closing else begin + count * lagtime + starts[piece.trajectory],
                        block,
                    )
                )
    table = np.array(rows)
    table = table[np.argsort(-table[:, 1], kind="stable")]
    holder = np.full(int(lengths.sum()) + 1, -1)
    holder[table[:, 5]] = np.arange(len(table))
    return Lanes(
        steps=table[:, 1],
        begin=table[:, 2],
        end=table[:, 3],
        opening=table[:, 4].astype(bool),
        after=np.where(table[:, 6] < 0, -1, holder[table[:, 6]]),
        block=table[:, 7],
        lagtime=lagtime,
        first=table[:, 0],
    )
