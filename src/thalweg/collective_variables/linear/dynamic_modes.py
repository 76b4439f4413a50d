r"""Dynamic mode decomposition, of features and of functions of them: eigenvalues, eigenfunctions and modes.

.. math::  E[\varphi(x_{t+\tau}) | x_t] = K^T \varphi(x_t), \qquad K = C_{00}^{-1} C_{0t},\quad K b_j = \lambda_j b_j

With the features alone and products not centered this is DMD [schmid2010] [tu2014]; with more functions and the
constant EDMD [williams2015]. An eigenfunction :math:`\phi_j = b_j \cdot \varphi + c_j` is multiplied by
:math:`\lambda_j` every lag time; modes :math:`v_j`, found by regression, give features back,
:math:`x \approx \sum_j v_j \phi_j(x)`, and so predict them. Nothing is assumed reversible: eigenvalues may be complex,
decay :math:`-\tau/\ln|\lambda|` and turn :math:`\arg\lambda / 2\pi\tau` times per ps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from thalweg.collective_variables.bases.basis import Basis, Features, Functions, Joined, along
from thalweg.collective_variables.bases.linear_map import as_frames
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.collective_variables.covariances.stationarity import KoopmanModel, koopman_model
from thalweg.collective_variables.covariances.whitening import whitening
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.resampling import Estimate, independent_blocks, resample
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories


@dataclass(frozen=True, eq=False)
class DynamicModes:
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
    notes : what was dropped
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

    @property
    def timescales(self) -> np.ndarray:
        """Decay times ``(modes,)`` [ps]; infinite for the constant, negative for what grows."""
        return _decay_times(self.eigenvalues, self.lag)

    @property
    def frequencies(self) -> np.ndarray:
        """Turns per ps ``(modes,)``."""
        return np.angle(self.eigenvalues) / (2 * np.pi * self.lag)

    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Decay times ``(modes,)`` [ps] with block-bootstrap errors; modes of replicates are matched by eigenvalue."""
        return self._resampled(lambda values: _decay_times(values, self.lag), self.timescales, samples, seed)

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
            eigenvalues = np.append(np.ones(int(constant)), self.method.spectrum(sums)[0])
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


@dataclass(frozen=True)
class EDMD:
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
        sums = covariances(along(raw, functions), self.lagtime, self.n_blocks)
        values, vectors, koopman = self.spectrum(sums)
        whitened = koopman.whitening
        with np.errstate(divide="ignore", invalid="ignore"):
            shifts = np.where(np.abs(values - 1) > 1e-12, koopman.drift @ vectors / (values - 1), 0.0)
        coefficients = whitened.matrix @ vectors
        offsets = shifts - whitened.mean @ coefficients
        mean, slopes = _regressed(raw, functions, whitened.mean, whitened.matrix, self.lagtime)
        modes = np.linalg.solve(vectors, slopes.astype(complex))
        constant = mean - shifts @ modes
        return DynamicModes(
            self,
            functions,
            sums,
            sums.lagtime * sums.dt,
            np.append(1.0, values),
            np.column_stack([np.zeros(len(coefficients)), coefficients]),
            np.append(1.0, offsets),
            np.vstack([constant, modes]),
            whitened.notes,
        )

    def spectrum(self, sums: Covariances) -> tuple[np.ndarray, np.ndarray, KoopmanModel]:
        """Eigenvalues but that of the constant, eigenvectors and the operator in whitened functions."""
        koopman = koopman_model(sums, whitening(sums.mean_0, sums.c00, self.cutoff))
        return *_ordered(koopman.matrix), koopman


@dataclass(frozen=True)
class DMD:
    """Dynamic mode decomposition of the features, exact and of products that are not centered [tu2014].

    Parameters
    ----------
    lagtime : int
        In frames.
    cutoff : float
        Smallest eigenvalue of the matrix of products kept, relative to the largest; features should have one unit.
    n_blocks : int
        About how many blocks of data to keep apart for error bars.

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

    @on_one_thread
    def fit(self, data: TrajectoryData) -> DynamicModes:
        """Modes of data.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs or all features are zero.
        """
        raw = as_trajectories(data)
        sums = covariances(raw, self.lagtime, self.n_blocks)
        values, vectors, half = self.spectrum(sums)
        modes = np.linalg.solve(vectors, (half.T @ _products(sums)).astype(complex))
        dropped = len(half) - half.shape[1]
        notes = (
            (f"{dropped} of {len(half)} directions are combinations of the others and were dropped",)
            if dropped
            else ()
        )
        functions = Features().fit(raw)
        lag = sums.lagtime * sums.dt
        none = np.zeros(len(values))
        return DynamicModes(self, functions, sums, lag, values, half @ vectors, none, modes, notes)

    def spectrum(self, sums: Covariances) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues, eigenvectors and the map ``(features, rank)`` to features whose products are whitened.

        Raises
        ------
        ValueError
            If all features are zero.
        """
        sizes, directions = scipy.linalg.eigh(_products(sums))
        if sizes[-1] <= 0:
            raise ValueError("all features are zero; nothing varies in time")
        significant = sizes > self.cutoff * sizes[-1]
        half = directions[:, significant] / np.sqrt(sizes[significant])
        later = sums.c0t + np.outer(sums.mean_0, sums.mean_t)
        return *_ordered(half.T @ later @ half), half


def _products(sums: Covariances) -> np.ndarray:
    """Mean products of first frames, not centered."""
    return sums.c00 + np.outer(sums.mean_0, sums.mean_0)


def _ordered(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest magnitude first, and eigenvectors."""
    values, vectors = np.linalg.eig(matrix)
    order = np.argsort(-np.abs(values))
    return values[order], vectors[:, order]


def _decay_times(eigenvalues: np.ndarray, lag: float) -> np.ndarray:
    """``-lag / ln|eigenvalue|`` [ps]; infinite for one."""
    with np.errstate(divide="ignore"):
        rates = -np.log(np.abs(eigenvalues)) / lag
        return np.where(np.abs(rates) < 1e-12 / lag, np.inf, 1 / rates)


def _regressed(
    data: Trajectories, functions: Functions, mean: np.ndarray, matrix: np.ndarray, lagtime: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the features of first frames, and their slopes ``(rank, features)`` on whitened functions."""
    both: Covariances = covariances(
        along(data, Joined((Features().fit(data), functions))), lagtime, n_blocks=1
    )
    features = data.n_features
    return both.mean_0[:features], matrix.T @ both.c00[features:, :features]
