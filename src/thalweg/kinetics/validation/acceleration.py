r"""Does another dynamics keep the kinetics? Time scales of slow processes in a model and in its reference.

Slow coordinates, states and processes are those of the *reference*; trajectories of the model are put into the same
states, and each of its processes is the one whose eigenfunction overlaps with the reference's. The acceleration factors

.. math::  a_k = t_k^\text{reference} / t_k^\text{model}

are one number where the model differs by its friction alone, as coarse models do if what was averaged away was equally
rough everywhere [nuske2019]. Whether one factor fits is asked of their logarithms,

.. math::  \chi^2 = \min_a\, (\ln a_k - a)\, \Sigma^{-1}_{kl}\, (\ln a_l - a),

with :math:`\Sigma` from bootstraps of both. Time scales of models made of states are too short, the more so the shorter
the lag beside them; the model's lag is chosen for each process so that it decays as much within it as the reference's,
and what is missing of both is about the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from thalweg.collective_variables.linear.tica import TICA
from thalweg.kinetics.markov_state_model import MarkovModel, MarkovStateModel
from thalweg.kinetics.states.clustering import KMeans
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import bootstrap, matched_timescales, matching
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float
from thalweg.time_series.resampling import Estimate, plus_minus
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import duration, whole_multiple

LOOSEST = 0.5
"""Relative error of a time scale from which on it is not resolved."""

BLOCKS = 40
"""Blocks that replicates are drawn from."""

FINER = 1.3
"""Ratio of one lag time to the next, where that of the model is looked for."""

SPARE = 3
"""Processes of a model that are computed beyond those asked for, since its order may be another."""


@dataclass(frozen=True)
class TimescaleComparison(Model):
    """Time scales of the reference's slow processes in both dynamics.

    Attributes
    ----------
    reference, model : (processes,) [ps]; NaN where there is none
    reference_errors, model_errors : (processes,) standard errors [ps]
    shortcomings : for each process why it has no factor; empty where it has
    factors : (processes,) acceleration; NaN where one side is not resolved
    log_errors : (processes,) standard errors of their logarithms
    factor : the one that fits best; NaN where none is resolved
    factor_log_error : standard error of its logarithm
    chi_square : of one factor for all; NaN with fewer than two processes
    probability : that one factor for all gives so much or more; NaN with fewer than two processes
    lag : of the reference's Markov model [ps]
    model_lags : (processes,) of the model's [ps]
    """

    reference: Float[np.ndarray, " processes"]
    reference_errors: Float[np.ndarray, " processes"]
    model: Float[np.ndarray, " processes"]
    model_errors: Float[np.ndarray, " processes"]
    shortcomings: tuple[str, ...]
    factors: Float[np.ndarray, " processes"]
    log_errors: Float[np.ndarray, " processes"]
    factor: float
    factor_log_error: float
    chi_square: float
    probability: float
    lag: float
    model_lags: Float[np.ndarray, " processes"]

    @property
    def one_factor(self) -> bool | None:
        """Whether one factor fits all processes, at five percent; None where that cannot be asked."""
        return None if np.isnan(self.probability) else bool(self.probability > 0.05)

    @property
    def uneven(self) -> float:
        """How many times the largest factor is the smallest; NaN with fewer than two processes."""
        known = self.factors[np.isfinite(self.factors)]
        return float(known.max() / known.min()) if len(known) > 1 else float("nan")

    def headline(self) -> Mapping[str, Any]:
        return {
            "acceleration": plus_minus(self.factor, self.factor * self.factor_log_error),
            "resolved": f"{int(np.isfinite(self.factors).sum())} of {len(self.factors)}",
            "one factor": "cannot be told" if self.one_factor is None else self.one_factor,
        }

    def in_words(self) -> tuple[str, ...]:
        """A sentence for each process, and one for all."""
        said = []
        for k, why in enumerate(self.shortcomings):
            times = ", ".join(
                f"{name} {plus_minus(float(t[k]), float(e[k]))} ps"
                for name, t, e in (
                    ("reference", self.reference, self.reference_errors),
                    ("model", self.model, self.model_errors),
                )
                if np.isfinite(t[k])
            )
            ratio = (
                why
                or f"{plus_minus(float(self.factors[k]), float(self.factors[k] * self.log_errors[k]))} times"
            )
            said.append(f"process {k + 1}: {times + '; ' if times else ''}{ratio}")
        return (*said, self._verdict())

    def _verdict(self) -> str:
        if self.one_factor is None:
            count = int(np.isfinite(self.factors).sum())
            return (
                f"{count} of {len(self.factors)} processes are resolved in both; whether one factor fits all needs "
                "two: give longer trajectories"
            )
        chi = f"chi-square {self.chi_square:.1f}, probability {self.probability:.2g}"
        if self.one_factor:
            return f"one factor fits: {plus_minus(self.factor, self.factor * self.factor_log_error)} ({chi})"
        return f"no one factor fits: they differ {self.uneven:.2f} times ({chi})"


@dataclass(frozen=True)
class TimescaleRatios(Method):
    """Slow processes of a reference, and how fast a model goes through them.

    Parameters
    ----------
    lag : of slow coordinates and Markov model of the reference [ps]
    processes : how many are compared
    dim : slow coordinates in which states are made; ``processes`` where None
    states : clusters in them
    model_lag : of the model [ps]; None finds for each process the one at which it has decayed alike
    samples : bootstrap replicates of each side
    seed : of clusters and replicates

    Examples
    --------
    >>> from thalweg.testsystems.generator import Generator
    >>> from thalweg.testsystems.wells import PrinzPotential
    >>> def walks(diffusion, dt):
    ...     generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 60, diffusion=diffusion)
    ...     return Trajectories(generator.sample(10, 2000, dt), dt=dt)
    >>> slow, fast = walks(0.1, dt=1.0), walks(1.0, dt=0.1)
    >>> found = TimescaleRatios(lag=1.0, processes=1, states=30, samples=20).fit(slow, fast)
    >>> bool(abs(found.factor - 10) < 3 * 10 * found.factor_log_error)
    True
    """

    lag: float
    processes: int = 3
    dim: int | None = None
    states: int = 100
    model_lag: float | None = None
    samples: int = 50
    seed: int = 0

    def fit(self, reference: Trajectories, model: Trajectories) -> TimescaleComparison:
        """Compare ``model`` with ``reference``: trajectories of the same features, of any lengths and time steps.

        Raises
        ------
        ValueError
            If features differ in number, a lag time is no whole number of frames or leaves no pairs, or the model goes
            between no two states.
        """
        if reference.n_features != model.n_features:
            raise ValueError(
                f"the reference has {reference.n_features} features and the model {model.n_features}; measure the same "
                "of both"
            )
        lag = whole_multiple(self.lag, reference.dt, "lag")
        slow = TICA(lag, dim=min(self.dim or self.processes, reference.n_features)).fit(reference)
        seen = slow.transform(reference)
        states = KMeans(self.states, seed=self.seed).fit(seen)
        of_reference = MarkovStateModel(lag, n_processes=self.processes).fit(states.transform(seen))
        walked = states.transform(slow.transform(model))
        if self.model_lag is None:
            lags = self._alike(of_reference, walked)
        else:
            lags = [whole_multiple(self.model_lag, walked.dt, "model_lag")] * self.processes
        return _compared(self, of_reference, {each: self._markov(walked, each) for each in set(lags)}, lags)

    def _alike(self, reference: MarkovModel, walked: DiscreteTrajectories) -> list[int]:
        """For each process the lag [frames] at which its ``lag / t`` is nearest to that of the reference."""
        wanted = np.log(reference.lag / reference.timescales)
        best, apart, lag = np.ones(self.processes, int), np.full(self.processes, np.inf), 1
        while lag == 1 or lag < walked.lengths.max() / 2:
            found = self._markov(walked, lag)
            decay = np.log(found.lag / matched_timescales(reference, found))
            off = np.nan_to_num(np.abs(decay - wanted), nan=np.inf)
            best[off < apart] = lag
            apart = np.minimum(off, apart)
            if (np.nan_to_num(decay - wanted, nan=1.0) > 0).all():
                break
            lag = max(lag + 1, round(FINER * lag))
        return best.tolist()

    def _markov(self, walked: DiscreteTrajectories, lag: int) -> MarkovModel:
        try:
            return MarkovStateModel(lag, n_processes=self.processes + SPARE).fit(walked)
        except ValueError as error:
            raise ValueError(f"the model's walks between the reference's states: {error}") from None


def _compared(
    asked: TimescaleRatios, reference: MarkovModel, models: Mapping[int, MarkovModel], lags: list[int]
) -> TimescaleComparison:
    def spread(model: MarkovModel, seed: int) -> Estimate:
        # the same seed draws the same blocks at every lag, so that processes keep their covariance
        return bootstrap(model, lambda one: matched_timescales(reference, one), asked.samples, seed, BLOCKS)

    own = spread(reference, asked.seed)
    each = {lag: spread(model, asked.seed + 1) for lag, model in models.items()}
    chosen = list(enumerate(lags))
    values = np.array([each[lag].value[k] for k, lag in chosen])
    errors = np.array([each[lag].error[k] for k, lag in chosen])
    samples = np.stack([each[lag].samples[:, k] for k, lag in chosen], 1)
    columns = {lag: matching(reference, model) for lag, model in models.items()}
    why = tuple(
        _shortcoming("the reference", reference, k, own.value[k], own.error[k])
        or ("the model has no such process" if columns[lag][k] < 0 else "")
        or _shortcoming("the model", models[lag], int(columns[lag][k]), values[k], errors[k])
        for k, lag in chosen
    )
    known = np.array([not each for each in why])
    logs = np.where(known, np.log(own.value / values), np.nan)
    covariance = _log_covariance(own.samples[:, known]) + _log_covariance(samples[:, known])
    log_errors = np.full(len(known), np.nan)
    log_errors[known] = np.sqrt(np.diagonal(covariance))
    mean, error, chi, probability = _one_factor(logs[known], covariance)
    return TimescaleComparison(
        np.asarray(own.value, float), np.asarray(own.error, float), values, errors, why, np.exp(logs), log_errors,
        float(np.exp(mean)), error, chi, probability, reference.lag,
        np.array([models[lag].lag for lag in lags]),
    )  # fmt: skip


def _shortcoming(name: str, model: MarkovModel, k: int, time: float, error: float) -> str:
    """Why a process of one side has no time scale to be trusted; empty where it has."""
    process = model.processes[k]
    if not process.resolved:
        return f"in {name} it is {process}"
    if not time > model.lag:
        return (
            f"in {name} it is over within the lag of {duration(model.lag, model.dt)}; save frames more often, or take "
            "a shorter lag"
        )
    if not error < LOOSEST * time:
        return (
            f"in {name} its time scale has an error of {100 * error / time:.0f} %; give longer trajectories"
        )
    return ""


def _log_covariance(samples: np.ndarray) -> np.ndarray:
    """Covariance of logarithms of time scales over replicates that have all."""
    logs = np.log(samples[np.isfinite(samples).all(1)])
    return np.atleast_2d(np.cov(logs.T)) if samples.shape[1] else np.zeros((0, 0))


def _one_factor(logs: np.ndarray, covariance: np.ndarray) -> tuple[float, float, float, float]:
    """Mean logarithm, its error, chi-square and probability."""
    nan = float("nan")
    if not len(logs):
        return nan, nan, nan, nan
    precision = np.linalg.inv(covariance)
    total = precision.sum()
    mean = float(precision.sum(0) @ logs / total)
    apart = logs - mean
    square = float(apart @ precision @ apart)
    told = len(logs) > 1
    return (
        mean,
        float(total**-0.5),
        square if told else nan,
        float(chi2.sf(square, len(logs) - 1)) if told else nan,
    )
