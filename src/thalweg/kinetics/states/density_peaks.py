r"""Density peaks: clusters around points denser than all near them [rodriguez2014], those that noise explains joined.

The density of a point is that of its ``k`` nearest neighbors, :math:`\ln\rho = \ln\sum_{j\le k} w_j - d \ln r_k`,
known to :math:`\sigma = 1/\sqrt k`. Points follow the nearest denser one up to a peak. Between two peaks lies a saddle
:math:`s`, the densest pair of neighbors of which each belongs to one; they are one cluster unless its density is lower
than that of the lower peak :math:`p` by more than chance explains [derrico2021],

.. math::  \ln\rho_p - \ln\rho_s < Z\,\sqrt{\sigma_p^2 + \sigma_s^2} .

The number of clusters is an answer, not a setting. Landmarks of even coverage would have no peaks, so that they are
frames as they come, evenly spread over the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.kinetics.states.metric_clusters import MetricClusters
from thalweg.time_series.trajectories import Trajectories


@dataclass(frozen=True)
class EvenFrames:
    """Frames evenly spread over the data, as they come: they have the density of the data.

    Parameters
    ----------
    count : frames at most
    """

    count: int = 2000

    def chosen(self, data: Trajectories, metric: Metric) -> np.ndarray:
        """Different frames ``(frames, features)``."""
        return np.unique(data.strided(self.count).astype(float)[: 2 * self.count], axis=0)


@dataclass(frozen=True)
class DensityPeaks(MetricClusters):
    """Clusters around peaks of the density.

    Parameters
    ----------
    neighbors : by which densities are taken
    significance : Z; higher joins more
    dimension : of the cloud; found from distances if None
    metric : between frames
    landmarks : frames that are divided

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((600, 2)) + np.repeat([[0.0], [6.0]], 300, axis=0)
    >>> DensityPeaks().fit(x).n_clusters
    2
    """

    neighbors: int = 30
    significance: float = 2.5
    dimension: float | None = None
    metric: Metric = Euclidean()  # noqa: RUF009
    landmarks: EvenFrames = EvenFrames()

    def divided(self, distances: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """The peak of every landmark."""
        points = len(distances)
        if points < 2 * self.neighbors:
            raise ValueError(
                f"{points} different frames for densities of {self.neighbors} neighbors; give more frames, or fewer "
                f"neighbors than {points // 2}"
            )
        near = np.argsort(distances, axis=1, kind="stable")[:, 1 : self.neighbors + 1]
        reach = np.take_along_axis(distances, near[:, -1:], axis=1)[:, 0]
        dims = self.dimension or _dimension(np.take_along_axis(distances, near, axis=1))
        mass = weights[near].sum(axis=1)
        density = np.log(mass) - dims * np.log(np.maximum(reach, 1e-300))
        error = np.sqrt((weights[near] ** 2).sum(axis=1)) / mass
        peak = self._climbed(near, density)
        return _joined(peak, near, density, error, self.significance), ()

    def _climbed(self, near: np.ndarray, density: np.ndarray) -> np.ndarray:
        """The peak that every point leads to, each step to the nearest denser neighbor."""
        denser = density[near] > density[:, None]
        step = np.where(
            denser.any(axis=1), near[np.arange(len(near)), denser.argmax(axis=1)], np.arange(len(near))
        )
        while not np.array_equal(step[step], step):
            step = step[step]
        return step


def _dimension(reaches: np.ndarray) -> float:
    """The dimension of a cloud from the distances of neighbors ``(points, neighbors)``, nearest first [levina2004]."""
    apart = reaches[(reaches > 0).all(axis=1)]
    if not len(apart):
        return 1.0
    spread = np.log(apart[:, -1:] / apart[:, :-1]).mean(axis=1)
    return float(max(1.0, 1.0 / spread.mean())) if spread.mean() > 0 else 1.0


def _joined(
    peak: np.ndarray, near: np.ndarray, density: np.ndarray, error: np.ndarray, significance: float
) -> np.ndarray:
    """Clusters ``(points,)`` after peaks that chance explains were joined, the least significant pair first."""
    peak = peak.copy()
    while True:
        # the density of a saddle is that of the lower of two neighbors in different clusters
        first = np.repeat(np.arange(len(near)), near.shape[1])
        second = near.ravel()
        border = peak[first] != peak[second]
        first, second = first[border], second[border]
        if not len(first):
            break
        lower = np.where(density[first] < density[second], first, second)
        pairs = np.sort(np.stack([peak[first], peak[second]], axis=1), axis=1)
        order = np.lexsort((-density[lower], pairs[:, 1], pairs[:, 0]))
        pairs, lower = pairs[order], lower[order]
        new = np.concatenate([[True], (np.diff(pairs, axis=0) != 0).any(axis=1)])
        pairs, saddle = pairs[new], lower[new]
        low = np.where(density[pairs[:, 0]] < density[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
        high = pairs.sum(axis=1) - low
        ratio = (density[low] - density[saddle]) / np.hypot(error[low], error[saddle])
        weakest = int(ratio.argmin())
        if ratio[weakest] >= significance:
            break
        peak[peak == low[weakest]] = high[weakest]
    return np.unique(peak, return_inverse=True)[1].ravel()
