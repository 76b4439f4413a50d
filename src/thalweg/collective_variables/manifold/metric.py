r"""Metrics: how far two frames are from each other.

Maps of a manifold see data through distances alone. Euclidean distances of features are the default; a metric on
molecules (superposition, exchange of like atoms) or one that knows how noise spreads (`Mahalanobis`) obeys the same
protocol. Where distances are those of other points in a flat space, a metric says so by `Metric.embedded`, and
neighbors are found by a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Metric(Protocol):
    """Distances between frames."""

    def between(self, x: Any, y: Any) -> Any:
        """Distances ``(n, m)`` of frames ``(n, features)`` from frames ``(m, features)``, in the array namespace of
        ``x``, NumPy or JAX, differentiable where they are not zero."""
        ...

    def embedded(self, x: Any) -> Any | None:
        """Points ``(n, dims)`` whose Euclidean distances are those of the frames; None where there are none."""
        ...


@dataclass(frozen=True)
class Euclidean:
    """Euclidean distance of features, each divided by a scale.

    Parameters
    ----------
    scale : what features are divided by, one number or one for each; None leaves them as they are

    Examples
    --------
    >>> Euclidean().between(np.zeros((1, 2)), np.array([[3.0, 4.0]]))
    array([[5.]])
    """

    scale: float | Sequence[float] | None = None

    def embedded(self, x: Any) -> Any:
        """Features divided by the scale ``(n, features)``."""
        if self.scale is None:
            return x
        xp = x.__array_namespace__()
        return x / xp.asarray(np.asarray(self.scale, float), dtype=x.dtype)

    def between(self, x: Any, y: Any) -> Any:
        """Distances ``(n, m)`` of frames ``(n, features)`` from frames ``(m, features)``."""
        xp = x.__array_namespace__()
        return xp.sqrt(squared_distances(self.embedded(x), self.embedded(xp.asarray(y, dtype=x.dtype))))


def squared_distances(x: Any, y: Any) -> Any:
    """Squared Euclidean distances ``(n, m)`` of ``x`` ``(n, dims)`` from ``y`` ``(m, dims)``.

    ``|x - y|^2 = |x|^2 + |y|^2 - 2 x . y`` about the mean of ``y``, where least is lost to rounding.
    """
    xp = x.__array_namespace__()
    middle = y.mean(axis=0)
    x, y = x - middle, y - middle
    return xp.maximum((x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2 * x @ y.T, 0.0)
