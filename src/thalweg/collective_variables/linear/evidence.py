r"""What the data say about slow modes once they are found: whether they were crossed, and hold on data left out.

Every linear model of slow processes passes through here. A mode between sets that no run went between has an
eigenvalue all the same, and so has one that is slow in these data by chance; both are notes of the model, and a
process crossed too seldom has no error bar (`thalweg.time_series.crossings`). A look that fails is a note too: it
never ends the fit that it looks at.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from thalweg.collective_variables.bases.linear_map import project
from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.held_out import held_out_timescales, overfitted
from thalweg.collective_variables.covariances.slow_modes import SlowModes
from thalweg.collective_variables.covariances.stationarity import tilt
from thalweg.machine.surviving import reason
from thalweg.time_series.crossings import Process, observed_process
from thalweg.time_series.resampling import Estimate
from thalweg.time_series.trajectories import Trajectories

Finding = TypeVar("Finding")

BLOCKS = 10
"""Blocks of data among which crossings are counted."""

IMPRECISE = 0.15
"""Share of the slowest timescale that its interval may reach to either side before that is pointed out."""

SURE = 0.99
"""Confidence of that interval: of few runs it is told, of many it is not."""

REPLICATES = 100
"""Bootstrap replicates that tell it; of thirty the spread is known to 13 % itself."""

NOTED = 5
"""Processes named in a note at most."""


def diagnosed(what: str, look: Callable[[], Finding], otherwise: Finding) -> tuple[Finding, tuple[str, ...]]:
    """What a look at a fit finds and no note; ``otherwise`` and a note that says why, where the look fails.

    Parameters
    ----------
    what : is looked for
    look : at the fit
    otherwise : what is found where the look fails

    Examples
    --------
    >>> diagnosed("crossings", lambda: 1 // 0, 5)
    (5, ('crossings could not be looked for: integer division or modulo by zero',))
    """
    try:
        return look(), ()
    except Exception as error:
        return otherwise, (f"{what} could not be looked for: {reason(error)}",)


def observed_processes(
    modes: Trajectories, timescales: Sequence[float] | np.ndarray, lagtime: int
) -> tuple[Process, ...]:
    """The process of every mode, with its crossings; their estimates are ``timescales`` [ps].

    Parameters
    ----------
    modes : values of the modes, one column each
    timescales : of the modes
    lagtime : at which they were found, in frames

    Examples
    --------
    >>> hop = np.tile(np.repeat([0.0, 1.0], 50), 20)[:, None]
    >>> print(*observed_processes(Trajectories([hop], dt=1.0), [40.0], lagtime=5))
    40 ps (crossed 20 and 19 times)
    """
    return tuple(
        observed_process(float(time), [block[:, k] for block in modes.blocks], BLOCKS, modes.dt, lagtime)
        for k, time in enumerate(timescales)
    )


def undersampled(processes: Sequence[Process]) -> tuple[str, ...]:
    """Notes of the processes that the data do not show often enough, or that have no decay time."""
    notes = []
    for k, process in enumerate(processes):
        if not process.sampled:
            estimate = (
                f", {process.estimate:.4g} ps by its eigenvalue," if np.isfinite(process.estimate) else ""
            )
            notes.append(f"process {k + 1}{estimate} is {process}")
        elif k and not process.resolved:
            notes.append(f"process {k + 1} has no decay time at this lag time")
    more = len(notes) - NOTED
    return (*notes[:NOTED], f"and {more} more processes likewise") if more > 0 else tuple(notes)


class _Evidence(NamedTuple):
    """What the data say about modes.

    Attributes
    ----------
    processes : of the modes, with how often the data show them
    notes : what speaks against them
    """

    processes: tuple[Process, ...]
    notes: tuple[str, ...]


def evidence(
    modes: SlowModes,
    dim: int,
    sums: Covariances,
    modes_of: Callable[[Covariances], SlowModes],
    columns: Trajectories | None,
) -> _Evidence:
    """What the data say about the first ``dim`` modes.

    Parameters
    ----------
    modes : combinations of the columns
    dim : how many are looked at
    sums : covariances of the columns, in two blocks or more
    modes_of : from covariances to modes
    columns : what the modes are combinations of; None where it is not at hand, and no crossings are counted

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> from thalweg.collective_variables.covariances.slow_modes import reversible_modes
    >>> noise = Trajectories([np.random.default_rng(0).standard_normal((400, 30))])
    >>> sums, modes_of = covariances(noise, lagtime=5), lambda part: reversible_modes(part, 1e-10)
    >>> "left out" in evidence(modes_of(sums), 1, sums, modes_of, noise).notes[0]
    True
    """

    def look() -> tuple[Process, ...]:
        if columns is None:
            return ()
        return observed_processes(
            project(columns, modes.mean, modes.vectors[:, :dim]), modes.timescales[:dim], sums.lagtime
        )

    processes, unseen = diagnosed("crossings", look, ())
    # slow in these data by chance: seen where blocks that had no part in the fit disagree
    by_chance, failed = diagnosed(
        "slowness on data left out",
        lambda: overfitted(modes.timescales, held_out_timescales(sums, modes_of, 1)),
        (),
    )
    return _Evidence(processes, by_chance + failed + undersampled(processes) + unseen)


def imprecise(errors: Callable[[int], Estimate], sums: Covariances, cutoff: float) -> tuple[str, ...]:
    """A note on how well the slowest timescale is known, if runs did not start from equilibrium and that is not well.

    Short runs from a few places say little about the way back, and weights that make up for it widen errors; at
    equilibrium crossings are counted for the same end.

    Parameters
    ----------
    errors : from a number of replicates to timescales with errors
    sums : of the functions, with the drifts of their pieces
    cutoff : as for `VAC`
    """

    def look() -> tuple[str, ...]:
        if tilt(sums, cutoff).stationary:
            return ()
        # what replicates have to say is said by the note
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = errors(REPLICATES)
        value = float(found.value[0])
        shortest, longest = (float(end) for end in found.interval(SURE)[:, 0])
        if not (shortest * (1 + IMPRECISE) < value or value * (1 + IMPRECISE) < longest):
            return ()
        low, high = (float(end) for end in found.interval()[:, 0])
        share = float(found.error[0] / found.value[0])
        return (
            f"runs did not start from equilibrium, and the slowest timescale has a standard error of {share:.0%}, "
            f"between {low:.3g} and {high:.3g} ps at 95 % confidence: more runs are needed",
        )

    told, failed = diagnosed("the error of the slowest timescale", look, ())
    return told + failed


def quoted(processes: Sequence[Process]) -> str:
    """Timescales of processes as a model states them: a number where the data show it.

    Examples
    --------
    >>> quoted([Process(120.0, 40, 41, 10), Process(75.0, 2, 2, 1)])
    '120 ps, under-sampled'
    """
    return ", ".join(each.in_short for each in processes)


def resolved_only(values: np.ndarray, processes: Sequence[Process]) -> np.ndarray:
    """Values ``(..., processes)`` of the processes that the data show, NaN of others."""
    shown = np.array([each.sampled for each in processes])
    return np.where(shown, values, np.nan) if len(shown) else values
