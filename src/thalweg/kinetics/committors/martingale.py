r"""The martingale test: whether a function of frames can be the committor of the data.

.. math::  \mathbb E\left[\,q(x_{\min(t+\tau,\,T)}) - q(x_t) \mid q(x_t)\,\right] = 0

for every lag time :math:`\tau`, with the time :math:`T` of the first entry into A or B [krivov2018]. The mean increment
is taken in bins of :math:`q` of windows that begin outside both sets, at several lags; errors are those between blocks
of trajectories. The verdict is on three sums over all windows, of increments times polynomials of q, by Hotelling's
:math:`T^2` among draws in which each block has its increments or their negatives: few windows end in B where q is
small, and a trajectory that lingers counts many times, so that sums in single bins are far from normal.
A function that depends on too little, is not converged or was made at a lag that is too short fails at longer ones. In
data that it was fitted to, a function with as many parameters as there are trajectories passes always: test it with
others.

Much data find an error of one hundredth, few data do not find one of one tenth. Beside the verdict stands therefore how
large the error may be: of the bin with the largest mean increment, the upper end of its interval, which no true one
passes in more than 5 % of cases. Where most windows have ended in a set, the mean increment is the error of the
function itself.

Only frames count: what enters a set and leaves it between two of them is not seen by anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from thalweg.kinetics.reactions.regions import IN_B, OUTSIDE, SetOfFrames, labels
from thalweg.kinetics.reactions.stopped_windows import block_count, stopped_windows
from thalweg.learning.models import Model
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories
from thalweg.units import duration

SIGNIFICANT = 0.01
"""Probability by chance below which a lag counts as failed, divided by the number of lags."""

BOUND = 0.95
"""Probability with which no mean increment is larger than the bound that is told."""

FEWEST_BLOCKS = 4
"""Blocks that must have windows in a bin; bins with fewer are joined with their neighbors."""

DEGREE = 2
"""Increments are judged by their sums over all windows, times Legendre polynomials of the value up to this degree."""

FEWEST_JUDGED = 10
"""Blocks without which there is no verdict: the signs of fewer are all equal in more than one of 500 draws."""

DRAWS = 4999
"""Draws of random signs in a test."""


@dataclass(frozen=True, eq=False)
class MartingaleTest(Model):
    """Mean increments of a function in bins of its values, at several lags.

    Attributes
    ----------
    lagtimes : (lags,) frames
    dt : time between frames [ps]
    edges : (bins + 1,), of the values
    drift : (lags, bins), mean increment
    error : (lags, bins), its standard error
    p_values : (lags,), how often chance alone makes all bins together as large; NaN where blocks are too few
    windows : (lags, bins), how many windows there are
    bound : the largest mean increment of any bin and lag that the data leave possible, with 95 %
    """

    lagtimes: tuple[int, ...]
    dt: float
    edges: Shaped[np.ndarray, " edges"]
    drift: Shaped[np.ndarray, "lags bins"]
    error: Shaped[np.ndarray, "lags bins"]
    p_values: Shaped[np.ndarray, " lags"]
    windows: Shaped[np.ndarray, "lags bins"]
    bound: float

    @property
    def passed(self) -> bool:
        """Whether no lag speaks against the function."""
        known = self.p_values[np.isfinite(self.p_values)]
        return bool((known >= SIGNIFICANT / max(len(known), 1)).all())

    @property
    def worst(self) -> float:
        """The largest mean increment that is more than twice its error; zero without any."""
        clear = np.abs(self.drift) > 2 * self.error
        return float(np.abs(np.where(clear, self.drift, 0.0)).max())

    def headline(self) -> dict[str, object]:
        """Verdict and probabilities."""
        return {
            "passed": self.passed,
            "lags": ", ".join(duration(lag * self.dt, self.dt) for lag in self.lagtimes),
            "p": ", ".join(f"{p:.2g}" for p in self.p_values),
            "bins": len(self.edges) - 1,
            "wrong by at most": f"{self.bound:.2g}",
        }

    def __str__(self) -> str:
        each = ", ".join(
            f"p = {p:.2g} at {duration(lag * self.dt, self.dt)}"
            for lag, p in zip(self.lagtimes, self.p_values)
        )
        limit = f"mean increments are at most {self.bound:.2g} (95 %)"
        if self.passed:
            return f"martingale test passed, {limit}: {each}"
        return f"martingale test failed, mean increments of up to {self.worst:.2g}, {limit}: {each}"


def martingale_test(
    function: Any,
    data: TrajectoryData,
    a: SetOfFrames,
    b: SetOfFrames,
    lagtimes: Sequence[int] | None = None,
    bins: int = 10,
    n_blocks: int = 100,
    every: int = 1,
) -> MartingaleTest:
    """Whether ``function`` is the probability to reach ``b`` before ``a`` of these data.

    Parameters
    ----------
    function : of frames ``(frames, features)`` to ``(frames,)`` or ``(frames, 1)``, or a model with ``transform``; it
        is taken as zero on A and one on B
    data : trajectories of features, best not those it was fitted to
    a, b : the sets
    lagtimes : in frames; up to five between one and half of the longest trajectory if None
    bins : of equal width between the least and the largest value, joined where windows are few
    n_blocks : of trajectories
    every : windows begin so many frames apart

    Raises
    ------
    ValueError
        If the sets overlap or hold no frame, no frame lies outside them, or the lag times leave no windows.

    Examples
    --------
    >>> from thalweg.kinetics.reactions.regions import Intervals
    >>> random = np.random.default_rng(0)
    >>> walks = [np.cumsum(random.choice([-0.1, 0.1], (200, 1)), axis=0) for _ in range(60)]
    >>> ends = Intervals((-np.inf,), (-0.95,)), Intervals((0.95,), (np.inf,))
    >>> right = martingale_test(lambda x: (1 + x[:, 0]) / 2, walks, *ends, lagtimes=(1, 10, 100))
    >>> wrong = martingale_test(lambda x: 1 / (1 + np.exp(-5 * x[:, 0])), walks, *ends, lagtimes=(1, 10, 100))
    >>> right.passed, wrong.passed
    (True, False)
    """
    trajectories = as_trajectories(data)
    where = labels(trajectories, a, b)
    longest = int(trajectories.lengths.max()) - 1
    lags = _lags(longest) if lagtimes is None else tuple(int(lag) for lag in lagtimes)
    span = _span(function, trajectories, where, n_blocks, every)
    weight, increment, number = _sums(function, trajectories, where, lags, span, bins, n_blocks, every)
    # bins are joined alike at all lags, so that each has windows in several blocks
    groups = _joined((weight[0] > 0).sum(axis=0))
    edges = np.append(span[0] + (span[1] - span[0]) / bins * np.array([g[0] for g in groups]), span[1])
    weight, increment, number = (_together(part, groups) for part in (weight, increment, number))
    found = [_means(*each) for each in zip(weight, increment)]
    drift, error = (np.array(part) for part in zip(*found))
    p_values = np.array([_chance(each) for each in _smooth_sums(increment, (edges[:-1] + edges[1:]) / 2)])
    bound = _bound(drift, error, (weight > 0).sum(axis=1))
    return MartingaleTest(
        lags, trajectories.dt, edges, drift, error, p_values, number.sum(axis=1).astype(int), bound
    )


def _lags(longest: int) -> tuple[int, ...]:
    """Up to five lags, doubling or faster, to half of the longest trajectory."""
    return tuple(np.unique(np.geomspace(1, max(longest // 2, 1), 5).astype(int)).tolist())


def _held(function: Any, frames: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Values ``(frames,)`` with those that a committor has on the sets."""
    found = getattr(function, "transform", function)(frames)
    return np.where(where == OUTSIDE, np.asarray(found, float).reshape(len(frames)), where == IN_B)


