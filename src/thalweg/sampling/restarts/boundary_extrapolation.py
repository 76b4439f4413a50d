"""Restart beyond the boundary of what was explored: intrinsic map dynamics.

Around each frame at the boundary of the cloud in diffusion coordinates, local principal components span the tangent
space in the features; the step outwards lies in it. A short restrained run goes there, and is then let go: the target
needs to be no more than a guess [chiavazzo2017].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial import KDTree

from thalweg.kinetics.states.clustering import Periods
from thalweg.sampling.restarts.diffusion_frontier import diffusion_coordinates
from thalweg.sampling.restarts.rule import Restarts, SampledFrames
from thalweg.shapes import Float, Int
from thalweg.units import Picoseconds

AT_BOUNDARY = 0.25
"""Share of the points, those with the most one-sided neighborhoods, that the boundary is taken from."""


@dataclass(frozen=True)
class BoundaryExtrapolation:
    """Places a step beyond the boundary, along the local tangent (iMapD) [chiavazzo2017].

    A neighborhood in diffusion coordinates is one-sided at the boundary: the mean of the neighbors lies as far from
    the point as they are from each other. Boundary points are taken as far from each other as can be, and the step goes
    from the neighbors' mean through the point, without its part across the tangent space.

    A step climbs a barrier only as far as it reaches, so a barrier much wider than that needs walkers that stay on its
    slope. Where features leave their manifold by a straight step, as sines and cosines do, the restraint finds the
    nearest place that there is.

    Parameters
    ----------
    step : length of the step, in distances to the neighbors (root mean square)
    dim : diffusion coordinates, and dimension of the tangent space
    points : frames that the map rests on, spread evenly
    neighbors : in a neighborhood
    pull : time that a walker is pulled to its target [ps]

    Examples
    --------
    >>> from thalweg.sampling.restarts.rule import clustered_frames
    >>> line = np.outer(np.random.default_rng(0).uniform(0, 1, 400), [3.0, 4.0])
    >>> sampled = clustered_frames([line], [0], [0], states=20, lagtime=1, names=("x", "y"))
    >>> found = BoundaryExtrapolation(step=1.0, dim=1).choose(sampled, n=2, seed=0)
    >>> bool(np.allclose(found.targets @ [4.0, -3.0], 0)), sorted((found.targets[:, 0] < 0).tolist())
    (True, [False, True])
    """

    cites: ClassVar[tuple[str, ...]] = ("chiavazzo2017",)

    step: float = 2.0
    dim: int = 2
    points: int = 200
    neighbors: int = 8
    pull: Picoseconds = 5.0

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        covering = sampled.spread_frames(self.points)
        coordinates = diffusion_coordinates(sampled.points[covering], self.dim, self.neighbors)
        chosen = np.resize(self._boundary(coordinates, n), n)
        places, features = sampled.points[covering], sampled.features[covering]
        near = KDTree(places).query(places[chosen], self.neighbors + 1)[1][:, 1:]
        steps = [
            self._outward(_apart(features[around], features[one], sampled.periods))
            for one, around in zip(chosen, near)
        ]
        return Restarts(covering[chosen], features[chosen] + np.array(steps))

    def _boundary(self, coordinates: Float[np.ndarray, "points dim"], n: int) -> Int[np.ndarray, " boundary"]:
        """At most ``n`` points of one-sided neighborhoods, far from the middle and from each other."""
        near = KDTree(coordinates).query(coordinates, self.neighbors + 1)[1][:, 1:]
        apart = coordinates[near] - coordinates[:, None]
        one_sided = np.linalg.norm(apart.mean(axis=1), axis=1) / np.sqrt((apart**2).sum(-1).mean(-1))
        edge = np.argsort(-one_sided, kind="stable")[: max(n, round(AT_BOUNDARY * len(coordinates)))]
        distance = np.linalg.norm(coordinates[edge] - coordinates.mean(axis=0), axis=1)
        taken = [int(distance.argmax())]
        distance[:] = np.inf
        while len(taken) < min(n, len(edge)):
            last = coordinates[edge[taken[-1]]]
            distance = np.minimum(distance, np.linalg.norm(coordinates[edge] - last, axis=1))
            taken.append(int(distance.argmax()))
        return edge[taken]

    def _outward(self, apart: Float[np.ndarray, "neighbors features"]) -> Float[np.ndarray, " features"]:
        """The step away from neighbors that lie ``apart`` from the point, within their tangent space."""
        middle = apart.mean(axis=0)
        _, _, axes = np.linalg.svd(apart - middle, full_matrices=False)
        tangent = axes[: self.dim]
        outward = -(middle @ tangent.T) @ tangent
        length = np.linalg.norm(outward)
        scale = np.sqrt((apart**2).sum(axis=1).mean())
        return self.step * scale * outward / length if length > 0 else np.zeros(len(middle))


def _apart(
    features: Float[np.ndarray, "neighbors features"],
    center: Float[np.ndarray, " features"],
    periods: Periods,
) -> Float[np.ndarray, "neighbors features"]:
    """Differences of features to those of a point, periodic ones to its nearest image."""
    apart = features - center
    for column, period in enumerate(periods or ()):
        if period is not None:
            apart[:, column] -= period * np.round(apart[:, column] / period)
    return apart
