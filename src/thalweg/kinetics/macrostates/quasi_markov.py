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

import numpy as np
from scipy.linalg import eigvals

from thalweg.kinetics.counts.multiple_lag_counts import MultipleLagCounts, multiple_lag_counts
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.chapman_kolmogorov import ChapmanKolmogorovTest
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.resampling import Estimate, independent_blocks, resample


@dataclass(frozen=True, eq=False)
class QuasiMarkovModel:
    """A fitted model with memory.

    Attributes
    ----------
    counts : `MultipleLagCounts`
    kernels : (memory, states, states)
    """

    counts: MultipleLagCounts
    kernels: Shaped[np.ndarray, "memory states states"]

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
    def timescales(self) -> np.ndarray:
        """Relaxation times ``(states - 1,)`` [ps] of the slowest decaying solutions; NaN where none decays."""
        memory, states, _ = self.kernels.shape
        # T_n ~ lambda^n solves the recursion if lambda is an eigenvalue of its companion matrix
        companion = np.eye(memory * states, k=-states)
        companion[:states] = np.concatenate(list(self.kernels.transpose(0, 2, 1)), axis=1)
        values = eigvals(companion)
        values = values[np.argsort(-np.real(values))][1:states]
        decaying = (np.real(values) > 0) & (np.abs(values) < 1) & (np.abs(np.imag(values)) < 1e-9)
        return np.where(decaying, -self.lag / np.log(np.where(decaying, np.abs(values), 0.5)), np.nan)

    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Timescales [ps] with block-bootstrap errors."""
        return self._resampled(lambda model: model.timescales, samples, seed)

    def __str__(self) -> str:
        shares = ", ".join(f"{share:.3g}" for share in self.stationary_distribution)
        estimate = self.timescale_errors()
        times = ", ".join(f"{time:.4g} ± {error:.2g}" for time, error in zip(estimate.value, estimate.error))
        return (
            f"quasi-Markov model at lag {self.lag:g} ps, memory {self.memory_time:g} ps: populations {shares}; "
            f"timescales {times} ps"
        )

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
        blocks = independent_blocks(counts, self._slowest)
        observed = resample(counts, MultipleLagCounts.probabilities, None, samples, blocks, seed)
        lags = self.lag * np.arange(1, multiples + 1)
        return ChapmanKolmogorovTest(lags, predicted.value, observed.value, predicted.error, observed.error)

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
            return quantity(QuasiMarkovModel(counts, kernels(counts.probabilities(), memory)))

        return resample(self.counts, replicate, quantity(self), samples, blocks, seed)


@dataclass(frozen=True)
class QuasiMarkov:
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
        counts = multiple_lag_counts(trajectories, self.lagtime, self.memory, self.n_blocks)
        return QuasiMarkovModel(counts, kernels(counts.probabilities(), self.memory))


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
    timescales, errors : (scanned, states - 1) [ps]
    sizes : (scanned,), norm of the last kernel, which noise keeps from vanishing
    """

    memories: Shaped[np.ndarray, " scanned"]
    lag: float
    timescales: np.ndarray
    errors: np.ndarray
    sizes: Shaped[np.ndarray, " scanned"] = field(repr=False)

    def __str__(self) -> str:
        lines = []
        for memory, times, errors in zip(self.memories, self.timescales, self.errors):
            listed = ", ".join(f"{time:.4g} ± {error:.2g}" for time, error in zip(times, errors))
            lines.append(f"memory {memory * self.lag:g} ps: {listed} ps")
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

    Examples
    --------
    >>> side = np.cumsum(np.random.default_rng(0).random(5000) < 0.01) % 2
    >>> memory_scan([side], 1, [1, 3], samples=5).timescales.shape
    (2, 1)
    """
    counts = multiple_lag_counts(trajectories, lagtime, max(memories))
    models = [QuasiMarkovModel(counts, kernels(counts.probabilities(), memory)) for memory in memories]
    errors = [model.timescale_errors(samples, seed).error for model in models]
    return MemoryScan(
        np.asarray(memories),
        models[0].lag,
        np.stack([model.timescales for model in models]),
        np.stack(errors),
        np.array([np.linalg.norm(model.kernels[-1]) for model in models]),
    )
