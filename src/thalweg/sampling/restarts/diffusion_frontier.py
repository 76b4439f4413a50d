r"""Restart at the frontier of the first diffusion coordinates: diffusion-map-directed dynamics.

Coordinates are the slowest functions of a random walk on points that cover the visited region evenly:

.. math::  K_{ij} = \exp\Big(-\frac{|x_i - x_j|^2}{2\, \epsilon^2}\Big), \qquad
    \tilde K_{ij} = \frac{K_{ij}}{q_i q_j},\; q_i = \sum_j K_{ij}, \qquad
    \sum_j \tilde K_{ij}\, \psi(x_j) = \lambda \sum_j \tilde K_{ij}\; \psi(x_i)

Frames where a coordinate is largest or smallest are the ends of what was explored [zheng2013, preto2014]. Published
maps scale the kernel locally [rohrdanz2011], which frames of uneven density need. Points spread evenly have one scale;
a larger one at lone points would draw the ends of the coordinates inwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy
from scipy.spatial.distance import pdist, squareform

from thalweg.machine.threads import on_one_thread
from thalweg.sampling.restarts.rule import Restarts, SampledFrames
from thalweg.shapes import Float, Int

FEWEST = 10
"""Different frames below which there is no map."""


@dataclass(frozen=True)
class DiffusionMapFrontier:
    """Frames at the ends of the first diffusion coordinates, in turn (DM-d-MD) [zheng2013, preto2014].

    Walkers are dealt to the largest and the smallest values of each coordinate, and inwards from there. The map is of
    the geometry of what was visited, not of how often: it needs no equilibrium. The frontier is pushed out through
    intermediates and does not cross one high barrier; where several directions lead out, the first coordinates, those
    of the longest extents, are followed.

    Parameters
    ----------
    dim : diffusion coordinates whose ends are taken
    points : frames that the map rests on, spread evenly; the time of a choice grows with their third power
    neighbors : the median distance to this neighbor is the scale of the kernel

    Examples
    --------
    >>> from thalweg.sampling.restarts.rule import clustered_frames
    >>> turn = np.random.default_rng(0).uniform(0.5, 5.5, 400)
    >>> arc = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    >>> sampled = clustered_frames([arc], [0], [0], states=20, lagtime=1, names=("x", "y"))
    >>> chosen = DiffusionMapFrontier(dim=1).choose(sampled, n=2, seed=0).frames
    >>> sorted(turn[chosen].round(1).tolist())
    [0.5, 5.5]
    """

    cites: ClassVar[tuple[str, ...]] = ("rohrdanz2011", "zheng2013", "preto2014")

    dim: int = 2
    points: int = 200
    neighbors: int = 8

    def choose(self, sampled: SampledFrames, n: int, seed: int) -> Restarts:
        covering = sampled.spread_frames(self.points)
        coordinates = diffusion_coordinates(sampled.points[covering], self.dim, self.neighbors)
        ends = [order for column in coordinates.T for order in (np.argsort(-column), np.argsort(column))]
        return Restarts(covering[_dealt(ends, n)])


def _dealt(orders: list[Int[np.ndarray, " points"]], n: int) -> Int[np.ndarray, " n"]:
    """``n`` numbers from the beginnings of several orders in turn, none twice before all were taken."""
    taken: list[int] = []
    places = [0] * len(orders)
    while len(taken) < min(n, len(orders[0])):
        which = len(taken) % len(orders)
        while orders[which][places[which]] in taken:
            places[which] += 1
        taken.append(int(orders[which][places[which]]))
    return np.resize(taken, n)


@on_one_thread
def diffusion_coordinates(
    points: Float[np.ndarray, "points coordinates"], dim: int, neighbors: int
) -> Float[np.ndarray, "points dim"]:
    """The first diffusion coordinates of points.

    Parameters
    ----------
    dim : number of coordinates, slowest first, the constant left out
    neighbors : the median distance to this neighbor is the scale of the kernel

    Raises
    ------
    ValueError
        If the points are too few.
    """
    if len(points) < max(FEWEST, neighbors + 1, dim + 2):
        raise ValueError(
            f"{len(points)} different frames are too few for {dim} diffusion coordinates by {neighbors} neighbors; "
            "save frames more often, or begin with longer walks"
        )
    squares = squareform(pdist(points, "sqeuclidean"))
    scale = np.median(np.partition(squares, neighbors, axis=1)[:, neighbors])
    kernel = np.exp(-squares / (2 * scale))
    density = kernel.sum(axis=1)
    kernel /= np.outer(density, density)
    root = np.sqrt(kernel.sum(axis=1))
    last = len(points) - 1
    _, vectors = scipy.linalg.eigh(kernel / np.outer(root, root), subset_by_index=[last - dim, last])
    functions = vectors[:, ::-1] / root[:, None]
    return functions[:, 1:] / np.abs(functions[:, 1:]).max(axis=0)
