"""Autoencoders: variables of high variance, as a bottleneck through which frames are given back.

`Autoencoder` is nonlinear principal component analysis [kramer1991]; `VariationalAutoencoder` is the same with a noisy
bottleneck [kingma2014]. Both are trained as `Training` says, whose parameters they take by keyword.
"""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.collective_variables.neural.learned_basis import Learned, Training
from thalweg.collective_variables.neural.reconstruction import Reconstruction, VariationalReconstruction
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories


@dataclass(frozen=True)
class Autoencoder(Training):
    """Nonlinear PCA: a bottleneck through which frames are given back.

    Parameters
    ----------
    dim : values in the bottleneck
    """

    dim: int = 2

    def fit(self, data: TrajectoryData) -> Learned:
        """Train."""
        return self.basis(Reconstruction(self.dim), 0).fit(as_trajectories(data))


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

    def fit(self, data: TrajectoryData) -> Learned:
        """Train."""
        return self.basis(VariationalReconstruction(self.dim, self.capacity), 0).fit(as_trajectories(data))
