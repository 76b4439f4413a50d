"""Implied timescales against lag time: where they are flat, a Markov model holds [swope2004].

A lag time at which no model can be made (no pairs left, nothing connected) does not end the scan: it is
kept with its reason. Errors come from block bootstrap at every lag time, from the same draws of the same blocks, so
that `flatness` can judge differences between lags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from thalweg.kinetics.counts.counting import Counting, Sliding
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.estimation.transition_matrix import Estimator
from thalweg.kinetics.markov_state_model import MarkovModel, MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_counted
from thalweg.kinetics.validation.bootstrap import lasting_blocks, matching, timescale_errors
from thalweg.kinetics.validation.flatness import UNKNOWN, Flatness, flatness
from thalweg.learning.models import Method, Model
from thalweg.machine.surviving import reason, surviving
from thalweg.shapes import Shaped
from thalweg.time_series.resampling import Estimate, plus_minus
from thalweg.units import duration, unit_of


@dataclass(frozen=True, eq=False)
class TimescaleScan(Model):
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
    estimates : lag time in frames -> its timescales with bootstrap replicates, of the same blocks at all lags
    failures : lag time in frames -> why there is no model
    """

    lagtimes: Shaped[np.ndarray, " lags"]
    dt: float
    timescales: Shaped[np.ndarray, "lags processes"]
    errors: Shaped[np.ndarray, "lags processes"]
    intervals: Shaped[np.ndarray, "2 lags processes"]
    resolved: Shaped[np.ndarray, "lags processes"]
    models: dict[int, MarkovModel]
    estimates: dict[int, Estimate]
    failures: dict[int, str]

    @property
    def lags(self) -> np.ndarray:
        """Lag times [ps]."""
        return self.lagtimes * self.dt

    @property
    def flat_from(self) -> np.ndarray:
        """The shortest lag [ps] from which on each timescale ``(processes,)`` is flat; NaN where that is not known."""
        return np.array([found.begin for found in self.flatness])

    @cached_property
    def flatness(self) -> tuple[Flatness, ...]:
        """What each timescale does from lag to lag, over lags shorter than itself at which it is resolved."""
        found = (self._flatness(process) for process in range(self.timescales.shape[1]))
        return tuple(replace(each, dt=self.dt) for each in found)

    def _flatness(self, process: int) -> Flatness:
        below = np.flatnonzero(self.resolved[:, process] & (self.lags < self.timescales[:, process]))
        if not len(below):
            return UNKNOWN
        # the process as numbered at the longest lag, and where its eigenfunction is found at shorter ones
        last = below[np.argmax(self.lagtimes[below])]
        reference = self.models[int(self.lagtimes[last])]
        found = {}
        for k in np.flatnonzero(self.lagtimes <= self.lagtimes[last]):
            lagtime = int(self.lagtimes[k])
            column = matching(reference, self.models[lagtime])[process] if lagtime in self.models else -1
            if column >= 0 and self.resolved[k, column] and self.lags[k] < self.timescales[k, column]:
                found[lagtime] = self.estimates[lagtime], column
        chosen = [found[lagtime] for lagtime in sorted(found)]
        return flatness(
            self.dt * np.array(sorted(found), float),
            np.array([estimate.value[column] for estimate, column in chosen]),
            np.stack([estimate.samples[:, column] for estimate, column in chosen], axis=1),
            chosen[0][0].n_blocks,
        )

    def headline(self) -> dict[str, object]:
        """Lags, the timescales of the longest with a model, and from where on they are flat."""
        flat = [duration(lag, self.dt) if np.isfinite(lag) else "not seen" for lag in self.flat_from]
        last = max(self.models, default=None)
        return {
            "lags": ", ".join(duration(lag, self.dt) for lag in self.lags),
            "longest": "no model" if last is None else self.models[last].headline()["timescales"],
            "flat from": ", ".join(flat),
            "lags without a model": len(self.failures),
        }

    def __str__(self) -> str:
        lines = []
        for k, lagtime in enumerate(self.lagtimes):
            if int(lagtime) in self.failures:
                lines.append(f"{duration(self.lags[k], self.dt)}: {self.failures[int(lagtime)]}")
                continue
            entries = [
                f"{plus_minus(time, error)} {unit_of(self.dt)}"
                + " (shorter than the lag)" * bool(time < self.lags[k])
                if resolved
                else "under-sampled"
                for time, error, resolved in zip(self.timescales[k], self.errors[k], self.resolved[k])
            ]
            told = self.estimates[int(lagtime)].told
            lines.append(
                f"{duration(self.lags[k], self.dt)}: {', '.join(entries)}" + (f" ({told})" if told else "")
            )
        for process, found in enumerate(self.flatness):
            if self.resolved[:, process].sum() > 1:
                lines.append(f"process {process + 1}: {found}")
        return "\n".join(lines)


@dataclass(frozen=True)
class ImpliedTimescales(Method):
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
        method = MarkovStateModel(1, self.estimator, self.n_processes, counting=self.counting)
        fitted = surviving(
            map(int, self.lagtimes), lambda lag: replace(method, lagtime=lag).fit(data), "lags", 0, told=False
        )
        models = dict(zip(fitted.members, fitted.results))
        # the same number of blocks at all lags, and so the same draws
        blocks = min(map(lasting_blocks, models.values()), default=1)
        barred = surviving(
            models,
            lambda lag: timescale_errors(models[lag], self.samples, self.seed, blocks),
            "lags",
            0,
            told=False,
        )
        estimates = dict(zip(barred.members, barred.results))
        failed = {left.member: reason(left.error) for left in (*fitted.failures, *barred.failures)}
        for k, lagtime in enumerate(map(int, self.lagtimes)):
            if lagtime not in estimates:
                continue
            # a model may have fewer processes than asked for: the rest of its row stays NaN
            model, estimate = models[lagtime], estimates[lagtime]
            count = len(model.timescales)
            timescales[k, :count], errors[k, :count] = model.timescales, estimate.error
            intervals[:, k, :count] = estimate.interval()
            resolved[k, :count] = [process.resolved for process in model.processes]
        return TimescaleScan(
            np.asarray(self.lagtimes),
            data.dt,
            timescales,
            errors,
            intervals,
            resolved,
            {lag: models[lag] for lag in estimates},
            estimates,
            failed,
        )
