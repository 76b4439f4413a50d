"""The slow processes of models made of states, with how often they are crossed; see `thalweg.time_series.crossings`."""

from __future__ import annotations

import numpy as np

from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.time_series.crossings import Process, observed_process


def processes_of(
    trajectories: DiscreteTrajectories,
    n_blocks: int,
    timescales: np.ndarray,
    functions: np.ndarray,
    lagtime: int,
) -> tuple[Process, ...]:
    """Processes of these timescales ``(processes,)`` [ps] and eigenfunctions ``(states, processes)``.

    Parameters
    ----------
    trajectories : on which crossings are counted
    n_blocks : into how many parts of equal length they are divided
    timescales : estimated
    functions : NaN for states that belong to neither side
    lagtime : of the model, in frames; 1 where states do not flicker
    """
    return tuple(
        observed_process(
            float(time), [function[run] for run in trajectories.blocks], n_blocks, trajectories.dt, lagtime
        )
        for time, function in zip(timescales, np.real(functions).T)
    )
