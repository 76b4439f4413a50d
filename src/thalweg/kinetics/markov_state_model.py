r"""Markov state models: transition probabilities between discrete states a lag time apart [prinz2011].

.. math::  p_{ij} = P(s_{t+\tau} = j \mid s_t = i),\qquad t_k = -\tau / \ln|\lambda_k|

Every result is in the original numbering of the states. States outside the connected set have no
probability, and NaN where a number would need a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from thalweg.kinetics.counts.active_set import ActiveStates, active_set
from thalweg.kinetics.counts.counting import Counting, Sliding
from thalweg.kinetics.counts.counts import TransitionCounts, transition_counts
from thalweg.kinetics.counts.processes import processes_of
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.estimation.spectrum import spectrum
from thalweg.kinetics.estimation.transition_matrix import Estimator, TransitionMatrix
from thalweg.kinetics.scores import gmrq, vamp_score_of_counts
from thalweg.kinetics.simulated import simulated
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_counted
from thalweg.learning.models import Method, Model
from thalweg.time_series.crossings import Process
from thalweg.time_series.relaxation import relaxation_times
from thalweg.units import duration

DENSE = 3000
"""Transition matrices of up to this many states are given as arrays (72 MB), those of more as sparse matrices."""


@dataclass(frozen=True, eq=False)
class MarkovModel(Model):
    """A fitted Markov state model.

    Attributes
    ----------
    method : the `MarkovStateModel` that made it
    counts : transition counts with their blocks
    active : the states it speaks of
    fit : transition matrix between the active states, and how its estimation ended
    trajectories : what it was counted on; None for models of counts
    """

    method: MarkovStateModel
    counts: TransitionCounts
    active: ActiveStates
    fit: TransitionMatrix
    trajectories: DiscreteTrajectories | None = None

    @property
    def n_states(self) -> int:
        """Number of states, active or not."""
        return self.counts.n_states

    @property
    def lagtime(self) -> int:
        """Lag time in frames."""
        return self.counts.lagtime

    @property
    def dt(self) -> float:
        """Time between frames [ps]."""
        return self.counts.dt

    @property
    def lag(self) -> float:
        """Lag time [ps]."""
        return self.counts.lagtime * self.counts.dt

    @cached_property
    def transition_matrix(self) -> np.ndarray | csr_array:
        """Transition probabilities ``(n_states, n_states)``; rows of states that are not active are zero.

        An array of up to `DENSE` states, sparse beyond.
        """
        sparse = self.active.spread_matrix(self.fit.matrix)
        return sparse.toarray() if self.n_states <= DENSE else sparse

    @cached_property
    def stationary_distribution(self) -> np.ndarray:
        """Equilibrium probability of every state ``(n_states,)``; zero outside the active set."""
        return self.active.spread(self.fit.stationary_distribution, outside=0.0)

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenfunctions between the active states, computed when first asked for."""
        return spectrum(self.fit, self.method.n_processes + 1)

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues ``(n_processes + 1,)``, one first."""
        return self._spectrum[0]

    @cached_property
    def eigenfunctions(self) -> np.ndarray:
        """Right eigenvectors ``(n_states, n_processes + 1)``; NaN outside the active set."""
        return self.active.spread(self._spectrum[1], np.nan)

    @property
    def timescales(self) -> np.ndarray:
        """Maximum-likelihood timescales ``(n_processes,)`` [ps], resolved or not; NaN where none decays."""
        return relaxation_times(self.eigenvalues[1:], self.lag)

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Slow processes, slowest first, with the crossings seen of each: quote timescales from here.

        Raises
        ------
        ValueError
            If the model was made from counts alone.
        """
        if self.trajectories is None:
            raise ValueError(
                "crossings are counted on trajectories; fit the model to trajectories, not to counts"
            )
        return processes_of(
            self.trajectories,
            self.counts.n_blocks,
            self.timescales,
            self.eigenfunctions[:, 1:],
            self.counts.lagtime,
        )

    def propagate(self, distribution: np.ndarray, steps: int) -> np.ndarray:
        """A distribution over states ``(..., n_states)`` after ``steps`` lag times."""
        matrix = self.active.spread_matrix(self.fit.matrix)
        for _ in range(steps):
            distribution = distribution @ matrix
        return distribution

    def simulate(
        self, steps: int, runs: int = 1, start: int | None = None, seed: int = 0
    ) -> DiscreteTrajectories:
        """Walks of the model's chain, whose frames are a lag time apart.

        Parameters
        ----------
        steps : frames of each walk
        runs : how many walks
        start : state that all begin in; None draws it from the stationary distribution
        seed : of the random numbers

        Raises
        ------
        ValueError
            If the state is not active, of which the model knows no transitions.
        """
        return simulated(self.fit, self.active, self.lag, steps, runs, start, seed)

    def score(
        self, trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray, r: int = 2
    ) -> float:
        """VAMP-r score of the slowest ``n_processes + 1`` functions on other trajectories; see `scores`.

        States outside the active set are part of the score; there the functions are zero.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs.
        """
        return vamp_score_of_counts(*self._tested(trajectories), r)

    def gmrq(self, trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray) -> float:
        """Generalized matrix Rayleigh quotient of the same functions on other trajectories near equilibrium."""
        return gmrq(*self._tested(trajectories))

    def _tested(
        self, trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray
    ) -> tuple[csr_array, np.ndarray]:
        """Counts of other trajectories and real functions on all states of model and data."""
        counts = transition_counts(trajectories, self.lagtime, n_blocks=1).matrix
        states = max(self.n_states, counts.shape[0])
        counts.resize((states, states))
        # conjugate pairs span the same as their real and imaginary parts
        modes, second = np.nan_to_num(self.eigenfunctions), np.imag(self.eigenvalues) < 0
        functions = np.zeros((states, modes.shape[1]))
        functions[: self.n_states] = np.where(second, np.imag(modes), np.real(modes))
        return counts, functions

    def headline(self) -> dict[str, object]:
        """States, lag, timescales, and the share of data that the model speaks of."""
        quoted = [process.in_short for process in self.processes] if self.trajectories is not None else None
        times = quoted or [duration(time, self.dt) for time in self.timescales]
        return {
            "states": self.n_states,
            "active": len(self.active.states),
            "counts kept": f"{100 * self.active.kept:.4g} %",
            "lag": duration(self.lag, self.dt),
            "timescales": ", ".join(times),
            "reversible": self.fit.reversible,
        }

    def __str__(self) -> str:
        lines = [f"Markov model at lag {duration(self.lag, self.dt)}: {self.active}"]
        if self.counts.report.used.sum():
            lines.append(str(self.counts.report))
        if not self.fit.converged:
            lines.append(f"estimation stopped at a residual of {self.fit.residual:.1e}")
        if self.trajectories is not None:
            lines += [f"process {k + 1}: {process}" for k, process in enumerate(self.processes)]
        else:
            lines.append("timescales " + ", ".join(duration(time, self.dt) for time in self.timescales))
        return "\n".join(lines)


