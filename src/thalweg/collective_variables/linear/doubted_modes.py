"""What the data say about dynamic modes: crossings, blocks left out, measurement noise.

A mode that moves by rule, as a signal without noise does, needs no crossings to be known: what relaxation at random
would leave unpredicted is not there.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.held_out import FOLDS, dealt_folds, overfitted
from thalweg.collective_variables.linear.evidence import diagnosed, undersampled
from thalweg.collective_variables.linear.instruments import (
    Operator,
    instrumented_sums,
    mean_products,
    without_instruments,
)
from thalweg.time_series.crossings import Process, observed_process
from thalweg.time_series.resampling import resample
from thalweg.time_series.trajectories import Trajectories

LOOKED_AT = 10
"""Slowest modes whose crossings are counted."""

BLOCKS = 10
"""Blocks of data among which they are counted."""

EXACT = 1e-3
"""Share of what relaxation would leave unpredicted below which a mode moves by rule."""

NOISY = 1.2
"""Factor by which the slowest time is longer with instruments, from which it is pointed out."""

COMPARED = 200
"""Functions up to which times are compared with those by instruments."""

REPLICATES = 20
"""Bootstrap replicates of that comparison."""


@runtime_checkable
class _ModeMethod(Protocol):
    """A dynamic mode decomposition: DMD or EDMD."""

    @property
    def lagtime(self) -> int: ...

    @property
    def n_blocks(self) -> int: ...

    @property
    def instruments(self) -> int: ...

    @property
    def centered(self) -> bool: ...

    def operator(self, sums: Covariances, instruments: int | None = None) -> Operator: ...


class _Doubts(NamedTuple):
    """Processes of modes by their number, and what speaks against the slowest."""

    processes: dict[int, Process]
    notes: tuple[str, ...]


def mode_doubts(
    method: _ModeMethod, columns: Trajectories, sums: Covariances, found: Operator, offsets: np.ndarray
) -> _Doubts:
    """What the data say about the slowest modes of an operator.

    Parameters
    ----------
    columns : values of the functions
    sums : of the functions, in blocks
    found : the operator
    offsets : (modes,), constants of the eigenfunctions
    """
    times = mode_times(found.values, sums.lagtime * sums.dt)

    def crossed() -> dict[int, Process]:
        return _processes(columns, sums.lagtime, found.matrix @ found.vectors, offsets, found.values, times)

    processes, notes = diagnosed("crossings", crossed, {})
    notes += undersampled(list(processes.values()))
    if 0 not in processes:
        return _Doubts(processes, notes)
    slowest = np.array([times[0] if times[0] > 0 else np.nan])
    by_chance, failed = diagnosed(
        "slowness on data left out", lambda: overfitted(slowest, _held_out(method, sums)), ()
    )
    notes += by_chance + failed
    if not by_chance and processes[0].sampled:
        noisy, failed = diagnosed("measurement noise", lambda: _noise(method, columns, float(slowest[0])), ())
        notes += noisy + failed
    return _Doubts(processes, notes)


def mode_times(eigenvalues: np.ndarray, lag: float) -> np.ndarray:
    """``-lag / ln|eigenvalue|`` [ps]; infinite for one, negative for what grows."""
    with np.errstate(divide="ignore"):
        rates = -np.log(np.abs(eigenvalues)) / lag
        return np.where(np.abs(rates) < 1e-12 / lag, np.inf, 1 / rates)


def _processes(
    columns: Trajectories,
    lagtime: int,
    vectors: np.ndarray,
    offsets: np.ndarray,
    values: np.ndarray,
    times: np.ndarray,
) -> dict[int, Process]:
    """Crossings of the slowest modes, without those that move by rule, one of each complex pair."""
    part = [k for k in range(min(LOOKED_AT, len(values))) if values[k].imag >= 0]
    runs: list[list[np.ndarray]] = [[] for _ in range(len(columns))]
    for k, _, frames in columns.chunks():
        runs[k].append(frames @ vectors[:, part] + offsets[part])
    series = [np.concatenate(chunks) for chunks in runs]
    now = np.concatenate([run[:-lagtime] for run in series])
    later = np.concatenate([run[lagtime:] for run in series])
    size = (np.abs(now) ** 2).mean(axis=0)
    left = (np.abs(later - now * values[part]) ** 2).mean(axis=0)
    # relaxation at random leaves 1 - |lambda|^2 unpredicted; motion by rule leaves nothing
    ruled = left <= (EXACT * np.abs(1 - np.abs(values[part]) ** 2) + 1e-8) * size
    return {
        k: observed_process(
            float(times[k]) if times[k] > 0 else float("nan"),
            [run[:, j].real for run in series],
            BLOCKS,
            columns.dt,
            lagtime,
        )
        for j, k in enumerate(part)
        if not ruled[j]
    }


def _held_out(method: _ModeMethod, sums: Covariances) -> np.ndarray:
    """The slowest decay time ``(1,)`` [ps] on blocks that had no part in finding its mode."""
    fold = dealt_folds(sums.n_blocks, FOLDS)
    correlation, size = 0.0 + 0.0j, 0.0 + 0.0j
    for k in range(FOLDS):
        found = method.operator(sums.resampled(1.0 * (fold != k)))
        vector = found.matrix @ found.vectors[:, 0]
        left = mean_products(sums.resampled(1.0 * (fold == k)), method.instruments, method.centered)
        correlation += vector.conj() @ left.last @ vector
        size += vector.conj() @ left.first @ vector
    return mode_times(np.array([correlation / size]), sums.lagtime * sums.dt)


def _noise(method: _ModeMethod, columns: Trajectories, plain: float) -> tuple[str, ...]:
    """A note if the slowest time is longer, beyond chance, where earlier frames are instruments."""
    lagtime = method.lagtime
    small = columns.n_features <= COMPARED and int(columns.lengths.max()) > 2 * lagtime
    if method.instruments or not small or not plain > 0:
        return ()
    sums = instrumented_sums(columns, lagtime, lagtime, method.n_blocks)

    def slowest(part: Covariances) -> float:
        return float(np.abs(method.operator(part, lagtime).values[0]))

    def longer(part: Covariances) -> float:
        return slowest(part) - float(np.abs(method.operator(without_instruments(part), 0).values[0]))

    time = float(mode_times(np.array([slowest(sums)]), lagtime * sums.dt)[0])
    if not (time > NOISY * plain or time < 0):
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = resample(sums, longer, samples=REPLICATES).samples
    if not np.nanquantile(drawn, 0.1) > 0:
        return ()
    there = f"{time:.4g} ps" if time > 0 else "no decay"
    return (
        f"the slowest time is {plain:.4g} ps, and {there} where earlier frames are instruments: measurement noise, or "
        f"processes that the functions do not resolve, shorten it; take instruments={lagtime}, or a longer lagtime",
    )
