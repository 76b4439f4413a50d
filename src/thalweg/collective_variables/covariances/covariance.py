r"""Instantaneous and time-lagged covariances in one pass over the data, kept block by block.

.. math::  C_{00} = \langle \tilde x_t \tilde x_t^T\rangle,\quad
           C_{0t} = \langle \tilde x_t \tilde x_{t+\tau}^T\rangle,\quad
           C_{tt} = \langle \tilde x_{t+\tau} \tilde x_{t+\tau}^T\rangle

where the tilde takes off the mean of the first, respectively last, frames of all pairs. Products of a chunk
are made in the precision of the data about the mean of that chunk, and merged in 64 bits [chan1983]; chunk
borders depend on the trajectory only. Sums of blocks merge exactly, so partial fits, parallel fits,
bootstrap and cross-validation re-add them without reading the data again.

A block costs three matrices of the number of features squared: of hundreds of features forty are kept, of thousands
only as many as `BLOCK_BYTES` hold, made of stretches of the data in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from thalweg.learning.models import Model
from thalweg.machine.memory import require_memory
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Float, Shaped
from thalweg.time_series.blocks import PairRange, dealt, segments
from thalweg.time_series.trajectories import (
    PairReport,
    Pairs,
    Trajectories,
    TrajectoryData,
    as_trajectories,
)

TASKS = 16
"""Tasks at most that a pass over the data is divided into for an executor."""

BLOCK_BYTES = 256e6
"""Bytes of second moments kept in blocks, if nothing else is asked for; two blocks are kept in any case."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Weight, means and centered sums of products of pairs; leading axes enumerate blocks.

    Attributes
    ----------
    weight : (...,)
    mean_0, mean_t : (..., features), means of the first and the last frames
    s00, s0t, stt : (..., features, features), sums of products of deviations from those means
    squares, negative : (...,) sums of the squares of weights and, without their sign, of negative ones
    """

    weight: Shaped[np.ndarray, " ..."]
    mean_0: Shaped[np.ndarray, "... features"]
    mean_t: Shaped[np.ndarray, "... features"]
    s00: Shaped[np.ndarray, "... features features"]
    s0t: Shaped[np.ndarray, "... features features"]
    stt: Shaped[np.ndarray, "... features features"]
    squares: Shaped[np.ndarray, " ..."]
    negative: Shaped[np.ndarray, " ..."]

    def pooled(self, multiplicities: Float[np.ndarray, " blocks"] | None = None) -> Moments:
        """The moments of all blocks together, each taken as often as ``multiplicities`` says."""
        times = np.ones(len(self.weight)) if multiplicities is None else multiplicities
        taken = np.flatnonzero(times)
        if len(taken) == 1 and times[taken[0]] == 1:
            # one block alone, without a copy of its matrices
            return Moments(*(np.asarray(array[taken[0]]) for array in vars(self).values()))
        weight = times * self.weight
        mean_0, mean_t = weight @ self.mean_0 / weight.sum(), weight @ self.mean_t / weight.sum()
        # Chan: sums about the mean of all are those about the means of blocks, and w_b (m_b - m)(m_b - m)^T
        off_0, off_t = self.mean_0 - mean_0, self.mean_t - mean_t
        total = [np.tensordot(times, sums, 1) for sums in (self.s00, self.s0t, self.stt)]
        total[0] += off_0.T @ (weight[:, None] * off_0)
        total[1] += off_0.T @ (weight[:, None] * off_t)
        total[2] += off_t.T @ (weight[:, None] * off_t)
        sizes = np.asarray(times @ self.squares), np.asarray(times @ self.negative)
        return Moments(np.asarray(weight.sum()), mean_0, mean_t, *total, *sizes)

    def as_block(self) -> Moments:
        """These moments as one block, without a copy."""
        return Moments(*(np.asarray(array)[None] for array in vars(self).values()))

    @staticmethod
    def joined(parts: Sequence[Moments]) -> Moments:
        """The blocks of all parts, one after the other."""
        return Moments(*(np.concatenate(arrays) for arrays in zip(*(vars(part).values() for part in parts))))

    def numbered(self, numbers: Shaped[np.ndarray, " blocks"]) -> Moments:
        """Blocks of the same number together, in increasing order of the numbers."""
        together = [self.pooled(1.0 * (numbers == number)).as_block() for number in np.unique(numbers)]
        return Moments.joined(together)

    def taken(self, blocks: np.ndarray) -> Moments:
        """Some of the blocks; without a copy if all."""
        if len(blocks) == len(self.weight):
            return self
        return Moments(*(array[blocks] for array in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Covariances(Model):
    """Covariances of time-lagged pairs with the blocks they are made of; two of them add.

    Attributes
    ----------
    lagtime : frames; zero if only ``c00`` was asked for
    dt : time between frames [ps]
    blocks : moments of every block
    report : pairs used and lost; None after resampling
    drifts : (pieces, features), sums of last less first frames over the pairs of every piece of the data, which are
        more than the blocks where these were bounded; None after resampling
    runs : (pieces,) how many runs, or parts of one, make up each piece

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1000, 3))
    >>> whole = covariances([x, 2 * x], lagtime=5)
    >>> parts = covariances([x], lagtime=5) + covariances([2 * x], lagtime=5)
    >>> bool(np.allclose(whole.c0t, parts.c0t, rtol=0, atol=1e-12))
    True
    """

    lagtime: int
    dt: float
    blocks: Moments
    report: PairReport | None = None
    drifts: Shaped[np.ndarray, "pieces features"] | None = None
    runs: Shaped[np.ndarray, " pieces"] | None = None

    @property
    def n_blocks(self) -> int:
        """Number of blocks the sums are kept in."""
        return len(self.blocks.weight)

    @property
    def n_pairs(self) -> int:
        """Pairs of frames in all blocks."""
        return 0 if self.report is None else int(self.report.used.sum())

    @property
    def negative_share(self) -> float:
        """Negative weight as a share of all weight."""
        return float(self.total.negative / (self.total.weight + 2 * self.total.negative))

    @property
    def effective_share(self) -> float:
        """Share of the pairs that count effectively under their weights, ``(sum w)^2 / (n sum w^2)``."""
        return float(self.total.weight**2 / (self.total.squares * self.n_pairs))

    @cached_property
    def total(self) -> Moments:
        """Moments of all data together."""
        return self.blocks.pooled()

    @property
    def mean_0(self) -> np.ndarray:
        """Mean of the first frames of all pairs ``(features,)``."""
        return self.total.mean_0

    @property
    def mean_t(self) -> np.ndarray:
        """Mean of the last frames of all pairs ``(features,)``."""
        return self.total.mean_t

    @property
    def c00(self) -> np.ndarray:
        """Covariance of the first frames ``(features, features)``."""
        return self.total.s00 / self.total.weight

    @property
    def c0t(self) -> np.ndarray:
        """Covariance of first frames with last frames ``(features, features)``."""
        return self.total.s0t / self.total.weight

    @property
    def ctt(self) -> np.ndarray:
        """Covariance of the last frames ``(features, features)``."""
        return self.total.stt / self.total.weight

    def resampled(self, multiplicities: Float[np.ndarray, " blocks"]) -> Covariances:
        """Covariances of data in which each block occurs as often as ``multiplicities`` says."""
        pooled = self.blocks.pooled(np.asarray(multiplicities, float))
        return Covariances(self.lagtime, self.dt, pooled.as_block())

    def along(self, directions: Float[np.ndarray, "features dim"]) -> Covariances:
        """Covariances of the combinations of features in the columns of ``directions``, block by block."""
        blocks = self.blocks
        s00, s0t, stt = (directions.T @ (s @ directions) for s in (blocks.s00, blocks.s0t, blocks.stt))
        means = blocks.mean_0 @ directions, blocks.mean_t @ directions
        moments = Moments(blocks.weight, *means, s00, s0t, stt, blocks.squares, blocks.negative)
        drifts = None if self.drifts is None else self.drifts @ directions
        return Covariances(self.lagtime, self.dt, moments, self.report, drifts, self.runs)

    def __add__(self, other: Covariances) -> Covariances:
        if (self.lagtime, self.dt) != (other.lagtime, other.dt):
            raise ValueError(
                f"cannot add covariances at lagtime={self.lagtime}, dt={self.dt} "
                f"and at lagtime={other.lagtime}, dt={other.dt}"
            )
        if self.blocks.mean_0.shape[1] != other.blocks.mean_0.shape[1]:
            features = self.blocks.mean_0.shape[1], other.blocks.mean_0.shape[1]
            raise ValueError("cannot add covariances of {} and {} features".format(*features))
        arrays = zip(vars(self.blocks).values(), vars(other.blocks).values())
        report = None
        if self.report and other.report:
            used = np.concatenate([self.report.used, other.report.used])
            report = PairReport(self.lagtime, used, np.concatenate([self.report.lost, other.report.lost]))
        drifts = runs = None
        if self.drifts is not None and other.drifts is not None:
            drifts = np.concatenate([self.drifts, other.drifts])
            runs = np.concatenate([self.runs, other.runs])
        blocks = Moments(*(np.concatenate(pair) for pair in arrays))
        return Covariances(self.lagtime, self.dt, blocks, report, drifts, runs)


@on_one_thread
def covariances(
    trajectories: TrajectoryData,
    lagtime: int = 0,
    n_blocks: int = 40,
    reweight: Callable[[np.ndarray], np.ndarray] | None = None,
    executor: Executor | None = None,
    kept: int | None = None,
) -> Covariances:
    """Covariances of all pairs ``lagtime`` frames apart, in one pass.

    Parameters
    ----------
    trajectories : `Trajectories` or what makes them
    lagtime : int
        In frames; zero for instantaneous covariances only (all three are then the same).
    n_blocks : int
        Into about how many pieces the data are divided.
    reweight : callable, optional
        From first frames ``(pairs, features)`` to a factor ``(pairs,)`` on the weight of each pair.
    executor : `concurrent.futures.Executor`, optional
        Where blocks are summed, such as a pool of processes or ``Client.get_executor()`` of Dask; here if None. The
        sums are the same to rounding.
    kept : int, optional
        Blocks of moments that the pieces are added up to at most, stretches of neighboring pieces dealt out in turn;
        each costs three matrices of the number of features squared. As many as `BLOCK_BYTES` hold, two at least, if
        None.

    Raises
    ------
    ValueError
        If no pair is left at this lag time, or data are not finite.
    MemoryError
        If the moments are larger than memory, before anything is read.
    """
    data = as_trajectories(trajectories)
    report = data.report(lagtime) if lagtime else PairReport(0, data.lengths, 0 * data.lengths)
    pieces = segments(report.used, n_blocks)
    count = 1 + max(piece.block for piece in pieces)
    group = dealt(count, _affordable(data.n_features) if kept is None else kept)
    _foretold(data.n_features, 1 + int(group.max()))
    if executor is None:
        passed = _summed(data, pieces, report.lagtime, reweight, group)
    else:
        tasks = [
            executor.submit(_summed, part, own, report.lagtime, reweight, group)
            for part, own in _parted(data, pieces)
        ]
        passed = _merged([task.result() for task in tasks])
    if not len(passed.moments.weight):
        raise ValueError("the weights of all pairs are zero; there is nothing to average")
    runs = np.bincount([piece.block for piece in pieces], minlength=count)
    return Covariances(report.lagtime, data.dt, passed.moments, report, passed.drifts, runs)


def _affordable(features: int) -> int:
    """Blocks of moments that `BLOCK_BYTES` hold, two at least."""
    return max(2, int(BLOCK_BYTES // (24 * features**2)))


def _foretold(features: int, blocks: int) -> None:
    """Refuse moments that are larger than memory: those of the blocks, of all of them, and products of a chunk."""
    require_memory(
        24.0 * features**2 * (blocks + 2),
        f"covariances of {features} functions in {blocks} blocks; reduce them first (PCA of fewer columns, another "
        "feature set), or take landmarks as basis",
    )


class _Sums(NamedTuple):
    """What a pass over data gives: moments of blocks that are not empty, their numbers, drifts of all pieces."""

    moments: Moments
    numbers: np.ndarray
    drifts: np.ndarray


def _summed(
    data: Trajectories,
    pieces: Sequence[PairRange],
    lagtime: int,
    reweight: Callable[[np.ndarray], np.ndarray] | None,
    group: np.ndarray,
) -> _Sums:
    """Sums over pairs of the pieces, each in the block that ``group`` says."""
    numbers = np.unique(group[[piece.block for piece in pieces]])
    blocks = _Blocks(len(numbers), data.n_features)
    place = {int(number): k for k, number in enumerate(numbers)}
    drifts = np.zeros((len(group), data.n_features))
    shifting = _Shifting(), _Shifting()
    for pairs in data.pairs(pieces, lagtime):
        weights = pairs.weights
        if reweight is not None:
            factor = reweight(pairs.x)
            weights = factor if weights is None else weights * factor
        sums = _equal_sums(pairs, *shifting) if weights is None else _weighted_sums(pairs, weights, *shifting)
        if sums.weight != 0:
            piece = pairs.segment.block
            blocks.add(place[int(group[piece])], sums)
            drifts[piece] += sums.sum_t - sums.sum_0 + sums.weight * (sums.shift_t - sums.shift_0)
    filled = np.flatnonzero(blocks.moments.weight)
    return _Sums(blocks.moments.taken(filled), numbers[filled], drifts)


def _merged(parts: Sequence[_Sums]) -> _Sums:
    """Sums of several passes: moments of blocks of the same number together."""
    numbers = np.concatenate([part.numbers for part in parts])
    moments = Moments.joined([part.moments for part in parts]).numbered(numbers)
    return _Sums(moments, np.unique(numbers), np.sum([part.drifts for part in parts], axis=0))


def _parted(
    data: Trajectories, pieces: Sequence[PairRange]
) -> Iterator[tuple[Trajectories, list[PairRange]]]:
    """The pieces of a few blocks at a time, with no more trajectories than they need."""
    count = 1 + max(piece.block for piece in pieces)
    for part in range(min(count, TASKS)):
        own = [piece for piece in pieces if piece.block * TASKS // max(count, TASKS) == part]
        needed = sorted({piece.trajectory for piece in own})
        place = {trajectory: k for k, trajectory in enumerate(needed)}
        if own:
            yield data.taken(needed), [piece._replace(trajectory=place[piece.trajectory]) for piece in own]


class _ChunkSums(NamedTuple):
    """Sums over a chunk of pairs, in the precision of the data, of deviations from shifts."""

    weight: float
    shift_0: np.ndarray
    shift_t: np.ndarray
    sum_0: np.ndarray
    sum_t: np.ndarray
    products: tuple[np.ndarray, np.ndarray, np.ndarray]
    squares: float
    negative: float


class _Blocks:
    """Moments of blocks to which chunks are added, in 64 bits and in place."""

    def __init__(self, count: int, features: int):
        square = (count, features, features)
        means = np.zeros((2, count, features))
        products = (np.zeros(square) for _ in range(3))
        self.moments = Moments(np.zeros(count), *means, *products, np.zeros(count), np.zeros(count))

    def add(self, block: int, chunk: _ChunkSums) -> None:
        """Move the chunk's products to its mean and to that of all, a change of rank two."""
        here = self.moments
        means = np.array([here.mean_0[block], here.mean_t[block]])
        before = float(here.weight[block])
        # off: mean of the chunk less its shift; apart: mean of the chunk less that of all before it
        off = np.array([chunk.sum_0, chunk.sum_t], float) / chunk.weight
        apart = np.array([chunk.shift_0, chunk.shift_t], float) + off - means
        total = before + chunk.weight
        # S += S_chunk - w off off^T + (W w / (W + w)) apart apart^T
        scale = np.array([[-chunk.weight], [before * chunk.weight / total]])
        first, last = np.stack([off, apart], axis=1)
        for sums, product, left, right in zip(
            (here.s00[block], here.s0t[block], here.stt[block]),
            chunk.products,
            (first, first, last),
            (first, last, last),
        ):
            sums += product
            sums += (scale * left).T @ right
        here.mean_0[block], here.mean_t[block] = means + chunk.weight / total * apart
        here.weight[block] = total
        here.squares[block] += chunk.squares
        here.negative[block] += chunk.negative


