r"""Hidden Markov models: few metastable states, seen through what they show [rabiner1989] [noe2013b].

Clusters of configurations are rarely Markovian at short lag times; a handful of hidden states that each show
a distribution of clusters, or a Gaussian of features, often are. Transition matrix, initial distribution and
outputs maximize the likelihood of the observations by expectation and maximization [baum1970]
(`forward_backward`, `outputs`, accelerated in `parameters`), started from the metastable sets of a
Markov model (`first_guess`).

Every interleaved sequence of frames a lag time apart is used and counts for its share. The number of
hidden states is a choice: it should be the number of slow processes above a gap, plus one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.estimation.spectrum import spectrum
from thalweg.kinetics.estimation.transition_matrix import Estimator, TransitionMatrix
from thalweg.kinetics.hidden.first_guess import first_guess
from thalweg.kinetics.hidden.observations import Observations, observations
from thalweg.kinetics.hidden.outputs import DiscreteOutput, GaussianOutput
from thalweg.kinetics.hidden.parameters import HiddenParameters, squared_extrapolation
from thalweg.kinetics.hidden.recursion import Workspace
from thalweg.kinetics.scores import vamp_score_of_counts
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.time_series.trajectories import Trajectories

Data = DiscreteTrajectories | Trajectories | Sequence[np.ndarray]


@dataclass(frozen=True, eq=False)
class HiddenModel:
    """A fitted hidden Markov model, the most populated hidden state first.

    Attributes
    ----------
    method : the `HiddenMarkovModel` that made it
    fit : transition matrix between hidden states
    initial_distribution : (hidden,), where trajectories begin
    output : `DiscreteOutput` or `GaussianOutput`
    dt : time between frames [ps]
    log_likelihood : of the observations, per sequence of frames a lag time apart
    iterations, converged : how the estimation ended
    observed : what it was fitted to
    """

    method: HiddenMarkovModel
    fit: TransitionMatrix
    initial_distribution: np.ndarray
    output: DiscreteOutput | GaussianOutput
    dt: float
    log_likelihood: float
    iterations: int
    converged: bool
    observed: Observations

    @property
    def n_hidden(self) -> int:
        """Number of hidden states."""
        return len(self.initial_distribution)

    @property
    def lagtime(self) -> int:
        """Lag time in frames."""
        return self.method.lagtime

    @property
    def lag(self) -> float:
        """Lag time [ps]."""
        return self.method.lagtime * self.dt

    @cached_property
    def transition_matrix(self) -> np.ndarray:
        """Transition probabilities between hidden states ``(hidden, hidden)``."""
        return self.fit.matrix.toarray()

    @property
    def stationary_distribution(self) -> np.ndarray:
        """Equilibrium probabilities of hidden states ``(hidden,)``."""
        return self.fit.stationary_distribution

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues ``(hidden,)``, one first."""
        return spectrum(self.fit, self.n_hidden)[0]

    @property
    def timescales(self) -> np.ndarray:
        """Relaxation times ``(hidden - 1,)`` [ps], slowest first; NaN where none decays."""
        size = np.abs(self.eigenvalues[1:])
        decaying = (size > 0) & (size < 1) & (np.real(self.eigenvalues[1:]) > 0)
        return np.where(decaying, -self.lag / np.log(np.where(decaying, size, 0.5)), np.nan)

    @property
    def state_memberships(self) -> np.ndarray:
        """Probability of hidden states given one observed state ``(n_states, hidden)``; NaN where never shown.

        Raises
        ------
        ValueError
            If the outputs are Gaussian: use `memberships` of frames.
        """
        if not isinstance(self.output, DiscreteOutput):
            raise ValueError("outputs are Gaussian, there are no observed states; use memberships(data)")
        joint = (self.stationary_distribution[:, None] * self.output.probabilities).T
        total = joint.sum(axis=1, keepdims=True)
        return np.where(total > 0, joint / np.where(total > 0, total, 1), np.nan)

    def memberships(self, data: Data) -> list[np.ndarray]:
        """Probabilities of hidden states given all observations, ``(frames, hidden)`` per trajectory."""
        start = self.initial_distribution, self.stationary_distribution
        return self._observations(data).memberships(self.output, self.transition_matrix, *start)

    def most_likely_path(self, data: Data) -> list[np.ndarray]:
        """The most likely sequence of hidden states, int ``(frames,)`` per trajectory."""
        start = self.initial_distribution, self.stationary_distribution
        return self._observations(data).path(self.output, self.transition_matrix, *start)

    def score(self, data: Data, r: int = 2) -> float:
        """VAMP-r score on other data of the ``hidden`` functions that are memberships given a single frame.

        States that the model has never seen are part of the score; there the functions are zero.
        """
        observed = observations(data, self.lagtime, self.method.n_blocks)
        observed.check_kind(self.output)
        first, last = observed.pairs()
        # Pr(hidden i | frame) = pi_i b_i(x) / sum_j pi_j b_j(x)
        relative, _ = self.output.relative(observed.flat)
        joint = relative * self.stationary_distribution[:, None]
        functions = np.ascontiguousarray((joint / joint.sum(axis=0)).T)
        if isinstance(self.output, DiscreteOutput):
            functions[~self.output.shows(observed.flat)] = 0.0
        pairs = csr_array((np.ones(len(first)), (first, last)), shape=(len(functions),) * 2)
        return vamp_score_of_counts(pairs, functions, r)

    def log_likelihood_of(self, data: Data) -> float:
        """Log-likelihood of other data, per sequence of frames a lag time apart."""
        start = self.initial_distribution, self.stationary_distribution
        _, expected, _ = self._observations(data).expectation(self.output, self.transition_matrix, *start)
        return expected.log_likelihood / self.lagtime

    def _observations(self, data: Data) -> Observations:
        observed = observations(data, self.lagtime, self.method.n_blocks)
        observed.check(self.output)
        return observed

    def __str__(self) -> str:
        times = ", ".join(f"{time:.4g}" for time in self.timescales)
        shares = ", ".join(f"{share:.3g}" for share in self.stationary_distribution)
        ended = "" if self.converged else f"; stopped after {self.iterations} iterations"
        return (
            f"hidden Markov model at lag {self.lag:g} ps: populations {shares}; timescales {times} ps{ended}"
        )


