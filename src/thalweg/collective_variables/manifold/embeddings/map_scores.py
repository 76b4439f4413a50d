r"""How well a map keeps who is near whom, judged by frames that it has not seen.

Of every unseen frame the ``k`` nearest seen frames in the map should be near it in truth (*trustworthiness*), and the
``k`` truly nearest should be near it in the map (*continuity*) [venna2001]. With :math:`r(i, j)` the rank of the seen
frame ``j`` by its true distance from the unseen frame ``i``, of ``n`` seen ones,

.. math::  T = 1 - \Big\langle \frac{2}{k(2n - 3k + 1)} \sum_{j \in U_k(i)} (r(i, j) - k) \Big\rangle_i

where :math:`U_k(i)` are those of the ``k`` nearest in the map that are not among the truly nearest; for continuity map
and truth change places. 1 is perfect, about 1/2 is what chance gives. The *geodesic correlation* is that of the ranks
of distances along the graph of neighbors with the ranks of distances in the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from scipy.sparse.csgraph import dijkstra

from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.collective_variables.manifold.neighbors import graph, nearest
from thalweg.learning.models import Model
from thalweg.shapes import Shaped

SOURCES = 200
"""Unseen frames from which geodesic distances are taken, at most."""


@dataclass(frozen=True, eq=False)
class MapScores(Model):
    """Scores of a map on frames that were left out of it.

    Attributes
    ----------
    trustworthiness, continuity : at most 1; what is near in the map is near in truth, and the reverse
    geodesic_correlation : Spearman's, of distances along the manifold and in the map; nan where the graph is in pieces
    errors : (dim,) root mean square distance of unseen frames from where the map would have put them had it seen them,
        in standard deviations of each coordinate; nan where that is not known
    frames : that were left out
    neighbors : k of the scores
    """

    trustworthiness: float
    continuity: float
    geodesic_correlation: float
    errors: Shaped[np.ndarray, " dim"]
    frames: int
    neighbors: int

    def headline(self) -> dict[str, object]:
        """The scores."""
        return {
            "trustworthiness": self.trustworthiness,
            "continuity": self.continuity,
            "geodesic correlation": self.geodesic_correlation,
            "error": self.errors,
            "frames left out": self.frames,
        }

    def __str__(self) -> str:
        worst = (
            f", error {100 * self.errors.max():.3g} % of the spread" if np.isfinite(self.errors).all() else ""
        )
        return (
            f"of {self.frames} frames left out: trustworthiness {self.trustworthiness:.3f}, "
            f"continuity {self.continuity:.3f}, geodesic correlation {self.geodesic_correlation:.3f}{worst}"
        )


def map_scores(
    seen: Shaped[np.ndarray, "seen features"],
    unseen: Shaped[np.ndarray, "unseen features"],
    map_seen: Shaped[np.ndarray, "seen dim"],
    map_unseen: Shaped[np.ndarray, "unseen dim"],
    *,
    weights: Shaped[np.ndarray, " unseen"] | None = None,
    neighbors: int = 12,
    metric: Metric = Euclidean(),  # noqa: B008
    errors: Shaped[np.ndarray, " dim"] | None = None,
) -> MapScores:
    """Scores of a map by frames that it has not seen.

    Parameters
    ----------
    seen, unseen : frames (seen, features) and (unseen, features)
    map_seen, map_unseen : where the map puts them, (seen, dim) and (unseen, dim)
    weights : (unseen,) of the unseen frames; all alike if None
    neighbors : k
    metric : between frames
    errors : (dim,) to be told with the scores

    Raises
    ------
    ValueError
        If there are not more than ``2 * neighbors`` seen frames.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((300, 2))
    >>> scores = map_scores(x[:200], x[200:], 2 * x[:200], 2 * x[200:])
    >>> scores.trustworthiness, scores.continuity
    (1.0, 1.0)
    """
    n, k = len(seen), neighbors
    if n <= 2 * k:
        raise ValueError(
            f"{n} frames cannot be ranked with {k} neighbors; take more than {2 * k}, or fewer neighbors"
        )
    weights = np.ones(len(unseen)) if weights is None else np.asarray(weights, float)
    true = _ranks(np.asarray(metric.between(unseen, seen)))
    mapped = _ranks(np.asarray(Euclidean().between(map_unseen, map_seen)))
    dim = map_seen.shape[1]
    return MapScores(
        1 - _intrusion(true, mapped, k, weights),
        1 - _intrusion(mapped, true, k, weights),
        _geodesic_correlation((seen, unseen), (map_seen, map_unseen), k, metric),
        np.full(dim, np.nan) if errors is None else errors,
        len(unseen),
        k,
    )


def _ranks(distances: np.ndarray) -> np.ndarray:
    """Rank of every column in its row, from 1."""
    ranks = np.empty(distances.shape, int)
    np.put_along_axis(
        ranks, distances.argsort(axis=1, kind="stable"), np.arange(1, distances.shape[1] + 1)[None], axis=1
    )
    return ranks


def _intrusion(ranks: np.ndarray, selected_by: np.ndarray, k: int, weights: np.ndarray) -> float:
    """How far beyond ``k`` those ranks lie that belong to the ``k`` nearest by other ranks; 0 at best, 1 at worst."""
    n = ranks.shape[1]
    beyond = np.where(selected_by <= k, np.maximum(ranks - k, 0), 0).sum(axis=1)
    return float(np.average(beyond, weights=weights)) * 2 / (k * (2 * n - 3 * k + 1))


def _geodesic_correlation(frames, mapped, k: int, metric: Metric) -> float:
    """Spearman's correlation of graph distances and map distances, from unseen frames to all seen ones."""
    (seen, unseen), (map_seen, map_unseen) = frames, mapped
    sources = np.arange(len(unseen))[:: -(-len(unseen) // SOURCES)]
    lengths = graph(nearest(np.concatenate([seen, unseen]), k, metric))
    along = dijkstra(lengths, directed=False, indices=len(seen) + sources)[:, : len(seen)]
    if not np.isfinite(along).all():
        return float("nan")
    straight = np.asarray(Euclidean().between(map_unseen[sources], map_seen))
    return float(scipy.stats.spearmanr(along.ravel(), straight.ravel()).statistic)
