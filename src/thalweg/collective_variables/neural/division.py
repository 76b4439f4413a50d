"""Parts of the data that share no frame: one to learn from, one to choose by, one to judge by.

Weights follow the first, epochs and starts are chosen on the second, and the third has no say in either: only there a
network meets what it never saw. Trajectories are kept whole; a long one is cut into pieces, between whose pairs a gap
of a lag time is left, since frames next to each other know each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thalweg.time_series.blocks import PairRange, segments
from thalweg.time_series.trajectories import Trajectories

PIECES = 20
"""Pieces of equal length, about, that data are divided into."""

SHORTEST = 8
"""Lag times that a piece lasts at least, so that gaps cost little."""


class _Division(NamedTuple):
    """First frames of pairs, by what they are for.

    Attributes
    ----------
    training : weights follow them
    choosing : epochs and starts are chosen by them
    unseen : nothing is
    """

    training: tuple[PairRange, ...]
    choosing: tuple[PairRange, ...]
    unseen: tuple[PairRange, ...]


def divided(data: Trajectories, lagtime: int, held_out: float, seed: int) -> _Division:
    """The parts; ``unseen`` is empty where data cannot be divided in three.

    Parameters
    ----------
    lagtime : in frames, of the pairs; zero for frames alone
    held_out : share not trained on, one half of it to choose by, the other half unseen
    seed : of the choice

    Raises
    ------
    ValueError
        If the lag time leaves no pairs, or the data cannot be divided in two.

    Examples
    --------
    >>> parts = divided(Trajectories([np.zeros((300, 1))]), 2, 0.4, seed=0)
    >>> [sum(piece.stop - piece.start for piece in part) for part in parts]
    [151, 53, 54]
    """
    used = data.report(lagtime).used if lagtime else data.lengths
    count = int(np.clip(used.sum() // (SHORTEST * max(lagtime, 1)), 3, PIECES))
    parts = _dealt(segments(used, count), lagtime, held_out, seed, 3)
    if parts is None:
        # too short for gaps: pairs of both parts may share frames
        parts = _dealt(segments(used, PIECES), 0, held_out, seed, 2)
    if parts is None:
        raise ValueError("training needs data that can be divided in two; give longer or more trajectories")
    return _Division(*parts, *((),) * (3 - len(parts)))


def _dealt(
    pieces: Sequence[PairRange], lagtime: int, held_out: float, seed: int, parts: int
) -> list[tuple[PairRange, ...]] | None:
    """Pieces of each part, with gaps between them; None if a part would be empty."""
    blocks = 1 + max(piece.block for piece in pieces)
    if blocks < parts:
        return None
    each = min(max(round(held_out * blocks / (parts - 1)), 1), (blocks - 1) // (parts - 1))
    # the first blocks of a random order are held out, those of each part one after the other
    place = np.argsort(np.random.default_rng(seed).permutation(blocks))
    part_of = np.where(place < each * (parts - 1), 1 + place // each, 0)
    dealt: list[list[PairRange]] = [[] for _ in range(parts)]
    for piece, after in zip(pieces, [*pieces[1:], None]):
        part = int(part_of[piece.block])
        cut = after is not None and after.trajectory == piece.trajectory and part_of[after.block] != part
        # the last frame of the last pair is a lag time before the piece that follows
        stop = piece.stop - 2 * lagtime if cut else piece.stop
        if stop > piece.start:
            dealt[part].append(piece._replace(stop=stop))
    return [tuple(part) for part in dealt] if all(dealt) else None
