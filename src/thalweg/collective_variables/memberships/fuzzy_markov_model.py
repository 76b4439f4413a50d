r"""Markov models between fuzzy states: reversible kinetics of memberships that a network has learned, or any others.

States are memberships :math:`\chi(x)` that add up to one; the coarse transition matrix is stochastic, has a stationary
distribution and real eigenvalues by construction, also for short runs started out of equilibrium (see
`reversible_memberships`) [mardt2020]. Errors are from blocks, with the memberships as they are.

Not to be trusted where memberships are of no pure states: probabilities cannot be negative, and slow processes then
come out too fast. `FuzzyMarkovModel.timescales` much below `FuzzyMarkovModel.free_timescales`, which know no
constraints, tell so; `Stretched` memberships or a longer lag time may help. Nor where two states never exchange in the
data: their relative weight is then arbitrary. `FuzzyMarkovModel.chapman_kolmogorov` compares predictions with longer
lag times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import Basis, Functions, along
from thalweg.collective_variables.bases.linear_map import function_values, project
from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.slow_modes import SlowModes, nonreversible_modes
from thalweg.collective_variables.covariances.stationarity import unsymmetrized
from thalweg.collective_variables.linear.evidence import (
    diagnosed,
    observed_processes,
    quoted,
    resolved_only,
    undersampled,
)
from thalweg.collective_variables.memberships.membership_moments import MembershipMoments, membership_moments
from thalweg.collective_variables.memberships.reversible_memberships import (
    ReversibleMemberships,
    reversible_memberships,
)
from thalweg.collective_variables.memberships.stretched_memberships import RemainingMemberships
from thalweg.collective_variables.neural.doubts import SlowestFunction, doubts
from thalweg.learning.models import Model, Transforming
from thalweg.machine.surviving import surviving
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.crossings import Process
from thalweg.time_series.relaxation import relaxation_times
from thalweg.time_series.resampling import Estimate, independent_blocks, resample
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories
from thalweg.units import duration

EMPTY = 1e-8
"""Mean membership below which a state has no frames."""

CONSTRAINED = 1.3
"""Factor by which a timescale without constraints is longer, from which it is told."""

INDEPENDENT = 1e-6
"""Least eigenvalue of the correlations of memberships, relative to the largest, of a combination of them."""


@dataclass(frozen=True, eq=False)
class FuzzyMarkovModel(Model):
    """A reversible Markov model between fuzzy states.

    Attributes
    ----------
    method : the `FuzzyMarkovStateModel` that made it
    memberships : functions of frames
    moments : block sums the fit is made of
    fit : the model of these moments
    processes : slow processes, with how often the data show them
    notes : what one should know about states, training and timescales
    """

    method: FuzzyMarkovStateModel
    memberships: Functions
    moments: MembershipMoments
    fit: ReversibleMemberships
    processes: tuple[Process, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.moments.n_states

    @property
    def lag(self) -> float:
        """Lag time [ps]."""
        return self.moments.lagtime * self.moments.dt

    @property
    def transition_matrix(self) -> np.ndarray:
        """Transition probabilities ``(n_states, n_states)``."""
        return self.fit.transition_matrix

    @property
    def stationary_distribution(self) -> np.ndarray:
        """Equilibrium probability of every state ``(n_states,)``."""
        return self.fit.stationary_distribution

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues ``(n_states,)``, one first."""
        return self.fit.spectrum[0]

    @property
    def timescales(self) -> np.ndarray:
        """Relaxation times ``(n_states - 1,)`` [ps], slowest first; NaN where an eigenvalue gives none."""
        return _times(self.eigenvalues, self.lag)

    @property
    def free_timescales(self) -> np.ndarray:
        """The same without constraints, from the operator in the span of the memberships: what constraints cost."""
        return _times(self.fit.free, self.lag)

    def assign(self, data: Any) -> Any:
        """Memberships ``(frames, n_states)`` of an array or of every trajectory."""
        return function_values(data, self.memberships)

    def transform(self, data: Any) -> Any:
        """Slow functions ``(frames, n_states - 1)`` of an array, NumPy or JAX, or of every trajectory."""
        slow = _Slow(self.memberships, self.fit.spectrum[1][:, 1:])
        return function_values(data, slow)

    def stationary_weights(self, data: Any) -> np.ndarray:
        """Weights ``(frames,)`` that turn last frames of pairs of the fitted data into equilibrium, one on average."""
        return np.asarray(self.assign(data) @ self.fit.u)

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        """VAMP-E score on other data: how well their conditional densities are predicted; r is 2.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, or r is another number.
        """
        if r != 2:
            raise ValueError(f"r={r}; the VAMP-E score is one of squares, r=2")
        return self.fit.score(membership_moments(data, self.memberships, self.method.lagtime, 1).means)

    @on_one_thread
    def timescale_errors(self, samples: int = 50, seed: int = 0) -> Estimate:
        """Timescales [ps] with block-bootstrap errors; NaN for processes that the data do not show often enough."""
        found = self._resampled(lambda fit: _times(fit.spectrum[0], self.lag), samples, seed)
        return replace(
            found,
            value=resolved_only(found.value, self.processes),
            samples=resolved_only(found.samples, self.processes),
        )

    @on_one_thread
    def stationary_errors(self, samples: int = 50, seed: int = 0) -> Estimate:
        """The stationary distribution with block-bootstrap errors."""
        return self._resampled(lambda fit: fit.stationary_distribution, samples, seed)

    @on_one_thread
    def chapman_kolmogorov(
        self, data: TrajectoryData, multiples: int = 5, samples: int = 25
    ) -> FuzzyChapmanKolmogorov:
        """Powers of the transition matrix beside those estimated at multiples of the lag time.

        A lag time at which nothing can be estimated, such as one that leaves no pairs, is left out with a warning.

        Raises
        ------
        ValueError
            If none can be estimated.
        """

        def at(k: int) -> tuple[Estimate, Estimate]:
            moments = membership_moments(
                data, self.memberships, k * self.method.lagtime, self.method.n_blocks
            )
            longer = replace(self, moments=moments, fit=reversible_memberships(moments))
            return (
                self._resampled(lambda fit: np.linalg.matrix_power(fit.transition_matrix, k), samples, 0),
                longer._resampled(lambda fit: fit.transition_matrix, samples, 0),
            )

        left = surviving(range(1, multiples + 1), at, "multiples of the lag time")
        predicted, estimated = zip(*left.results)
        return FuzzyChapmanKolmogorov(
            self.lag * np.array(left.members),
            *(np.stack([each.value for each in part]) for part in (predicted, estimated)),
            *(np.stack([each.error for each in part]) for part in (predicted, estimated)),
        )

    def _resampled(
        self, quantity: Callable[[ReversibleMemberships], Any], samples: int, seed: int
    ) -> Estimate:
        memory = (
            float(np.nan_to_num(self.timescales).max(initial=0.0)) / self.moments.dt + self.moments.lagtime
        )
        blocks = independent_blocks(self.moments, memory)
        return resample(
            self.moments,
            lambda moments: quantity(reversible_memberships(moments)),
            quantity(self.fit),
            samples,
            blocks,
            seed,
        )

    def headline(self) -> dict[str, object]:
        """States, lag, populations and timescales."""
        return {
            "states": self.n_states,
            "lag": duration(self.lag, self.moments.dt),
            "populations": self.stationary_distribution,
            "timescales": ", ".join(duration(time, self.moments.dt) for time in self.timescales),
        }

    def __str__(self) -> str:
        times = quoted(self.processes)
        shares = ", ".join(f"{share:.1%}" for share in self.stationary_distribution)
        rest = "" if self.fit.converged else "; the fit did not come to rest"
        free = ", ".join(f"{time:.4g}" for time in self.free_timescales)
        score = (
            f"VAMP-E {self.fit.value:.4f}; without constraints {free} ps and {self.fit.free_value:.4f}{rest}"
        )
        states = f"{self.n_states} fuzzy states at lag {self.lag:g} ps: {shares}; timescales {times}; {score}"
        return "\n".join([states, *self.notes])


