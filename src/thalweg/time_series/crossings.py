r"""Slow processes and whether the data show them often enough to believe their timescales.

The eigenfunction of a process takes its extremes in the two sets it exchanges: a trajectory is on one side
where it exceeds three quarters of its range, on the other below one quarter, and crosses when it goes from
one side to the other. The ends of the range are those of values that carry the variance of the function, since an
ill-known state of two frames may lie far outside. A frame counts as on a side only if the mean over the lag time around
it leans to that side as well: a model sees frames a lag time apart, and what flickers faster, at a border between two
states or by noise, would make hundreds of crossings of a few transitions. A timescale estimated from a handful of
crossings is a guess, however narrow an error bar derived from them: such a process is called under-sampled and has no
number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from thalweg.shapes import Shaped
from thalweg.units import duration

FEWEST_CROSSINGS = 10
"""Crossings needed in each direction."""

FEWEST_BLOCKS = 3
"""Blocks of data in which crossings must occur."""

SIDE = 0.25
"""Share of the range of an eigenfunction that belongs to each side."""

LEANS = 0.4
"""Part of the way from the middle of the range of means over the lag time to its end that a mean is beyond it."""

OUTERMOST = 0.05
"""Share of the variance above the mean, and of that below, that may lie beyond the ends of the range."""


@dataclass(frozen=True)
class Process:
    """One slow process of a model and the evidence for it.

    Attributes
    ----------
    estimate : estimated timescale [ps], to be quoted only if ``resolved``; NaN for none
    forward, backward : crossings to the side of large and of small values of its eigenfunction
    blocks : blocks of data in which it was crossed
    dt : time between frames [ps], in whose unit the estimate is written

    Examples
    --------
    >>> print(Process(120.0, forward=40, backward=41, blocks=10))
    120 ps (crossed 40 and 41 times)
    >>> print(Process(75.0, forward=2, backward=2, blocks=1))
    under-sampled (crossed 2 and 2 times in 1 of the blocks; needed are 10 each way in 3)
    """

    estimate: float
    forward: int
    backward: int
    blocks: int
    dt: float = 1.0

    @property
    def sampled(self) -> bool:
        """Whether the data show the process often enough."""
        return min(self.forward, self.backward) >= FEWEST_CROSSINGS and self.blocks >= FEWEST_BLOCKS

    @property
    def resolved(self) -> bool:
        """Whether the process is sampled and decays."""
        return self.sampled and isfinite(self.estimate)

    @property
    def timescale(self) -> float | None:
        """Timescale [ps]; None if the process is under-sampled."""
        return self.estimate if self.resolved else None

    @property
    def in_short(self) -> str:
        """The timescale, or in two words why there is none."""
        if self.resolved:
            return duration(self.estimate, self.dt)
        return "no decay" if self.sampled else "under-sampled"

    def __str__(self) -> str:
        crossed = f"crossed {self.forward} and {self.backward} times"
        if self.resolved:
            return f"{duration(self.estimate, self.dt)} ({crossed})"
        if self.sampled:
            return f"no decay time at this lag ({crossed})"
        needed = f"needed are {FEWEST_CROSSINGS} each way in {FEWEST_BLOCKS}"
        return f"under-sampled ({crossed} in {self.blocks} of the blocks; {needed})"


def _range_ends(values: Shaped[np.ndarray, " values"], weights: Shaped[np.ndarray, " values"] | None = None):
    """Values ``(low, high)`` beyond which only `OUTERMOST` of the variance on either side lies.

    Examples
    --------
    >>> _range_ends(np.array([-1.0, 1.0, 30.0, np.nan]), np.array([1e6, 1e6, 1.0, 5.0]))
    (-1.0, 1.0)
    """
    weights = np.ones(len(values)) if weights is None else weights
    known = np.flatnonzero(np.isfinite(values) & (weights > 0))
    values, share = values[known], weights[known] / weights[known].sum()
    apart = values - share @ values
    ends = []
    # from the outermost value inward until OUTERMOST of the variance on that side is passed
    for side in (-apart, apart):
        order = np.argsort(-side)
        mass = np.cumsum(np.where(side > 0, share * side**2, 0.0)[order])
        ends.append(values[order[np.searchsorted(mass, OUTERMOST * mass[-1])]])
    return float(ends[0]), float(ends[1])


def _running_means(values: Shaped[np.ndarray, " frames"], width: int) -> Shaped[np.ndarray, " frames"]:
    """Means of known values over ``width`` frames around each, fewer at the ends; NaN where none is known.

    Examples
    --------
    >>> _running_means(np.array([0.0, 0.0, 3.0, np.nan, 3.0]), 3).tolist()
    [0.0, 1.0, 1.5, 3.0, 3.0]
    """
    if width == 1:
        return values
    known = np.isfinite(values)
    sums, counts = (np.concatenate([[0], np.cumsum(each)]) for each in (np.where(known, values, 0.0), known))
    frames = np.arange(len(values))
    begin = np.maximum(frames - (width - 1) // 2, 0)
    end = np.minimum(frames + width // 2 + 1, len(values))
    with np.errstate(invalid="ignore"):
        return (sums[end] - sums[begin]) / (counts[end] - counts[begin])


def _sides_of(values: np.ndarray, ends: tuple[float, float], share: float) -> np.ndarray:
    """1 in the upper ``share`` of the range between ``ends``, -1 in the lower one, 0 between and for NaN."""
    low, high = ends
    with np.errstate(invalid="ignore"):
        upper = values > high - share * (high - low)
        lower = values < low + share * (high - low)
    return upper.astype(np.int8) - lower.astype(np.int8)


def _count_crossings(sides: Iterable[np.ndarray], frames: int, n_blocks: int) -> tuple[int, int, int]:
    """Crossings upward and downward along trajectories of `_sides_of` values, and the blocks that have any.

    Parameters
    ----------
    sides : one array (frames of it,) a trajectory
    frames : of all trajectories
    n_blocks : into how many parts of equal length the data are divided

    Examples
    --------
    >>> _count_crossings([np.array([-1, 0, 1, 0, 1, -1, -1]), np.array([1, 0, -1])], frames=10, n_blocks=1)
    (1, 2, 1)
    """
    up, down, blocks, first = 0, 0, set(), 0
    for side in sides:
        # frames on either side, those between left out: a step of two among them is a crossing
        places = np.flatnonzero(side)
        step = np.diff(side[places])
        up, down = up + int((step > 0).sum()), down + int((step < 0).sum())
        blocks.update(((first + places[1:][step != 0]) * n_blocks // frames).tolist())
        first += len(side)
    return up, down, len(blocks)


def observed_process(
    timescale: float, series: Sequence[np.ndarray], n_blocks: int, dt: float = 1.0, lagtime: int = 1
) -> Process:
    """The process of this timescale [ps] whose eigenfunction takes the values ``series``, one array a trajectory.

    Parameters
    ----------
    timescale : estimated [ps]
    series : values of the eigenfunction, NaN for frames on neither side
    n_blocks : into how many parts of equal length the data are divided
    dt : time between frames [ps]
    lagtime : of the model in frames, over which a side must be leaned to

    Examples
    --------
    >>> hop = np.repeat([0.0, 1.0], 50)
    >>> print(observed_process(40.0, [np.tile(hop, 20)], n_blocks=10))
    40 ps (crossed 20 and 19 times)
    >>> print(observed_process(40.0, [np.zeros(100), np.ones(100)], n_blocks=10))
    under-sampled (crossed 0 and 0 times in 0 of the blocks; needed are 10 each way in 3)
    """
    runs = [np.asarray(run) for run in series]
    means = [_running_means(run, lagtime) for run in runs]
    ends = _range_ends(np.concatenate(runs))
    # of means as far apart as they are wide
    leaning = _range_ends(np.concatenate([mean[lagtime // 2 :: lagtime] for mean in means]))
    both = (
        (_sides_of(run, ends, SIDE), _sides_of(mean, leaning, (1 - LEANS) / 2))
        for run, mean in zip(runs, means)
    )
    sides = (np.where(side == lean, side, 0) for side, lean in both)
    return Process(float(timescale), *_count_crossings(sides, sum(map(len, runs)), n_blocks), dt)
