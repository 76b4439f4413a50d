r"""The variational approach to slow processes, right by default for short runs started out of equilibrium.

The slowest linear combinations :math:`\psi_i = b_i \cdot (\varphi(x) - \bar\varphi)` of the functions of a basis solve

.. math::  C_{0t}\, b_i = \lambda_i\, C_{00}\, b_i, \qquad t_i = -\tau / \ln|\lambda_i|

with symmetric covariances at equilibrium [noe2013] [nuske2014]; in the basis of the features themselves this is TICA,
in one of kernels kernel TICA. Averaging data with their time reverse makes any covariances symmetric, but is wrong
when runs did not start from equilibrium: timescales then come out up to several times too short. The fit therefore
estimates the operator unsymmetrized first, weights the pairs to stationarity by it [wu2017] (see `KoopmanModel`) and
only then symmetrizes. At equilibrium the weights are one and cost nothing.

Where weights cannot be had, the unsymmetrized estimate is the answer and the reason is told. The timescales
of both estimates are compared: a large ``discrepancy`` means that the functions do not resolve the slow
processes or that runs are too few.

A fit keeps the moments of its slowest modes in blocks, from which errors are resampled: to first order an eigenvalue
changes with the data by what its own mode says, and thousands of functions then cost no more than fifty. Where frames
are fewer than functions the problem is solved in the space of the frames (`bases.frame_space`).
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from thalweg.collective_variables.bases.basis import Basis, Features, Functions, Identity, along
from thalweg.collective_variables.bases.frame_space import Combinations, columns_of
from thalweg.collective_variables.bases.linear_map import (
    function_values,
    mapped,
    names_of_features,
    project,
)
from thalweg.collective_variables.bases.raw_angles import warned_angles
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.collective_variables.covariances.held_out import FOLDS
from thalweg.collective_variables.covariances.slow_modes import (
    SLOWEST,
    SlowModes,
    nonreversible_modes,
    reversible_modes,
)
from thalweg.collective_variables.covariances.stationarity import (
    STATIONARY,
    StationaryWeights,
    Tilt,
    tilt,
    unsymmetrized,
)
from thalweg.collective_variables.linear.evidence import (
    evidence,
    imprecise,
    quoted,
    resolved_only,
)
from thalweg.collective_variables.linear.held_out_score import held_out_score
from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.learning.models import Model, Transforming
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.crossings import Process
from thalweg.time_series.resampling import Estimate, independent_blocks, resample
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories
from thalweg.units import duration

MOST_NEGATIVE = 0.05
"""Share of negative weight above which stationarity weights are refused."""

FEWEST_EFFECTIVE = 0.002
"""Share of frames that must count effectively for stationarity weights to be used."""

RESAMPLED = 50
"""Slowest modes whose moments are kept in blocks for errors."""

Kind = Literal["stationary", "reweighted", "nonreversible"]
Scaling = Literal["kinetic_map", "commute_map", "unit"]


class Choice(NamedTuple):
    """Which estimate the data allow and why.

    Attributes
    ----------
    kind : "stationary" (data were at equilibrium), "reweighted", or "nonreversible" (the fallback)
    reason : why that one
    negative_weight : share of negative stationarity weight
    effective_frames : share of the frames that count effectively under the weights
    """

    kind: Kind
    reason: str
    negative_weight: float = 0.0
    effective_frames: float = 1.0


@dataclass(frozen=True, eq=False)
class VACModel(Model):
    r"""Slow coordinates and their timescales.

    Attributes
    ----------
    method : the `VAC` that made it
    functions : of the fitted basis
    dt : time between frames [ps]
    loadings : (functions, dim), from functions to coordinates, slowest first, scaled as asked for
    modes : mean, eigenvalues and timescales of the modes, by the estimate in use; all modes of up to 400 functions,
        the slowest of more
    choice : which estimate is in use, and why
    covariances : block sums of the slowest modes, from which errors are resampled
    notes : what one should know about the data
    processes : of the ``dim`` coordinates, with how often the data show them; none where only covariances were given
    stationary_weights : weights of function values under which the estimate is made; None where it needs none or has
        none
    names : of the features, by which columns of a DataFrame are found; None where they had none
    """

    method: VAC
    functions: Functions
    dt: float
    loadings: Shaped[np.ndarray, "functions dim"]
    modes: SlowModes
    choice: Choice
    covariances: Covariances
    notes: tuple[str, ...]
    processes: tuple[Process, ...] = ()
    stationary_weights: StationaryWeights | None = None
    names: tuple[str, ...] | None = None

    @property
    def lagtime(self) -> int:
        """Lag time in frames."""
        return self.method.lagtime

    @property
    def estimate(self) -> Kind:
        """Which estimate is in use: "stationary", "reweighted" or "nonreversible"; see `Choice`."""
        return self.choice.kind

    @property
    def reason(self) -> str:
        """Why that estimate is in use."""
        return self.choice.reason

    @property
    def timescales(self) -> np.ndarray:
        """Timescales of the modes ``(rank,)`` [ps] by their eigenvalues; NaN where one has no decay time.

        Which of them the data show is said by ``processes``.
        """
        return self.modes.timescales

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues of the modes ``(rank,)``, real parts."""
        return self.modes.eigenvalues

    @property
    def mean(self) -> np.ndarray:
        """What is subtracted from the functions first ``(functions,)``."""
        return self.modes.mean

    @cached_property
    def nonreversible(self) -> SlowModes:
        """The modes of the unsymmetrized operator among the slowest modes, combinations of the functions."""
        found = nonreversible_modes(unsymmetrized(self.covariances, self.method.cutoff), self.covariances)
        slowest = self.modes.vectors[:, : len(self.covariances.mean_0)]
        return found._replace(mean=self.modes.mean, vectors=slowest @ found.vectors)

    @property
    def discrepancy(self) -> float:
        """Relative difference of the slowest timescale from the unsymmetrized one."""
        return float(abs(self.timescales[0] / self.nonreversible.timescales[0] - 1))

    @property
    def imprecision(self) -> tuple[str, ...]:
        """A note on the error of the slowest timescale, where runs did not start from equilibrium and it is large."""
        if self.choice.kind == "stationary":
            return ()
        return imprecise(self.timescale_errors, self.covariances, self.method.cutoff)

    def transform(self, data: Any) -> Any:
        """Coordinates ``(frames, dim)`` of an array, NumPy or JAX, or of every trajectory."""
        return mapped(
            data,
            self.names,
            lambda frames: project(function_values(frames, self.functions), self.mean, self.loadings),
        )

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        """The score of these ``dim`` coordinates on other data; see `covariances.scores`."""
        held_out = along(as_trajectories(data), self.functions)
        return held_out_score(held_out, self.method.lagtime, self.modes.vectors[:, : self.method.dim], r=r)

    @on_one_thread
    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Timescales [ps] of the first ``dim`` coordinates with block-bootstrap errors.

        NaN for a process that the data do not show often enough, see ``processes``: a bootstrap knows nothing of what
        did not happen.

        For reweighted data the replicates are of the unsymmetrized operator, whose relative spread is taken
        over: weights of a replicate would need another pass over the data.
        """
        dim = self.method.dim

        def replicate(sums: Covariances) -> np.ndarray:
            return self.method.unweighted_modes(sums, self.choice).timescales[:dim]

        memory = float(np.nan_to_num(self.timescales[0])) / self.dt + self.method.lagtime
        blocks = independent_blocks(self.covariances, memory)
        free = resample(self.covariances, replicate, None, samples, blocks, seed)
        value = resolved_only(self.timescales[:dim], self.processes)
        return Estimate(value, free.samples * (value / free.value), free.n_blocks)

    def headline(self) -> dict[str, object]:
        """Lag, coordinates, timescales and how they were estimated."""
        kept = self.timescales[: self.method.dim]
        times = [each.in_short for each in self.processes] or [duration(time, self.dt) for time in kept]
        return {
            "method": type(self.method).__name__,
            "features": len(self.mean),
            "coordinates": self.loadings.shape[1],
            "lag": duration(self.lagtime * self.dt, self.dt),
            "timescales": ", ".join(times[: self.method.dim]),
            "estimate": self.estimate,
            "notes": len(self.notes),
        }

    def __str__(self) -> str:
        times = ", ".join(duration(time, self.dt) for time in self.timescales[: self.method.dim])
        times = quoted(self.processes) if self.processes else times
        lag = self.lagtime * self.dt
        return "\n".join(
            [f"timescales {times} at lag {duration(lag)}", f"{self.estimate}: {self.reason}", *self.notes]
        )


@dataclass(frozen=True)
class VAC(Transforming):
    """The variational approach in any basis.

    Parameters
    ----------
    lagtime : int
        In frames.
    dim : int
        Number of slow coordinates to keep.
    basis : `Basis`
        What the coordinates are combinations of; the features themselves by default.
    scaling : str
        Length of the coordinates: "kinetic_map" (times the eigenvalue, so that distances are kinetic
        distances [noe2015]), "commute_map" (times the root of half the timescale over the lag time [noe2016])
        or "unit" (variance one).
    cutoff : float
        Smallest eigenvalue of the correlation matrix of functions kept, relative to the largest.
    n_blocks : int
        About how many blocks of data to keep apart for errors.

    Examples
    --------
    >>> from thalweg.collective_variables.bases.polynomials import Polynomials
    >>> rng = np.random.default_rng(0)
    >>> slow = np.zeros(20000)
    >>> for t in range(1, len(slow)):
    ...     slow[t] = 0.99 * slow[t - 1] + rng.standard_normal()
    >>> x = np.stack([slow + 5 * rng.standard_normal(20000), 5 * rng.standard_normal(20000)], axis=1)
    >>> model = VAC(lagtime=10, dim=1, basis=Polynomials(2)).fit(x)
    >>> model.estimate, bool(np.corrcoef(model.transform(x)[:, 0], slow)[0, 1] > 0.7)
    ('stationary', True)
    """

    lagtime: int
    dim: int = 2
    basis: Basis = Features()  # noqa: RUF009
    scaling: Scaling = "kinetic_map"
    cutoff: float = 1e-6
    n_blocks: int = 40

    def __post_init__(self):
        if self.lagtime < 1:
            raise ValueError(f"lagtime={self.lagtime} must be at least one frame")
        if self.scaling not in ("kinetic_map", "commute_map", "unit"):
            raise ValueError(f"scaling={self.scaling!r} is unknown; known are kinetic_map, commute_map, unit")

    @on_one_thread
    def fit(self, data: TrajectoryData | Covariances, executor: Executor | None = None) -> VACModel:
        """Slow coordinates of data, or of covariances of features already summed (which cannot be weighted any more).

        Blocks of data are summed by the ``executor``, such as that of a Dask cluster, if there is one.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, nothing varies, or ``dim`` is not between 1 and the rank of the
            functions, or covariances are not of this lag time and of features.
        """
        thin = columns = None
        if isinstance(data, Covariances):
            sums, notes = data, ("only covariances were given: crossings are not counted",)
            functions: Functions = Identity(tuple(f"feature {k}" for k in range(len(sums.mean_0))))
            if sums.lagtime != self.lagtime or not isinstance(self.basis, Features):
                raise ValueError(
                    f"covariances of features at lagtime={sums.lagtime} do not serve {self.basis} at "
                    f"lagtime={self.lagtime}; give the data"
                )
        else:
            raw = as_trajectories(data)
            functions = self.basis.fit(raw)
            # phi(x) frame by frame: from here on the problem is linear, in the space of frames where these are few
            raw.report(self.lagtime)
            columns, thin = columns_of(raw, functions, self.cutoff)
            sums = covariances(columns, self.lagtime, self.n_blocks, executor=executor, kept=FOLDS)
            notes = raw.notes(self.lagtime) + warned_angles(raw, self.basis)
        # unsymmetrized first: it tells whether data are stationary, and gives the weights
        tilted = tilt(sums, self.cutoff)
        choice, modes = self._solved(sums, tilted, columns, executor)
        rank = modes.vectors.shape[1]
        if not 1 <= self.dim <= rank:
            raise ValueError(f"dim={self.dim} must lie between 1 and the rank of the functions, {rank}")
        slowest = Combinations(modes.mean, modes.vectors[:, : max(RESAMPLED, self.dim)])
        if columns is None:
            leading = sums.along(slowest.matrix)
        else:
            leading = covariances(along(columns, slowest), self.lagtime, self.n_blocks, executor=executor)
        found = evidence(modes, self.dim, sums, lambda part: self.unweighted_modes(part, choice, 1), columns)
        notes += found.notes
        weights = tilted.weights if choice.kind == "reweighted" else None
        if thin is not None:
            modes = modes._replace(mean=thin.origin(modes.mean), vectors=thin.matrix @ modes.vectors)
            weights = weights and StationaryWeights(
                thin.origin(weights.mean), thin.matrix @ weights.direction
            )
            notes += (f"{raw.n_frames} frames of {len(modes.mean)} functions: solved in the space of frames",)
        model = VACModel(
            method=self,
            functions=functions,
            dt=sums.dt,
            loadings=self._loadings(modes, sums, thin),
            modes=modes,
            choice=choice,
            covariances=leading,
            notes=notes + modes.notes,
            processes=found.processes,
            stationary_weights=weights,
            names=names_of_features(data if isinstance(data, Covariances) else raw),
        )
        return replace(model, notes=notes + model.imprecision + modes.notes)

    def unweighted_modes(self, sums: Covariances, choice: Choice, count: int = SLOWEST) -> SlowModes:
        """Modes of other sums by the estimate ``choice``, without weights, which need another pass over the data."""
        if choice.kind == "stationary":
            return reversible_modes(sums, self.cutoff, count)
        return nonreversible_modes(unsymmetrized(sums, self.cutoff), sums, count)

    def _solved(
        self, sums: Covariances, tilted: Tilt, columns: Trajectories | None, executor: Executor | None
    ) -> tuple[Choice, SlowModes]:
        """The estimate the data allow."""
        count = max(SLOWEST, self.dim + SLOWEST // 2)

        def fallback(reason: str, *shares: float) -> tuple[Choice, SlowModes]:
            modes = nonreversible_modes(unsymmetrized(sums, self.cutoff), sums, count)
            return Choice("nonreversible", reason, *shares), modes

        if tilted.weights is None:
            return fallback("the data fall into parts that do not exchange")
        if tilted.stationary:
            reason = "first and last frames of the pairs have the same distribution"
            if tilted.variance > STATIONARY:
                reason += f", up to what chance gives in {tilted.chance:.0%} of cases"
            return Choice("stationary", reason), reversible_modes(sums, self.cutoff, count)
        if columns is None:
            return fallback("weights need the data, only covariances were given")
        # a second pass over the data, each pair weighted by the stationary density at its first frame
        weighted = covariances(columns, self.lagtime, self.n_blocks, tilted.weights, executor, kept=1)
        shares = weighted.negative_share, weighted.effective_share
        if weighted.negative_share > MOST_NEGATIVE:
            return fallback(f"{weighted.negative_share:.0%} of the stationarity weight is negative", *shares)
        if weighted.effective_share < FEWEST_EFFECTIVE:
            return fallback(
                f"stationarity weights leave {weighted.effective_share:.2%} of the frames", *shares
            )
        modes = reversible_modes(weighted, self.cutoff, count)
        if not modes.eigenvalues[0] < 1:
            return fallback("stationarity weights give an eigenvalue above one", *shares)
        return Choice("reweighted", "runs did not start from equilibrium", *shares), modes

    def _loadings(self, modes: SlowModes, sums: Covariances, thin: Combinations | None) -> np.ndarray:
        """Loadings ``(functions, dim)`` of the asked length and reproducible sign."""
        vectors, values = modes.vectors[:, : self.dim], modes.eigenvalues[: self.dim]
        # signs by the largest coefficient of a function in units of its deviation
        deviation = np.sqrt(np.maximum(np.diag(sums.total.s00), 0))[:, None] if thin is None else 1.0
        signed = vectors * loading_signs(vectors * deviation)
        if self.scaling == "unit":
            return signed
        if self.scaling == "kinetic_map":
            return signed * np.maximum(values, 0)
        # commute map: |psi_i| = sqrt(t_i / 2 tau)
        return signed * np.sqrt(np.nan_to_num(modes.timescales[: self.dim]) / (2 * self.lagtime * sums.dt))
