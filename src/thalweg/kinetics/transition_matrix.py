"""What every estimator of a transition matrix returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array, diags_array

from thalweg.kinetics.active_set import Connectivity
from thalweg.kinetics.newton import Minimum


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
    stationary_distribution: np.ndarray
    reversible: bool
    iterations: int = 0
    residual: float = 0.0
    converged: bool = True

    @classmethod
    def from_flow(cls, flow: csr_array, found: Minimum) -> TransitionMatrix:
        """The matrix whose equilibrium flow ``pi_i p_ij`` is the symmetric ``flow``."""
        stationary = np.asarray(flow.sum(axis=1)).ravel()
        matrix = csr_array(diags_array(1 / stationary) @ flow)
        return cls(
            matrix, stationary / stationary.sum(), True, found.iterations, found.residual, found.converged
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
