"""What every estimator of a transition matrix returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array

from thalweg.kinetics.counts.active_set import Connectivity
from thalweg.kinetics.estimation.newton import NewtonResult
from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class TransitionMatrix:
    """Transition probabilities between connected states.

    Attributes
    ----------
    matrix : (states, states) sparse, rows sum to one
    stationary_distribution : (states,)
    reversible : whether detailed balance holds
    iterations, residual, converged : how the estimation ended
    """

    matrix: csr_array
    stationary_distribution: Shaped[np.ndarray, " states"]
    reversible: bool
    iterations: int = 0
    residual: float = 0.0
    converged: bool = True

    @classmethod
    def from_weights(cls, weights: csr_array) -> TransitionMatrix:
        """The matrix whose equilibrium flow ``pi_i p_ij`` is proportional to the symmetric ``weights``."""
        sums = np.add.reduceat(weights.data, weights.indptr[:-1])
        data = weights.data / np.repeat(sums, np.diff(weights.indptr))
        matrix = csr_array((data, weights.indices, weights.indptr), shape=weights.shape)
        return cls(matrix, sums / sums.sum(), True)

    @classmethod
    def from_flow(cls, flow: csr_array, ending: NewtonResult) -> TransitionMatrix:
        """The same of an estimate, with how its iteration ended."""
        fit = cls.from_weights(flow)
        return replace(
            fit, iterations=ending.iterations, residual=ending.residual, converged=ending.converged
        )


@runtime_checkable
class Estimator(Protocol):
    """An estimator of transition matrices: `Reversible`, `FixedStationary`, `Nonreversible`."""

    @property
    def connectivity(self) -> Connectivity:
        """Which states it can connect."""
        ...

    def among(self, states: np.ndarray) -> Estimator:
        """The estimator for a model of these states only (original numbers)."""
        ...

    def fit(self, counts: csr_array, start: np.ndarray | None = None) -> TransitionMatrix:
        """The transition matrix of connected ``counts``, from a guess of the stationary distribution."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """An estimator whose posterior can be sampled: `Reversible`, `FixedStationary`, `Nonreversible`."""

    def samples(
        self, counts: csr_array, fit: TransitionMatrix, random: np.random.Generator
    ) -> Iterator[TransitionMatrix]:
        """Transition matrices from the posterior given ``counts``, without end; ``fit`` is their estimate."""
        ...
