r"""Independent components: directions whose values are least Gaussian, as those of independent sources are
[hyvarinen1999].

In whitened features :math:`z` every direction solves, with :math:`g = \tanh`,

.. math::  v \leftarrow \langle z\, g(v^T z) \rangle - \langle g'(v^T z) \rangle\, v

and all are made orthonormal together after every step; averages have the weights of the frames. Coordinates have unit
variance; the one that is least Gaussian comes first. The spectrum is how far from Gaussian each is,
:math:`(\langle \ln\cosh s \rangle - \langle \ln\cosh \nu \rangle)^2` with :math:`\nu` normal. Sources that are Gaussian
themselves cannot be told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from thalweg.collective_variables.bases.linear_map import project
from thalweg.collective_variables.linear.pca import loading_signs
from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod, Solved
from thalweg.collective_variables.manifold.metric import Euclidean
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories

LOG_COSH_OF_NORMAL = 0.37456720749143735
"""Mean of ``ln cosh`` of a normal variable of variance one."""

VANISHING = 1e-12
"""Variance over the largest below which a direction is none."""


@dataclass(frozen=True, eq=False)
class LinearCoordinates:
    """Linear functions of features.

    Attributes
    ----------
    mean : (features,)
    directions : (features, dim)
    names : one per coordinate
    """

    mean: Shaped[np.ndarray, " features"]
    directions: Shaped[np.ndarray, "features dim"]
    names: tuple[str, ...]

    def __call__(self, frames: Any) -> Any:
        return project(frames, self.mean, self.directions)


@dataclass(frozen=True)
class ICA(ManifoldMethod):
    """Independent component analysis.

    Parameters
    ----------
    dim : components, found among so many principal components
    landmarks : frames that are averaged over, at most, evenly spread over all
    iterations : at most, of each start
    tolerance : change of directions at which it ends
    restarts : starts, of which the least Gaussian result stands
    left_out : share of the frames that the map is scored on; 0 for no scores
    seed : of the starts and of what is left out

    Examples
    --------
    >>> s = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    >>> x = s @ np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> y = ICA(dim=2).fit(x).transform(x)
    >>> bool(np.abs(np.corrcoef(s.T, y.T)[:2, 2:]).max(axis=1).min() > 0.99)
    True
    """

    dim: int = 2
    landmarks: int = 20000
    iterations: int = 200
    tolerance: float = 1e-6
    restarts: int = 3
    left_out: float = 0.1
    seed: int = 0

    metric = Euclidean()

    def sampled(self, data: Trajectories) -> tuple[np.ndarray, np.ndarray]:
        """Frames evenly spread over all, each with its own weight, coinciding ones as one."""
        points = data.strided(self.landmarks).astype(float)
        weights = np.ones(data.n_frames) if data.weights is None else np.concatenate(list(data.weights))
        weights = weights[:: -(-data.n_frames // self.landmarks)]
        points, same = np.unique(points, axis=0, return_inverse=True)
        return points, np.bincount(same.ravel(), weights)

    def solve(self, points: np.ndarray, weights: np.ndarray) -> Solved:
        """Directions that are least Gaussian.

        Raises
        ------
        ValueError
            If frames extend in fewer directions than components are asked for.
        """
        mean = weights @ points
        whitening = self._whitening(points - mean, weights)
        z = (points - mean) @ whitening
        random = np.random.default_rng(self.seed)
        starts = [
            scipy.linalg.qr(random.standard_normal((self.dim, self.dim)))[0] for _ in range(self.restarts)
        ]
        found = [_rotated(z, weights, start, self.iterations, self.tolerance) for start in starts]
        rotation, change = max(found, key=lambda each: _contrast(z @ each[0], weights).sum())
        contrast = _contrast(z @ rotation, weights)
        directions = whitening @ rotation[:, np.argsort(-contrast)]
        directions = directions * loading_signs(directions)
        names = tuple(f"{self.word} {k + 1}" for k in range(self.dim))
        extension = LinearCoordinates(mean, directions, names)
        note = f"directions still change by {change:.2g} after iterations={self.iterations}; ask for more"
        notes = (note,) if change > self.tolerance else ()
        return Solved(extension(points), np.sort(contrast)[::-1], extension, notes)

    def _whitening(self, deviations: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Directions ``(features, dim)`` along which the main components have unit variance."""
        variances, vectors = scipy.linalg.eigh(deviations.T @ (weights[:, None] * deviations))
        variances, vectors = variances[::-1][: self.dim], vectors[:, ::-1][:, : self.dim]
        extended = int((variances > VANISHING * max(variances[0], 1e-300)).sum())
        if extended < self.dim:
            raise ValueError(
                f"dim={self.dim}: frames extend in {extended} directions only; ask for so many at most"
            )
        return vectors / np.sqrt(variances)


def _rotated(
    z: np.ndarray, weights: np.ndarray, rotation: np.ndarray, iterations: int, tolerance: float
) -> tuple[np.ndarray, float]:
    """Directions ``(dim, dim)`` from a start, and how far the last step still turned them."""
    change = np.inf
    for _ in range(iterations):
        g = np.tanh(z @ rotation)
        step = z.T @ (weights[:, None] * g) - (weights @ (1 - g * g)) * rotation
        left, _, right = np.linalg.svd(step)
        turned = left @ right
        change = float(np.abs(1 - np.abs((turned * rotation).sum(axis=0))).max())
        rotation = turned
        if change < tolerance:
            break
    return rotation, change


def _contrast(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How far from Gaussian each column is."""
    magnitudes = np.abs(values)
    log_cosh = magnitudes + np.log1p(np.exp(-2 * magnitudes)) - np.log(2)
    return (weights @ log_cosh - LOG_COSH_OF_NORMAL) ** 2
