"""Implied timescales against lag time: where they are flat, a Markov model holds [swope2004].

A lag time at which no model can be made (no pairs left, nothing connected) does not end the scan: it is
kept with its reason. Errors come from block bootstrap at every lag time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from thalweg.kinetics.counts.counting import Counting, Sliding
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.estimation.transition_matrix import Estimator
from thalweg.kinetics.markov_state_model import MarkovModel, MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_counted
from thalweg.kinetics.validation.bootstrap import timescale_errors
from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class TimescaleScan:
    """Timescales at several lag times.

    Attributes
    ----------
    lagtimes : (lags,), frames
    dt : time between frames [ps]
    timescales : (lags, processes) [ps]; NaN where there is no model or fewer processes
    errors : (lags, processes) [ps], standard errors
    intervals : (2, lags, processes) [ps], ends of the 95 % confidence intervals
    resolved : (lags, processes), whether the data show the process often enough to quote its timescale
    models : lag time in frames -> model
    failures : lag time in frames -> why there is no model
    """

    lagtimes: Shaped[np.ndarray, " lags"]
    dt: float
    timescales: Shaped[np.ndarray, "lags processes"]
    errors: Shaped[np.ndarray, "lags processes"]
    intervals: Shaped[np.ndarray, "2 lags processes"]
    resolved: Shaped[np.ndarray, "lags processes"]
    models: dict[int, MarkovModel]
    failures: dict[int, str]

    @property
    def lags(self) -> np.ndarray:
        """Lag times [ps]."""
        return self.lagtimes * self.dt

    @property
    def flat_from(self) -> np.ndarray:
        """The shortest lag [ps] from which on each timescale ``(processes,)`` stays where it is within twice its error.

        Lags beyond the timescale itself are left out. NaN where it moves up to the last of at least two lags.
        """
        shortest = np.full(self.timescales.shape[1], np.nan)
        for process, (times, errors) in enumerate(zip(self.timescales.T, self.errors.T)):
            known = np.flatnonzero(self.resolved[:, process] & np.isfinite(errors) & (self.lags < times))
            known = known[np.argsort(self.lagtimes[known])]
            if len(known) < 2:
                continue
            quoted, bars = times[known], errors[known]
            # flat from the first lag after which no two timescales are more than two joint errors apart
            apart = np.abs(quoted[:, None] - quoted) > 2 * np.hypot(bars[:, None], bars)
            still = [k for k in range(len(known) - 1) if not apart[k:, k:].any()]
            if still:
                shortest[process] = self.lags[known[still[0]]]
        return shortest

    def __str__(self) -> str:
        lines = []
        for k, lagtime in enumerate(self.lagtimes):
            if int(lagtime) in self.failures:
                lines.append(f"{self.lags[k]:g} ps: {self.failures[int(lagtime)]}")
                continue
            entries = [
                f"{time:.4g} ± {error:.2g} ps" + " (shorter than the lag)" * bool(time < self.lags[k])
                if resolved
                else "under-sampled"
                for time, error, resolved in zip(self.timescales[k], self.errors[k], self.resolved[k])
            ]
            lines.append(f"{self.lags[k]:g} ps: {', '.join(entries)}")
        for process, lag in enumerate(self.flat_from):
            below = self.resolved[:, process] & (self.lags < self.timescales[:, process])
            if np.isfinite(lag):
                lines.append(f"process {process + 1}: flat from {lag:g} ps")
            elif below.sum() > 1:
                lines.append(
                    f"process {process + 1}: not flat up to {self.lags[below].max():g} ps: the states remember; "
                    "use longer lags, other states, or a model with memory"
                )
        return "\n".join(lines)


@dataclass(frozen=True)
class ImpliedTimescales:
    """A scan of Markov models over lag times.

    Parameters
    ----------
    lagtimes : sequence of int
        In frames.
    n_processes : int
    estimator : as in `MarkovStateModel`
    samples : int
        Bootstrap replicates per lag time.
    seed : int
    counting : `Sliding`, `Strided` or `Effective`
        As in `MarkovStateModel`. Errors come from resampled blocks whatever the counting, so that sliding counts,
        which use all data, are right unless models go on to where numbers of counts matter (`posterior`).

    Examples
    --------
    >>> states = np.cumsum(np.random.default_rng(0).random(5000) < 0.02) % 2
    >>> scan = ImpliedTimescales([1, 5, 9000], n_processes=1, samples=20).fit([states])
    >>> scan.timescales.shape, scan.failures[9000]
    ((3, 1), 'lagtime=9000 leaves no pairs in a trajectory of 5000 frames; ...')
    """

    lagtimes: Sequence[int]
    n_processes: int = 3
    estimator: Estimator = field(default_factory=Reversible)
    samples: int = 50
    seed: int = 0
    counting: Counting = field(default_factory=Sliding)

    def fit(self, trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray) -> TimescaleScan:
        """The scan of discrete trajectories."""
        data = as_counted(trajectories)
        shape = len(self.lagtimes), self.n_processes
        timescales, errors, intervals = (
            np.full(shape, np.nan),
            np.full(shape, np.nan),
            np.full((2, *shape), np.nan),
        )
        resolved = np.zeros(shape, bool)
        models, failures = {}, {}
        for k, lagtime in enumerate(self.lagtimes):
            try:
                model = MarkovStateModel(
                    lagtime, self.estimator, self.n_processes, counting=self.counting
                ).fit(data)
                estimate = timescale_errors(model, self.samples, self.seed)
            except ValueError as error:
                failures[int(lagtime)] = str(error)
                continue
            models[int(lagtime)] = model
            # a model may have fewer processes than asked for: the rest of its row stays NaN
            count = len(model.timescales)
            timescales[k, :count], errors[k, :count] = model.timescales, estimate.error
            intervals[:, k, :count] = estimate.interval()
            resolved[k, :count] = [process.resolved for process in model.processes]
        return TimescaleScan(
            np.asarray(self.lagtimes), data.dt, timescales, errors, intervals, resolved, models, failures
        )
