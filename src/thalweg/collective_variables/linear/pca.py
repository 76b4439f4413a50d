r"""Principal component analysis: the directions of largest variance [pearson1901].

.. math::  C_{00}\, v_i = \sigma_i^2\, v_i

Large variance is not slowness: for slow coordinates use `TICA`. Features of different units should be
scaled first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from thalweg.collective_variables.bases.linear_map import mapped, names_of_features, project
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.learning.models import Model, Transforming
from thalweg.machine.memory import require_memory
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories


@dataclass(frozen=True, eq=False)
class PCAModel(Model):
    """Principal components.

    Attributes
    ----------
    mean : (features,)
    loadings : (features, dim), orthonormal directions of largest variance, their largest entries positive
    variances : (features,), all eigenvalues, in the features' unit squared; (frames,) where frames are fewer
    names : of the features, by which columns of a DataFrame are found; None where they had none
    """

    mean: Shaped[np.ndarray, " features"]
    loadings: Shaped[np.ndarray, "features dim"]
    variances: Shaped[np.ndarray, " directions"]
    names: tuple[str, ...] | None = None

    @property
    def explained(self) -> np.ndarray:
        """Share of the total variance up to and including each component ``(features,)``."""
        return np.cumsum(self.variances) / self.variances.sum()

    def headline(self) -> dict[str, object]:
        """Features, components and the share of the variance they have."""
        dim = self.loadings.shape[1]
        return {
            "features": len(self.mean),
            "components": dim,
            "variance": f"{100 * self.explained[dim - 1]:.4g} %",
        }

    def transform(self, data: Any) -> Any:
        """Components ``(frames, dim)`` of an array, a DataFrame or every trajectory."""
        return mapped(data, self.names, lambda frames: project(frames, self.mean, self.loadings))

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        r"""Share of the features that the components give back.

        .. math::  1 - \sum |x - x V V^T|^r \big/ \sum |x|^r \quad\text{of } x \text{ less the mean of the fit}

        Parameters
        ----------
        data : not those of the fit, if it is to say how well new frames are given back
        r : power of what is missed; of 2 the score is a share of the variance
        """

        def parts(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            moved = frames - self.mean
            return moved - (moved @ self.loadings) @ self.loadings.T, moved

        return share_given_back(as_trajectories(data), parts, r)


@dataclass(frozen=True)
class PCA(Transforming):
    """Principal component analysis.

    Parameters
    ----------
    dim : int
        Number of components to keep.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1000, 2)) * [1.0, 3.0]
    >>> model = PCA(dim=1).fit(x)
    >>> int(np.abs(model.loadings[:, 0]).argmax()), model.transform(x).shape
    (1, (1000, 1))
    """

    dim: int

    def fit(self, data: TrajectoryData | Covariances) -> PCAModel:
        """Components of data, or of covariances already summed.

        Raises
        ------
        ValueError
            If more components are asked for than there are features or frames.
        """
        data = data if isinstance(data, Covariances) else as_trajectories(data)
        if isinstance(data, Trajectories) and data.n_frames < data.n_features and data.weights is None:
            return self._of_few_frames(data)
        sums = data if isinstance(data, Covariances) else covariances(data, n_blocks=1)
        if not 1 <= self.dim <= len(sums.mean_0):
            raise ValueError(
                f"dim={self.dim} must lie between 1 and the number of features, {len(sums.mean_0)}"
            )
        variances, vectors = scipy.linalg.eigh(sums.c00)
        vectors = vectors[:, ::-1][:, : self.dim]
        loadings, names = vectors * loading_signs(vectors), names_of_features(data)
        return PCAModel(sums.mean_0, loadings, np.maximum(variances[::-1], 0), names)

    def _of_few_frames(self, data: Trajectories) -> PCAModel:
        """Components of frames fewer than features, from the matrix of products of frames."""
        frames, features = data.n_frames, data.n_features
        if not 1 <= self.dim <= frames:
            raise ValueError(f"dim={self.dim} must lie between 1 and the number of frames, {frames}")
        require_memory(8.0 * frames * (2 * features + 3 * frames), f"{frames} frames of {features} features")
        x = np.concatenate([chunk for _, _, chunk in data.chunks()]).astype(float)
        mean = x.mean(axis=0)
        x -= mean
        # X X^T u = n sigma^2 u, v = X^T u of unit length
        squares, vectors = scipy.linalg.eigh(x @ x.T)
        vectors = x.T @ vectors[:, ::-1][:, : self.dim]
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=0), 1e-300)
        variances = np.maximum(squares[::-1], 0) / frames
        return PCAModel(mean, vectors * loading_signs(vectors), variances, names_of_features(data))


def share_given_back(
    data: Trajectories, parts: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], r: int = 2
) -> float:
    """Share of frames that a map into fewer values gives back, by the weights of the frames.

    Parameters
    ----------
    data : frames
    parts : of frames ``(frames, features)``, what is missed and how far they are from the mean, both of that shape
    r : power of either
    """
    missed = whole = 0.0
    for k, start, frames in data.chunks():
        weights = (
            np.ones(len(frames)) if data.weights is None else data.weights[k][start : start + len(frames)]
        )
        lost, moved = parts(np.asarray(frames, float))
        missed += float(weights @ (np.abs(lost) ** r).sum(axis=1))
        whole += float(weights @ (np.abs(moved) ** r).sum(axis=1))
    return 1 - missed / whole


def loading_signs(vectors: np.ndarray) -> np.ndarray:
    """Signs ``(dim,)`` that make the largest entry of every column positive."""
    return np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
