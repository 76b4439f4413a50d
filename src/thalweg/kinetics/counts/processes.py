r"""Slow processes and whether the data show them often enough to believe their timescales.

The eigenfunction of a process takes its extremes in the two sets it exchanges: a trajectory is on one side
where it exceeds three quarters of its range, on the other below one quarter, and crosses when it goes from
one side to the other. The ends of the range are those of states that carry the variance of the function, since an
ill-known state of two frames may lie far outside. A timescale estimated from a handful of crossings is a guess,
however narrow an error bar derived from them: such a process is called under-sampled and has no number.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from thalweg.kinetics.counts.counts import TransitionCounts
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.shapes import Shaped

FEWEST_CROSSINGS = 10
"""Crossings needed in each direction."""

FEWEST_BLOCKS = 3
"""Blocks of data in which crossings must occur."""

SIDE = 0.25
"""Share of the range of an eigenfunction that belongs to each side."""

OUTERMOST = 0.05
"""Share of the variance above the mean, and of that below, that may lie beyond the ends of the range."""


@dataclass(frozen=True)
class Process:
    """One slow process of a Markov model and the evidence for it.

    Attributes
    ----------
    estimate : maximum-likelihood timescale [ps], to be quoted only if ``resolved``; NaN for none
    forward, backward : crossings to the side of large and of small values of its eigenfunction
    blocks : blocks of data in which it was crossed

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

    def __str__(self) -> str:
        crossed = f"crossed {self.forward} and {self.backward} times"
        if self.resolved:
            return f"{self.estimate:.4g} ps ({crossed})"
        if self.sampled:
            return f"no decay time at this lag ({crossed})"
        needed = f"needed are {FEWEST_CROSSINGS} each way in {FEWEST_BLOCKS}"
        return f"under-sampled ({crossed} in {self.blocks} of the blocks; {needed})"


def crossings(
    trajectories: DiscreteTrajectories,
    function: Shaped[np.ndarray, " states"],
    n_blocks: int,
    weights: Shaped[np.ndarray, " states"] | None = None,
) -> tuple[int, int, int]:
    """Crossings upward and downward of a function of the state, and the number of blocks that have any.

    Parameters
    ----------
    function : (states,), NaN for states that belong to neither side
    n_blocks : into how many parts of equal length the data are divided
    weights : (states,), how much each state counts for the range; its frames if None

    Examples
    --------
    >>> runs = DiscreteTrajectories([np.array([0, 1, 2, 1, 2, 0, 0]), np.array([2, 1, 0])])
    >>> crossings(runs, np.array([0.0, 0.5, 1.0]), n_blocks=1)
    (1, 2, 1)
    """
    low, high = _range(function, _visits(trajectories) if weights is None else weights)
    with np.errstate(invalid="ignore"):
        upper = function > high - SIDE * (high - low)
        lower = function < low + SIDE * (high - low)
    side = upper.astype(np.int8) - lower.astype(np.int8)
    total = int(trajectories.lengths.sum())
    up, down, blocks, first = 0, 0, set(), 0
    for states in trajectories.blocks:
        # frames on either side, those between left out: a step of two among them is a crossing
        sides = side[states]
        places = np.flatnonzero(sides)
        step = np.diff(sides[places])
        up, down = up + int((step > 0).sum()), down + int((step < 0).sum())
        blocks.update(((first + places[1:][step != 0]) * n_blocks // total).tolist())
        first += len(states)
    return up, down, len(blocks)


def _visits(trajectories: DiscreteTrajectories) -> np.ndarray:
    """Frames in each state ``(states,)``."""
    return sum(np.bincount(states, minlength=trajectories.n_states) for states in trajectories.blocks)


def _range(function: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Values beyond which only `OUTERMOST` of the variance on either side lies.

    Examples
    --------
    >>> _range(np.array([-1.0, 1.0, 30.0, np.nan]), np.array([1e6, 1e6, 1.0, 5.0]))
    (-1.0, 1.0)
    """
    known = np.flatnonzero(np.isfinite(function) & (weights > 0))
    values, share = function[known], weights[known] / weights[known].sum()
    apart = values - share @ values
    ends = []
    # from the outermost state inward until OUTERMOST of the variance on that side is passed
    for side in (-apart, apart):
        order = np.argsort(-side)
        mass = np.cumsum(np.where(side > 0, share * side**2, 0.0)[order])
        ends.append(values[order[np.searchsorted(mass, OUTERMOST * mass[-1])]])
    return float(ends[0]), float(ends[1])


def processes_of(
    trajectories: DiscreteTrajectories,
    counts: TransitionCounts,
    timescales: np.ndarray,
    functions: np.ndarray,
) -> tuple[Process, ...]:
    """Processes of these timescales ``(processes,)`` [ps] and eigenfunctions ``(states, processes)``."""
    frames = _visits(trajectories)
    crossed = [
        crossings(trajectories, function, counts.n_blocks, frames) for function in np.real(functions).T
    ]
    return tuple(Process(float(time), *evidence) for time, evidence in zip(timescales, crossed))
