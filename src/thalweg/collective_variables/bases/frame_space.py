r"""The directions that frames span, where these are fewer than the functions of them.

.. math::  X X^T u_k = s_k^2 u_k, \qquad y_k(x) = \frac{\sqrt n}{s_k^2}\, (x - \bar x)\, D^{-1} X^T u_k

with :math:`X` the ``n`` centered frames divided by the deviations :math:`D` of their columns. All frames lie in these
at most :math:`n - 1` directions, so that a linear problem solved in them is solved exactly, whatever the number of
columns: a matrix of frames squared takes the place of one of columns squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from thalweg.collective_variables.bases.basis import Functions, along
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories


@dataclass(frozen=True, eq=False)
class Combinations:
    """Functions ``(x - mean) @ matrix``.

    Attributes
    ----------
    mean : (features,)
    matrix : (features, dim)
    """

    mean: Shaped[np.ndarray, " features"]
    matrix: Shaped[np.ndarray, "features dim"]

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(f"direction {k}" for k in range(self.matrix.shape[1]))

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        mean, matrix = (xp.asarray(each, dtype=frames.dtype) for each in (self.mean, self.matrix))
        return (frames - mean) @ matrix

    def back(self, matrix: Shaped[np.ndarray, "dim columns"]) -> np.ndarray:
        """Products ``(features, columns)`` with the features that the functions span, from those with the functions."""
        return self.matrix @ np.linalg.solve(self.matrix.T @ self.matrix, matrix)

    def origin(self, values: Shaped[np.ndarray, " dim"]) -> np.ndarray:
        """The point ``(features,)`` nearest to the mean where the functions have these values."""
        return self.mean + self.back(values[:, None])[:, 0]


def _spanned(data: Trajectories, cutoff: float, centered: bool = True) -> Combinations | None:
    """Uncorrelated functions of unit variance that say all about the frames; None where columns are not more.

    Parameters
    ----------
    cutoff : smallest variance of a direction kept, relative to the largest, in columns of unit variance
    centered : whether means are taken off and columns divided by their deviations; if not, variances are mean squares

    Raises
    ------
    ValueError
        If all columns are constant, or zero where they are not centered.
    MemoryError
        If the frames do not fit into memory.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((5, 30))
    >>> np.round(np.cov(_spanned(Trajectories([x]), 1e-10)(x).T, bias=True), 6).tolist() == np.eye(4).tolist()
    True
    >>> _spanned(Trajectories([x.T]), 1e-10) is None
    True
    """
    frames, columns = data.n_frames, data.n_features
    if frames >= columns:
        return None
    require_memory(
        8.0 * frames * (3 * columns + 4 * frames),
        f"{frames} frames of {columns} columns; take another feature set, or every n-th frame",
    )
    x = np.concatenate([chunk for _, _, chunk in data.chunks()]).astype(float)
    mean, inverse = np.zeros(columns), np.ones(columns)
    if centered:
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        varies = deviation > 1e-7 * np.maximum(np.abs(mean), 1e-30)
        inverse = np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)
    if not (inverse.any() and x.any()):
        raise ValueError(
            "all features are constant in the frames looked at; nothing varies in time"
            if centered
            else "all features are zero; nothing varies in time"
        )
    x = (x - mean) * inverse
    squares, vectors = scipy.linalg.eigh(x @ x.T)
    kept = squares > max(cutoff, 1e-13) * squares[-1]
    matrix = inverse[:, None] * (x.T @ (vectors[:, kept][:, ::-1] / squares[kept][::-1])) * np.sqrt(frames)
    return Combinations(mean, matrix)


def columns_of(
    data: Trajectories, functions: Functions, cutoff: float, centered: bool = True
) -> tuple[Trajectories, Combinations | None]:
    """Columns that a linear problem of functions is solved in, and the directions they are where frames are fewer.

    Parameters
    ----------
    functions : of frames, of a fitted basis
    cutoff, centered : as for `_spanned`

    Raises
    ------
    ValueError, MemoryError
        As `_spanned` does.

    Examples
    --------
    >>> from thalweg.collective_variables.bases.basis import Features
    >>> data = Trajectories([np.random.default_rng(0).standard_normal((5, 30))])
    >>> columns, directions = columns_of(data, Features().fit(data), 1e-6)
    >>> columns.n_features, directions.matrix.shape
    (4, (30, 4))
    """
    evaluated = along(data, functions)
    directions = _spanned(evaluated, cutoff, centered)
    return (evaluated if directions is None else along(evaluated, directions)), directions
