r"""Quasi-Markov models: few states with memory, by the discrete generalized master equation [cao2020].

A lumped process is not Markovian, but what it forgets only after a while is a property of few matrices.
With observed transition probabilities :math:`T_n` at ``n`` times the lag time,

.. math::  T_n = \sum_{m=1}^{\min(n, M)} T_{n-m}\, K_m,\qquad T_0 = 1 ,

defines kernels :math:`K_m` one after another, exactly [cerrillo2014]; :math:`K_1 = T_1` is a Markov model.
They die out at the memory time :math:`M\tau`, often far below the lag time at which a Markov model of the same
states would hold, and the same equation then predicts all later times from data not longer than that.
Timescales are those of its decaying solutions :math:`T_n \propto \lambda^n`.

Kernels further out only add noise: take the shortest memory after which timescales stay the same
(`memory_scan`). States must have been in equilibrium within themselves where runs began, as for any lumped
model; weights can help.

========  ================================================================
symbol    meaning
========  ================================================================
``T``     ``observed``, probabilities from row to column
``K``     ``kernels``, ``M = memory`` of them
========  ================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
from scipy.linalg import eig

from thalweg.kinetics.counts.multiple_lag_counts import MultipleLagCounts, multiple_lag_counts
from thalweg.kinetics.counts.processes import processes_of
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.kinetics.validation.chapman_kolmogorov import ChapmanKolmogorovTest
from thalweg.learning.models import Method, Model
from thalweg.machine.surviving import reason, surviving
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.crossings import Process
from thalweg.time_series.relaxation import relaxation_times, relaxing_order
from thalweg.time_series.resampling import Estimate, independent_blocks, plus_minus, resample
from thalweg.time_series.trajectories import pair_report
from thalweg.units import duration, unit_of


@dataclass(frozen=True, eq=False)
class QuasiMarkovModel(Model):
    """A fitted model with memory.

    Attributes
    ----------
    counts : `MultipleLagCounts`
    kernels : (memory, states, states)
    trajectories : what was counted; None for models of counts
    """

    counts: MultipleLagCounts
    kernels: Shaped[np.ndarray, "memory states states"]
    trajectories: DiscreteTrajectories | None = None

    def headline(self) -> dict[str, object]:
        """States, lag, populations and timescales."""
        return {
            "states": len(self.stationary_distribution),
            "lag": duration(self.lag, self.counts.dt),
            "populations": self.stationary_distribution,
            "timescales": ", ".join(duration(time, self.counts.dt) for time in self.timescales),
        }

    @property
    def lag(self) -> float:
        """Lag time [ps]."""
        return self.counts.lagtime * self.counts.dt

    @property
    def memory_time(self) -> float:
        """Time after which nothing is remembered [ps]."""
        return self.lag * len(self.kernels)

    def predicted(self, steps: int) -> np.ndarray:
        """Transition probabilities ``(steps + 1, states, states)`` at times ``0 ... steps`` lag times."""
        matrices = [np.eye(self.kernels.shape[1])]
        for step in range(1, steps + 1):
            terms = (matrices[step - m] @ kernel for m, kernel in enumerate(self.kernels[:step], start=1))
            matrices.append(sum(terms))
        return np.stack(matrices)

    @cached_property
    def stationary_distribution(self) -> np.ndarray:
        """Equilibrium probabilities ``(states,)``."""
        values, vectors = np.linalg.eig(self.kernels.sum(axis=0).T)
        weights = np.real(vectors[:, np.argmin(np.abs(values - 1))])
        return weights / weights.sum()

    @cached_property
    def _solutions(self) -> tuple[np.ndarray, np.ndarray]:
        """Slowest decaying solutions ``lambda^n``: ``lambda`` ``(states - 1,)``, zero for none, and populations."""
        memory, states, _ = self.kernels.shape
        # T_n ~ lambda^n solves the recursion if lambda is an eigenvalue of its companion matrix
        companion = np.eye(memory * states, k=-states)
        companion[:states] = np.concatenate(list(self.kernels.transpose(0, 2, 1)), axis=1)
        values, vectors = eig(companion)
        order = relaxing_order(values)[1:]
        # oscillations are noise of chains at equilibrium; what is left is filled up with none
        order = order[(np.abs(values[order].imag) < 1e-9) & (values[order].real > 0)][: states - 1]
        found, populations = np.zeros(states - 1), np.zeros((states, states - 1))
        found[: len(order)] = values[order].real
        populations[:, : len(order)] = vectors[:states, order].real
        return found, populations

    @cached_property
    def timescales(self) -> np.ndarray:
        """Relaxation times ``(states - 1,)`` [ps], slowest first, then NaN where no more solutions decay."""
        return relaxation_times(self._solutions[0], self.lag)

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Slow processes, slowest first, with the crossings seen of each: quote timescales from here.

        Raises
        ------
        ValueError
            If the model was made from counts alone.
        """
        if self.trajectories is None:
            raise ValueError("crossings are counted on trajectories; fit the model to trajectories")
        # a function is its populations over those of equilibrium
        functions = self._solutions[1] / self.stationary_distribution[:, None]
        return processes_of(
            self.trajectories, self.counts.n_blocks, self.timescales, functions, self.counts.lagtime
        )

    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Timescales [ps] with block-bootstrap errors."""
        return self._resampled(lambda model: model.timescales, samples, seed)

    def __str__(self) -> str:
        shares = ", ".join(f"{share:.3g}" for share in self.stationary_distribution)
        memory = duration(self.memory_time, self.lag)
        head = f"quasi-Markov model at lag {duration(self.lag)}, memory {memory}: populations {shares}"
        if self.trajectories is None:
            return f"{head}; timescales {self.timescale_errors()} {unit_of(self.lag)}"
        errors = self.timescale_errors().error
        lines = [
            f"process {k + 1}: {process}"
            + f", ± {errors[k]:.2g} {unit_of(self.lag)}" * bool(process.resolved and errors[k] > 0)
            for k, process in enumerate(self.processes)
        ]
        return "\n".join([head, *lines])

    def compared(
        self,
        trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
        multiples: int,
        samples: int = 50,
        seed: int = 0,
    ) -> ChapmanKolmogorovTest:
        """The Chapman-Kolmogorov test: predictions beside observations at ``1 ... multiples`` lag times.

        Within the memory both are the same by construction; beyond it the model is tested.

        Raises
        ------
        ValueError
            If the longest lag leaves no pairs, or a state has no counts there.
        """
        counts = multiple_lag_counts(trajectories, self.counts.lagtime, multiples, self.counts.n_blocks)
        predicted = self._resampled(lambda model: model.predicted(multiples)[1:], samples, seed)
        # the same number of blocks and the same seed draw the same data
        observed = resample(counts, MultipleLagCounts.probabilities, None, samples, predicted.n_blocks, seed)
        return ChapmanKolmogorovTest.between(self.lag * np.arange(1, multiples + 1), predicted, observed)

    @property
    def _slowest(self) -> float:
        """What blocks must be longer than [frames]."""
        return float(np.nanmax(np.append(self.timescales, 0.0))) / self.counts.dt + self.counts.lagtime

    @on_one_thread
    def _resampled(
        self, quantity: Callable[[QuasiMarkovModel], np.ndarray], samples: int, seed: int
    ) -> Estimate:
        """A quantity with block-bootstrap errors."""
        memory, blocks = len(self.kernels), independent_blocks(self.counts, self._slowest)

        def replicate(counts: MultipleLagCounts) -> np.ndarray:
            return quantity(QuasiMarkovModel(counts, kernels(counts.probabilities(memory), memory)))

        return resample(self.counts, replicate, quantity(self), samples, blocks, seed)


@dataclass(frozen=True)
class QuasiMarkov(Method):
    """Estimation of a quasi-Markov model.

    Parameters
    ----------
    lagtime : int
        In frames.
    memory : int
        Number of kernels, in lag times.
    n_blocks : int
        About how many blocks of data to keep apart for error bars.

    Examples
    --------
    >>> side = np.cumsum(np.random.default_rng(0).random(50000) < 0.01) % 2
    >>> observed = np.where(np.random.default_rng(1).random(50000) < 0.1, 1 - side, side)
    >>> [round(float(QuasiMarkov(1, memory).fit([observed]).timescales[0])) for memory in (1, 8)]
    [2, 44]
    """

    lagtime: int
    memory: int
    n_blocks: int = 40

    def fit(self, trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray) -> QuasiMarkovModel:
        """The model of trajectories of few states.

        Raises
        ------
        ValueError
            If the memory is below one, leaves no pairs, or a state has no counts.
        """
        if self.memory < 1:
            raise ValueError(f"memory={self.memory} must be at least one lag time")
        data = as_discrete(trajectories)
        counts = multiple_lag_counts(data, self.lagtime, self.memory, self.n_blocks)
        return QuasiMarkovModel(counts, kernels(counts.probabilities(), self.memory), data)


def kernels(observed: np.ndarray, memory: int) -> np.ndarray:
    """Kernels ``(memory, states, states)`` that reproduce probabilities ``(multiples, states, states)``.

    Parameters
    ----------
    observed : (multiples, states, states), ``T_1, T_2, ...``
    memory : number of kernels, at most the number of multiples

    Examples
    --------
    >>> chain = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> kernels(np.stack([chain, chain @ chain]), 2).round(12).tolist()[1]
    [[0.0, 0.0], [0.0, 0.0]]
    """
    memory_kernels: list[np.ndarray] = []
    for step in range(memory):
        # K_n = T_n - sum_{m<n} T_{n-m} K_m
        rest = observed[step].copy()
        for m, kernel in enumerate(memory_kernels):
            rest -= observed[step - m - 1] @ kernel
        memory_kernels.append(rest)
    return np.stack(memory_kernels)


@dataclass(frozen=True, eq=False)
class MemoryScan:
    """Timescales for growing memory.

    Attributes
    ----------
    memories : (scanned,), in lag times
    lag : [ps]
    timescales, errors : (scanned, states - 1) [ps]; NaN where there is no model
    resolved : (scanned, states - 1), whether the data show the process often enough to quote its timescale
    sizes : (scanned,), norm of the last kernel, which noise keeps from vanishing
    failures : memory in lag times -> why there is no model
    """

    memories: Shaped[np.ndarray, " scanned"]
    lag: float
    timescales: np.ndarray
    errors: np.ndarray
    resolved: np.ndarray
    sizes: Shaped[np.ndarray, " scanned"] = field(repr=False)
    failures: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = []
        for memory, times, errors, resolved in zip(
            self.memories, self.timescales, self.errors, self.resolved
        ):
            listed = ", ".join(
                f"{plus_minus(time, error)} {unit_of(self.lag)}" if known else "under-sampled"
                for time, error, known in zip(times, errors, resolved)
            )
            lines.append(
                f"memory {duration(memory * self.lag, self.lag)}: {self.failures.get(int(memory), listed)}"
            )
        return "\n".join(lines)


def memory_scan(
    trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
    lagtime: int,
    memories: Sequence[int],
    samples: int = 50,
    seed: int = 0,
) -> MemoryScan:
    """Models of several memories from the same counts.

    Parameters
    ----------
    trajectories : of few states
    lagtime : in frames
    memories : numbers of kernels
    samples : bootstrap replicates of each model
    seed : of the replicates

    Raises
    ------
    ValueError
        If no memory gives a model.

    Examples
    --------
    >>> side = np.cumsum(np.random.default_rng(0).random(5000) < 0.01) % 2
    >>> memory_scan([side], 1, [1, 3], samples=5).timescales.shape
    (2, 1)
    """
    data = as_discrete(trajectories)
    # the longest memory that leaves pairs; longer ones fail alone, by the words of the report
    feasible = [memory for memory in memories if lagtime * memory < data.lengths.max()]
    counts = multiple_lag_counts(data, lagtime, max(feasible, default=min(memories)))

    def row(memory: int) -> tuple[np.ndarray, ...]:
        pair_report(data.lengths, lagtime * memory)
        model = QuasiMarkovModel(counts, kernels(counts.probabilities(memory), memory), data)
        resolved = np.array([process.resolved for process in model.processes], bool)
        errors = model.timescale_errors(samples, seed).error
        return model.timescales, errors, resolved, np.array(np.linalg.norm(model.kernels[-1]))

    found = surviving([int(memory) for memory in memories], row, "memories", told=False)
    shape = len(memories), cast(int, data.n_states) - 1
    table = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, bool), np.full(shape[0], np.nan)
    for memory, values in zip(found.members, found.results):
        for column, value in zip(table, values):
            column[np.asarray(memories) == memory] = value
    failures = {left.member: reason(left.error) for left in found.failures}
    return MemoryScan(np.asarray(memories), lagtime * data.dt, *table, failures)