@dataclass(frozen=True)
class MarkovStateModel(Method):
    """Estimation of a Markov state model.

    Parameters
    ----------
    lagtime : int
        In frames.
    estimator : `Reversible`, `FixedStationary` or `Nonreversible`
    n_processes : int
        Number of slow processes to compute.
    n_blocks : int
        About how many blocks of data to keep apart for error bars.
    counting : `Sliding`, `Strided` or `Effective`

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> states = np.cumsum(rng.random(20000) < 0.01) % 2
    >>> model = MarkovStateModel(lagtime=1).fit([states])
    >>> model.stationary_distribution.round(1).tolist(), bool(abs(model.timescales[0] - 50) < 10)
    ([0.5, 0.5], True)
    """

    lagtime: int
    estimator: Estimator = field(default_factory=Reversible)
    n_processes: int = 5
    n_blocks: int = 40
    counting: Counting = field(default_factory=Sliding)

    def fit(self, trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray) -> MarkovModel:
        """The model of discrete trajectories.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs or no states are connected.
        """
        if _is_matrix(trajectories):
            raise ValueError(
                "got a square matrix of numbers that are not whole, which are no states; "
                "use fit_counts(matrix) for a matrix of counts, known_chain(matrix) for one of probabilities"
            )
        data = as_counted(trajectories)
        counts = self.counting.count(data, self.lagtime, self.n_blocks)
        return self.fit_counts(counts, trajectories=data)

    @staticmethod
    def as_data(
        trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray,
    ) -> DiscreteTrajectories:
        """What `fit` takes, as `DiscreteTrajectories`."""
        return as_counted(trajectories)

    def fit_counts(
        self,
        counts: TransitionCounts | np.ndarray | csr_array,
        trajectories: DiscreteTrajectories | None = None,
    ) -> MarkovModel:
        """The model of counts, or of a matrix of counts made elsewhere.

        Parameters
        ----------
        counts : transition counts, or a square matrix of them from row to column, whole numbers or not, a lag time
            apart in frames
        trajectories : what they were counted on, if it is known
        """
        if not isinstance(counts, TransitionCounts):
            counts = TransitionCounts.of_matrix(counts, self.lagtime)
        active = active_set(counts.matrix, self.estimator.connectivity)
        fit = self.estimator.among(active.states).fit(active.restrict(counts.matrix))
        return MarkovModel(self, counts, active, fit, trajectories)


def _is_matrix(data: Any) -> bool:
    """Whether these are counts or probabilities from row to column rather than trajectories of states."""
    if issparse(data):
        return True
    square = isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[0] == data.shape[1]
    return bool(square and data.dtype.kind == "f")
