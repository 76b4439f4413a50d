r"""Diffusion maps: the slow functions of diffusion in the potential that frames were drawn from, from distances alone.

A map finds eigenfunctions of the generator of :math:`\dot x = D \nabla \ln \pi + \sqrt{2 D}\, \xi`,

.. math::  -\mathcal L \psi_k = -D \left(\Delta \psi_k + \nabla \ln\pi \cdot \nabla \psi_k\right) = \kappa_k \psi_k ,

in the geometry of the features' metric, from frames in any order: no time between them is used [coifman2006]. The
measure :math:`\pi` is the one that the frames' weights turn the sample into (target measure [banisch2020]): equilibrium
frames need none; frames of a biased or hotter run bring the weights that make them equilibrium.

Kernels reach as far as the 128th neighbor, a variable bandwidth; the walk on their graph is normalized to the mean
square displacement of free diffusion (see `mean_square_displacement`), so that its rates are those of the generator.
With the diffusion coefficient given they are in 1/ps, without they are for D = 1, in 1 / (unit of the metric)^2.

What a graph of finitely many points tells is biased by one over the number of points within reach. Halves of the
points have twice that bias: rates are extrapolated from them, :math:`\ln\kappa = 2 \ln\kappa_{all} -
\overline{\ln\kappa_{half}}`, and errors (`DiffusionMapModel.rate_errors`) contain chance, the scatter over divisions
into halves, what is left of second order, and what a smaller reach changed.

Not to be trusted where neighborhoods are as large as what they should resolve, as with few frames in many dimensions,
which is told; and for dynamics other than diffusion in these features: rates of a projection onto few features are
those of free-energy diffusion, too fast if what was left out is slow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from thalweg.collective_variables.bases.linear_map import as_frames, mapped, names_of_features
from thalweg.collective_variables.bases.raw_angles import warned_angles
from thalweg.collective_variables.manifold.bandwidth import NeighborReach, Radii, Reach, squares_between
from thalweg.collective_variables.manifold.dimension import local_dimension
from thalweg.collective_variables.manifold.graph_modes import (
    ALL_AT_ONCE,
    GUARD,
    TOLERANCE,
    GraphModes,
    graph_modes,
)
from thalweg.collective_variables.manifold.kernel_graph import (
    KernelGraph,
    narrower,
    pairs_within,
    profile,
    variance_per_dimension,
)
from thalweg.collective_variables.manifold.landmarks import DeltaNet, LandmarkChoice, LandmarkFrames
from thalweg.collective_variables.manifold.map_errors import (
    Quotients,
    Solve,
    extrapolated_rates,
    rate_estimate,
    rough_word,
)
from thalweg.collective_variables.manifold.map_points import MapPoints, map_points, points_of_landmarks
from thalweg.collective_variables.manifold.mean_square_displacement import einstein_factors, flow_of
from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.collective_variables.manifold.neighbors import nearest
from thalweg.learning.models import Model, Transforming
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped
from thalweg.time_series.resampling import Estimate
from thalweg.time_series.trajectories import CHUNK, Trajectories, TrajectoryData, as_trajectories

FEWEST = 30
"""Frames below which there is no map."""

FEWEST_CARRIERS = 5
"""Points that must effectively carry a function for it to be a coordinate."""

COARSER = 16
"""One point in so many is used to find first guesses."""

ROUGHLY = 5e-4
"""Tolerance of modes of a part of the points: far below what chance makes of them."""

SLOWER_THAN = 0.05
"""Least share of a point's rate that is left when a mode's own is subtracted, in the extension to new frames."""

DROPPED = 0.01
"""Share of the weight that may be lost with parts that do not hang together before a warning says so."""

UNRESOLVED = 0.5
"""Reach, relative to the extent of the cloud, from which on a map is said to be too coarse."""


class GraphWalk(NamedTuple):
    """A walk on the points of a map.

    Attributes
    ----------
    flow : (points, points) equilibrium flow between points, per unit of time, symmetric
    mass : (points,) populations
    factors : (points,) by which kernels are multiplied to be the flow
    """

    flow: csr_array
    mass: np.ndarray
    factors: np.ndarray


@dataclass(frozen=True, eq=False)
class DiffusionMapModel(Model):
    """Slow functions of diffusion: coordinates, and a basis of functions for other methods.

    Attributes
    ----------
    method : the `DiffusionMap` that made it
    points : (points, features) frames, or landmarks of them, that the map rests on
    weights : (points,) populations in equilibrium, of sum one
    blocks : (blocks, points) share of each stretch of the data in the weights
    frames : (points,) number of the frame each point is, counted over all trajectories in a row (or of the landmark)
    radii : how far kernels reach
    factors : (points,) of the walk, see `GraphWalk`
    dimension : of the neighborhoods
    eigenvalues : (dim,) of the graph, for D = 1
    functions : (points, dim) eigenfunctions at the points, of mean zero and variance one in equilibrium
    rates : (dim,) relaxation rates [1/ps where the diffusion coefficient was given], extrapolated
    notes : what one should know
    names : of the functions
    features : names of the features, by which columns of a DataFrame are found; None where they had none
    """

    method: DiffusionMap
    points: Shaped[np.ndarray, "points features"]
    weights: Shaped[np.ndarray, " points"]
    blocks: Shaped[np.ndarray, "blocks points"]
    frames: Shaped[np.ndarray, " points"]
    radii: Radii
    factors: Shaped[np.ndarray, " points"]
    dimension: float
    eigenvalues: Shaped[np.ndarray, " dim"]
    functions: Shaped[np.ndarray, "points dim"]
    rates: Shaped[np.ndarray, " dim"]
    notes: tuple[str, ...]
    names: tuple[str, ...]
    features: tuple[str, ...] | None = None

    @property
    def timescales(self) -> np.ndarray:
        """Relaxation times ``(dim,)``: one over the rates."""
        return 1 / self.rates

    @property
    def coordinates(self) -> np.ndarray:
        """Coordinates ``(points, dim)`` of the points the map rests on."""
        return self.functions * self.scale

    @property
    def scale(self) -> np.ndarray:
        """Length of each coordinate ``(dim,)``: one, or what is left of it after the diffusion time asked for."""
        if self.method.time is None:
            return np.ones(len(self.rates))
        return np.exp(-self.method.time * self.rates)

    def __call__(self, frames: Any) -> Any:
        r"""Coordinates ``(frames, dim)`` of frames ``(frames, features)``, NumPy or JAX.

        .. math::
            \psi(x) = \frac{\sum_j k(x, x_j)\, a_j\, \psi_j}
            {\sum_j k(x, x_j)\, a_j\, (1 - \kappa\, d(x, x_j)^2 / 2 d)}

        which at the points of the map is the eigenvalue equation itself (Nyström). A frame out of reach of all points
        has the coordinates of the nearest.

        Raises
        ------
        ValueError
            If the number of features is another than in the fit.
        """
        if frames.ndim != 2 or frames.shape[1] != self.points.shape[1]:
            raise ValueError(
                f"got shape {frames.shape}, needed is (frames, {self.points.shape[1]}) as in the fit"
            )
        if not isinstance(frames, np.ndarray):
            return self._dense(frames)
        frames = frames if frames.dtype.kind == "f" else frames.astype(float)
        parts = [
            self._sparse(frames[start : start + CHUNK].astype(float))
            for start in range(0, len(frames), CHUNK)
        ]
        return np.concatenate(parts or [np.zeros((0, len(self.rates)))]).astype(frames.dtype)

    def transform(self, data: Any) -> Any:
        """Coordinates ``(frames, dim)`` of an array, a DataFrame or every trajectory."""
        return mapped(data, self.features, self._transformed)

    def _transformed(self, data: Any) -> Any:
        if not isinstance(data, Trajectories):
            return self(as_frames(data))
        parts: list[list[np.ndarray]] = [[] for _ in range(len(data))]
        for k, _, frames in data.chunks():
            parts[k].append(self(frames))
        return replace(data, blocks=[np.concatenate(chunks) for chunks in parts], names=self.names)

    def _sparse(self, frames: np.ndarray) -> np.ndarray:
        """Coordinates of a block of NumPy frames, from the points within reach."""
        metric, places = self.method.metric, self.points
        radii = self.radii.at(frames, places, metric)
        pairs = pairs_within(frames, radii, places, self.radii.radii, metric)
        rows = np.repeat(np.arange(len(frames)), np.diff(pairs.indptr))
        reach = radii[rows] * self.radii.radii[pairs.indices]
        kernel = csr_array((profile(pairs.data**2 / reach), pairs.indices, pairs.indptr), pairs.shape)
        waiting = self._waiting(
            csr_array((kernel.data * pairs.data**2, pairs.indices, pairs.indptr), pairs.shape)
        )
        sums, averages = kernel @ self.factors, kernel @ (self.factors[:, None] * self.functions)
        lonely = sums <= 0
        values = averages / self._denominators(np.where(lonely, 1.0, sums), waiting(radii, sums))
        if lonely.any():
            values[lonely] = self.functions[nearest(places, 1, metric, frames[lonely]).indices[:, 0]]
        return values * self.scale

    def _dense(self, frames: Any) -> Any:
        """Coordinates of frames in their array namespace, from all points, with gradients."""
        xp = frames.__array_namespace__()
        squares = squares_between(frames, self.points, self.method.metric)
        radii = self.radii.at(frames, self.points, self.method.metric)
        own, factors, functions, scale = (
            xp.asarray(each, dtype=frames.dtype)
            for each in (self.radii.radii, self.factors, self.functions, self.scale)
        )
        kernel = profile(squares / (radii[:, None] * own))
        sums = kernel @ factors
        lonely = sums <= 0
        waiting = self._waiting(kernel * squares)(radii, sums)
        values = (
            kernel @ (factors[:, None] * functions) / self._denominators(xp.where(lonely, 1.0, sums), waiting)
        )
        return xp.where(lonely[:, None], functions[xp.argmin(squares, axis=1)], values) * scale

    def _waiting(self, spread: Any) -> Any:
        """A function of radii and sums of kernels: these times how long the walk stays at a place."""
        if self.method.alpha is None:
            return lambda radii, sums: spread @ self.factors.astype(spread.dtype) / (2 * self.dimension)
        return lambda radii, sums: _step(radii, self.dimension) * sums

    def _denominators(self, sums: Any, waiting: Any) -> Any:
        """``sum_j k a (1 - kappa tau)`` ``(frames, dim)``, kept positive."""
        xp = sums.__array_namespace__()
        eigenvalues = xp.asarray(self.eigenvalues, dtype=sums.dtype)
        return xp.maximum(sums[:, None] - eigenvalues * waiting[:, None], SLOWER_THAN * sums[:, None])

    @cached_property
    def graph(self) -> KernelGraph:
        """Pairs of points within reach of each other, found anew when first asked for."""
        neighbors = nearest(self.points, self.method.neighbors_of(len(self.points)), self.method.metric)
        return self.method.reach.fit(self.points, neighbors, self.dimension, self.method.metric)[1]

    @cached_property
    def walk(self) -> GraphWalk:
        """The walk on the points whose slow modes the coordinates are, in units of D = 1."""
        return GraphWalk(flow_of(self.graph.kernel, self.factors), self.weights, self.factors)

    @on_one_thread
    def rate_errors(self, samples: int = 40, seed: int = 0) -> Estimate:
        """Rates with errors: chance by a bootstrap over stretches of the data, and what extrapolation leaves.

        See `rate_estimate`.

        Parameters
        ----------
        samples : replicates
        seed : of the draws
        """
        method, walk = self.method, self.walk
        modes = graph_modes(walk.flow, walk.mass, method.dim, self.functions, FEWEST_CARRIERS)
        return rate_estimate(
            method.solver(self, self.graph, modes),
            method.quotients(self, self.graph),
            method.per_time * self.eigenvalues,
            self.rates,
            self.blocks,
            self.dimension,
            samples,
            seed,
        )

    def headline(self) -> dict[str, object]:
        """Points, dimension and rates."""
        return {
            "features": self.points.shape[1],
            "points": len(self.points),
            "dimension": round(self.dimension, 2),
            "coordinates": len(self.rates),
            "rates": self.rates,
            "notes": len(self.notes),
        }

    def __str__(self) -> str:
        unit = "" if self.method.diffusion is None else " per ps"
        rates = ", ".join(f"{rate:.4g}" for rate in self.rates[:10])
        return "\n".join(
            [
                f"rates {rates}{unit} from {len(self.points)} points of dimension {self.dimension:.3g}",
                *self.notes,
            ]
        )


@dataclass(frozen=True)
class DiffusionMap(Transforming):
    """A diffusion map; also a `Basis`, for `VAC` and whatever else takes one.

    Parameters
    ----------
    dim : coordinates to keep
    neighbors : the kernel reaches to this neighbor (fewer where frames are few)
    reach : another rule for that, see `bandwidth`
    alpha : None for the walk of equal mean square displacement; a number divides kernels by that power of an estimate
        of the density, 1/2 for the generator above, 1 for the geometry alone, 0 for none [coifman2006]; unweighted
        frames only
    dimension : of the cloud; None to find it
    diffusion : D [unit of the metric^2 / ps]; None for D = 1
    time : diffusion time [as for rates, inverted] by which coordinates have decayed, so that distances between them
        are diffusion distances; None for coordinates of variance one
    metric : distances between frames
    landmarks : taken for the frames if these are more than ``max_frames``
    max_frames : frames that are points of the map themselves, at most

    Examples
    --------
    >>> turn = np.random.default_rng(0).uniform(0, 2 * np.pi, 1000)
    >>> model = DiffusionMap(dim=4).fit(np.stack([np.cos(turn), np.sin(turn)], axis=1))
    >>> bool(np.allclose(model.rates, [1, 1, 4, 4], rtol=0.1)), model.dimension
    (True, 1.0)
    """

    dim: int = 2
    neighbors: int = 128
    reach: Reach = NeighborReach()  # noqa: RUF009
    alpha: float | None = None
    dimension: float | None = None
    diffusion: float | None = None
    time: float | None = None
    metric: Metric = Euclidean()  # noqa: RUF009
    landmarks: LandmarkChoice = DeltaNet(10_000)  # noqa: RUF009
    max_frames: int = 100_000

    def __post_init__(self):
        if self.dim < 1:
            raise ValueError(f"dim={self.dim}; ask for at least one coordinate")
        if self.neighbors < 4:
            raise ValueError(
                f"neighbors={self.neighbors} make no neighborhood; use 4 or more, 32 to 128 as a rule"
            )
        for name in ("dimension", "diffusion", "time"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name}={value} must be positive")

    @on_one_thread
    def fit(self, data: TrajectoryData | LandmarkFrames) -> DiffusionMapModel:
        """The map of data, or of landmarks of data already weighed, such as those of `LandmarkPass`.

        Raises
        ------
        ValueError
            If frames are too few, or weights are negative or leave too few of them.
        """
        notes, names = (), None
        if isinstance(data, LandmarkFrames):
            points = points_of_landmarks(data)
        else:
            trajectories = as_trajectories(data)
            notes, names = warned_angles(trajectories, self), names_of_features(trajectories)
            points = map_points(trajectories, self.landmarks, self.max_frames, self.metric)
        if points.weighted and self.alpha is not None:
            raise ValueError(
                f"alpha={self.alpha:g} divides by the density of the frames and knows no weights; leave alpha=None"
            )
        _require(points, self.dim)
        model, more = self._mapped(points, rough=False)
        return replace(model, notes=notes + points.notes + more, features=names)

    def neighbors_of(self, points: int) -> int:
        """Neighbors used of so many points."""
        return min(self.neighbors, max(4, points // 4))

    @property
    def per_time(self) -> float:
        """What rates for D = 1 are multiplied by."""
        return 1.0 if self.diffusion is None else float(self.diffusion)

    def solver(self, model: DiffusionMapModel, graph: KernelGraph, modes: GraphModes) -> Solve:
        """A function that gives the rates of some of the points of a model, from its modes as guesses."""

        def solve(multiplicities: np.ndarray, factor: float) -> np.ndarray:
            kept, walk = self._among(model, graph, multiplicities, factor)
            found = graph_modes(
                walk.flow, walk.mass, self.dim, modes.vectors[kept], FEWEST_CARRIERS, tolerance=ROUGHLY
            )
            # the model's own modes, of which those of fewer points may be mixtures
            overlaps = (modes.vectors[kept, : self.dim].T @ (walk.mass[:, None] * found.vectors)) ** 2
            shares = overlaps / overlaps.sum(axis=1, keepdims=True)
            return self.per_time * np.exp(shares @ np.log(found.eigenvalues))

        return solve

    def quotients(self, model: DiffusionMapModel, graph: KernelGraph) -> Quotients:
        """A function that gives Rayleigh quotients of the functions of a model on some of its points."""

        def quotients(multiplicities: np.ndarray) -> np.ndarray:
            kept, walk = self._among(model, graph, multiplicities, 1.0)
            functions = model.functions[kept] - walk.mass @ model.functions[kept]
            rates = np.asarray(walk.flow.sum(axis=1)).ravel()
            energy = rates @ functions**2 - (functions * (walk.flow @ functions)).sum(axis=0)
            return self.per_time * energy / (walk.mass @ functions**2)

        return quotients

    def _among(
        self, model: DiffusionMapModel, graph: KernelGraph, multiplicities: np.ndarray, factor: float
    ) -> tuple[np.ndarray, GraphWalk]:
        """Numbers of the points of a model left by multiplicities, and the walk on them at a reach times a factor."""
        kept = np.flatnonzero(multiplicities)
        part = graph.among(kept)
        if factor != 1:
            part = narrower(part, model.radii.radii[kept], factor)
        held, told = _largest_part(part, model.weights[kept])
        if told:
            part, kept = part.among(held), kept[held]
        weights = model.weights[kept] * multiplicities[kept]
        own = factor * model.radii.radii[kept]
        return kept, self.walk(part, weights / weights.sum(), model.radii, model.dimension, own)

    def walk(
        self,
        graph: KernelGraph,
        weights: np.ndarray,
        radii: Radii,
        dimension: float,
        own: np.ndarray | None = None,
    ) -> GraphWalk:
        """The walk on a graph, of populations ``weights``; ``own (points,)`` radii where points are not all."""
        reach = radii.radii if own is None else own
        if self.alpha is None:
            factors = einstein_factors(graph.kernel, graph.squares, weights, dimension)
            # populations are the weights, where neighbors suffice
            mass = factors * (graph.spread @ factors) / (2 * dimension)
            factors = factors / np.sqrt(mass.sum())
            return GraphWalk(flow_of(graph.kernel, factors), mass / mass.sum(), factors)
        # q ~ sum_j k_ij / r_i^d, the point itself among them; K -> K / (q q)^alpha
        density = (np.asarray(graph.kernel.sum(axis=1)).ravel() + 1) / reach**dimension
        factors = (density / density.mean()) ** -self.alpha
        mass = _step(reach, dimension) * factors * (graph.kernel @ factors + factors)
        factors = factors / np.sqrt(mass.sum())
        return GraphWalk(flow_of(graph.kernel, factors), mass / mass.sum(), factors)

    def _mapped(self, points: MapPoints, rough: bool) -> tuple[DiffusionMapModel, tuple[str, ...]]:
        """The map of points, with notes; a rough one is a first guess for one of more points."""
        count = self.neighbors_of(len(points.places))
        neighbors = nearest(points.places, count, self.metric)
        dimension, notes = self._dimension(points, neighbors)
        radii, graph = self.reach.fit(points.places, neighbors, dimension, self.metric)
        kept, told = _largest_part(graph, points.weights)
        if len(kept) < len(points.places):
            # once more: radii are those of the points kept, among themselves
            model, more = self._mapped(points.taken(kept), rough)
            return model, notes + told + more
        notes += told + _coarse(points.places, radii.radii, count, self.metric)
        walk = self.walk(graph, points.weights, radii, dimension)
        start = None if len(points.places) <= ALL_AT_ONCE else self._guess(points, walk)
        tolerance = ROUGHLY if rough else TOLERANCE
        modes = graph_modes(walk.flow, walk.mass, self.dim, start, FEWEST_CARRIERS, tolerance=tolerance)
        notes += _converged(modes, self.dim)
        kept_modes = self.dim + GUARD if rough else self.dim
        model = DiffusionMapModel(
            method=self,
            points=points.places,
            weights=walk.mass,
            blocks=points.blocks,
            frames=points.frames,
            radii=radii,
            factors=walk.factors,
            dimension=dimension,
            eigenvalues=modes.eigenvalues[:kept_modes],
            functions=modes.vectors[:, :kept_modes],
            rates=self.per_time * modes.eigenvalues[:kept_modes],
            notes=(),
            names=tuple(f"diffusion coordinate {k + 1}" for k in range(kept_modes)),
        )
        if rough:
            return model, ()
        try:
            rates = extrapolated_rates(self.solver(model, graph, modes), model.rates, len(points.places))
        except ValueError as error:
            return model, (
                *notes,
                f"rates are those of the graph, not extrapolated: of halves of the points, {error}",
            )
        return replace(model, rates=rates), notes + rough_word(model.rates, rates)

    def _dimension(self, points: MapPoints, neighbors: Any) -> tuple[float, tuple[str, ...]]:
        """The dimension, and a word where it is between whole numbers."""
        if self.dimension is not None:
            return float(self.dimension), ()
        flat = self.metric.embedded(points.places)
        found = local_dimension(points.places if flat is None else flat, neighbors)
        whole = float(max(1, round(found)))
        if abs(found - whole) < 0.25:
            return whole, ()
        return whole, (
            f"neighborhoods have a dimension of {found:.2f}, taken as {whole:.0f}: all rates are proportional to it; "
            "give dimension where it is known",
        )

    def _guess(self, points: MapPoints, walk: GraphWalk) -> np.ndarray:
        """Guesses ``(points, modes)`` of slow modes: those of a part of the points, averaged over neighbors."""
        kept = np.sort(
            np.random.default_rng(0).choice(len(points.places), len(points.places) // COARSER, replace=False)
        )
        coarse, _ = self._mapped(points.taken(kept), rough=True)
        known = np.zeros((len(points.places), coarse.functions.shape[1] + 1))
        rows = np.searchsorted(points.frames, coarse.frames)
        known[rows] = np.column_stack([coarse.functions, np.ones(len(rows))])
        # twice: a neighbor of a neighbor is among them where no neighbor is
        for _ in range(2):
            spread = walk.flow @ known
            lost = known[:, -1] == 0
            known[lost] = np.divide(
                spread[lost], spread[lost, -1:], out=np.zeros_like(spread[lost]), where=spread[lost, -1:] > 0
            )
        return known[:, :-1]


def _step(radii: Any, dimension: float) -> Any:
    """Time that free diffusion with D = 1 takes to spread as a kernel does: its variance along one dimension over 2."""
    return radii**2 * variance_per_dimension(dimension) / 2


def _require(points: MapPoints, dim: int) -> None:
    """Enough points for a map."""
    number = len(points.places)
    if number < max(FEWEST, 2 * dim):
        raise ValueError(
            f"{number} different frames make no map of {dim} coordinates; at least {max(FEWEST, 2 * dim)} are needed"
        )


def _largest_part(graph: KernelGraph, weights: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers of the points of the largest part, and a word where there are others.

    Raises
    ------
    ValueError
        If the largest part has less than half of the weight.
    """
    parts = graph.parts
    kept = np.flatnonzero(parts.labels == 0)
    if len(parts.sizes) == 1:
        return kept, ()
    lost = 1 - weights[kept].sum() / weights.sum()
    if lost > 0.5:
        raise ValueError(
            f"{parts.told}; the largest has {100 * (1 - lost):.1f} % of the weight, which is too little"
        )
    return kept, (f"{parts.told} ({100 * lost:.2g} % of the weight is left out)",)


def _coarse(places: np.ndarray, radii: np.ndarray, count: int, metric: Metric) -> tuple[str, ...]:
    """A word where kernels reach over much of the cloud."""
    sample = places[:: -(-len(places) // 500)]
    extent = float(np.sqrt((squares_between(sample, sample, metric)).mean() / 2))
    reach = float(np.median(radii))
    if reach <= UNRESOLVED * extent:
        return ()
    return (
        f"kernels reach {reach:.3g} from a point, the cloud {extent:.3g} from its middle: {len(places)} frames are too "
        f"few for {count} neighbors to be near; rates are rough",
    )


def _converged(modes: GraphModes, dim: int) -> tuple[str, ...]:
    """A word where iteration ended too early, and one where modes were passed over."""
    worst, notes = float(modes.residuals[:dim].max()), ()
    if worst >= 0.3:
        notes += (f"modes were found to {100 * worst:.0f} % of their rates only",)
    if modes.lone:
        notes += (
            f"{modes.lone} functions that less than {FEWEST_CARRIERS} points carry, at the outskirts, are left out",
        )
    return notes
