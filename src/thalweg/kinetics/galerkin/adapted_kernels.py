r"""Kernels that look along the directions in which the function sought changes.

.. math::  \varphi_j(x) = e^{-|M^{1/2}(x - c_j)|/w},\qquad M = \langle \nabla f\, \nabla f^T \rangle

Among many features that a reaction does not depend on, distances say little. The gradients of a first approximation
tell which directions matter; kernels that measure distances in them give a better one, and so on: recursive feature
machines [radhakrishnan2024], for committors the fast committor machine [aristoff2024]. A few rounds are enough.

Distances in the first round are those of features divided by their deviations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy

from thalweg.collective_variables.bases.basis import Basis, along
from thalweg.collective_variables.bases.kernels import Landmarks
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories

ROUNDED = 0.05
"""Distance, in widths, below which the tip of a kernel is round, so that it has a gradient."""

LEAST = 1e-6
"""Mean square of a gradient, relative to that of the largest direction, below which a direction is left out."""

FRAMES_PER_KERNEL = 5
"""Different frames for each kernel at least; fewer kernels are taken where frames are few."""

MEASURED = 1000
"""Frames whose distances decide the width."""


@runtime_checkable
class Adapting(Basis, Protocol):
    """A basis that can be turned to where a function of frames changes.

    Attributes
    ----------
    rounds : how often it is worth while
    """

    @property
    def rounds(self) -> int: ...

    def adapted(self, gradients: Float[np.ndarray, "frames features"]) -> Adapting:
        """The basis that looks along these gradients."""
        ...


@dataclass(frozen=True, eq=False)
class AlongDirections:
    """``x @ matrix``.

    Attributes
    ----------
    matrix : (features, directions)
    """

    matrix: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """One of each direction."""
        return tuple(f"direction {k}" for k in range(self.matrix.shape[1]))

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        return frames @ xp.asarray(self.matrix, dtype=frames.dtype)


@dataclass(frozen=True, eq=False)
class ExponentialKernels:
    """Kernels at ``centers (kernels, directions)`` of ``x @ matrix``.

    Attributes
    ----------
    projection : from features to directions
    centers : (kernels, directions)
    width : of the kernels, in the unit of the directions
    """

    projection: AlongDirections
    centers: np.ndarray
    width: float

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(f"kernel {k}" for k in range(len(self.centers)))

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        middle = self.centers.mean(axis=0)
        origin, centers = (
            xp.asarray(array, dtype=frames.dtype) for array in (middle, (self.centers - middle) / self.width)
        )
        x = (self.projection(frames) - origin) / self.width
        # |x - c|^2 = |x|^2 + |c|^2 - 2 x . c about the mean of the centers
        squares = (x * x).sum(axis=1)[:, None] + (centers * centers).sum(axis=1) - 2 * x @ centers.T
        return xp.exp(ROUNDED - xp.sqrt(xp.maximum(squares, 0.0) + ROUNDED**2))


@dataclass(frozen=True)
class AdaptedKernels:
    """Exponential kernels at landmarks, turned to the gradients of what is sought.

    Parameters
    ----------
    count : kernels at most; see `FRAMES_PER_KERNEL`
    width : of the kernels, in median distances of frames
    rounds : how often they are turned
    seed : of the choice of landmarks
    matrix : (features, directions) in which distances are measured; None for features divided by their deviations

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1000, 2))
    >>> turned = AdaptedKernels(50).adapted(np.array([[0.0, 2.0], [0.0, 1.0]]))
    >>> turned.fit(Trajectories([x])).projection.matrix.round(3).tolist()
    [[0.0], [1.0]]
    """

    count: int = 400
    width: float = 1.0
    rounds: int = 4
    seed: int = 0
    matrix: np.ndarray | None = None

    def fit(self, data: Trajectories) -> ExponentialKernels:
        """The functions, fitted to data.

        Raises
        ------
        ValueError
            If all frames are equal.
        """
        frames = data.strided(MEASURED * FRAMES_PER_KERNEL).astype(float)
        projection = AlongDirections(by_deviations(frames) if self.matrix is None else self.matrix)
        seen = projection(frames)
        different = len(np.unique(seen, axis=0))
        if different < 2:
            raise ValueError(f"all {data.n_frames} frames are equal; kernels need frames that differ")
        count = min(self.count, max(different // FRAMES_PER_KERNEL, 2))
        centers = Landmarks(count, 1.0, 1.0, self.seed).fit(along(data, projection)).centers
        distances = scipy.spatial.distance.pdist(seen[:: -(-len(seen) // MEASURED)])
        return ExponentialKernels(projection, centers, self.width * float(np.median(distances)))

    def adapted(self, gradients: Float[np.ndarray, "frames features"]) -> AdaptedKernels:
        """The same in distances along gradients ``(frames, features)``."""
        values, vectors = np.linalg.eigh(gradients.T @ gradients / len(gradients))
        if not values[-1] > 0:
            return self
        kept = values > LEAST * values[-1]
        # the largest direction first, its sign by its largest entry; distances of it are in the features' own unit
        roots, axes = np.sqrt(values[kept] / values[-1])[::-1], vectors[:, kept][:, ::-1]
        signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        return replace(self, matrix=axes * signs * roots)


def by_deviations(frames: Float[np.ndarray, "frames features"]) -> np.ndarray:
    """Matrix that divides features by their deviations; constant ones are left out of distances."""
    spread = frames.std(axis=0)
    return np.diag(np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0))
