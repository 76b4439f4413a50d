"""Blocks: pieces of trajectories taken as independent when errors are estimated.

Long trajectories are cut into consecutive pieces, short ones are dealt out to blocks like cards, so that
all blocks are about equally long and runs started from the same place do not end in the same block.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from thalweg.shapes import Shaped

STRETCHES = 4
"""Stretches of neighboring pieces that are dealt out to each block where blocks are fewer than pieces."""


class PairRange(NamedTuple):
    """Pair starts ``[start, stop)`` of one trajectory, all in one block.

    Attributes
    ----------
    trajectory : its number
    start, stop : first pair start and the one after the last
    block : number of the block
    """

    trajectory: int
    start: int
    stop: int
    block: int


def segments(pairs: Shaped[np.ndarray, " trajectories"], n_blocks: int) -> tuple[PairRange, ...]:
    """Pair starts of every trajectory split among about ``n_blocks`` blocks.

    A trajectory longer than a block becomes blocks of its own; the others are dealt out whole.

    Parameters
    ----------
    pairs : (trajectories,) int
        Pairs starting in each trajectory.
    n_blocks : int

    Returns
    -------
    segments in the order of the trajectories; blocks are numbered from zero, each occurs.

    Raises
    ------
    ValueError
        If ``n_blocks`` is below one.

    Examples
    --------
    >>> [tuple(s) for s in segments(np.array([6, 2, 2, 2]), 4)]
    [(0, 0, 3, 0), (0, 3, 6, 1), (1, 0, 2, 2), (2, 0, 2, 3), (3, 0, 2, 2)]
    """
    pairs = np.asarray(pairs)
    if n_blocks < 1:
        raise ValueError(f"n_blocks={n_blocks} must be at least one")
    length = max(pairs.sum() / n_blocks, 1.0)
    pieces = np.where(pairs >= length, np.rint(pairs / length), 0).astype(int)
    short = (pieces == 0) & (pairs > 0)
    shared = min(max(int(np.rint(pairs[short].sum() / length)), 1), int(short.sum())) if short.any() else 0
    # a long trajectory has blocks of its own, numbered first; short ones are dealt to the shared blocks in turn
    ranges, own, dealt = [], 0, 0
    for k, (count, cuts) in enumerate(zip(pairs, pieces)):
        if cuts:
            edges = np.rint(np.linspace(0, count, cuts + 1)).astype(int)
            ranges += [PairRange(k, int(a), int(b), own + i) for i, (a, b) in enumerate(pairwise(edges))]
            own += int(cuts)
        elif count:
            ranges.append(PairRange(k, 0, int(count), int(pieces.sum()) + dealt % shared))
            dealt += 1
    return tuple(ranges)


def dealt(pieces: int, kept: int) -> Shaped[np.ndarray, " pieces"]:
    """To which of at most ``kept`` blocks each piece belongs: stretches of neighboring pieces in turn.

    Pieces that follow each other know each other, so that they stay together; several stretches a block keep a slow
    change along the data out of it.

    Examples
    --------
    >>> dealt(8, 2).tolist(), dealt(3, 5).tolist()
    ([0, 1, 0, 1, 0, 1, 0, 1], [0, 1, 2])
    """
    if kept >= pieces:
        return np.arange(pieces)
    stretches = min(pieces, STRETCHES * kept)
    return np.arange(pieces) * stretches // pieces % kept
