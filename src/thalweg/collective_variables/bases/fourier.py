r"""Waves of periodic features: sines and cosines of whole multiples and of their sums.

.. math::  \sin(k \cdot \theta),\ \cos(k \cdot \theta), \qquad \theta_i = 2\pi x_i / L_i,\quad |k_i| \le n

for wave vectors with at most ``together`` entries that are not zero. This is the basis for angles given raw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import feature_names
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories


@dataclass(frozen=True)
class Fourier:
    """Waves.

    Parameters
    ----------
    periods : period of every feature, or one for all; 2 pi for angles in radians
    order : largest multiple of an angle
    together : how many angles a wave depends on at most

    Raises
    ------
    ValueError
        If an order or a period is not positive, or periods do not fit the features.

    Examples
    --------
    >>> Fourier(order=1).fit(Trajectories([np.zeros((5, 2))], names=["phi", "psi"])).names[:4]
    ('sin(phi)', 'sin(psi)', 'sin(phi + psi)', 'sin(phi - psi)')
    """

    periods: float | Sequence[float] = 2 * np.pi
    order: int = 3
    together: int = 2

    def __post_init__(self):
        if self.order < 1 or self.together < 1:
            raise ValueError(f"order={self.order} and together={self.together} must be at least one")
        if not (np.asarray(self.periods) > 0).all():
            raise ValueError(f"periods={self.periods} must be positive")

    def fit(self, data: Trajectories) -> Waves:
        """The functions, fitted to data.

        Raises
        ------
        ValueError
            If periods do not fit the features.
        """
        if np.size(self.periods) not in (1, data.n_features):
            raise ValueError(f"got {np.size(self.periods)} periods for {data.n_features} features")
        periods = np.broadcast_to(np.asarray(self.periods, float), data.n_features)
        vectors = np.array(list(_wave_vectors(data.n_features, self.order, self.together)))
        return Waves(periods, vectors, feature_names(data))


@dataclass(frozen=True, eq=False)
class Waves:
    """Sines of all waves, then their cosines.

    Attributes
    ----------
    periods : (features,)
    vectors : (waves, features) whole numbers
    features : names of the features
    """

    periods: Shaped[np.ndarray, " features"]
    vectors: Shaped[np.ndarray, "waves features"]
    features: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        phases = [_phase(vector, self.features) for vector in self.vectors]
        return tuple(f"{wave}({phase})" for wave in ("sin", "cos") for phase in phases)

    def __call__(self, frames: Any) -> Any:
        xp = frames.__array_namespace__()
        turns = xp.asarray((2 * np.pi / self.periods)[:, None] * self.vectors.T, dtype=frames.dtype)
        phases = frames @ turns
        return xp.concat([xp.sin(phases), xp.cos(phases)], axis=1)


def _wave_vectors(features: int, order: int, together: int) -> Iterator[np.ndarray]:
    """One of each pair ``k, -k``."""
    either = [sign * n for n in range(1, order + 1) for sign in (1, -1)]
    for count in range(1, min(together, features) + 1):
        for places in combinations(range(features), count):
            # k and -k are the same wave: the first entry that is not zero is positive
            for first in range(1, order + 1):
                for rest in product(either, repeat=count - 1):
                    vector = np.zeros(features, int)
                    vector[list(places)] = first, *rest
                    yield vector


def _phase(vector: np.ndarray, names: Sequence[str]) -> str:
    text = ""
    for i in np.flatnonzero(vector):
        multiple = "" if abs(vector[i]) == 1 else f"{abs(vector[i])} "
        sign = (" + " if vector[i] > 0 else " - ") if text else ("" if vector[i] > 0 else "-")
        text += f"{sign}{multiple}{names[i]}"
    return text
