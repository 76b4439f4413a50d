r"""The variational approach for Markov processes: slow functions without detailed balance or stationarity [wu2020].

.. math::  \bar K = C_{00}^{-1/2}\, C_{0t}\, C_{tt}^{-1/2} = U' S V'^T

The singular functions :math:`f_i = u_i \cdot \varphi` of first frames predict those of last frames, :math:`g_i`, best
of all functions in the span of the basis: :math:`E[g_i(x_{t+\tau}) | x_t] = s_i f_i(x_t)`. Singular values depend on
where runs were started and give no relaxation times, unless all is stationary and in detailed balance; timescales
therefore come from the eigenvalues of :math:`C_{00}^{-1} C_{0t}`, which short runs from anywhere leave right.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import Basis, Features, Functions, along
from thalweg.collective_variables.bases.frame_space import columns_of
from thalweg.collective_variables.bases.linear_map import (
    function_values,
    mapped,
    names_of_features,
    project,
)
from thalweg.collective_variables.bases.raw_angles import warned_angles
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.collective_variables.covariances.slow_modes import SLOWEST, SlowModes, nonreversible_modes
from thalweg.collective_variables.covariances.stationarity import unsymmetrized
from thalweg.collective_variables.covariances.whitening import FIRST_OF_PAIRS, LAST_OF_PAIRS, whitening
from thalweg.collective_variables.linear.evidence import evidence, imprecise, quoted, resolved_only
from thalweg.collective_variables.linear.held_out_score import held_out_score
from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.learning.models import Model, Transforming
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.crossings import Process
from thalweg.time_series.resampling import Estimate, independent_blocks, resample
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories
from thalweg.units import duration

RESAMPLED = 60
"""Functions up to which a fit looks at the error of its slowest timescale."""


@dataclass(frozen=True, eq=False)
class SingularFunctions:
    """Singular functions of a Koopman operator in a basis.

    Attributes
    ----------
    values : (rank,) singular values, largest first, without the one of the constant
    first, last : (functions, rank) coefficients of functions of first and of last frames, of unit variance
    notes : what was dropped
    """

    values: Shaped[np.ndarray, " rank"]
    first: Shaped[np.ndarray, "functions rank"]
    last: Shaped[np.ndarray, "functions rank"]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, sums: Covariances, cutoff: float) -> SingularFunctions:
        """From covariances; directions of variance below ``cutoff`` are dropped."""
        start = whitening(sums.mean_0, sums.c00, cutoff, FIRST_OF_PAIRS)
        end = whitening(sums.mean_t, sums.ctt, cutoff, LAST_OF_PAIRS)
        # K = C00^-1/2 C0t Ctt^-1/2 = U' S V'^T in whitened functions, and back to those of the basis
        left, values, right = np.linalg.svd(start.matrix.T @ sums.c0t @ end.matrix, full_matrices=False)
        first = start.matrix @ left
        signs = loading_signs(first * np.sqrt(np.maximum(np.diag(sums.c00), 0))[:, None])
        return cls(values, first * signs, end.matrix @ right.T * signs, start.notes)


@dataclass(frozen=True, eq=False)
class VAMPModel(Model):
    """Functions that stay predictable longest.

    Attributes
    ----------
    method : the `VAMP` that made it
    functions : of the fitted basis
    covariances : block sums the fit is made of
    singular : all singular functions
    modes : of the operator itself, whose eigenvalues give timescales
    notes : what one should know about the data
    processes : of the ``dim`` slowest modes, with how often the data show them
    names : of the features, by which columns of a DataFrame are found; None where they had none
    """

    method: VAMP
    functions: Functions
    covariances: Covariances
    singular: SingularFunctions
    modes: SlowModes
    notes: tuple[str, ...]
    processes: tuple[Process, ...] = ()
    names: tuple[str, ...] | None = None

    @property
    def singular_values(self) -> np.ndarray:
        """Singular values ``(rank,)``, largest first, without that of the constant."""
        return self.singular.values

    @property
    def timescales(self) -> np.ndarray:
        """Relaxation times of all modes ``(rank,)`` [ps]; NaN where an eigenvalue has no decay time."""
        return self.modes.timescales

    def transform(self, data: Any) -> Any:
        """Functions of first frames ``(frames, dim)``, times their singular values, of an array or of trajectories."""
        loadings = self.singular.first[:, : self.method.dim] * self.singular.values[: self.method.dim]
        return mapped(
            data,
            self.names,
            lambda frames: project(function_values(frames, self.functions), self.modes.mean, loadings),
        )

    def training_score(self, r: int = 2) -> float:
        """VAMP-r score of ``dim`` functions on the training data; grows with flexibility, see `score`."""
        return 1 + float((self.singular.values[: self.method.dim] ** r).sum())

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        """VAMP-r score of ``dim`` functions on other data."""
        dim = self.method.dim
        held_out = along(as_trajectories(data), self.functions)
        first, last = self.singular.first[:, :dim], self.singular.last[:, :dim]
        return held_out_score(held_out, self.method.lagtime, first, last, r)

    @on_one_thread
    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """The ``dim`` slowest timescales [ps] with block-bootstrap errors.

        NaN for a process that the data do not show often enough, see ``processes``.
        """
        dim, cutoff = self.method.dim, self.method.cutoff

        def replicate(sums: Covariances) -> np.ndarray:
            return nonreversible_modes(unsymmetrized(sums, cutoff), sums, dim).timescales[:dim]

        memory = float(np.nan_to_num(self.timescales[0])) / self.covariances.dt + self.method.lagtime
        blocks = independent_blocks(self.covariances, memory)
        found = resample(self.covariances, replicate, self.timescales[:dim], samples, blocks, seed)
        value, drawn = (resolved_only(each, self.processes) for each in (found.value, found.samples))
        return Estimate(value, drawn, found.n_blocks)

    def headline(self) -> dict[str, object]:
        """Lag, coordinates, singular values and timescales."""
        dim, dt = self.method.dim, self.covariances.dt
        return {
            "coordinates": dim,
            "lag": duration(self.method.lagtime * dt, dt),
            "singular values": self.singular_values[:dim],
            "timescales": ", ".join(duration(time, dt) for time in self.timescales[:dim]),
            "notes": len(self.notes),
        }

    def __str__(self) -> str:
        values = ", ".join(f"{value:.4g}" for value in self.singular_values[: self.method.dim])
        lag = self.method.lagtime * self.covariances.dt
        times = quoted(self.processes)
        return "\n".join(
            [f"singular values {values}, timescales {times} at lag {duration(lag)}", *self.notes]
        )


@dataclass(frozen=True)
class VAMP(Transforming):
    """Variational approach for Markov processes.

    Parameters
    ----------
    lagtime : int
        In frames.
    dim : int
        Number of functions to keep.
    basis : `Basis`
        What the functions are combinations of; the features themselves by default.
    cutoff : float
        Smallest eigenvalue of the correlation matrix of functions kept, relative to the largest.
    n_blocks : int
        About how many blocks of data to keep apart for errors.

    Examples
    --------
    >>> x = np.cumsum(np.random.default_rng(0).standard_normal((5000, 2)), axis=0) * [1.0, 0.0] + 1.0
    >>> model = VAMP(lagtime=1, dim=1).fit(x)
    >>> model.singular.notes, bool(model.singular_values[0] > 0.99)
    (('1 constant features were dropped: 1',), True)
    """

    lagtime: int
    dim: int = 2
    basis: Basis = Features()  # noqa: RUF009
    cutoff: float = 1e-6
    n_blocks: int = 40

    @on_one_thread
    def fit(self, data: TrajectoryData, executor: Executor | None = None) -> VAMPModel:
        """Singular functions of data, whose blocks are summed by the ``executor`` if there is one.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, nothing varies, or ``dim`` is not between 1 and the rank.
        """
        raw = as_trajectories(data)
        functions = self.basis.fit(raw)
        notes = raw.notes(self.lagtime) + warned_angles(raw, self.basis)
        columns, thin = columns_of(raw, functions, self.cutoff)
        sums = covariances(columns, self.lagtime, self.n_blocks, executor=executor)
        singular = SingularFunctions.of(sums, self.cutoff)
        if not 1 <= self.dim <= len(singular.values):
            raise ValueError(
                f"dim={self.dim} must lie between 1 and the rank of the functions, {len(singular.values)}"
            )
        count = max(SLOWEST, self.dim + SLOWEST // 2)

        def modes_of(part: Covariances) -> SlowModes:
            return nonreversible_modes(unsymmetrized(part, self.cutoff), part, count)

        modes = modes_of(sums)
        found = evidence(modes, self.dim, sums, modes_of, columns)
        if thin is not None:
            first, last = thin.matrix @ singular.first, thin.matrix @ singular.last
            singular = replace(singular, first=first, last=last)
            modes = modes._replace(mean=thin.origin(modes.mean), vectors=thin.matrix @ modes.vectors)
            notes += (f"{raw.n_frames} frames of {len(first)} functions: solved in the space of frames",)
        model = VAMPModel(
            self,
            functions,
            sums,
            singular,
            modes,
            notes + found.notes + singular.notes,
            found.processes,
            names_of_features(raw),
        )
        if len(singular.values) > RESAMPLED:
            return model
        return replace(model, notes=model.notes + imprecise(model.timescale_errors, sums, self.cutoff))