@dataclass(frozen=True)
class HiddenMarkovModel:
    """Estimation of a hidden Markov model.

    Discrete trajectories give discrete outputs, trajectories of features Gaussian ones.

    Parameters
    ----------
    n_hidden : int
        Number of hidden states.
    lagtime : int
        In frames.
    estimator : `Reversible` or `Nonreversible`
        Of the transition matrix between hidden states.
    restarts : int
        First guesses tried for some iterations, the best of which is continued.
    tolerance : float
        Iteration ends when it gains less log-likelihood than this.
    max_iterations : int
    n_blocks : int
        About how many blocks of data to keep apart for error bars.
    seed : int

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> hidden = np.cumsum(rng.random(2000) < 0.02) % 2
    >>> model = HiddenMarkovModel(2, restarts=1).fit([np.where(rng.random(2000) < 0.2, 1 - hidden, hidden)])
    >>> model.output.probabilities.round(1).tolist() in ([[0.8, 0.2], [0.2, 0.8]], [[0.2, 0.8], [0.8, 0.2]])
    True
    """

    n_hidden: int
    lagtime: int = 1
    estimator: Estimator = field(default_factory=Reversible)
    restarts: int = 3
    tolerance: float = 1e-5
    max_iterations: int = 1000
    n_blocks: int = 40
    seed: int = 0

    def fit(self, data: Data, progress: Callable[[int, float], None] | None = None) -> HiddenModel:
        """The model of discrete trajectories or of trajectories of features.

        Parameters
        ----------
        progress : called with the iteration and its log-likelihood

        Raises
        ------
        ValueError
            If there are weights, fewer than two hidden states, or no first guess can be made.
        """
        observed = observations(data, self.lagtime, self.n_blocks)
        if self.n_hidden < 2:
            raise ValueError(f"n_hidden={self.n_hidden} must be at least two")
        candidates = []
        for restart in range(max(self.restarts, 1)):
            guess = first_guess(observed, self.n_hidden, self.seed + restart, mixed=restart > 0)
            model = HiddenModel(self, *guess, observed.dt, -np.inf, 0, False, observed)
            candidates.append(self.improved(model, observed, 20 if self.restarts > 1 else 0))
        best = max(candidates, key=lambda model: model.log_likelihood)
        return self._sorted(self.improved(best, observed, self.max_iterations, progress))

    def improved(
        self,
        model: HiddenModel,
        observed: Observations,
        iterations: int,
        progress: Callable[[int, float], None] | None = None,
    ) -> HiddenModel:
        """A model after more iterations, until they gain nothing, on observations that may be weighted."""
        current, done, workspace = observed, 0, Workspace(model.n_hidden)

        def step(now: HiddenParameters) -> tuple[float, HiddenParameters]:
            nonlocal current, done
            # expectation: gamma and c given theta; lanes that had to run in longer stay so
            start = now.initial, now.fit.stationary_distribution
            current, expected, tally = current.expectation(
                now.output, now.fit.matrix.toarray(), *start, workspace
            )
            value, done = expected.log_likelihood / self.lagtime, done + 1
            if progress is not None:
                progress(done, value)
            # maximization: P of the expected counts, the initial distribution of the beginnings, outputs of the tally
            transitions = np.maximum(expected.transitions, 1e-12 * expected.transitions.sum())
            fit = self.estimator.fit(csr_array(transitions), now.fit.stationary_distribution)
            beginnings = expected.initial.sum()  # zero if resampled data hold no beginning of a trajectory
            initial = expected.initial / beginnings if beginnings > 0 else now.initial
            return value, HiddenParameters(fit, initial, now.output.refitted(tally))

        begin = HiddenParameters(model.fit, model.initial_distribution, model.output)
        best, value, done, converged = squared_extrapolation(step, begin, self.tolerance, iterations)
        return replace(
            model,
            fit=best.fit,
            output=best.output,
            initial_distribution=best.initial,
            log_likelihood=value,
            iterations=model.iterations + done,
            converged=converged,
            observed=current,
        )

    def _sorted(self, model: HiddenModel) -> HiddenModel:
        """Hidden states by population."""
        order = np.argsort(-model.stationary_distribution)
        fit = replace(
            model.fit,
            matrix=csr_array(model.transition_matrix[np.ix_(order, order)]),
            stationary_distribution=model.stationary_distribution[order],
        )
        initial = model.initial_distribution[order]
        return replace(model, fit=fit, initial_distribution=initial, output=model.output.permuted(order))
