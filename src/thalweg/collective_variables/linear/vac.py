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
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from thalweg.collective_variables.bases.basis import Basis, Features, Functions, Identity, along
from thalweg.collective_variables.bases.linear_map import (
    function_values,
    mapped,
    names_of_features,
    project,
)
from thalweg.collective_variables.bases.raw_angles import warned_angles
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.collective_variables.covariances.held_out import held_out_timescales, overfitted
from thalweg.collective_variables.covariances.scores import vamp_score
from thalweg.collective_variables.covariances.slow_modes import (
    SlowModes,
    nonreversible_modes,
    reversible_modes,
)
from thalweg.collective_variables.covariances.stationarity import (
    STATIONARY,
    KoopmanModel,
    StationaryWeights,
    unsymmetrized,
)
from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.resampling import Estimate, independent_blocks, resample
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

MOST_NEGATIVE = 0.05
"""Share of negative weight above which stationarity weights are refused."""

FEWEST_EFFECTIVE = 0.002
"""Share of frames that must count effectively for stationarity weights to be used."""

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
class VACModel:
    r"""Slow coordinates and their timescales.

    Attributes
    ----------
    method : the `VAC` that made it
    functions : of the fitted basis
    dt : time between frames [ps]
    loadings : (functions, dim), from functions to coordinates, slowest first, scaled as asked for
    modes : mean, eigenvalues and timescales of all modes, by the estimate in use
    nonreversible : the same of the unsymmetrized operator
    choice : which estimate is in use, and why
    covariances : block sums the fit is made of
    notes : what one should know about the data
    names : of the features, by which columns of a DataFrame are found; None where they had none
    """

    method: VAC
    functions: Functions
    dt: float
    loadings: Shaped[np.ndarray, "functions dim"]
    modes: SlowModes
    nonreversible: SlowModes
    choice: Choice
    covariances: Covariances
    notes: tuple[str, ...]
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
    def stationary_weights(self) -> StationaryWeights | None:
        """Weights of frames under which the estimate is made; None where it needs none or has none."""
        if self.choice.kind != "reweighted":
            return None
        return unsymmetrized(self.covariances, self.method.cutoff).weights()

    @property
    def reason(self) -> str:
        """Why that estimate is in use."""
        return self.choice.reason

    @property
    def timescales(self) -> np.ndarray:
        """Timescales of all modes ``(rank,)`` [ps]; NaN where an eigenvalue has no decay time."""
        return self.modes.timescales

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues of all modes ``(rank,)``, real parts."""
        return self.modes.eigenvalues

    @property
    def mean(self) -> np.ndarray:
        """What is subtracted from the functions first ``(functions,)``."""
        return self.modes.mean

    @property
    def discrepancy(self) -> float:
        """Relative difference of the slowest timescale from the unsymmetrized one."""
        return float(abs(self.timescales[0] / self.nonreversible.timescales[0] - 1))

    def transform(self, data: Any) -> Any:
        """Coordinates ``(frames, dim)`` of an array, NumPy or JAX, or of every trajectory."""
        return mapped(
            data,
            self.names,
            lambda frames: project(function_values(frames, self.functions), self.mean, self.loadings),
        )

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        """The score of these ``dim`` coordinates on other data; see `covariances.scores`."""
        held_out = covariances(along(as_trajectories(data), self.functions), self.method.lagtime, n_blocks=1)
        return vamp_score(held_out, self.modes.vectors[:, : self.method.dim], r=r)

    @on_one_thread
    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Timescales [ps] of the first ``dim`` coordinates with block-bootstrap errors.

        For reweighted data the replicates are of the unsymmetrized operator, whose relative spread is taken
        over: weights of a replicate would need another pass over the data.
        """
        dim = self.method.dim

        def replicate(sums: Covariances) -> np.ndarray:
            return self.method.unweighted_modes(sums, self.choice).timescales[:dim]

        memory = float(np.nan_to_num(self.timescales[0])) / self.dt + self.method.lagtime
        blocks = independent_blocks(self.covariances, memory)
        free = resample(self.covariances, replicate, None, samples, blocks, seed)
        value = self.timescales[:dim]
        return Estimate(value, free.samples * (value / free.value), free.n_blocks)

    def __str__(self) -> str:
        times = ", ".join(f"{time:.4g}" for time in self.timescales[: self.method.dim])
        lag = self.lagtime * self.dt
        return "\n".join(
            [f"timescales {times} ps at lag {lag:g} ps", f"{self.estimate}: {self.reason}", *self.notes]
        )


