"""Indicators of the surroundings of centers: one where a center is the nearest, zero elsewhere.

In this basis the variational approach is a Markov state model (the constant, their sum, is dropped by whitening);
`thalweg.kinetics` has the sparse route, with its active sets and reversible estimators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories


@dataclass(frozen=True, eq=False)
class Indicators:
    """Indicators of the cells of ``centers (cells, features)``, their own `Basis` and `Functions`.

    Parameters
    ----------
    centers : (cells, features)

    Examples
    --------
    >>> Indicators(np.array([[0.0], [1.0]]))(np.array([[0.2], [0.9]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    centers: Float[np.ndarray, "cells features"]

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(f"cell {k}" for k in range(len(self.centers)))

    def fit(self, data: Trajectories) -> Indicators:
        """The functions, fitted to data.

        Raises
        ------
        ValueError
            If the data have another number of features.
        """
        if data.n_features != self.centers.shape[1]:
            raise ValueError(f"got {data.n_features} features, centers have {self.centers.shape[1]}")
        return self

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        centers = xp.asarray(self.centers, dtype=frames.dtype)
        # argmin_c |x - c|^2, less |x|^2, which is the same for all
        nearest = xp.argmin((centers * centers).sum(axis=1) - 2 * frames @ centers.T, axis=1)
        return xp.asarray(nearest[:, None] == xp.arange(len(self.centers)), dtype=frames.dtype)
