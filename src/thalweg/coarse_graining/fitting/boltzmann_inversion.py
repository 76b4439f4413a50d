"""Direct Boltzmann inversion: each coordinate's own distribution as its potential, ``u(q) = -kT log p(q) / J(q)``.

``J`` is the volume of a value: ``r^2`` of a distance, ``sin theta`` of an angle, one of a dihedral [tschop1998]. Right
where coordinates are independent, and a prior for fits of forces elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import jackknife
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel, told_by_others
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
from thalweg.learning.models import Method
from thalweg.shapes import Float

BINS = 100


@dataclass(frozen=True)
class BoltzmannInversion(Method):
    """Potentials of bonded coordinates from their histograms, in the functions each interaction has.

    Parameters
    ----------
    interactions : `BondedInteraction` of one coordinate each
    folds : stretches of frames left out in turn, for standard errors

    Examples
    --------
    >>> from thalweg.coarse_graining.interactions.functions import Powers
    >>> rng = np.random.default_rng(0)
    >>> directions = rng.normal(size=(20000, 3))
    >>> directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    >>> length = rng.normal(0.15, np.sqrt(2.5 / 2 / 5000), (20000, 1))       # u = 5000 (r - 0.15)^2
    >>> x = np.stack([np.zeros((20000, 3)), length * directions], 1)
    >>> bond = BondedInteraction(InternalCoordinate("distance", np.array([[0, 1]]), Powers(0.15)), name="bond")
    >>> model = BoltzmannInversion((bond,)).fit(BeadFrames(x, kT=2.5))
    >>> abs(model.coefficients[1] - 5000) < 4 * model.errors[1] + 100
    np.True_
    """

    interactions: Sequence[BondedInteraction]
    folds: int = 10

    def fit(self, frames: BeadFrames) -> LinearCoarseModel:
        """The model for ``frames``; forces are not asked for.

        Raises
        ------
        ValueError
            If an interaction is of several coordinates at once.
        """
        if many := [one.name for one in self.interactions if len(one.coordinates) != 1]:
            raise ValueError(
                f"interactions {many} are of several coordinates, whose joint distribution is not inverted here; match "
                "forces, or use RelativeEntropy"
            )
        blocks = frames.blocks(self.folds)
        parts, without = [], []
        for one in self.interactions:
            (coordinate,) = one.coordinates
            q = coordinate.values(frames.positions, frames.boxes)
            weights = np.ones(len(q)) if frames.weights is None else np.asarray(frames.weights, float)
            parts.append(_inverted(coordinate, q, weights, frames.kT))
            kept = [blocks != k for k in range(self.folds)]
            left = [_inverted(coordinate, q[rows], weights[rows], frames.kT) for rows in kept if rows.any()]
            without.append(np.array(left))
        return LinearCoarseModel(
            tuple(self.interactions),
            np.concatenate(parts),
            jackknife(np.concatenate(without, 1)),
            frames.positions.shape[1],
            None,
            {"frames": len(frames)},
        )


def _volume(kind: str, q: Float[np.ndarray, " values"]) -> Float[np.ndarray, " values"]:
    """The volume that a value of a coordinate has, up to a factor: ``r^2``, ``sin theta`` or one."""
    if kind == "distance":
        return q**2
    return np.sin(q) if kind == "angle" else np.ones_like(q)


def _inverted(coordinate: InternalCoordinate, q, weights, kT):
    """Coefficients of ``-kT log(p / J)``, fitted where there are frames, each bin by its count."""
    ends = (-np.pi, np.pi) if coordinate.kind == "dihedral" else (q.min(), q.max())
    counts, edges = np.histogram(q, BINS, ends, weights=np.broadcast_to(weights[:, None], q.shape))
    middle = (edges[1:] + edges[:-1]) / 2
    # an empty bin says that there is at most about half a frame, and counts as one
    counts = np.where(counts > 0, counts * len(q) / weights.sum(), 0.0)
    filled = np.where(counts > 0, counts, 0.5)
    free = -kT * np.log(filled / np.maximum(_volume(coordinate.kind, middle), 1e-12))
    values, _ = coordinate.functions.design(middle)
    # a free constant, which no force knows; the log of a count varies as one over it
    root = np.sqrt(np.where(counts > 0, counts, 1.0))
    rows = np.vstack([values, np.ones(len(middle))]).T * root[:, None]
    found = np.linalg.lstsq(rows, free * root, rcond=1e-10)[0][:-1]
    return told_by_others(coordinate.functions, found, values**2 @ counts)
