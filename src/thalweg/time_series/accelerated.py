r"""Time-lagged pairs of a biased run, in the time of the unbiased one.

Under a bias :math:`V` that hardly changes while it acts, time runs :math:`e^{\beta V}` times as fast
[tiwary2015]; slow variables of such data: [mccarty2017] [yang2018]:

.. math::  \tau(t) = \int_0^t e^{\beta V(x_s)}\, ds

A frame stands for the stretch of :math:`\tau` it covers, and pairs a lag apart are averaged over all of :math:`\tau`:

.. math::  C = \int x(\tau)\, x(\tau + \tau_\mathrm{lag})^T d\tau .

Every pair of frames has as its weight how long both stretches last together, exactly. What a bias only flattens is
right so; where it also pushes across barriers of the processes looked for, relative times scales hold better than
absolute ones. Frames of the time in which the bias is still growing should be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.shapes import Float
from thalweg.time_series.blocks import PairRange
from thalweg.time_series.trajectories import CHUNK, PairReport, Pairs, Trajectories

OWN_PAIRS = 0.05
"""Share of pairs of a frame with itself above which it is pointed out."""

FEWEST_EFFECTIVE = 0.05
"""Effective share of frames below which it is pointed out."""


def unbiasing_weights(bias: Sequence[np.ndarray], kT: float) -> list[np.ndarray]:
    """Weights ``exp(V / kT)`` of frames of runs under one bias, their mean one: a column for `Trajectories`.

    For a bias that grows, ``bias`` is the bias minus its own reversible work, ``V - c(t)`` [tiwary2015]. Frames of
    runs under different biases are weighted by `thalweg.free_energies.reweighting.MBAR`.

    Parameters
    ----------
    bias : bias energy of every frame, one array per trajectory
    kT : in the same unit

    Raises
    ------
    ValueError
        If ``kT`` is not positive or a bias is not finite.

    Examples
    --------
    >>> unbiasing_weights([np.array([0.0, np.log(3.0)])], kT=1.0)[0].tolist()
    [0.5, 1.5]
    """
    arrays = _reduced(bias, kT)
    highest = max(column.max() for column in arrays)
    weights = [np.exp(column - highest) for column in arrays]
    mean = np.concatenate(weights).mean()
    return [column / mean for column in weights]


class Accelerated:
    """What data have in common whose pairs are a lag apart in unbiased time: an ``acceleration`` instead of weights."""

    def __post_init__(self):
        super().__post_init__()
        if self.weights is not None or self.log_path is not None:
            raise ValueError("the acceleration of frames contains their weights; give no others")
        arrays = _checked(self.acceleration, self.lengths)
        object.__setattr__(self, "acceleration", arrays)

    @property
    def columns(self) -> dict[str, Sequence[np.ndarray]]:
        """What there is for every frame besides its features or state."""
        return {"acceleration": self.acceleration}

    def report(self, lagtime: int) -> PairReport:
        """Frames that are first in some pair, and frames that are in none, for every trajectory.

        Raises
        ------
        ValueError
            If there is no pair at all.
        """
        ends = [_ends(column) for column in self.acceleration]
        used = np.array([np.searchsorted(t[:-1] + lagtime, t[-1] * (1 - 1e-12)) for t in ends])
        if not used.any():
            longest = max(float(column[-1]) for column in ends)
            raise ValueError(
                f"lagtime={lagtime} leaves no pairs in accelerated trajectories of up to {longest:.4g} frames of "
                "unbiased time; use a shorter one"
            )
        return PairReport(int(lagtime), used, self.lengths - used)

    def notes(self, lagtime: int) -> tuple[str, ...]:
        """Whether frames stand for more unbiased time than the lag, and whether few of them stand for nearly all."""
        factors = np.concatenate(self.acceleration)
        whole = sum(max(float(column.sum()) - lagtime, 0.0) for column in self.acceleration)
        # a frame of factor f pairs with itself for f - lag of unbiased time; Kish: (sum f)^2 / (n sum f^2)
        own = float(np.maximum(factors - lagtime, 0.0).sum()) / whole if whole > 0 else 0.0
        share = float(factors.sum() ** 2 / (len(factors) * (factors**2).sum()))
        notes = []
        if own > OWN_PAIRS:
            notes.append(
                f"frames stand for up to {factors.max():.3g} dt of unbiased time, in which nothing is seen to change; "
                f"{own:.0%} of the pairs at lagtime={lagtime} are of a frame with itself and make faster processes "
                "look slow: use a longer lagtime or save frames more often"
            )
        if share < FEWEST_EFFECTIVE:
            notes.append(
                f"unbiased time lies in few frames, as many as {share:.1%} of them if they counted alike"
            )
        return tuple(notes)


@dataclass(frozen=True, eq=False)
class AcceleratedTrajectories(Accelerated, Trajectories):
    """Trajectories of biased runs whose pairs are a lag apart in unbiased time.

    Parameters
    ----------
    blocks, dt, weights, names : as for `Trajectories`; the lag time of estimators is counted in ``dt`` of unbiased time
    acceleration : ``exp(V / kT)`` of every frame, one array per trajectory

    Raises
    ------
    ValueError
        As `Trajectories` does, and if there are weights beside the acceleration, which contains them.

    Examples
    --------
    >>> x = np.arange(4.0)[:, None]
    >>> data = AcceleratedTrajectories([x], acceleration=[np.array([1.0, 2.0, 1.0, 1.0])])
    >>> pairs = next(data.pairs((PairRange(0, 0, 4, 0),), lagtime=1))
    >>> pairs.x.ravel().tolist(), pairs.y.ravel().tolist(), pairs.weights.tolist()
    ([0.0, 1.0, 1.0, 2.0], [1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0])
    """

    acceleration: Sequence[np.ndarray] = ()

    def pairs(self, segments: Sequence[PairRange], lagtime: int, size: int = CHUNK) -> Iterator[Pairs]:
        """All pairs whose first frame is in the segments, with their weights."""
        for trajectory in sorted({segment.trajectory for segment in segments}):
            frames = np.concatenate(list(self.windows(trajectory, [(0, int(self.lengths[trajectory]))])))
            first, last, weights = overlaps(self.acceleration[trajectory], lagtime)
            for segment in (each for each in segments if each.trajectory == trajectory):
                low, high = np.searchsorted(first, [segment.start, segment.stop])
                for start in range(int(low), int(high), size):
                    part = slice(start, min(start + size, int(high)))
                    both = np.concatenate([frames[first[part]], frames[last[part]]])
                    count = len(first[part])
                    yield Pairs(segment, int(first[start]), both, count, weights[part])


def overlaps(
    acceleration: Float[np.ndarray, " frames"], lagtime: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both frames of every pair a lag time apart in unbiased time, the first in order, and how long they last together.

    Examples
    --------
    >>> [array.tolist() for array in overlaps(np.array([1.0, 2.0, 1.0]), 2)]
    [[0, 1], [1, 2], [1.0, 1.0]]
    """
    times = _ends(acceleration)
    # tau at which the first frame of a pair changes, or the second one, a lag later: constant between two edges
    edges = np.union1d(times, times - lagtime)
    edges = edges[(edges >= 0) & (edges <= times[-1] - lagtime)]
    between, lasting = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    # edges that coincide but for rounding make no pair
    real = lasting > 1e-12 * max(times[-1], 1.0)
    first = np.searchsorted(times, between[real], side="right") - 1
    last = np.searchsorted(times, between[real] + lagtime, side="right") - 1
    return first, last, lasting[real]


