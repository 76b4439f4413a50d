r"""k-medoids: clusters around frames, of least mean distance from them [kaufman1990], by eager swaps [schubert2021].

.. math::  \min_{m_1 \dots m_k} \sum_i w_i \min_j d(x_i, x_{m_j})

Where a mean makes no sense (of structures that are superposed, say), the middle of a cluster is one of its frames. What
every swap of a medoid with another frame gains is found for all medoids at once from the nearest and the second nearest
medoid of each frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.kinetics.states.metric_clusters import MetricClusters

ROUNDS = 100
"""Walks over all candidates at most."""


@dataclass(frozen=True)
class KMedoids(MetricClusters):
    """Clusters around medoids.

    Parameters
    ----------
    n_clusters : int
    metric : between frames
    landmarks : frames that are divided, at most, or a way to choose them
    restarts : starts from other medoids, of which the best is taken
    seed : of the starts

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((300, 2)) + np.repeat([[0.0], [9.0], [30.0]], 100, axis=0)
    >>> model = KMedoids(3).fit(x)
    >>> model.n_clusters, [len(set(model.transform(x)[k : k + 100])) for k in (0, 100, 200)]
    (3, [1, 1, 1])
    """

    n_clusters: int
    metric: Metric = Euclidean()  # noqa: RUF009
    landmarks: int | LandmarkChoice = 2000
    restarts: int = 4
    seed: int = 0

    def divided(self, distances: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """The nearest medoid of every landmark."""
        if not 1 <= self.n_clusters <= len(distances):
            raise ValueError(
                f"n_clusters={self.n_clusters} of {len(distances)} different frames; ask for fewer"
            )
        generator, best = np.random.default_rng(self.seed), (np.inf, np.zeros(0, int))
        for _ in range(self.restarts):
            chosen = _swapped(distances, weights, self._start(distances, weights, generator))
            cost = float(weights @ distances[:, chosen].min(axis=1))
            best = min(best, (cost, chosen), key=lambda each: each[0])
        return distances[:, best[1]].argmin(axis=1), ()

    def _start(
        self, distances: np.ndarray, weights: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Medoids drawn far from each other, as k-means++ draws centers."""
        chosen = [int(generator.choice(len(weights), p=weights / weights.sum()))]
        while len(chosen) < self.n_clusters:
            odds = weights * distances[:, chosen].min(axis=1)
            odds[chosen] = 0
            # duplicates of medoids only: any other point will do
            odds = odds if odds.sum() > 0 else np.where(np.isin(np.arange(len(odds)), chosen), 0.0, 1.0)
            chosen.append(int(generator.choice(len(weights), p=odds / odds.sum())))
        return np.array(chosen)


def _swapped(distances: np.ndarray, weights: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Medoids after all swaps that lower the cost, each taken as soon as it is seen."""
    chosen, points = chosen.copy(), len(distances)
    if len(chosen) == 1:
        return np.array([(distances @ weights).argmin()])
    since, (owner, first, second) = 0, _nearest_two(distances, chosen)
    for candidate in np.tile(np.arange(points), ROUNDS):
        if since > points:
            break
        since += 1
        if candidate in chosen:
            continue
        # a point nearer to the candidate gains whichever medoid goes; one that loses its own takes the candidate or its
        # second
        offered = distances[:, candidate]
        gained = weights @ np.minimum(offered - first, 0.0)
        lost = np.where(offered < first, 0.0, np.minimum(offered, second) - first)
        change = np.bincount(owner, weights * lost, minlength=len(chosen)) + gained
        if change.min() < -1e-12 * (weights @ first):
            chosen[change.argmin()] = candidate
            since, (owner, first, second) = 0, _nearest_two(distances, chosen)
    return chosen


def _nearest_two(distances: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of the nearest medoid of every point, and the distances of the nearest and the second nearest."""
    near, rows = distances[:, chosen], np.arange(len(distances))
    order = np.argpartition(near, 1, axis=1)[:, :2]
    return order[:, 0], near[rows, order[:, 0]], near[rows, order[:, 1]]