def _span(
    function: Any, data: Trajectories, where: Sequence[np.ndarray], n_blocks: int, every: int
) -> tuple[float, float]:
    """Least and largest value outside the sets."""
    low, high = np.inf, -np.inf
    for windows in stopped_windows(data, where, (1,), n_blocks, whole=False, every=every):
        found = _held(function, windows.frames, windows.labels)[windows.labels == OUTSIDE]
        if not np.isfinite(found).all():
            raise ValueError(
                f"the function has {(~np.isfinite(found)).sum()} values that are not finite among {len(found)} frames "
                "outside A and B; there is nothing to test"
            )
        if len(found):
            low, high = min(low, float(found.min())), max(high, float(found.max()))
    if low > high:
        raise ValueError("no frame lies outside A and B: there is nothing to test; make the sets smaller")
    return low, high


def _sums(
    function: Any,
    data: Trajectories,
    where: Sequence[np.ndarray],
    lagtimes: tuple[int, ...],
    span: tuple[float, float],
    bins: int,
    n_blocks: int,
    every: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, weighted increments and numbers ``(lags, blocks, bins)`` of windows that begin outside."""
    found = np.zeros((3, len(lagtimes), block_count(data, n_blocks), bins))
    width = max(span[1] - span[0], 1e-300)
    for windows in stopped_windows(data, where, lagtimes, n_blocks, whole=False, every=every):
        values = _held(function, windows.frames, windows.labels)
        used = windows.labels[windows.begins] == OUTSIDE
        start, weights = windows.begins[used], windows.weights[used]
        place = np.clip(((values[start] - span[0]) / width * bins).astype(int), 0, bins - 1)
        for lag, stop in enumerate(windows.stops[:, used]):
            added = weights, weights * (values[stop] - values[start]), np.ones(len(start))
            for part, each in zip(found, added):
                part[lag, windows.block] += np.bincount(place, each, bins)
    return found[0], found[1], found[2]


def _joined(blocks: np.ndarray) -> list[list[int]]:
    """Groups of neighboring bins that have windows in `FEWEST_BLOCKS` blocks at least."""
    groups: list[list[int]] = []
    held: list[int] = []
    for k, count in enumerate(blocks):
        held.append(k)
        if count >= FEWEST_BLOCKS:
            groups.append(held)
            held = []
    if held:
        groups = [*groups[:-1], groups[-1] + held] if groups else [held]
    return groups


def _together(part: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Sums over groups of bins, the last axis."""
    return np.stack([part[..., list(group)].sum(axis=-1) for group in groups], axis=-1)


def _bound(drift: np.ndarray, error: np.ndarray, blocks: np.ndarray) -> float:
    """The largest upper end of the one-sided intervals of mean increments ``(lags, bins)``; 1 where none is known.

    The largest true increment lies below that of its own bin, and so below the largest, with `BOUND`.
    """
    known = np.isfinite(error) & (error > 0) & (blocks > 1)
    if not known.any():
        return 1.0
    quantile = scipy.special.stdtrit(blocks[known] - 1, BOUND)
    return float((np.abs(drift[known]) + quantile * error[known]).max())


def _means(weight: np.ndarray, increment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean increments of bins and their errors."""
    total, filled = weight.sum(axis=0), weight.sum(axis=1) > 0
    blocks = int(filled.sum())
    mean = increment.sum(axis=0) / np.where(total > 0, total, 1)
    if blocks < 2:
        return mean, np.full(len(mean), np.nan)
    # a ratio of sums: each block's part of its error
    parts = (increment - weight * mean)[filled] / np.where(total > 0, total, 1)
    return mean, np.sqrt((parts**2).sum(axis=0) * blocks / (blocks - 1))


def _smooth_sums(increment: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums ``(..., polynomials)`` over bins of increments ``(..., bins)`` times polynomials of ``values (bins,)``."""
    return increment @ np.polynomial.legendre.legvander(2 * values - 1, min(DEGREE, len(values) - 1))


def _chance(increment: np.ndarray) -> float:
    """Share of draws of random signs of the blocks ``(blocks, sums)`` with which T^2 is not smaller; NaN of few."""
    left, size, _ = np.linalg.svd(increment[increment.any(axis=1)], full_matrices=False)
    left = left[:, size > 1e-9 * size.max(initial=0.0)]
    blocks, rank = left.shape
    if rank == 0 or blocks < max(FEWEST_JUDGED, rank + 2):
        return float("nan")
    # with S S^T = sum_b d_b d_b^T, the same for all signs, T^2 grows with |sum_b s_b S^-1 d_b|^2
    signs = np.random.default_rng(0).integers(0, 2, (DRAWS, blocks), np.int8) * 2.0 - 1
    drawn, found = ((signs @ left) ** 2).sum(axis=1), (left.sum(axis=0) ** 2).sum()
    return float((1 + (drawn >= found * (1 - 1e-9)).sum()) / (1 + DRAWS))