def _checked(acceleration: Sequence[np.ndarray], lengths: np.ndarray) -> tuple[np.ndarray, ...]:
    """One positive number per frame as float64, one array per trajectory."""
    if [len(column) for column in acceleration] != lengths.tolist():
        raise ValueError("acceleration must have one entry per frame of every trajectory")
    arrays = tuple(np.asarray(column, float) for column in acceleration)
    if not all(np.isfinite(column).all() and (column > 0).all() for column in arrays):
        raise ValueError("acceleration must be positive and finite; it is exp(V / kT)")
    return arrays


def _ends(acceleration: np.ndarray) -> np.ndarray:
    """When frames begin and, at last, end, in unbiased frames."""
    return np.concatenate([[0.0], np.cumsum(acceleration)])


def accelerated(data: Trajectories, bias: Sequence[Any], kT: float) -> AcceleratedTrajectories:
    """Trajectories of runs under a bias, with pairs in unbiased time.

    Parameters
    ----------
    bias : bias energy of every frame, one array per trajectory
    kT : in the same unit

    Raises
    ------
    ValueError
        If ``kT`` is not positive or a bias is not finite.
    """
    factors = [np.exp(column) for column in _reduced(bias, kT)]
    return AcceleratedTrajectories(
        data.blocks, data.dt, data.weights, data.names, data.log_path, acceleration=factors
    )


def _reduced(bias: Sequence[Any], kT: float) -> list[np.ndarray]:
    """Bias energies in units of ``kT``, checked."""
    if not kT > 0:
        raise ValueError(f"kT={kT} must be positive")
    arrays = [np.asarray(column, float) / kT for column in bias]
    for k, column in enumerate(arrays):
        if not np.isfinite(column).all():
            frame = int(np.argmin(np.isfinite(column)))
            raise ValueError(
                f"the bias of trajectory {k} is not finite in frame {frame}; leave such frames out"
            )
    return arrays
