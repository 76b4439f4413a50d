r"""What a Markov model between fuzzy states needs to know of the data, summed in one pass, block by block.

With memberships :math:`\chi` of first frames and :math:`\chi'` of last ones, :math:`\sum_i \chi_i = 1`,

.. math::  A_{ijk} = \langle \chi_i \chi_j \chi_k \rangle, \qquad B_{ijk} = \langle \chi_i \chi_j\, \chi'_k \rangle,
           \qquad D_{ijk} = \langle \chi'_i \chi'_j \chi'_k \rangle ;

moments of lower order are sums of these over an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thalweg.collective_variables.bases.basis import Functions, along
from thalweg.shapes import Float, Shaped
from thalweg.time_series.blocks import segments
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories


@dataclass(frozen=True, eq=False)
class MembershipMoments:
    """Moments of memberships a lag time apart, in blocks.

    Attributes
    ----------
    lagtime : in frames
    dt : time between frames [ps]
    n_pairs : pairs of frames in all blocks
    weight : (blocks,)
    first, cross, last : (blocks, states, states, states) sums for A, B, D
    """

    lagtime: int
    dt: float
    n_pairs: int
    weight: Shaped[np.ndarray, " blocks"]
    first: Shaped[np.ndarray, "blocks states states states"]
    cross: Shaped[np.ndarray, "blocks states states states"]
    last: Shaped[np.ndarray, "blocks states states states"]

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.weight)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.first.shape[-1]

    @cached_property
    def means(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A, B and D of all data."""
        return tuple(sums.sum(axis=0) / self.weight.sum() for sums in (self.first, self.cross, self.last))

    def resampled(self, multiplicities: Float[np.ndarray, " blocks"]) -> MembershipMoments:
        """The moments of data in which each block occurs as often as stated."""
        times = np.asarray(multiplicities, float)
        sums = (np.tensordot(times, each, 1)[None] for each in (self.first, self.cross, self.last))
        return MembershipMoments(self.lagtime, self.dt, self.n_pairs, (times @ self.weight)[None], *sums)


def membership_moments(
    data: TrajectoryData, memberships: Functions, lagtime: int, n_blocks: int = 40
) -> MembershipMoments:
    r"""Moments of the memberships of pairs of frames.

    =========================  ================================
    symbol                     variable
    =========================  ================================
    :math:`\chi, \chi'`        ``x``, ``y``; ``chi`` over trajectories
    :math:`\chi_i \chi_j`      ``squares``; ``later`` of last frames
    :math:`A, B, D`            ``first``, ``cross``, ``last``, summed
    =========================  ================================

    Parameters
    ----------
    data : trajectories of features
    memberships : functions of frames, none negative, that add up to one
    lagtime : in frames
    n_blocks : about how many blocks to keep apart

    Raises
    ------
    ValueError
        If the lag time leaves no pairs, or the functions are no memberships.

    Examples
    --------
    >>> from thalweg.collective_variables.bases.basis import Identity
    >>> sides = np.repeat(np.eye(2), 500, axis=0)
    >>> moments = membership_moments(sides, Identity(("left", "right")), lagtime=10)
    >>> moments.means[0].sum(axis=(0, 1)).round(3).tolist()
    [0.505, 0.495]
    """
    chi = along(as_trajectories(data), memberships)
    report, m = chi.report(lagtime), chi.n_features
    pieces = segments(report.used, n_blocks)
    count = 1 + max(piece.block for piece in pieces)
    weight, (first, cross, last) = np.zeros(count), np.zeros((3, count, m * m, m))
    for pairs in chi.pairs(pieces, report.lagtime):
        x, y = pairs.x.astype(float), pairs.y.astype(float)
        if x.min() < -1e-4 or np.abs(x.sum(axis=1) - 1).max() > 1e-3:
            raise ValueError(
                f"values between {x.min():.3g} and {x.max():.3g} that add up to {x.sum(axis=1).min():.3g} to "
                f"{x.sum(axis=1).max():.3g} are no memberships; use output='memberships'"
            )
        share = np.ones(len(x)) if pairs.weights is None else pairs.weights
        # chi_i chi_j as (pairs, states^2), so that a sum over pairs is one product of matrices
        squares, later = ((each[:, :, None] * each[:, None, :]).reshape(len(each), m * m) for each in (x, y))
        block = pairs.segment.block
        weight[block] += share.sum()
        # A += w chi_i chi_j chi_k, B += w chi_i chi_j chi'_k, D += w chi'_i chi'_j chi'_k
        first[block] += squares.T @ (share[:, None] * x)
        cross[block] += squares.T @ (share[:, None] * y)
        last[block] += later.T @ (share[:, None] * y)
    used = weight > 0
    return MembershipMoments(
        report.lagtime,
        chi.dt,
        int(report.used.sum()),
        weight[used],
        *(sums.reshape(count, m, m, m)[used] for sums in (first, cross, last)),
    )
