"""Crossings of the slow processes of models made of states; see `thalweg.time_series.crossings`."""

from __future__ import annotations

import numpy as np

from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.shapes import Shaped
from thalweg.time_series.crossings import Process, count_crossings, range_ends, sides_of


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
    side = sides_of(function, *range_ends(function, _visits(trajectories) if weights is None else weights))
    total = int(trajectories.lengths.sum())
    return count_crossings((side[states] for states in trajectories.blocks), total, n_blocks)


def _visits(trajectories: DiscreteTrajectories) -> np.ndarray:
    """Frames in each state ``(states,)``."""
    return sum(np.bincount(states, minlength=trajectories.n_states) for states in trajectories.blocks)


def processes_of(
    trajectories: DiscreteTrajectories,
    n_blocks: int,
    timescales: np.ndarray,
    functions: np.ndarray,
) -> tuple[Process, ...]:
    """Processes of these timescales ``(processes,)`` [ps] and eigenfunctions ``(states, processes)``.

    Parameters
    ----------
    trajectories : on which crossings are counted
    n_blocks : into how many parts of equal length they are divided
    """
    frames = _visits(trajectories)
    crossed = [crossings(trajectories, function, n_blocks, frames) for function in np.real(functions).T]
    return tuple(
        Process(float(time), *evidence, trajectories.dt) for time, evidence in zip(timescales, crossed)
    )
