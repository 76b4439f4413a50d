r"""Hidden Markov models: few metastable states, seen through what they show [rabiner1989] [noe2013b].

Clusters of configurations are rarely Markovian at short lag times; a handful of hidden states that each show
a distribution of clusters, or a Gaussian of features, often are. Transition matrix, initial distribution and
outputs maximize the likelihood of the observations by expectation and maximization [baum1970]
(`forward_backward`, `outputs`, accelerated in `parameters`), started from the metastable sets of a
Markov model (`first_guess`).

Every interleaved sequence of frames a lag time apart is used and counts for its share. The number of
hidden states is a choice: it should be the number of slow processes above a gap, plus one. Hidden states that end
with less than a frame are dead and dropped. Hidden states that the data never show to be exchanged are not connected:
as in a Markov model, rates and populations are those of the connected ones with most of the data, and a process has
a timescale to quote only where it was crossed often enough (`thalweg.time_series.crossings`).
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from thalweg.kinetics.counts.active_set import ActiveStates
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.estimation.spectrum import spectrum
from thalweg.kinetics.estimation.transition_matrix import Estimator, TransitionMatrix
from thalweg.kinetics.hidden.first_guess import first_guess
from thalweg.kinetics.hidden.forward_backward import Expectation
from thalweg.kinetics.hidden.observations import Observations, as_observed, observations
from thalweg.kinetics.hidden.outputs import DiscreteOutput, GaussianOutput
from thalweg.kinetics.hidden.parameters import HiddenParameters, squared_extrapolation
from thalweg.kinetics.hidden.recursion import Workspace
from thalweg.kinetics.scores import vamp_score_of_counts
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.learning.models import Method, Model
from thalweg.machine.surviving import surviving
from thalweg.time_series.crossings import Process, observed_process
from thalweg.time_series.relaxation import relaxation_times
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import duration

Data = DiscreteTrajectories | Trajectories | Sequence[np.ndarray]

LEAST_COUNT = 1e-3
"""Transitions between hidden states are counted as this many where fewer are expected, so that none becomes impossible
while the iteration may still need it."""

SHOWN = 1e-2
"""Expected transitions from which on the data show that one hidden state is left for another."""

LEAST_FRAMES = 1.0
"""A hidden state with fewer expected frames is dead."""


@dataclass(frozen=True, eq=False)
class HiddenModel(Model):
    """A fitted hidden Markov model, the most populated hidden state first.

    Attributes
    ----------
    method : the `HiddenMarkovModel` that made it
    fit : transition matrix between all hidden states, connected or not, which inference uses
    initial_distribution : (hidden,), where trajectories begin
    output : `DiscreteOutput` or `GaussianOutput`
    dt : time between frames [ps]
    log_likelihood : of the observations, per sequence of frames a lag time apart
    iterations, converged : how the estimation ended
    observed : what it was fitted to
    expected : transitions and beginnings expected of the hidden states given the observations
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
    expected: Expectation

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
    def active(self) -> ActiveStates:
        """The connected hidden states with most of the data: those that the model speaks of."""
        counts = self.expected.transitions
        _, part = connected_components(
            csr_array(counts > SHOWN), connection=self.method.estimator.connectivity
        )
        inside = np.bincount(part, (counts * (part[:, None] == part)).sum(axis=1))
        return ActiveStates(
            np.flatnonzero(part == inside.argmax()), self.n_hidden, float(inside.max() / counts.sum())
        )

    @cached_property
    def _connected(self) -> TransitionMatrix:
        """Transitions between the active hidden states."""
        if self.active.complete:
            return self.fit
        if len(self.active.states) == 1:
            return TransitionMatrix(csr_array(np.ones((1, 1))), np.ones(1), True)
        counts = csr_array(np.maximum(self.expected.transitions, LEAST_COUNT))
        return self.method.estimator.fit(self.active.restrict(counts))

    @cached_property
    def transition_matrix(self) -> np.ndarray:
        """Transition probabilities between hidden states ``(hidden, hidden)``; rows that are not active are zero."""
        return self.active.spread_matrix(self._connected.matrix).toarray()

    @cached_property
    def stationary_distribution(self) -> np.ndarray:
        """Equilibrium probabilities of hidden states ``(hidden,)``; zero outside the active ones."""
        return self.active.spread(self._connected.stationary_distribution, outside=0.0)

    @property
    def shares(self) -> np.ndarray:
        """Share of frames in every hidden state ``(hidden,)``: at equilibrium if all are connected, else as seen."""
        if self.active.complete:
            return self.fit.stationary_distribution
        frames = _occupancy(self.expected)
        return frames / frames.sum()

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenfunctions between the active hidden states."""
        return spectrum(self._connected, len(self.active.states))

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues ``(hidden,)``, one first; NaN for as many as hidden states are not active."""
        values = self._spectrum[0]
        return np.append(values, np.full(self.n_hidden - len(values), np.nan))

    @cached_property
    def eigenfunctions(self) -> np.ndarray:
        """Right eigenvectors ``(hidden, active)`` of the active hidden states; NaN for the others."""
        return self.active.spread(self._spectrum[1], np.nan)

    @property
    def timescales(self) -> np.ndarray:
        """Relaxation times ``(hidden - 1,)`` [ps], slowest first, resolved or not; NaN where none decays."""
        return relaxation_times(self.eigenvalues[1:], self.lag)

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Slow processes, slowest first, with the crossings seen of each: quote timescales from here.

        A process is followed frame by frame as the mean of its eigenfunction over the hidden states given all
        observations. Of the interleaved sequences a lag time apart, the one with the median of crossings counts.
        """
        series = self.observed.memberships(self.output, self.fit.matrix.toarray(), *self._start)
        return tuple(
            _crossed(
                time, [hidden @ np.nan_to_num(function) for hidden in series], self.lagtime, self.observed
            )
            for time, function in zip(self.timescales, np.real(self.eigenfunctions[:, 1:]).T)
        )

    @property
    def _start(self) -> tuple[np.ndarray, np.ndarray]:
        """Where trajectories begin, and where run-ins do."""
        return self.initial_distribution, self.shares

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
        joint = (self.shares[:, None] * self.output.probabilities).T
        total = joint.sum(axis=1, keepdims=True)
        return np.where(total > 0, joint / np.where(total > 0, total, 1), np.nan)

    def memberships(self, data: Data) -> list[np.ndarray]:
        """Probabilities of hidden states given all observations, ``(frames, hidden)`` per trajectory."""
        return self._observations(data).memberships(self.output, self.fit.matrix.toarray(), *self._start)

    def most_likely_path(self, data: Data) -> list[np.ndarray]:
        """The most likely sequence of hidden states, int ``(frames,)`` per trajectory."""
        return self._observations(data).path(self.output, self.fit.matrix.toarray(), *self._start)

    def score(self, data: Data, r: int = 2) -> float:
        """VAMP-r score on other data of the ``hidden`` functions that are memberships given a single frame.

        States that the model has never seen are part of the score; there the functions are zero.
        """
        observed = observations(data, self.lagtime, self.method.n_blocks)
        observed.check_kind(self.output)
        first, last = observed.pairs()
        # Pr(hidden i | frame) = pi_i b_i(x) / sum_j pi_j b_j(x)
        relative, _ = self.output.relative(observed.flat)
        joint = relative * self.shares[:, None]
        functions = np.ascontiguousarray((joint / joint.sum(axis=0)).T)
        if isinstance(self.output, DiscreteOutput):
            functions[~self.output.shows(observed.flat)] = 0.0
        pairs = csr_array((np.ones(len(first)), (first, last)), shape=(len(functions),) * 2)
        return vamp_score_of_counts(pairs, functions, r)

    def log_likelihood_of(self, data: Data) -> float:
        """Log-likelihood of other data, per sequence of frames a lag time apart."""
        chain = self.fit.matrix.toarray(), *self._start
        _, expected, _ = self._observations(data).expectation(self.output, *chain)
        return expected.log_likelihood / self.lagtime

    def _observations(self, data: Data) -> Observations:
        observed = observations(data, self.lagtime, self.method.n_blocks)
        observed.check(self.output)
        return observed

    def headline(self) -> dict[str, object]:
        """Hidden states, lag, populations and timescales."""
        return {
            "hidden states": self.n_hidden,
            "connected": f"{len(self.active.states)} of {self.n_hidden}",
            "lag": duration(self.lag, self.dt),
            "populations": self.stationary_distribution,
            "timescales": ", ".join(process.in_short for process in self.processes),
            "log likelihood": self.log_likelihood,
        }

    def __str__(self) -> str:
        shares = ", ".join(f"{share:.3g}" for share in self.stationary_distribution)
        lag = duration(self.lag, self.dt)
        lines = [f"hidden Markov model at lag {lag}: {self.n_hidden} hidden states, populations {shares}"]
        if self.n_hidden < self.method.n_hidden:
            lines.append(
                f"{self.method.n_hidden - self.n_hidden} of {self.method.n_hidden} hidden states died"
            )
        if not self.active.complete:
            lines.append(f"hidden states: {self.active}")
        if not self.converged:
            lines.append(f"stopped after {self.iterations} iterations")
        return "\n".join([*lines, *(f"process {k + 1}: {each}" for k, each in enumerate(self.processes))])


def _crossed(timescale: float, series: list[np.ndarray], lagtime: int, observed: Observations) -> Process:
    """The process whose eigenfunction takes these values, one array a trajectory."""
    # neighboring frames belong to different sequences, whose hidden states are inferred apart and may flicker
    seen = [
        observed_process(
            timescale,
            [run[shift::lagtime] for run in series if len(run) > shift],
            observed.n_blocks,
            observed.dt,
        )
        for shift in range(min(lagtime, int(observed.lengths.max())))
    ]
    return sorted(seen, key=lambda process: min(process.forward, process.backward))[(len(seen) - 1) // 2]


def _occupancy(expected: Expectation) -> np.ndarray:
    """Frames ``(hidden,)`` expected in every hidden state: those that enter it, and those that begin a sequence."""
    return expected.transitions.sum(axis=0) + expected.initial


@dataclass(frozen=True)
class HiddenMarkovModel(Method):
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
            If there are weights, fewer than two hidden states, or no first guess can be made; if fewer than two
            hidden states are left alive.
        """
        observed = observations(data, self.lagtime, self.n_blocks)
        if self.n_hidden < 2:
            raise ValueError(f"n_hidden={self.n_hidden} must be at least two")

        starts = range(max(self.restarts, 1))
        guesses = [
            HiddenParameters(*first_guess(observed, self.n_hidden, self.seed + k, mixed=k > 0))
            for k in starts
        ]
        tried = 20 if len(starts) > 1 else 0
        begun = surviving(starts, lambda k: self._iterated(guesses[k], observed, tried), "first guesses")
        best = max(begun.results, key=lambda model: model.log_likelihood)
        model = self.improved(best, observed, self.max_iterations, progress)
        while (alive := _occupancy(model.expected) >= LEAST_FRAMES).sum() < model.n_hidden:
            model = self.improved(_without_dead(model, alive), observed, self.max_iterations, progress)
        if model.n_hidden < self.n_hidden:
            warnings.warn(
                f"{self.n_hidden - model.n_hidden} of {self.n_hidden} hidden states died, with less than one frame "
                f"left to them, and are dropped; the data hold {model.n_hidden}",
                stacklevel=2,
            )
        return _sorted(model)

    @staticmethod
    def as_data(data: Data) -> DiscreteTrajectories | Trajectories:
        """What `fit` takes, as `DiscreteTrajectories` or as `Trajectories` of features."""
        return as_observed(data)

    def fit_predict(self, data: Data) -> list[np.ndarray]:
        """The most likely hidden states of the data that the model is fitted to, int ``(frames,)`` per trajectory."""
        return self.fit(data).most_likely_path(data)

    def improved(
        self,
        model: HiddenModel,
        observed: Observations,
        iterations: int,
        progress: Callable[[int, float], None] | None = None,
    ) -> HiddenModel:
        """A model after more iterations, until they gain nothing, on observations that may be weighted."""
        begin = HiddenParameters(model.fit, model.initial_distribution, model.output)
        better = self._iterated(begin, observed, iterations, progress)
        return replace(better, method=model.method, iterations=model.iterations + better.iterations)

    def _iterated(
        self,
        begin: HiddenParameters,
        observed: Observations,
        iterations: int,
        progress: Callable[[int, float], None] | None = None,
    ) -> HiddenModel:
        """The model of parameters after so many iterations at most."""
        current, done, workspace = observed, 0, Workspace(len(begin.initial))
        # the last parameters looked at and what was expected with them: the best are among them
        known: deque[tuple[HiddenParameters, Expectation]] = deque(maxlen=3)

        def step(now: HiddenParameters) -> tuple[float, HiddenParameters]:
            nonlocal current, done
            # expectation: gamma and c given theta; lanes that had to run in longer stay so
            start = now.initial, now.fit.stationary_distribution
            current, expected, tally = current.expectation(
                now.output, now.fit.matrix.toarray(), *start, workspace
            )
            known.append((now, expected))
            value, done = expected.log_likelihood / self.lagtime, done + 1
            if progress is not None:
                progress(done, value)
            # maximization: P of the expected counts, the initial distribution of the beginnings, outputs of the tally
            transitions = csr_array(np.maximum(expected.transitions, LEAST_COUNT))
            fit = self.estimator.fit(transitions)
            beginnings = expected.initial.sum()  # zero if resampled data hold no beginning of a trajectory
            initial = expected.initial / beginnings if beginnings > 0 else now.initial
            return value, HiddenParameters(fit, initial, now.output.refitted(tally))

        best, value, _, converged = squared_extrapolation(step, begin, self.tolerance, iterations)
        if not any(parameters is best for parameters, _ in known):
            value, _ = step(best)
        expected = next(expected for parameters, expected in known if parameters is best)
        return HiddenModel(
            self, best.fit, best.initial, best.output, current.dt, value, done, converged, current, expected
        )


