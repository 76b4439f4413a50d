r"""Slow processes without a choice of lag time: the variational approach integrated over lags [lorpaiboon2020].

.. math::  \Big(\sum_k w_k\, C_{\tau_k}\Big) b_i = \bar\lambda_i\, C_0\, b_i, \qquad
           \bar\lambda_i = \sum_k w_k\, e^{-\tau_k / t_i}

Short lags are dominated by fast processes that the basis resolves badly, long ones by noise; their average is worse
than the best single lag time at most by a little, and than others by much less. Lags are spread evenly in their
logarithm between the ends, with weights of the trapezoidal rule. The second equation, solved for :math:`t_i`, is exact
for the sum that is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from thalweg.collective_variables.bases.basis import Basis, Features, Functions, along
from thalweg.collective_variables.bases.frame_space import Combinations, columns_of
from thalweg.collective_variables.bases.linear_map import function_values, project
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.collective_variables.covariances.held_out import FOLDS, dealt_folds, overfitted
from thalweg.collective_variables.covariances.slow_modes import SlowModes, symmetrized
from thalweg.collective_variables.covariances.stationarity import StationaryWeights
from thalweg.collective_variables.covariances.whitening import whitening
from thalweg.collective_variables.linear.evidence import (
    diagnosed,
    observed_processes,
    quoted,
    undersampled,
)
from thalweg.collective_variables.linear.held_out_score import held_out_score
from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.collective_variables.linear.vac import VAC, Choice
from thalweg.learning.models import Model, Transforming
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.crossings import Process
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories


@dataclass(frozen=True, eq=False)
class IntegratedModel(Model):
    """Slow coordinates of a range of lag times.

    Attributes
    ----------
    functions : of the fitted basis
    lagtimes : (lags,) in frames
    lag_weights : (lags,) their weights, one in all
    mean : (functions,)
    loadings : (functions, dim), coordinates of unit variance, slowest first
    eigenvalues : (rank,) integrated
    timescales : (rank,) [ps]; NaN where an eigenvalue has no decay time
    choice : which estimate the data allowed, and why; see `VAC`
    dt : time between frames [ps]
    notes : what one should know about the data
    processes : of the coordinates, with how often the data show them
    """

    functions: Functions
    lagtimes: Shaped[np.ndarray, " lags"]
    lag_weights: Shaped[np.ndarray, " lags"]
    mean: Shaped[np.ndarray, " functions"]
    loadings: Shaped[np.ndarray, "functions dim"]
    eigenvalues: Shaped[np.ndarray, " rank"]
    timescales: Shaped[np.ndarray, " rank"]
    choice: Choice
    dt: float
    notes: tuple[str, ...]
    processes: tuple[Process, ...]

    @property
    def reference(self) -> int:
        """The lag time [frames] in the middle of the range, at which scores are taken."""
        return int(self.lagtimes[len(self.lagtimes) // 2])

    def transform(self, data: Any) -> Any:
        """Coordinates ``(frames, dim)`` of an array or of every trajectory."""
        return project(function_values(data, self.functions), self.mean, self.loadings)

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        """VAMP-r score of the coordinates on other data, at the lag time in the middle; see `covariances.scores`."""
        values = along(as_trajectories(data), self.functions)
        return held_out_score(values, self.reference, self.loadings, r=r)

    def __str__(self) -> str:
        low, high = self.lagtimes[[0, -1]] * self.dt
        return "\n".join(
            [
                f"timescales {quoted(self.processes)} at lags from {low:g} to {high:g} ps",
                f"{self.choice.kind}: {self.choice.reason}",
                *self.notes,
            ]
        )


@dataclass(frozen=True)
class IntegratedVAC(Transforming):
    """The variational approach integrated over lag times.

    Parameters
    ----------
    shortest, longest : int
        Ends of the range of lag times, in frames.
    dim : int
        Number of slow coordinates to keep.
    basis : `Basis`
    lags : int
        Number of lag times at most; each costs a pass over the data.
    cutoff : float
        As for `VAC`.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x = np.zeros((20000, 1))
    >>> for t in range(1, len(x)):
    ...     x[t] = 0.98 * x[t - 1] + random.standard_normal()
    >>> model = IntegratedVAC(1, 100, dim=1).fit(x)
    >>> bool(abs(model.timescales[0] / 49.5 - 1) < 0.2)
    True
    """

    shortest: int
    longest: int
    dim: int = 2
    basis: Basis = Features()  # noqa: RUF009
    lags: int = 12
    cutoff: float = 1e-6

    def __post_init__(self):
        if not 1 <= self.shortest < self.longest or self.lags < 2:
            raise ValueError(
                f"lag times from {self.shortest} to {self.longest} in {self.lags} steps: the longest must exceed the "
                "shortest, which is at least one frame, and there must be two or more"
            )

    @on_one_thread
    def fit(self, data: TrajectoryData) -> IntegratedModel:
        r"""Slow coordinates of data.

        =====================  =============================================
        symbol                 variable
        =====================  =============================================
        :math:`\tau_k, w_k`    ``lagtimes``, ``weights``
        :math:`C_{\tau_k}`     the last of each of ``parts``
        :math:`\sum_k w_k C`   ``ct``; ``c0`` for :math:`C_0`
        :math:`b_i`            ``loadings``, columns
        =====================  =============================================

        Raises
        ------
        ValueError
            If the longest lag time leaves no pairs, nothing varies, or ``dim`` is not between 1 and the rank.
        """
        trajectories = as_trajectories(data)
        lagtimes = np.unique(np.geomspace(self.shortest, self.longest, self.lags).round().astype(int))
        # w_k: trapezoidal rule over the lags, normalized
        weights = np.gradient(lagtimes.astype(float))
        weights[[0, -1]] /= 2
        weights = weights / weights.sum()
        # the VAC in the middle of the range says whether data are symmetrized and weighted, and how
        reference = VAC(int(lagtimes[len(lagtimes) // 2]), 1, self.basis, cutoff=self.cutoff).fit(
            trajectories
        )
        functions, choice = reference.functions, reference.choice
        columns, thin = columns_of(trajectories, functions, self.cutoff)
        reweight = _in_directions(reference.stationary_weights, thin)
        forms = _as_they_are if choice.kind == "nonreversible" else symmetrized
        sums = [covariances(columns, int(lag), reweight=reweight, kept=FOLDS) for lag in lagtimes]

        def modes_of(every: list[Covariances]) -> SlowModes:
            # sum_k w_k C_{tau_k}, and the same for the means and C_0, which differ from lag to lag by the pairs used
            parts = [forms(each) for each in every]
            mean, c0, ct = (np.tensordot(weights, [part[k] for part in parts], 1) for k in range(3))
            # the eigenproblem on whitened functions
            whitened = whitening(mean, c0, self.cutoff)
            values, vectors = _eigenpairs(whitened.matrix.T @ ct @ whitened.matrix)
            # t_i from lambda_i = sum_k w_k exp(-tau_k / t_i)
            times = trajectories.dt * np.array([_decay(value, lagtimes, weights) for value in values])
            return SlowModes(mean, whitened.matrix @ vectors, values, times, whitened.notes)

        modes = modes_of(sums)
        rank = len(modes.eigenvalues)
        if not 1 <= self.dim <= rank:
            raise ValueError(f"dim={self.dim} must lie between 1 and the rank of the functions, {rank}")
        vectors = modes.vectors[:, : self.dim]
        processes, unseen = diagnosed(
            "crossings",
            lambda: observed_processes(
                project(columns, modes.mean, vectors), modes.timescales[: self.dim], self.shortest
            ),
            (),
        )
        by_chance, failed = diagnosed(
            "slowness on data left out",
            lambda: overfitted(modes.timescales, _held_out(sums, modes_of, lagtimes, weights)),
            (),
        )
        notes = (
            trajectories.notes(self.longest)
            + by_chance
            + failed
            + undersampled(processes)
            + unseen
            + reference.imprecision
        )
        mean = modes.mean
        deviation = np.sqrt(np.diag(sums[0].c00))[:, None]
        if thin is not None:
            mean, vectors, deviation = thin.origin(mean), thin.matrix @ vectors, np.ones((1, 1))
        loadings = vectors * loading_signs(vectors * deviation)
        return IntegratedModel(
            functions,
            lagtimes,
            weights,
            mean,
            loadings,
            modes.eigenvalues,
            modes.timescales,
            choice,
            trajectories.dt,
            notes + modes.notes,
            processes,
        )


def _in_directions(weights: StationaryWeights | None, thin: Combinations | None) -> StationaryWeights | None:
    """Weights of functions as weights of the directions that frames span."""
    if weights is None or thin is None:
        return weights
    # (x - m) . d with d = M e is (y - y_m) . e, y = (x - mean) M
    direction = np.linalg.lstsq(thin.matrix, weights.direction, rcond=None)[0]
    return StationaryWeights((weights.mean - thin.mean) @ thin.matrix, direction)


def _held_out(
    sums: list[Covariances],
    modes_of: Callable[[list[Covariances]], SlowModes],
    lagtimes: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """The slowest timescale ``(1,)`` [ps] on blocks that had no part in finding its mode."""
    folds = [dealt_folds(each.n_blocks, FOLDS) for each in sums]
    products = squares = 0.0
    for k in range(FOLDS):
        vector = modes_of([each.resampled(1.0 * (fold != k)) for each, fold in zip(sums, folds)]).vectors[
            :, 0
        ]
        for weight, each, fold in zip(weights, sums, folds):
            left = each.resampled(1.0 * (fold == k))
            products += weight * float(vector @ left.c0t @ vector)
            squares += weight * float(vector @ left.c00 @ vector)
    return sums[0].dt * np.array([_decay(products / squares, lagtimes, weights)])


def _as_they_are(sums: Covariances) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariances, not symmetrized."""
    return sums.mean_0, sums.c00, sums.c0t


def _eigenpairs(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real parts of eigenvalues, largest first, and of eigenvectors."""
    if np.allclose(matrix, matrix.T, rtol=0, atol=1e-12):
        values, vectors = scipy.linalg.eigh((matrix + matrix.T) / 2)
    else:
        values, vectors = scipy.linalg.eig(matrix)
    order = np.argsort(-values.real)
    vectors = vectors[:, order].real
    return values[order].real, vectors / np.linalg.norm(vectors, axis=0)


def _decay(eigenvalue: float, lagtimes: np.ndarray, weights: np.ndarray) -> float:
    """The time [frames] whose decay averages to an eigenvalue; NaN where none does."""
    if not 1e-12 < eigenvalue < 1 - 1e-12:
        return float("nan")

    def excess(logarithm: float) -> float:
        return float(weights @ np.exp(-lagtimes / np.exp(logarithm))) - eigenvalue

    low, high = np.log(lagtimes[0] / 700), np.log(1e13 * lagtimes[-1])
    if not excess(low) < 0 < excess(high):
        return float("nan")
    return float(np.exp(scipy.optimize.brentq(excess, low, high)))
