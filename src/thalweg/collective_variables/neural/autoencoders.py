"""Autoencoders: variables of high variance, as a bottleneck through which frames are given back.

`Autoencoder` is nonlinear principal component analysis [kramer1991]; `VariationalAutoencoder` is the same with a noisy
bottleneck [kingma2014]. Both are trained as `Training` says, whose parameters they take by keyword.

How much of the frames a bottleneck gives back is the score of its model, as it is of principal components: on data that
were left out, by `cross_validate`, it says how many values are worth having, and whether they need to be curved. Scores
of both are alike for features that have been divided by their deviations; a network divides them by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from thalweg.collective_variables.linear.pca import share_given_back
from thalweg.collective_variables.neural.learned_basis import Learned, Objective, Training
from thalweg.collective_variables.neural.reconstruction import Reconstruction, VariationalReconstruction
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories


@dataclass(frozen=True)
class AutoencoderModel(Learned):
    """A bottleneck, as functions of frames, and the way back."""

    def given_back(self, frames: Any) -> np.ndarray:
        """What the bottleneck lets through of frames ``(frames, features)``, in the units of the features."""
        scaling = self.functions.scaling
        varies = np.isfinite(scaling.deviation)
        return np.where(
            varies, scaling.mean + self._decoded(frames) * np.where(varies, scaling.deviation, 0), frames
        )

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        r"""Share of the scaled features that is given back, :math:`1 - \sum |x - D(E(x))|^r / \sum |x|^r`.

        Parameters
        ----------
        data : not those of the fit, if it is to say how well new frames are given back
        r : power of what is missed; of 2 the score is a share of the variance
        """

        def parts(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            scaled = np.asarray(self.functions.scaling(frames), float)
            return scaled - self._decoded(frames), scaled

        return share_given_back(as_trajectories(data), parts, r)

    def _decoded(self, frames: Any) -> np.ndarray:
        """What is given back, as the network sees features."""
        return np.asarray(self.module.decoder(self(np.asarray(frames))), float)


@dataclass(frozen=True)
class Autoencoder(Training):
    """Nonlinear PCA: a bottleneck through which frames are given back.

    Parameters
    ----------
    dim : values in the bottleneck

    Examples
    --------
    >>> place = np.random.default_rng(0).uniform(-1, 1, (2000, 1))
    >>> x = np.concatenate([place, place**2], axis=1)
    >>> method = Autoencoder(dim=1, hidden=(16,), steps=1500, restarts=1, learning_rate=0.01)
    >>> method.fit(x).score(x) > 0.8  # one principal component gives back half
    True
    """

    dim: int = 2

    def fit(self, data: TrajectoryData) -> AutoencoderModel:
        """Train."""
        return _trained(self, Reconstruction(self.dim), data)


@dataclass(frozen=True)
class VariationalAutoencoder(Training):
    """An autoencoder with a noisy bottleneck, close to a normal distribution.

    Parameters
    ----------
    dim : values in the bottleneck
    capacity : cost of telling the bottleneck from a normal distribution
    """

    dim: int = 2
    capacity: float = 1e-2

    def fit(self, data: TrajectoryData) -> AutoencoderModel:
        """Train."""
        return _trained(self, VariationalReconstruction(self.dim, self.capacity), data)


def _trained(training: Training, objective: Objective, data: TrajectoryData) -> AutoencoderModel:
    learned = training.basis(objective, 0).fit(as_trajectories(data))
    return AutoencoderModel(*(getattr(learned, each.name) for each in fields(learned)))
