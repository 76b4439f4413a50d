r"""Values held exactly on sets: a guess that has them, and a factor that vanishes there.

.. math::  f(x) = g(x) + s(x)\, \Big(c_0 + \sum_j c_j\, \varphi_j(x)\Big),\qquad
           s = \prod_k \big(1 - e^{-d_k/\ell_k}\big),\qquad
           g = \frac{\sum_k f_k \prod_{l \ne k} d_l}{\sum_k \prod_{l \ne k} d_l}

with the distance :math:`d_k` of a frame from set k, the value :math:`f_k` given there, and the edge :math:`\ell_k`: how
far outside a frame is that is about to enter the set or has just left it. Any functions can so be combined to one with
the right boundary values [thiede2019], continuous where the sets are regions. Sets given by masks know nothing of other
frames; there the factor is one outside and zero inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from thalweg.kinetics.reactions.regions import Region, SetOfFrames
from thalweg.kinetics.reactions.stopped_windows import stopped_windows
from thalweg.time_series.trajectories import Trajectories

NARROWEST = 1e-3
"""Edge of a set that no frame enters or leaves, as a part of the median distance from it."""


@dataclass(frozen=True, eq=False)
class BoundaryValues:
    """Sets, the values given on them and their edges.

    Attributes
    ----------
    regions : one for each set; None where a set was given by masks
    values : given on each set
    edges : of each set, in the unit of its distances

    Examples
    --------
    >>> from thalweg.kinetics.reactions.regions import Intervals
    >>> ends = (Intervals((-np.inf,), (-1.0,)), Intervals((1.0,), (np.inf,)))
    >>> boundary = BoundaryValues(ends, (0.0, 1.0), (0.1, 0.1))
    >>> x = np.array([[-2.0], [0.0], [0.5], [2.0]])
    >>> boundary.guess(x).tolist(), boundary.factor(x).round(3).tolist()
    ([0.0, 0.5, 0.75, 1.0], [0.0, 1.0, 0.993, 0.0])
    """

    regions: tuple[Region | None, ...]
    values: tuple[float, ...]
    edges: tuple[float, ...]

    def factor(self, frames: Any) -> Any:
        """Zero on the sets, one far from them ``(frames,)``."""
        xp = frames.__array_namespace__()
        result = xp.ones(len(frames), dtype=frames.dtype)
        for region, edge in zip(self.regions, self.edges):
            if region is not None:
                result = result * -xp.expm1(-region.distance(frames) / edge)
        return result

    def guess(self, frames: Any) -> Any:
        """The given values on the sets, in proportion to the distances between them ``(frames,)``."""
        xp = frames.__array_namespace__()
        known = [(region, value) for region, value in zip(self.regions, self.values) if region is not None]
        if len(known) < len(self.regions) or len(known) == 1:
            return xp.full(len(frames), self.values[0], dtype=frames.dtype)
        distances = [region.distance(frames) for region, _ in known]
        # products of the distances from all other sets
        others = [prod(distances[:k] + distances[k + 1 :]) for k in range(len(known))]
        total = sum(others)
        weighted = sum(value * other for (_, value), other in zip(known, others))
        return weighted / xp.where(total > 0, total, 1.0)


def boundary(
    data: Trajectories,
    sets: Sequence[SetOfFrames],
    values: Sequence[float],
    members: Sequence[Sequence[np.ndarray]],
) -> BoundaryValues:
    """Sets with edges found from data: the mean distance of frames that enter or have left within one step.

    Parameters
    ----------
    data : trajectories of features
    sets : regions, or masks
    values : given on each
    members : of each set, whether every frame is in it
    """
    regions = tuple(each if isinstance(each, Region) else None for each in sets)
    edges = tuple(
        1.0 if region is None else _edge(data, region, inside) for region, inside in zip(regions, members)
    )
    return BoundaryValues(regions, tuple(values), edges)


def _edge(data: Trajectories, region: Region, inside: Sequence[np.ndarray]) -> float:
    """Mean distance of frames whose neighbor in time is in the set; a part of the median distance without any."""
    near, outside = [np.zeros(0)], [np.zeros(0)]
    for windows in stopped_windows(data, [mask.astype(int) for mask in inside], (1,), 1):
        distances = np.asarray(region.distance(windows.frames), float)
        first, last = windows.begins, windows.last
        entering = (windows.labels[first] == 0) & (windows.labels[last] != 0)
        leaving = (windows.labels[first] != 0) & (windows.labels[last] == 0)
        near += [distances[first[entering]], distances[last[leaving]]]
        outside.append(distances[windows.labels == 0])
    crossing, every = np.concatenate(near), np.concatenate(outside)
    if len(crossing):
        return float(crossing.mean())
    return NARROWEST * float(np.median(every)) if len(every) else 1.0