@dataclass(frozen=True, eq=False)
class FuzzyChapmanKolmogorov:
    """Transition matrices predicted and estimated at longer lag times.

    Attributes
    ----------
    lags : (multiples,) [ps]
    predicted, estimated : (multiples, states, states)
    predicted_errors, estimated_errors : likewise, from blocks
    """

    lags: Shaped[np.ndarray, " multiples"]
    predicted: Shaped[np.ndarray, "multiples states states"]
    estimated: Shaped[np.ndarray, "multiples states states"]
    predicted_errors: np.ndarray
    estimated_errors: np.ndarray

    @property
    def deviations(self) -> np.ndarray:
        """Differences in standard errors, taking both errors as independent ``(multiples, states, states)``."""
        errors = np.hypot(self.predicted_errors, self.estimated_errors)
        return (self.predicted - self.estimated) / np.where(errors > 0, errors, np.inf)


@dataclass(frozen=True)
class FuzzyMarkovStateModel(Transforming):
    """Estimation of a reversible Markov model between fuzzy states.

    Parameters
    ----------
    lagtime : int
        In frames.
    memberships : `Functions` that are known, such as ``model.functions`` of a `VAMPnet`, or a `Basis` to be fitted
    n_blocks : int
        About how many blocks of data to keep apart for errors.

    Examples
    --------
    >>> from thalweg.collective_variables.bases.basis import Identity
    >>> states = np.cumsum(np.random.default_rng(0).random(20000) < 0.01) % 2
    >>> model = FuzzyMarkovStateModel(1, Identity(("a", "b"))).fit(np.eye(2)[states])
    >>> bool(40 < model.timescales[0] < 60)
    True
    """

    lagtime: int
    memberships: Functions | Basis
    n_blocks: int = 40

    @on_one_thread
    def fit(self, data: TrajectoryData) -> FuzzyMarkovModel:
        """The model of data.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, or the functions are no memberships.
        """
        trajectories = as_trajectories(data)
        known = self.memberships
        functions = known.fit(trajectories) if isinstance(known, Basis) else known
        moments = membership_moments(trajectories, functions, self.lagtime, self.n_blocks)
        notes = tuple(getattr(functions, "notes", ()))
        # a state that no frame belongs to has no transitions: it is told and left out
        shares = moments.means[0].sum(axis=(1, 2))
        if (empty := shares < EMPTY).any():
            named = ", ".join(str(k + 1) for k in np.flatnonzero(empty))
            notes += (f"states without frames were left out: {named} of {len(shares)}; ask for fewer states",)
            functions = RemainingMemberships(functions, np.flatnonzero(~empty))
            moments = membership_moments(trajectories, functions, self.lagtime, self.n_blocks)
        model = FuzzyMarkovModel(self, functions, moments, reversible_memberships(moments))
        slowest = _slowest(model, trajectories)

        def look() -> tuple[Process, ...]:
            values = project(along(trajectories, functions), slowest.modes.mean, slowest.modes.vectors)
            return observed_processes(values, slowest.modes.timescales, self.lagtime)

        processes, failed = diagnosed("crossings", look, ()) if model.n_states > 1 else ((), ())
        model = replace(model, processes=processes)
        told = (*notes, *_remarks(model), *undersampled(processes[:1]), *failed)
        # of a process that is seen too seldom nothing more can be asked
        more = doubts(slowest) if processes and processes[0].sampled else ()
        return replace(model, notes=(*told, *more))