def _sorted(model: HiddenModel) -> HiddenModel:
    """Hidden states by their share of the frames."""
    return _of_states(model, np.argsort(-model.shares), model.fit.stationary_distribution)


def _without_dead(model: HiddenModel, alive: np.ndarray) -> HiddenModel:
    """The hidden states that are alive ``(hidden,)``, to go on from.

    Raises
    ------
    ValueError
        If fewer than two are.
    """
    if alive.sum() < 2:
        raise ValueError(
            f"of {model.n_hidden} hidden states only {alive.sum()} is left with more than one frame; the data show "
            "no second one: use a shorter lagtime, other features, or more data"
        )
    frames = _occupancy(model.expected)
    return _of_states(model, np.flatnonzero(alive), frames / frames.sum())


def _of_states(model: HiddenModel, states: np.ndarray, stationary: np.ndarray) -> HiddenModel:
    """These hidden states of a model in this order, with what is lost by leaving others out shared among them."""
    between = np.ix_(states, states)
    matrix, initial = model.fit.matrix.toarray()[between], model.initial_distribution[states]
    fit = replace(
        model.fit,
        matrix=csr_array(matrix / matrix.sum(axis=1, keepdims=True)),
        stationary_distribution=stationary[states] / stationary[states].sum(),
    )
    expected = replace(
        model.expected,
        transitions=model.expected.transitions[between],
        initial=model.expected.initial[states],
    )
    return replace(
        model,
        fit=fit,
        initial_distribution=initial / initial.sum() if initial.sum() > 0 else fit.stationary_distribution,
        output=model.output.permuted(states),
        expected=expected,
    )