class _Shifting:
    """Takes the approximate mean off chunk after chunk, in memory used again for each."""

    def __init__(self):
        self.buffer = np.empty(0)

    def __call__(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames about their approximate mean, and that mean, in the precision of the data."""
        kind = np.float32 if frames.dtype in (np.float32, np.float16) else np.float64
        shift = frames[::16].mean(axis=0).astype(kind)
        if self.buffer.size < frames.size or self.buffer.dtype != kind:
            self.buffer = np.empty(frames.size, kind)
        shifted = self.buffer[: frames.size].reshape(frames.shape)
        return np.subtract(frames, shift, out=shifted), shift


def _equal_sums(pairs: Pairs, first: _Shifting, last: _Shifting) -> _ChunkSums:
    """Sums of a chunk of equal weights; frames both first and last are multiplied once."""
    n, lag = len(pairs.x), pairs.lagtime
    if 2 * lag >= n:
        (x, shift_0), (y, shift_t) = first(pairs.x), last(pairs.y)
        sum_0, sum_t, gram_0, gram_t = _sum(x), _sum(y), x.T @ x, y.T @ y
    else:
        # sums over last frames are those over first ones, less the first lag frames, and the last ones added
        frames, shift_0 = first(pairs.frames)
        x, y, shift_t = frames[:n], frames[lag:], shift_0
        head, tail = x[:lag], y[n - lag :]
        sum_0, gram_0 = _sum(x), x.T @ x
        sum_t = sum_0 + (_sum(tail) - _sum(head))
        gram_t = gram_0 + (tail.T @ tail - head.T @ head)
    return _ChunkSums(float(n), shift_0, shift_t, sum_0, sum_t, (gram_0, x.T @ y, gram_t), float(n), 0.0)


def _weighted_sums(pairs: Pairs, weights: np.ndarray, first: _Shifting, last: _Shifting) -> _ChunkSums:
    """Sums of a chunk whose pairs have weights."""
    (x, shift_0), (y, shift_t) = first(pairs.x), last(pairs.y)
    column = weights[:, None].astype(x.dtype)
    wx, wy = column * x, column * y
    products = wx.T @ x, wx.T @ y, wy.T @ y
    sizes = float(weights @ weights), -float(weights[weights < 0].sum())
    return _ChunkSums(float(weights.sum()), shift_0, shift_t, _sum(wx), _sum(wy), products, *sizes)


def _sum(frames: np.ndarray) -> np.ndarray:
    """Sum over frames, as a product because that is faster."""
    return np.ones(len(frames), frames.dtype) @ frames
