r"""Memberships stretched until the purest frames belong to one state alone.

A score of slowness is the same for all linear combinations of memberships, so that a network trained for it may leave
them anywhere inside the simplex, far from its corners, while a model with transition *probabilities* needs states that
frames are really in. As in Perron cluster analysis [deuflhard2005], the frames farthest from each other are taken for
the corners, and the linear map that puts them there is applied to all; what then lies outside is moved to the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import Functions
from thalweg.shapes import Float
from thalweg.time_series.blocks import PairRange
from thalweg.time_series.trajectories import Trajectories

CANDIDATES = 20000
"""Frames among which corners are looked for."""

PURE = 0.01
"""Share of the frames, the nearest to a corner, whose mean replaces it: single frames are outliers."""


@dataclass(frozen=True)
class Stretched:
    """Memberships stretched over the data: a basis for a `FuzzyMarkovStateModel`.

    Parameters
    ----------
    memberships : functions, such as ``model.functions`` of a `VAMPnet` with memberships

    Raises
    ------
    ValueError
        If memberships are linearly dependent: there are fewer states in the data.

    Examples
    --------
    >>> from thalweg.collective_variables.bases.basis import Identity
    >>> share = np.random.default_rng(0).uniform(0.4, 0.6, (1000, 1))
    >>> chi = np.concatenate([share, 1 - share], axis=1)
    >>> stretched = Stretched(Identity(("a", "b"))).fit(Trajectories([chi]))(chi)
    >>> float(stretched.min()), float(stretched.max())
    (0.0, 1.0)
    """

    memberships: Functions

    def fit(self, data: Trajectories) -> StretchedMemberships:
        """The memberships, their corners among the data.

        Raises
        ------
        ValueError
            If memberships depend on each other.
        """
        points = np.asarray(self.memberships(data.strided(CANDIDATES)), float)
        corners = _corners(points)
        if np.linalg.cond(corners) > 1e6:
            raise ValueError(
                f"the memberships of {len(corners)} states depend on each other; ask for fewer states"
            )
        return StretchedMemberships(self.memberships, np.linalg.inv(corners))


@dataclass(frozen=True)
class StretchedMemberships:
    """Memberships times ``matrix (states, states)``, moved into the simplex.

    Attributes
    ----------
    memberships : functions of frames
    matrix : (states, states), from memberships to stretched ones
    """

    memberships: Functions
    matrix: np.ndarray

    @property
    def unseen(self) -> tuple[PairRange, ...] | None:
        """Pairs that the memberships were not learned from; None if they were not learned."""
        return getattr(self.memberships, "unseen", None)

    @property
    def names(self) -> tuple[str, ...]:
        """One of each state."""
        return tuple(self.memberships.names)

    def __call__(self, frames: Any) -> Any:
        values = self.memberships(frames)
        xp = values.__array_namespace__()
        inside = xp.maximum(values @ xp.asarray(self.matrix, dtype=values.dtype), 0.0)
        return inside / inside.sum(axis=1, keepdims=True)


def _corners(points: Float[np.ndarray, "frames states"]) -> np.ndarray:
    """Memberships ``(states, states)`` at points of which each is as far as can be from the span of those before."""
    corners = [int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmax())]
    residual = points - points[corners[0]]
    for _ in range(points.shape[1] - 1):
        corners.append(int((residual**2).sum(axis=1).argmax()))
        direction = residual[corners[-1]] / max(float(np.linalg.norm(residual[corners[-1]])), 1e-300)
        residual = residual - (residual @ direction)[:, None] * direction
    # a corner is the mean of the frames nearest to it
    count = max(1, round(PURE * len(points)))
    apart = ((points[:, None] - points[corners]) ** 2).sum(axis=2)
    return np.stack([points[np.argsort(column)[:count]].mean(axis=0) for column in apart.T])


@dataclass(frozen=True)
class RemainingMemberships:
    """Memberships of some of the states, as shares of what they add up to.

    Attributes
    ----------
    memberships : functions of frames
    states : (remaining,) numbers of the states
    """

    memberships: Functions
    states: np.ndarray

    @property
    def unseen(self) -> tuple[PairRange, ...] | None:
        """Pairs that the memberships were not learned from; None if they were not learned."""
        return getattr(self.memberships, "unseen", None)

    @property
    def names(self) -> tuple[str, ...]:
        """One of each state."""
        return tuple(self.memberships.names[k] for k in self.states)

    def __call__(self, frames: Any) -> Any:
        values = self.memberships(frames)[:, self.states]
        xp = values.__array_namespace__()
        return values / xp.maximum(values.sum(axis=1, keepdims=True), 1e-30)
