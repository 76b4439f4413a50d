r"""Dynamic mode decomposition, of features and of functions of them: eigenvalues, eigenfunctions and modes.

.. math::  E[\varphi(x_{t+\tau}) | x_t] = K^T \varphi(x_t), \qquad K = C_{00}^{-1} C_{0t},\quad K b_j = \lambda_j b_j

With the features alone and products not centered this is DMD [schmid2010] [tu2014]; with more functions and the
constant EDMD [williams2015]. An eigenfunction :math:`\phi_j = b_j \cdot \varphi + c_j` is multiplied by
:math:`\lambda_j` every lag time; modes :math:`v_j`, found by regression, give features back,
:math:`x \approx \sum_j v_j \phi_j(x)`, and so predict them. Nothing is assumed reversible: eigenvalues may be complex,
decay :math:`-\tau/\ln|\lambda|` and turn :math:`\arg\lambda / 2\pi\tau` times per ps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh

from thalweg.collective_variables.basis import Basis, Features, Functions, Joined, along
from thalweg.collective_variables.covariance import Covariances, covariances
from thalweg.collective_variables.linear_map import as_frames
from thalweg.collective_variables.stationarity import koopman_model
from thalweg.collective_variables.threads import on_one_thread
from thalweg.collective_variables.trajectories import Trajectories, as_trajectories
from thalweg.collective_variables.whitening import whitening


@dataclass(frozen=True, eq=False)
class DynamicModes:
    """Eigenvalues, eigenfunctions and modes.

    Attributes
    ----------
    functions : of the fitted basis
    lag : lag time [ps]
    eigenvalues : (modes,) complex, largest magnitude first; that of the constant, one, is among them for `EDMD`
    coefficients : (functions, modes), ``b``
    offsets : (modes,), ``c``
    modes : (modes, features), ``v``
    notes : what was dropped
    """

    functions: Functions
    lag: float
    eigenvalues: np.ndarray
    coefficients: np.ndarray
    offsets: np.ndarray
    modes: np.ndarray
    notes: tuple[str, ...]

    @property
    def timescales(self) -> np.ndarray:
        """Decay times ``(modes,)`` [ps]; infinite for the constant, negative for what grows."""
        with np.errstate(divide="ignore"):
            rates = -np.log(np.abs(self.eigenvalues)) / self.lag
            return np.where(np.abs(rates) < 1e-12 / self.lag, np.inf, 1 / rates)

    @property
    def frequencies(self) -> np.ndarray:
        """Turns per ps ``(modes,)``."""
        return np.angle(self.eigenvalues) / (2 * np.pi * self.lag)

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

    @on_one_thread
    def fit(self, data: Trajectories | Sequence[Any] | np.ndarray) -> DynamicModes:
        """Modes of data.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs or nothing varies.
        """
        raw = as_trajectories(data)
        functions = self.basis.fit(raw)
        sums = covariances(along(raw, functions), self.lagtime, n_blocks=1)
        whitened = whitening(sums.mean_0, sums.c00, self.cutoff)
        koopman = koopman_model(sums, whitened)
        values, vectors = np.linalg.eig(koopman.matrix)
        order = np.argsort(-np.abs(values))
        values, vectors = values[order], vectors[:, order]
        with np.errstate(divide="ignore", invalid="ignore"):
            shifts = np.where(np.abs(values - 1) > 1e-12, koopman.drift @ vectors / (values - 1), 0.0)
        coefficients = whitened.matrix @ vectors
        offsets = shifts - whitened.mean @ coefficients
        mean, slopes = _regressed(raw, functions, whitened.mean, whitened.matrix, self.lagtime)
        modes = np.linalg.solve(vectors, slopes.astype(complex))
        constant = mean - shifts @ modes
        return DynamicModes(
            functions,
            sums.lagtime * sums.dt,
            np.append(1.0, values),
            np.column_stack([np.zeros(len(coefficients)), coefficients]),
            np.append(1.0, offsets),
            np.vstack([constant, modes]),
            whitened.notes,
        )


@dataclass(frozen=True)
class DMD:
    """Dynamic mode decomposition of the features, exact and of products that are not centered [tu2014].

    Parameters
    ----------
    lagtime : int
        In frames.
    cutoff : float
        Smallest eigenvalue of the matrix of products kept, relative to the largest; features should have one unit.

    Examples
    --------
    >>> t = np.arange(50)
    >>> model = DMD(lagtime=1).fit(0.9 ** t[:, None] * [1.0, 2.0] + 0.5 ** t[:, None] * [1.0, -1.0])
    >>> np.abs(model.eigenvalues).round(6).tolist()
    [0.9, 0.5]
    """

    lagtime: int
    cutoff: float = 1e-12

    @on_one_thread
    def fit(self, data: Trajectories | Sequence[Any] | np.ndarray) -> DynamicModes:
        """Modes of data.

        Raises
        ------
        ValueError
            If the lag time leaves no pairs or all features are zero.
        """
        raw = as_trajectories(data)
        sums = covariances(raw, self.lagtime, n_blocks=1)
        now = sums.c00 + np.outer(sums.mean_0, sums.mean_0)
        later = sums.c0t + np.outer(sums.mean_0, sums.mean_t)
        sizes, directions = eigh(now)
        kept = sizes > self.cutoff * max(sizes[-1], 0.0)
        if sizes[-1] <= 0:
            raise ValueError("all features are zero; nothing varies in time")
        half = directions[:, kept] / np.sqrt(sizes[kept])
        values, vectors = np.linalg.eig(half.T @ later @ half)
        order = np.argsort(-np.abs(values))
        values, vectors = values[order], vectors[:, order]
        modes = np.linalg.solve(vectors, (half.T @ now).astype(complex))
        dropped = int((~kept).sum())
        notes = (
            (f"{dropped} of {len(kept)} directions are combinations of the others and were dropped",)
            if dropped
            else ()
        )
        functions = Features().fit(raw)
        lag = sums.lagtime * sums.dt
        return DynamicModes(functions, lag, values, half @ vectors, np.zeros(len(values)), modes, notes)


def _regressed(
    data: Trajectories, functions: Functions, mean: np.ndarray, matrix: np.ndarray, lagtime: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the features of first frames, and their slopes ``(rank, features)`` on whitened functions."""
    both: Covariances = covariances(
        along(data, Joined((Features().fit(data), functions))), lagtime, n_blocks=1
    )
    features = data.n_features
    return both.mean_0[:features], matrix.T @ both.c00[features:, :features]