def _remarks(model: FuzzyMarkovModel) -> tuple[str, ...]:
    """What the fit itself says of the model."""
    notes = [model.fit.reason] if model.fit.reason else []
    if model.n_states < 2:
        return (*notes, "all frames belong to one state: there is no process between states")
    if not (model.processes and model.processes[0].sampled):
        return tuple(notes)
    slow, free = float(model.timescales[0]), float(model.free_timescales[0])
    if not np.isfinite(slow):
        notes.append("the slowest process has no decay time at this lag time")
    elif np.isfinite(free) and free > CONSTRAINED * slow:
        notes.append(
            f"the slowest timescale is {slow:.3g} ps, and {free:.3g} ps without the constraint that probabilities are "
            "not negative: memberships are of no pure states; try Stretched memberships or a longer lagtime"
        )
    return tuple(notes)


def _slowest(model: FuzzyMarkovModel, data: Trajectories) -> SlowestFunction:
    """The slowest function, of which more is asked."""

    def modes_of(sums: Covariances) -> SlowModes:
        return nonreversible_modes(unsymmetrized(sums, INDEPENDENT), sums)

    vectors = model.fit.spectrum[1][:, 1:]
    modes = SlowModes(np.zeros(model.n_states), vectors, model.eigenvalues[1:], model.timescales)
    return SlowestFunction(
        data,
        model.memberships,
        modes,
        modes_of,
        model.timescale_errors,
        model.moments.lagtime,
        getattr(model.memberships, "unseen", None),
    )


@dataclass(frozen=True)
class _Slow:
    """Combinations of memberships."""

    memberships: Functions
    vectors: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"slow {k + 1}" for k in range(self.vectors.shape[1]))

    def __call__(self, frames: Any) -> Any:
        values = self.memberships(frames)
        return values @ values.__array_namespace__().asarray(self.vectors, dtype=values.dtype)


def _times(eigenvalues: np.ndarray, lag: float) -> np.ndarray:
    return relaxation_times(eigenvalues[1:], lag)
