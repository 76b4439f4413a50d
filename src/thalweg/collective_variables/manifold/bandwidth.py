r"""How far a kernel reaches from a point: as far as its neighbors, the same everywhere, or by a power of the density.

==================  ================================================================================================
`NeighborReach`     to the k-th neighbor [zelnik2004]: near where frames are many, far where they are few; the default
`FixedReach`        the same distance everywhere
`DensityReach`      :math:`r(x) \propto q(x)^\beta` of an estimate of the density [berry2016]
==================  ================================================================================================

Where a distance is to be found, it is the one at which the sum :math:`S(\epsilon)` of all kernels grows fastest,
:math:`\max\, d \ln S / d \ln \epsilon = d / 2`, as in [berry2016].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array

from thalweg.collective_variables.manifold.kernel_graph import (
    KernelGraph,
    kernel_graph,
    neighbor_pairs,
    pairs_within,
    profile,
    variance_per_dimension,
)
from thalweg.collective_variables.manifold.metric import Metric, squared_distances
from thalweg.collective_variables.manifold.neighbors import Neighbors, nearest
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped

BYTES_PER_PAIR = 64
"""Memory of a pair of points within reach, while a graph is made of them."""

LOOKED_AT = 500
"""Points whose kernels are summed to find a width."""


@runtime_checkable
class Radii(Protocol):
    """Radii of a kernel at the points it was fitted to, and anywhere.

    Attributes
    ----------
    radii : (points,)
    """

    @property
    def radii(self) -> np.ndarray: ...

    def at(self, frames: Any, points: np.ndarray, metric: Metric) -> Any:
        """Radii ``(frames,)`` at frames, NumPy or JAX, given the points of the fit."""
        ...


@runtime_checkable
class Reach(Protocol):
    """A rule for how far kernels reach."""

    def fit(
        self, points: np.ndarray, neighbors: Neighbors, dimension: float, metric: Metric
    ) -> tuple[Radii, KernelGraph]:
        """Radii of the points, and the graph of the pairs within reach."""
        ...


@dataclass(frozen=True, eq=False)
class NeighborRadii:
    """Distances to a neighbor.

    Attributes
    ----------
    radii : (points,)
    count : which neighbor, counted from one
    """

    radii: Shaped[np.ndarray, " points"]
    count: int

    def at(self, frames: Any, points: np.ndarray, metric: Metric) -> Any:
        """Radii ``(frames,)``: the distance to the neighbor after the nearest point, which a point of the fit is
        itself."""
        if isinstance(frames, np.ndarray):
            return nearest(points, self.count + 1, metric, frames).distances[:, -1]
        squares = squares_between(frames, points, metric)
        xp = frames.__array_namespace__()
        return xp.sqrt(xp.sort(squares, axis=1)[:, self.count])


@dataclass(frozen=True)
class NeighborReach:
    """As far as the last of the neighbors that were found."""

    def fit(
        self, points: np.ndarray, neighbors: Neighbors, dimension: float, metric: Metric
    ) -> tuple[NeighborRadii, KernelGraph]:
        """Radii of the points, and the graph of the pairs within reach."""
        # equal points would reach nowhere; they are merged before
        radii = neighbors.distances[:, -1]
        return NeighborRadii(radii, neighbors.indices.shape[1]), kernel_graph(
            neighbor_pairs(neighbors, radii), radii
        )


@dataclass(frozen=True, eq=False)
class FixedRadii:
    """The same radius everywhere.

    Attributes
    ----------
    radii : (points,)
    """

    radii: Shaped[np.ndarray, " points"]

    def at(self, frames: Any, points: np.ndarray, metric: Metric) -> Any:
        """Radii ``(frames,)``."""
        xp = frames.__array_namespace__()
        return xp.full(frames.shape[0], float(self.radii[0]), dtype=frames.dtype)


@dataclass(frozen=True)
class FixedReach:
    """The same distance everywhere.

    Parameters
    ----------
    radius : at which the kernel ends, in units of the metric; None to find it. A Gaussian ``exp(-d^2 / 4 eps)`` of
        the same variance has ``radius^2 = 2 (d + 6) eps`` in ``d`` dimensions
    """

    radius: float | None = None

    def fit(
        self, points: np.ndarray, neighbors: Neighbors, dimension: float, metric: Metric
    ) -> tuple[FixedRadii, KernelGraph]:
        """Radii of the points, and the graph of the pairs within reach."""
        ones = np.ones(len(points))
        radius = _found_scale(points, ones, dimension, metric) if self.radius is None else self.radius
        return FixedRadii(radius * ones), _graph(points, radius * ones, metric)


@dataclass(frozen=True, eq=False)
class DensityRadii:
    """A power of an estimate of the density.

    Attributes
    ----------
    radii : (points,)
    widths : (points,) of the kernels by which the density is estimated
    beta : the power
    factor : radius where the density is one
    lowest : least density at a point
    dimension : in which the density is one
    """

    radii: Shaped[np.ndarray, " points"]
    widths: Shaped[np.ndarray, " points"]
    beta: float
    factor: float
    lowest: float
    dimension: float

    def at(self, frames: Any, points: np.ndarray, metric: Metric) -> Any:
        """Radii ``(frames,)``, where there are no points that of the least density."""
        xp = frames.__array_namespace__()
        density = _density(frames, points, self.widths, self.dimension, metric)
        return self.factor * xp.maximum(density, self.lowest) ** self.beta


@dataclass(frozen=True)
class DensityReach:
    """A power of the density, estimated by kernels as wide as the distance to the last neighbor.

    Parameters
    ----------
    beta : the power; -1/2 as in [berry2016]
    """

    beta: float = -0.5

    def fit(
        self, points: np.ndarray, neighbors: Neighbors, dimension: float, metric: Metric
    ) -> tuple[DensityRadii, KernelGraph]:
        """Radii of the points, and the graph of the pairs within reach."""
        widths = neighbors.distances[:, -1]
        density = np.concatenate(
            [
                _density(points[start : start + 500], points, widths, dimension, metric)
                for start in range(0, len(points), 500)
            ]
        )
        relative = (density / np.median(density)) ** self.beta
        scale = _found_scale(points, relative, dimension, metric)
        radii = DensityRadii(
            scale * relative,
            widths,
            self.beta,
            scale * float(np.median(density)) ** -self.beta,
            density.min(),
            dimension,
        )
        return radii, _graph(points, radii.radii, metric)


class Growth(NamedTuple):
    """How the sum of kernels grows with their width.

    Attributes
    ----------
    scale : the width of fastest growth: square root of epsilon
    dimension : twice the derivative there
    """

    scale: float
    dimension: float


def growth(points: np.ndarray, relative: np.ndarray, metric: Metric) -> Growth:
    r"""Where :math:`S(\epsilon) = \sum_{ij} \exp(-d_{ij}^2 / 4 \epsilon \rho_i \rho_j)` grows fastest with epsilon.

    Examples
    --------
    >>> from thalweg.collective_variables.manifold.metric import Euclidean
    >>> found = growth(np.random.default_rng(0).random((3000, 2)), np.ones(3000), Euclidean())
    >>> bool(1.6 < found.dimension < 2.2)
    True
    """
    rows, columns = -(-len(points) // LOOKED_AT), -(-len(points) // 10_000)
    squares = np.asarray(metric.between(points[::rows], points[::columns])) ** 2
    ratio = squares / (relative[::rows, None] * relative[::columns])
    epsilons = np.median(ratio) * 2.0 ** np.arange(-24, 3, 0.5)
    sums = np.array([np.exp(-ratio / (4 * epsilon)).mean() for epsilon in epsilons])
    slopes = np.diff(np.log(sums)) / np.diff(np.log(epsilons))
    best = int(slopes.argmax())
    return Growth(float(np.sqrt(epsilons[best])), float(2 * slopes[best]))


def _found_scale(points: np.ndarray, relative: np.ndarray, dimension: float, metric: Metric) -> float:
    """The radius, where ``relative`` is one, of the kernel as wide as the Gaussian whose sum grows fastest."""
    # the Gaussian's variance along one dimension is 2 eps
    return growth(points, relative, metric).scale * float(np.sqrt(2 / variance_per_dimension(dimension)))


def squares_between(x: Any, y: Any, metric: Metric) -> Any:
    """Squared distances ``(n, m)`` of ``x`` from ``y``, in the array namespace of ``x``."""
    xp = x.__array_namespace__()
    y = xp.asarray(y, dtype=x.dtype)
    flat = metric.embedded(x)
    return metric.between(x, y) ** 2 if flat is None else squared_distances(flat, metric.embedded(y))


def _graph(points: np.ndarray, radii: np.ndarray, metric: Metric) -> KernelGraph:
    """The graph of the pairs of points within reach, if it fits into memory."""
    looked_at = points[:: -(-len(points) // LOOKED_AT)], radii[:: -(-len(points) // LOOKED_AT)]
    share = (
        squares_between(looked_at[0], looked_at[0], metric) < looked_at[1] * looked_at[1][:, None]
    ).mean()
    pairs = share * len(points) ** 2
    require_memory(
        BYTES_PER_PAIR * pairs,
        f"about {pairs:.2g} pairs of {len(points)} frames within reach of each other; give a smaller radius",
    )
    found = pairs_within(points, radii, points, radii, metric)
    found = csr_array(found)
    found.setdiag(0)
    found.eliminate_zeros()
    return kernel_graph(found, radii)


def _density(frames: Any, points: np.ndarray, widths: np.ndarray, dimension: float, metric: Metric) -> Any:
    """Mean of kernels ``(frames,)`` of the points, each as wide as it is, up to a constant."""
    xp = frames.__array_namespace__()
    width = xp.asarray(widths, dtype=frames.dtype)
    return (profile(squares_between(frames, points, metric) / width**2) / width**dimension).mean(axis=1)
