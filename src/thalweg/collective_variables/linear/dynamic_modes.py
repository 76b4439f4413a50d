r"""Dynamic mode decomposition, of features and of functions of them: eigenvalues, eigenfunctions and modes.

.. math::  E[\varphi(x_{t+\tau}) | x_t] = K^T \varphi(x_t), \qquad K = C_{00}^{-1} C_{0t},\quad K b_j = \lambda_j b_j

With the features alone and products not centered this is DMD [schmid2010] [tu2014]; with more functions and the
constant EDMD [williams2015]. An eigenfunction :math:`\phi_j = b_j \cdot \varphi + c_j` is multiplied by
:math:`\lambda_j` every lag time; modes :math:`v_j`, found by regression, give features back,
:math:`x \approx \sum_j v_j \phi_j(x)`, and so predict them. Nothing is assumed reversible: eigenvalues may be complex,
decay :math:`-\tau/\ln|\lambda|` and turn :math:`\arg\lambda / 2\pi\tau` times per ps.

Measurement noise shortens all times; a model tells where it does, and ``instruments`` mend it (`instruments`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy

from thalweg.collective_variables.bases.basis import Basis, Features, Functions, along
from thalweg.collective_variables.bases.frame_space import columns_of
from thalweg.collective_variables.bases.linear_map import as_frames
from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.whitening import whitening
from thalweg.collective_variables.linear.doubted_modes import mode_doubts, mode_times
from thalweg.collective_variables.linear.evidence import imprecise
from thalweg.collective_variables.linear.held_out_score import held_out_score
from thalweg.collective_variables.linear.instruments import (
    Operator,
    instrumented_sums,
    mean_products,
    operator_of,
)
from thalweg.learning.models import Method, Model
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.crossings import Process
from thalweg.time_series.resampling import Estimate, independent_blocks, resample
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

RESAMPLED = 60
"""Functions up to which a fit looks at the error of its slowest time."""


@dataclass(frozen=True, eq=False)
class DynamicModes(Model):
    """Eigenvalues, eigenfunctions and modes.

    Attributes
    ----------
    method : the `DMD` or `EDMD` that made it
    functions : of the fitted basis
    covariances : block sums of the functions
    lag : lag time [ps]
    eigenvalues : (modes,) complex, largest magnitude first; that of the constant, one, is among them for `EDMD`
    coefficients : (functions, modes), ``b``
    offsets : (modes,), ``c``
    modes : (modes, features), ``v``
    notes : what was dropped, and what speaks against the slowest modes
    processes : by the number of the mode, those of the ten slowest that move at random, with how often the data show
        them
    """

    method: EDMD | DMD
    functions: Functions
    covariances: Covariances
    lag: float
    eigenvalues: Shaped[np.ndarray, " modes"]
    coefficients: Shaped[np.ndarray, "functions modes"]
    offsets: Shaped[np.ndarray, " modes"]
    modes: Shaped[np.ndarray, "modes features"]
    notes: tuple[str, ...]
    processes: dict[int, Process]

    @property
    def timescales(self) -> np.ndarray:
        """Decay times ``(modes,)`` [ps]; infinite for the constant, negative for what grows."""
        return mode_times(self.eigenvalues, self.lag)

    @property
    def frequencies(self) -> np.ndarray:
        """Turns per ps ``(modes,)``."""
        return np.angle(self.eigenvalues) / (2 * np.pi * self.lag)

    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Decay times ``(modes,)`` [ps] with block-bootstrap errors; modes of replicates are matched by eigenvalue.

        NaN for modes that the data do not show often enough, see ``processes``.
        """
        found = self._resampled(lambda values: mode_times(values, self.lag), self.timescales, samples, seed)
        hidden = [k for k, process in self.processes.items() if not process.sampled]
        value, drawn = found.value.copy(), found.samples.copy()
        value[hidden], drawn[:, hidden] = np.nan, np.nan
        return Estimate(value, drawn, found.n_blocks)

    def slowest_errors(self, samples: int = 100) -> Estimate:
        """Decay times [ps] with errors, the constant left out."""
        found = self.timescale_errors(samples)
        return Estimate(found.value[1:], found.samples[:, 1:], found.n_blocks)

    def frequency_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Frequencies ``(modes,)`` [1/ps] with block-bootstrap errors."""
        return self._resampled(
            lambda values: np.angle(values) / (2 * np.pi * self.lag), self.frequencies, samples, seed
        )

    def _resampled(
        self, quantity: Callable[[np.ndarray], np.ndarray], value: np.ndarray, samples: int, seed: int
    ) -> Estimate:
        """A function of the eigenvalues; NaN where it is not finite, as for the constant."""
        constant = isinstance(self.method, EDMD)

        def replicate(sums: Covariances) -> np.ndarray:
            eigenvalues = np.append(np.ones(int(constant)), self.method.operator(sums).values)
            if len(eigenvalues) < len(self.eigenvalues):
                raise ValueError("the replicate has fewer modes")
            eigenvalues = eigenvalues[
                scipy.optimize.linear_sum_assignment(np.abs(self.eigenvalues[:, None] - eigenvalues))[1]
            ]
            values = quantity(eigenvalues)
            return np.where(np.isfinite(values), values, np.nan)

        times = self.timescales
        slowest = float(np.max(np.abs(times[np.isfinite(times)]), initial=0.0))
        memory = slowest / self.covariances.dt + self.covariances.lagtime
        blocks = independent_blocks(self.covariances, memory)
        value = np.where(np.isfinite(value), value, np.nan)
        return resample(self.covariances, replicate, value, samples, blocks, seed)

    def eigenfunctions(self, frames: np.ndarray) -> np.ndarray:
        """Their values ``(frames, modes)``, complex."""
        return np.asarray(self.functions(as_frames(frames))) @ self.coefficients + self.offsets

    def predict(self, frames: np.ndarray, steps: int = 1) -> np.ndarray:
        """Expected features ``(frames, features)`` ``steps`` lag times later."""
        return np.real(self.eigenfunctions(frames) * self.eigenvalues**steps @ self.modes)

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        """VAMP-r score of all eigenfunctions, the constant included, on other data; see `covariances.scores`."""
        parts = np.hstack([self.coefficients.real, self.coefficients.imag])
        values = along(as_trajectories(data), self.functions)
        return held_out_score(values, self.method.lagtime, parts[:, np.abs(parts).max(axis=0) > 0], r=r)

    def __str__(self) -> str:
        times, turns = self.timescales, self.frequencies
        said = []
        for k in np.flatnonzero(np.isfinite(times) & (turns >= 0))[:5].tolist():
            shown = k not in self.processes or self.processes[k].sampled
            turning = f" turning {turns[k]:.3g} times per ps" if turns[k] > 0 else ""
            said.append((f"{times[k]:.4g} ps" if shown else "under-sampled") + turning)
        times = f"decay times {', '.join(said)}" if said else "no decay"
        return "\n".join([f"{times} at lag {self.lag:g} ps", *self.notes])


@dataclass(frozen=True)
class EDMD(Method):
    """Extended dynamic mode decomposition.

    Parameters
    ----------
    lagtime : int
        In frames.
    basis : `Basis`
    cutoff : float
        Smallest eigenvalue of the correlation matrix of functions kept, relative to the largest.
    n_blocks : int
        About how many blocks of data to keep apart for error bars.
    instruments : int
        How many frames earlier those are that stand in for first frames, so that white measurement noise does not
        shorten times; zero for none.

    Examples
    --------
    >>> t = np.arange(200)
    >>> x = np.stack([np.cos(0.1 * t), np.sin(0.1 * t)], axis=1) + 3.0
    >>> model = EDMD(lagtime=1).fit(x)
    >>> bool(np.allclose(model.predict(x[:5], steps=7), x[7:12]))
    True
    """

    lagtime: int
    basis: Basis = Features()  # noqa: RUF009
    cutoff: float = 1e-10
    n_blocks: int = 40
    instruments: int = 0

    @property
    def centered(self) -> bool:
        """Whether means are taken off products: yes, the constant is a function of its own."""
        return True

    @on_one_thread
    def fit(self, data: TrajectoryData) -> DynamicModes:
        """Modes of data.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs or nothing varies.
        """
        raw = as_trajectories(data)
        functions = self.basis.fit(raw)
        columns, thin = columns_of(raw, functions, self.cutoff)
        sums = instrumented_sums(columns, self.lagtime, self.instruments, self.n_blocks)
        found = self.operator(sums)
        values, vectors = found.values, found.vectors
        with np.errstate(divide="ignore", invalid="ignore"):
            shifts = np.where(np.abs(values - 1) > 1e-12, found.drift @ vectors / (values - 1), 0.0)
        coefficients = found.matrix @ vectors
        offsets = shifts - found.mean @ coefficients
        mean, slopes = _regressed(raw, columns, found.mean, found.matrix, self.lagtime)
        modes = np.linalg.lstsq(vectors, slopes.astype(complex), rcond=None)[0]
        constant = mean - shifts @ modes
        doubted = mode_doubts(self, columns, sums, found, offsets)
        notes = found.notes + doubted.notes
        if thin is not None:
            coefficients = thin.matrix @ coefficients
            offsets = offsets - thin.mean @ coefficients
            notes += (_in_frame_space(raw, len(coefficients)),)
        model = DynamicModes(
            self,
            functions,
            sums,
            sums.lagtime * sums.dt,
            np.append(1.0, values),
            np.column_stack([np.zeros(len(coefficients)), coefficients]),
            np.append(1.0, offsets),
            np.vstack([constant, modes]),
            notes,
            {k + 1: process for k, process in doubted.processes.items()},
        )
        if len(values) > RESAMPLED or self.instruments or 0 not in doubted.processes:
            return model
        return replace(model, notes=model.notes + imprecise(model.slowest_errors, sums, self.cutoff))

    def operator(self, sums: Covariances, instruments: int | None = None) -> Operator:
        """The operator that block sums say, that of the constant left out.

        Parameters
        ----------
        instruments : of the sums; those of the method if None

        Raises
        ------
        ValueError
            If nothing varies, or no function remembers the instruments.
        """
        used = self.instruments if instruments is None else instruments
        products = mean_products(sums, used, self.centered)
        whitened = whitening(products.mean, products.same, self.cutoff)
        return operator_of(products, whitened.matrix, whitened.notes)


@dataclass(frozen=True)
class DMD(Method):
    """Dynamic mode decomposition of the features, exact and of products that are not centered [tu2014].

    Parameters
    ----------
    lagtime : int
        In frames.
    cutoff : float
        Smallest eigenvalue of the matrix of products kept, relative to the largest; features should have one unit.
    n_blocks : int
        About how many blocks of data to keep apart for error bars.
    instruments : int
        As for `EDMD`.

    Examples
    --------
    >>> t = np.arange(50)
    >>> model = DMD(lagtime=1).fit(0.9 ** t[:, None] * [1.0, 2.0] + 0.5 ** t[:, None] * [1.0, -1.0])
    >>> np.abs(model.eigenvalues).round(6).tolist()
    [0.9, 0.5]
    """

    lagtime: int
    cutoff: float = 1e-12
    n_blocks: int = 40
    instruments: int = 0

    @property
    def centered(self) -> bool:
        """Whether means are taken off products: no."""
        return False

    @on_one_thread
    def fit(self, data: TrajectoryData) -> DynamicModes:
        """Modes of data.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs or all features are zero.
        """
        raw = as_trajectories(data)
        features = Features().fit(raw)
        columns, thin = columns_of(raw, features, self.cutoff, self.centered)
        sums = instrumented_sums(columns, self.lagtime, self.instruments, self.n_blocks)
        found = self.operator(sums)
        same = mean_products(sums, self.instruments, self.centered).same
        modes = np.linalg.lstsq(found.vectors, (found.matrix.T @ same).astype(complex), rcond=None)[0]
        none = np.zeros(len(found.values))
        doubted = mode_doubts(self, columns, sums, found, none)
        coefficients, notes = found.matrix @ found.vectors, found.notes + doubted.notes
        if thin is not None:
            coefficients, modes = thin.matrix @ coefficients, thin.back(modes.T).T
            notes += (_in_frame_space(raw, len(coefficients)),)
        return DynamicModes(
            self,
            features,
            sums,
            sums.lagtime * sums.dt,
            found.values,
            coefficients,
            none,
            modes,
            notes,
            doubted.processes,
        )

    def operator(self, sums: Covariances, instruments: int | None = None) -> Operator:
        """The operator that block sums say.

        Parameters
        ----------
        instruments : of the sums; those of the method if None

        Raises
        ------
        ValueError
            If all features are zero, or none remembers the instruments.
        """
        products = mean_products(
            sums, self.instruments if instruments is None else instruments, self.centered
        )
        sizes, directions = scipy.linalg.eigh(products.same)
        if sizes[-1] <= 0:
            raise ValueError("all features are zero; nothing varies in time")
        significant = sizes > self.cutoff * sizes[-1]
        dropped = int((~significant).sum())
        told = f"{dropped} of {len(sizes)} directions are combinations of the others and were dropped"
        half = directions[:, significant] / np.sqrt(sizes[significant])
        return operator_of(products, half, (told,) if dropped else ())


def _in_frame_space(data: Trajectories, functions: int) -> str:
    return f"{data.n_frames} frames of {functions} functions: solved in the space of frames"


def _regressed(
    data: Trajectories, columns: Trajectories, about: np.ndarray, matrix: np.ndarray, lagtime: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the features of first frames, and their slopes on whitened functions, combinations of the columns."""
    ranges = segments(data.report(lagtime).used, 1)
    weight, mean = 0.0, np.zeros(data.n_features)
    center, products = np.zeros(matrix.shape[1]), np.zeros((matrix.shape[1], data.n_features))
    for frames, values in zip(data.pairs(ranges, lagtime), columns.pairs(ranges, lagtime)):
        each = np.ones(len(frames.x)) if frames.weights is None else frames.weights
        whitened = (values.x - about) @ matrix
        weight, mean, center = weight + each.sum(), mean + each @ frames.x, center + each @ whitened
        products += (each[:, None] * whitened).T @ frames.x
    # <y x^T> - <y> <x>^T
    return mean / weight, products / weight - np.outer(center / weight, mean / weight)
