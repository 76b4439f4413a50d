r"""Gaussian kernels at landmarks, and random waves that stand for all of them.

.. math::  \varphi_j(x) = \exp\!\left(-\frac{|x - c_j|^2}{2 w^2}\right)

In the span of kernels at ``m`` landmarks the solution of a kernel method on all ``n`` frames is approximated
(Nyström) at a cost of ``n m^2`` instead of ``n^3`` [harrigan2017]. Random waves
:math:`\sqrt2 \cos(\omega_j \cdot x + b_j)` with normal :math:`\omega_j` of width :math:`1/w` span nearly the same
functions without landmarks [rahimi2007].

Distances are between features divided by ``scale``, by default their standard deviations, so that units do not
matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from thalweg.time_series.trajectories import Trajectories

CANDIDATES = 20000
"""Frames among which landmarks are chosen, at most."""

CANDIDATE_BYTES = 400e6
"""Bytes that these frames may take."""

Scale = float | Sequence[float] | None


@dataclass(frozen=True)
class Landmarks:
    """Kernels at frames far from each other, drawn by k-means++ [arthur2007].

    Parameters
    ----------
    count : number of landmarks
    width : of the kernels, in scaled features; None for twice the median distance between nearest ones
    scale : what features are divided by, one number or one for each; None for their standard deviations
    seed : of the choice

    Raises
    ------
    ValueError
        If there are fewer different frames than landmarks.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1000, 2))
    >>> Landmarks(50).fit(Trajectories([x]))(x).shape
    (1000, 50)
    """

    count: int = 300
    width: float | None = None
    scale: Scale = None
    seed: int = 0

    def fit(self, data: Trajectories) -> Gaussians:
        """The functions, fitted to data.

        Raises
        ------
        ValueError
            If there are fewer different frames than landmarks.
        """
        from sklearn.cluster import kmeans_plusplus

        points, scale = _scaled(data, self.scale)
        different = np.unique(points, axis=0)
        if len(different) < self.count:
            raise ValueError(
                f"{len(different)} different frames cannot hold {self.count} landmarks; take fewer"
            )
        centers, _ = kmeans_plusplus(different, self.count, random_state=self.seed)
        width = 2 * _spacing(centers) if self.width is None else self.width
        return Gaussians(centers, width, scale)

    def wider(self, factor: float, data: Trajectories) -> Landmarks:
        """The same with kernels ``factor`` times as wide."""
        return replace(self, width=factor * self.fit(data).width)


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Kernels at ``centers (landmarks, features)``, in features divided by ``scale (features,)``.

    Attributes
    ----------
    centers : (landmarks, features), in scaled features
    width : of the kernels, in scaled features
    scale : (features,), what features are divided by
    """

    centers: np.ndarray
    width: float
    scale: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(f"landmark {k}" for k in range(len(self.centers)))

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        middle = self.centers.mean(axis=0)
        origin, scale, centers = (
            xp.asarray(array, dtype=frames.dtype)
            for array in (middle * self.scale, self.scale * self.width, (self.centers - middle) / self.width)
        )
        # |x - c|^2 = |x|^2 + |c|^2 - 2 x . c about the mean of the centers, where single precision loses least
        x = (frames - origin) / scale
        squares = (x * x).sum(axis=1)[:, None] + (centers * centers).sum(axis=1) - 2 * x @ centers.T
        return xp.exp(-0.5 * xp.maximum(squares, 0.0))


@dataclass(frozen=True)
class RandomWaves:
    """Random waves for a Gaussian kernel.

    Parameters
    ----------
    count : number of waves
    width : of the kernel, in scaled features; None for half the median distance of frames
    scale : as for `Landmarks`
    seed : of the waves
    """

    count: int = 500
    width: float | None = None
    scale: Scale = None
    seed: int = 0

    def fit(self, data: Trajectories) -> PlaneWaves:
        """The functions, fitted to data."""
        points, scale = _scaled(data, self.scale)
        generator = np.random.default_rng(self.seed)
        width = (
            float(np.median(scipy.spatial.distance.pdist(points[:: max(1, len(points) // 1000)]))) / 2
            if self.width is None
            else self.width
        )
        directions = generator.standard_normal((points.shape[1], self.count)) / (width * scale[:, None])
        return PlaneWaves(directions, generator.uniform(0, 2 * np.pi, self.count))


@dataclass(frozen=True, eq=False)
class PlaneWaves:
    """``sqrt(2) cos(x . directions + phases)``; directions ``(features, waves)``.

    Attributes
    ----------
    directions : (features, waves)
    phases : (waves,)
    """

    directions: np.ndarray
    phases: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(f"wave {k}" for k in range(len(self.phases)))

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        directions, phases = (xp.asarray(each, dtype=frames.dtype) for each in (self.directions, self.phases))
        # sqrt(2) cos(omega . x + b), whose products average to the kernel
        return 2**0.5 * xp.cos(frames @ directions + phases)


def _spacing(points: np.ndarray) -> float:
    """Median distance of points from the nearest other."""
    distances, _ = scipy.spatial.cKDTree(points).query(points, k=2)
    return float(np.median(distances[:, 1]))


def _scaled(data: Trajectories, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spread frames in scaled features ``(frames, features)``, and the scale ``(features,)``."""
    fitting = int(CANDIDATE_BYTES // (8 * data.n_features))
    points = data.strided(max(1, min(CANDIDATES, fitting))).astype(float)
    if scale is None:
        spread = points.std(axis=0)
        used = np.where(spread > 0, spread, 1.0)
    else:
        if np.size(scale) not in (1, data.n_features):
            raise ValueError(f"got {np.size(scale)} scales for {data.n_features} features")
        used = np.broadcast_to(np.asarray(scale, float), data.n_features).copy()
    return points / used, used