@dataclass(frozen=True)
class VAC:
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
        About how many blocks of data to keep apart for errors; each costs three matrices of the number of
        functions squared.

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
        if isinstance(data, Covariances):
            trajectories, sums, notes = None, data, ()
            functions = Identity(tuple(f"feature {k}" for k in range(len(sums.mean_0))))
            if sums.lagtime != self.lagtime or not isinstance(self.basis, Features):
                raise ValueError(
                    f"covariances of features at lagtime={sums.lagtime} do not serve {self.basis} at "
                    f"lagtime={self.lagtime}; give the data"
                )
        else:
            raw = as_trajectories(data)
            functions = self.basis.fit(raw)
            # phi(x) frame by frame: from here on the problem is linear
            trajectories = along(raw, functions)
            sums = covariances(trajectories, self.lagtime, self.n_blocks, executor=executor)
            notes = raw.notes(self.lagtime) + warned_angles(raw, self.basis)
        # unsymmetrized first: it gives the weights, the fallback, and the timescales to compare with
        koopman = unsymmetrized(sums, self.cutoff)
        nonreversible = nonreversible_modes(koopman, sums)
        choice, modes = self._solved(sums, koopman, nonreversible, trajectories, executor)
        rank = modes.vectors.shape[1]
        # slow in these data by chance: seen where blocks that had no part in the fit disagree
        if sums.n_blocks > 1:
            left = held_out_timescales(sums, lambda part: self.unweighted_modes(part, choice), 1)
            notes += overfitted(modes.timescales, left)
        if not 1 <= self.dim <= rank:
            raise ValueError(f"dim={self.dim} must lie between 1 and the rank of the functions, {rank}")
        return VACModel(
            method=self,
            functions=functions,
            dt=sums.dt,
            loadings=self._loadings(modes, sums),
            modes=modes,
            nonreversible=nonreversible,
            choice=choice,
            covariances=sums,
            notes=notes + koopman.whitening.notes,
            names=names_of_features(data if isinstance(data, Covariances) else raw),
        )

    def unweighted_modes(self, sums: Covariances, choice: Choice) -> SlowModes:
        """Modes of other sums by the estimate ``choice``, without weights, which need another pass over the data."""
        if choice.kind == "stationary":
            return reversible_modes(sums, self.cutoff)
        return nonreversible_modes(unsymmetrized(sums, self.cutoff), sums)

    def _solved(
        self,
        sums: Covariances,
        koopman: KoopmanModel,
        fallback: SlowModes,
        trajectories: Trajectories | None,
        executor: Executor | None,
    ) -> tuple[Choice, SlowModes]:
        """The estimate the data allow."""
        # |v|^2, the relative variance of the weights 1 + v . y: zero where runs are stationary
        if koopman.variance <= STATIONARY:
            reason = "first and last frames of the pairs have the same distribution"
            return Choice("stationary", reason), reversible_modes(sums, self.cutoff)
        if not np.isfinite(koopman.variance):
            return Choice("nonreversible", "the data fall into parts that do not exchange"), fallback
        if trajectories is None:
            return Choice("nonreversible", "weights need the data, only covariances were given"), fallback
        # a second pass over the data, each pair weighted by the stationary density at its first frame
        blocks = 1 if executor is None else self.n_blocks
        weighted = covariances(trajectories, self.lagtime, blocks, koopman.weights(), executor)
        shares = weighted.negative_share, weighted.effective_share
        if weighted.negative_share > MOST_NEGATIVE:
            reason = f"{weighted.negative_share:.0%} of the stationarity weight is negative"
        elif weighted.effective_share < FEWEST_EFFECTIVE:
            reason = f"stationarity weights leave {weighted.effective_share:.2%} of the frames"
        else:
            modes = reversible_modes(weighted, self.cutoff)
            if modes.eigenvalues[0] < 1:
                return Choice("reweighted", "runs did not start from equilibrium", *shares), modes
            reason = "stationarity weights give an eigenvalue above one"
        return Choice("nonreversible", reason, *shares), fallback

    def _loadings(self, modes: SlowModes, sums: Covariances) -> np.ndarray:
        """Loadings ``(functions, dim)`` of the asked length and reproducible sign."""
        vectors, values = modes.vectors[:, : self.dim], modes.eigenvalues[: self.dim]
        deviation = np.sqrt(np.maximum(np.diag(sums.c00), 0))[:, None]
        signed = vectors * loading_signs(vectors * deviation)
        if self.scaling == "unit":
            return signed
        if self.scaling == "kinetic_map":
            return signed * np.maximum(values, 0)
        # commute map: |psi_i| = sqrt(t_i / 2 tau)
        return signed * np.sqrt(np.nan_to_num(modes.timescales[: self.dim]) / (2 * self.lagtime * sums.dt))
