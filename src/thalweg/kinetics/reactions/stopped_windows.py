r"""Windows of trajectories, stopped where a set is entered.

A window begins at frame :math:`t`; it ends a lag time later, or at the first frame :math:`T \ge t` in a set. Since

.. math::  f(x_t) = \mathbb E\left[f(x_{\min(t+\tau,T)}) \mid x_t\right]

holds for committors at any lag time, nothing is lost by a long one [strahan2021]. Where only the future is asked,
windows at the end of a trajectory are cut short by it, whether or not they have entered a set by then: a choice by
what happens in them would be a bias. Where windows are weighted to stationarity all are of one length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from thalweg.time_series.blocks import PairRange, segments
from thalweg.time_series.trajectories import CHUNK, Trajectories, pair_report


class StoppedWindows(NamedTuple):
    """A chunk of windows, all in one block, with the frames at which something is asked of them.

    Attributes
    ----------
    block : of data, to which they belong
    frames : (frames, features)
    labels : (frames,), zero outside all sets
    begins, last : (windows,), first and last frame of each window where nothing stops it, as numbers of ``frames``
    stops : (lags, windows), where windows of several lag times end: in the first set they meet, or after that time
    steps : (lags, windows), how many frames later that is
    origins : (windows,), the last frame in a set, the begin if there is none: where a window came from
    passages : (2, windows), how often a window goes from set 1 straight to set 2, and back
    weights : (windows,), those of the first frames, and of paths
    """

    block: int
    frames: np.ndarray
    labels: np.ndarray
    begins: np.ndarray
    last: np.ndarray
    stops: np.ndarray
    steps: np.ndarray
    origins: np.ndarray
    passages: np.ndarray
    weights: np.ndarray


def stopped_windows(
    data: Trajectories,
    labels: Sequence[np.ndarray],
    lagtimes: Sequence[int],
    n_blocks: int,
    whole: bool = True,
    every: int = 1,
) -> Iterator[StoppedWindows]:
    """All windows, chunk by chunk.

    Parameters
    ----------
    data : trajectories of features
    labels : of each trajectory ``(frames,)``, zero outside the sets that stop a window
    lagtimes : in frames, the longest last
    n_blocks : about how many blocks data are divided into
    whole : only windows of a whole longest lag time; otherwise those that the end of a trajectory cuts short, too
    every : windows begin so many frames apart

    Raises
    ------
    ValueError
        If a lag time is below one, or longer than all trajectories.
    """
    lagtime = lagtimes[-1]
    pair_report(data.lengths, lagtime)
    cut, dealt = _spans(data, lagtime, n_blocks, whole)
    for k, own in cut.items():
        length = int(data.lengths[k])
        ends = [min(stop + lagtime, length) for _, _, stop in own]
        read = data.windows(k, [(start, end) for (_, start, _), end in zip(own, ends)])
        for (block, start, stop), end, frames in zip(own, ends, read):
            weights = _weights(data, k, start, stop, lagtime if whole else 0)
            yield _joined(block, [(frames, labels[k][start:end], stop - start, weights)], lagtimes, every)
    for block, members in dealt:
        parts = []
        for k, stop in members:
            (frames,) = data.windows(k, [(0, int(data.lengths[k]))])
            parts.append((frames, labels[k], stop, _weights(data, k, 0, stop, lagtime if whole else 0)))
        yield _joined(block, parts, lagtimes, every)


def _spans(
    data: Trajectories, lagtime: int, n_blocks: int, whole: bool
) -> tuple[dict[int, list[tuple[int, int, int]]], list[tuple[int, list[tuple[int, int]]]]]:
    """Chunks of long trajectories (block, first begin, end of begins), and short ones of one block together."""
    cut: dict[int, list[tuple[int, int, int]]] = {}
    short: dict[int, list[tuple[int, int]]] = {}
    for piece in _pieces(data, n_blocks):
        length = int(data.lengths[piece.trajectory])
        limit = min(piece.stop, length - lagtime) if whole else piece.stop
        if piece.start == 0 and piece.stop == length - 1 and length <= CHUNK:
            if limit > 0:
                short.setdefault(piece.block, []).append((piece.trajectory, limit))
            continue
        for start in range(piece.start, limit, CHUNK):
            cut.setdefault(piece.trajectory, []).append((piece.block, start, min(start + CHUNK, limit)))
    dealt: list[tuple[int, list[tuple[int, int]]]] = []
    for block, members in sorted(short.items()):
        held: list[tuple[int, int]] = []
        frames = 0
        for each in members:
            held.append(each)
            frames += int(data.lengths[each[0]])
            if frames >= CHUNK:
                dealt.append((block, held))
                held, frames = [], 0
        if held:
            dealt.append((block, held))
    return cut, dealt


def _joined(
    block: int,
    parts: Sequence[tuple[np.ndarray, np.ndarray, int, np.ndarray]],
    lagtimes: Sequence[int],
    every: int,
) -> StoppedWindows:
    """Windows that begin in the first frames of several pieces, with the frames at which something is asked."""
    lengths = np.array([len(frames) for frames, _, _, _ in parts])
    offsets = np.cumsum(lengths) - lengths
    starts = [np.arange(0, stop, every) for _, _, stop, _ in parts]
    begins = np.concatenate([offset + start for offset, start in zip(offsets, starts)])
    ends = np.concatenate(
        [np.full(len(start), offset + length - 1) for start, offset, length in zip(starts, offsets, lengths)]
    )
    labels = np.concatenate([labels for _, labels, _, _ in parts])
    weights = np.concatenate([weights[start] for start, (_, _, _, weights) in zip(starts, parts)])
    # the frame in a set that comes next, and the one that was last, whatever the trajectory
    places, inside = np.arange(len(labels)), labels != 0
    coming = np.minimum.accumulate(np.where(inside, places, len(labels))[::-1])[::-1]
    gone = np.maximum.accumulate(np.where(inside, places, -1))
    last = np.minimum(begins + lagtimes[-1], ends)
    stops = np.stack([np.minimum(coming[begins], np.minimum(begins + lag, ends)) for lag in lagtimes])
    origins = np.maximum(gone[last], begins)
    passages = np.stack(
        [_passages(labels, stops[-1], origins, source, target) for source, target in ((1, 2), (2, 1))]
    )
    # only frames that are asked for are kept
    asked, number = np.unique(np.concatenate([begins, last, origins, *stops]), return_inverse=True)
    where = np.split(number, 3 + len(lagtimes))
    frames = np.concatenate([frames for frames, _, _, _ in parts])[asked].astype(float)
    return StoppedWindows(
        block, frames, labels[asked], where[0], where[1], np.stack(where[3:]), stops - begins, where[2], passages,
        weights,
    )  # fmt: skip


def _passages(
    labels: np.ndarray, first: np.ndarray, final: np.ndarray, source: int, target: int
) -> np.ndarray:
    """How often each window passes straight from one set to the other between its first and final frame in sets."""
    hits = np.flatnonzero(labels != 0)
    ends = np.zeros(len(labels) + 1, int)
    ends[hits[1:][(labels[hits[:-1]] == source) & (labels[hits[1:]] == target)] + 1] = 1
    counted = np.cumsum(ends)
    return np.where(labels[first] != 0, counted[final + 1] - counted[first + 1], 0)


def block_count(data: Trajectories, n_blocks: int) -> int:
    """How many blocks there are where about ``n_blocks`` are asked for."""
    return 1 + max(piece.block for piece in _pieces(data, n_blocks))


def _pieces(data: Trajectories, n_blocks: int) -> tuple[PairRange, ...]:
    """Begins of all windows, whole or not, so that the sums of several passes are of the same data."""
    return segments(np.maximum(data.lengths - 1, 0), n_blocks)


def _weights(data: Trajectories, trajectory: int, start: int, stop: int, lagtime: int) -> np.ndarray:
    """Weights of windows, with those of their paths where these are whole."""
    if lagtime:
        weights = data.pair_weights(trajectory, start, stop, lagtime)
    else:
        weights = None if data.weights is None else data.weights[trajectory][start:stop]
    return np.ones(stop - start) if weights is None else weights
