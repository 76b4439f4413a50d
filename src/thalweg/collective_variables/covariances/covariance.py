r"""Instantaneous and time-lagged covariances in one pass over the data, kept block by block.

.. math::  C_{00} = \langle \tilde x_t \tilde x_t^T\rangle,\quad
           C_{0t} = \langle \tilde x_t \tilde x_{t+\tau}^T\rangle,\quad
           C_{tt} = \langle \tilde x_{t+\tau} \tilde x_{t+\tau}^T\rangle

where the tilde takes off the mean of the first, respectively last, frames of all pairs. Products of a chunk
are made in the precision of the data about the mean of that chunk, and merged in 64 bits [chan1983]; chunk
borders depend on the trajectory only. Sums of blocks merge exactly, so partial fits, parallel fits,
bootstrap and cross-validation re-add them without reading the data again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Float, Shaped
from thalweg.time_series.blocks import PairRange, segments
from thalweg.time_series.trajectories import (
    PairReport,
    Pairs,
    Trajectories,
    TrajectoryData,
    as_trajectories,
)

TASKS = 16
"""Tasks at most that a pass over the data is divided into for an executor."""


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

    @classmethod
    def stacked(cls, moments: Sequence[Moments]) -> Moments:
        """Moments side by side as blocks."""
        return cls(*(np.stack(arrays) for arrays in zip(*(vars(each).values() for each in moments))))


@dataclass(frozen=True, eq=False)
class Covariances:
    """Covariances of time-lagged pairs with the blocks they are made of; two of them add.

    Attributes
    ----------
    lagtime : frames; zero if only ``c00`` was asked for
    dt : time between frames [ps]
    blocks : moments of every block
    report : pairs used and lost; None after resampling

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
        return Covariances(self.lagtime, self.dt, Moments.stacked([pooled]))

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
        return Covariances(self.lagtime, self.dt, Moments(*(np.concatenate(pair) for pair in arrays)), report)


@on_one_thread
def covariances(
    trajectories: TrajectoryData,
    lagtime: int = 0,
    n_blocks: int = 40,
    reweight: Callable[[np.ndarray], np.ndarray] | None = None,
    executor: Executor | None = None,
) -> Covariances:
    """Covariances of all pairs ``lagtime`` frames apart, in one pass.

    Parameters
    ----------
    trajectories : `Trajectories` or what makes them
    lagtime : int
        In frames; zero for instantaneous covariances only (all three are then the same).
    n_blocks : int
        About how many blocks to keep; each costs three matrices of the number of features squared.
    reweight : callable, optional
        From first frames ``(pairs, features)`` to a factor ``(pairs,)`` on the weight of each pair.
    executor : `concurrent.futures.Executor`, optional
        Where blocks are summed, such as a pool of processes or ``Client.get_executor()`` of Dask; here if None. The
        sums are the same to rounding.

    Raises
    ------
    ValueError
        If no pair is left at this lag time, or data are not finite.
    """
    data = as_trajectories(trajectories)
    report = data.report(lagtime) if lagtime else PairReport(0, data.lengths, 0 * data.lengths)
    pieces = segments(report.used, n_blocks)
    if executor is None:
        blocks = _block_moments(data, pieces, report.lagtime, reweight)
    else:
        tasks = [
            executor.submit(_block_moments, *part, report.lagtime, reweight) for part in _parted(data, pieces)
        ]
        blocks = {block: moments for task in tasks for block, moments in task.result().items()}
    if not blocks:
        raise ValueError("the weights of all pairs are zero; there is nothing to average")
    moments = Moments.stacked([blocks[block] for block in sorted(blocks)])
    return Covariances(report.lagtime, data.dt, moments, report)


def _block_moments(
    data: Trajectories,
    pieces: Sequence[PairRange],
    lagtime: int,
    reweight: Callable[[np.ndarray], np.ndarray] | None,
) -> dict[int, Moments]:
    """Moments of every block that the pieces belong to."""
    blocks: dict[int, _RunningMoments] = {}
    shifting = _Shifting(), _Shifting()
    for pairs in data.pairs(pieces, lagtime):
        weights = pairs.weights
        if reweight is not None:
            factor = reweight(pairs.x)
            weights = factor if weights is None else weights * factor
        sums = _equal_sums(pairs, *shifting) if weights is None else _weighted_sums(pairs, weights, *shifting)
        if sums.weight != 0:
            blocks.setdefault(pairs.segment.block, _RunningMoments(data.n_features)).add(sums)
    return {block: running.moments() for block, running in blocks.items()}


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


class _RunningMoments:
    """Moments of a block to which chunks are added, in 64 bits."""

    def __init__(self, features: int):
        self.weight = 0.0
        self.means = np.zeros((2, features))
        self.products = np.zeros((3, features, features))
        self.sizes = np.zeros(2)

    def add(self, chunk: _ChunkSums) -> None:
        """Move the chunk's products to its mean and to that of all, a change of rank two."""
        # off: mean of the chunk less its shift; apart: mean of the chunk less that of all before it
        off = np.array([chunk.sum_0, chunk.sum_t], float) / chunk.weight
        apart = np.array([chunk.shift_0, chunk.shift_t], float) + off - self.means
        total = self.weight + chunk.weight
        # S += S_chunk - w off off^T + (W w / (W + w)) apart apart^T
        scale = np.array([[-chunk.weight], [self.weight * chunk.weight / total]])
        first, last = np.stack([off, apart], axis=1)
        for sums, product, left, right in zip(
            self.products, chunk.products, (first, first, last), (first, last, last)
        ):
            sums += product
            sums += (scale * left).T @ right
        self.means += chunk.weight / total * apart
        self.weight = total
        self.sizes += chunk.squares, chunk.negative

    def moments(self) -> Moments:
        """The moments as they stand."""
        return Moments(np.asarray(self.weight), *self.means, *self.products, *map(np.asarray, self.sizes))


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
