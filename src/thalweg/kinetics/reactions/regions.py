r"""Regions: the sets between which a reaction goes, as conditions on the features of a frame.

.. math::  \text{inside}(x) \iff d(x) = 0, \qquad d \ge 0 \text{ continuous}

`Ellipsoid` and `Intervals` name the columns they look at and the period of those that are angles; a `Union` joins
several. Where no rule can say it, a set is given as one boolean array for each trajectory. Besides deciding, a region
says how far outside a frame is, so that a function can be made to hold its boundary value exactly
(:math:`q = 0` on A where it carries the factor :math:`d_A`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np

from thalweg.time_series.trajectories import Trajectories

OUTSIDE, IN_A, IN_B = 0, 1, 2
"""What `labels` calls a frame."""

Numbers = float | Sequence[float]


@runtime_checkable
class Region(Protocol):
    """A set of frames, known by how far others are from it."""

    def distance(self, frames: Any) -> Any:
        """Zero inside, growing continuously outside ``(frames,)``, without unit; frames ``(frames, features)``."""
        ...


SetOfFrames = Region | Sequence[np.ndarray]
"""A region, or whether each frame is in the set: one boolean array ``(frames,)`` for each trajectory."""


@dataclass(frozen=True)
class Ellipsoid:
    r"""Frames with :math:`\sum_k ((x_k - c_k)/r_k)^2 \le 1`; a ball if the radii are equal.

    Parameters
    ----------
    center : one number for each column
    radii : semi-axes, one number for all or one for each column
    columns : of the features looked at; all if None
    period : of the columns that come back to themselves, such as 2 pi for angles; None for those that do not
    axes : directions of the semi-axes, one in each row; those of the columns if None

    Raises
    ------
    ValueError
        If a radius is not positive, numbers of columns differ, or axes are not orthonormal.

    Examples
    --------
    >>> Ellipsoid((0.0,), 0.5, columns=(1,)).distance(np.array([[9.0, 0.3], [9.0, 1.0]])).tolist()
    [0.0, 1.0]
    """

    center: Sequence[float]
    radii: Numbers
    columns: Sequence[int] | None = None
    period: float | Sequence[float | None] | None = None
    axes: Sequence[Sequence[float]] | None = None

    def __post_init__(self):
        _hold_tuples(self)
        _require_fitting(self.center, self.columns, self.radii, "radii")
        if self.axes is not None:
            size, axes = len(self.center), np.asarray(self.axes, float)
            if axes.shape != (size, size) or not np.allclose(axes @ axes.T, np.eye(size), atol=1e-6):
                raise ValueError(f"axes={self.axes} must be {size} rows of length one at right angles")
        if not np.all(np.asarray(self.radii) > 0):
            raise ValueError(f"radii={self.radii} must be positive")

    def distance(self, frames: Any) -> Any:
        """How many radii a frame is outside ``(frames,)``."""
        xp = frames.__array_namespace__()
        away = _away(frames, self.center, self.columns, self.period)
        if self.axes is not None:
            away = away @ xp.asarray(np.asarray(self.axes, float).T, dtype=away.dtype)
        squares = ((away / xp.asarray(self.radii, dtype=away.dtype)) ** 2).sum(axis=1)
        # the root only outside, where it has a gradient
        outside = squares > 1
        return xp.where(outside, xp.sqrt(xp.where(outside, squares, 1.0)) - 1, 0.0)


@dataclass(frozen=True)
class Intervals:
    """Frames of which every looked-at column lies between two numbers.

    Parameters
    ----------
    lower, upper : one number for each column, ``-inf`` or ``inf`` where it is open
    columns : of the features looked at; all if None
    period : as for `Ellipsoid`; an interval of an angle may cross the border: lower 3.0, upper 4.0

    Raises
    ------
    ValueError
        If a lower end is above its upper one, or numbers of columns differ.

    Examples
    --------
    >>> Intervals((-np.inf,), (-1.0,)).distance(np.array([[-2.0], [0.5]])).tolist()
    [0.0, 1.5]
    """

    lower: Sequence[float]
    upper: Sequence[float]
    columns: Sequence[int] | None = None
    period: float | Sequence[float | None] | None = None

    def __post_init__(self):
        _hold_tuples(self)
        _require_fitting(self.lower, self.columns, self.upper, "upper ends")
        if not np.all(np.asarray(self.lower) < np.asarray(self.upper)):
            raise ValueError(f"lower={self.lower} must be below upper={self.upper}")

    def distance(self, frames: Any) -> Any:
        """Distance to the nearest frame inside, in the features' unit ``(frames,)``."""
        xp = frames.__array_namespace__()
        low, high = (np.asarray(ends, float) for ends in (self.lower, self.upper))
        middle = np.where(
            np.isfinite(low) & np.isfinite(high),
            0.5 * (np.where(np.isfinite(low), low, 0) + np.where(np.isfinite(high), high, 0)),
            np.where(np.isfinite(low), low, np.where(np.isfinite(high), high, 0.0)),
        )
        away = _away(frames, middle, self.columns, self.period)
        below, above = (
            xp.maximum(xp.asarray(sign * (ends - middle), dtype=away.dtype) - sign * away, 0.0)
            for sign, ends in ((1, low), (-1, high))
        )
        squares = (below**2 + above**2).sum(axis=1)
        return xp.where(squares > 0, xp.sqrt(xp.where(squares > 0, squares, 1.0)), 0.0)


@dataclass(frozen=True)
class Union:
    """Frames in any of several regions.

    Parameters
    ----------
    regions : at least one
    """

    regions: Sequence[Region]

    def __post_init__(self):
        _hold_tuples(self)

    def distance(self, frames: Any) -> Any:
        """Distance from the nearest of the regions ``(frames,)``."""
        xp = frames.__array_namespace__()
        return xp.stack([region.distance(frames) for region in self.regions]).min(axis=0)


def labels(data: Trajectories, a: SetOfFrames, b: SetOfFrames) -> list[np.ndarray]:
    """Which set every frame is in, `OUTSIDE`, `IN_A` or `IN_B`: one array ``(frames,)`` for each trajectory.

    Parameters
    ----------
    data : trajectories of features
    a, b : the sets

    Raises
    ------
    ValueError
        If a frame is in both sets, a set holds none, or masks do not fit the trajectories.

    Examples
    --------
    >>> data = Trajectories([np.array([[-1.0], [0.0], [1.0]])])
    >>> labels(data, Intervals((-np.inf,), (-0.5,)), Intervals((0.5,), (np.inf,)))[0].tolist()
    [1, 0, 2]
    """
    in_a, in_b = members(data, a, "A"), members(data, b, "B")
    both = [int((x & y).sum()) for x, y in zip(in_a, in_b, strict=True)]
    if any(both):
        first = next(k for k, count in enumerate(both) if count)
        raise ValueError(
            f"A and B overlap: {sum(both)} of {data.n_frames} frames are in both, the first in trajectory {first}; "
            "make the sets smaller"
        )
    return [np.where(x, IN_A, np.where(y, IN_B, OUTSIDE)) for x, y in zip(in_a, in_b, strict=True)]


def members(data: Trajectories, region: SetOfFrames, name: str) -> list[np.ndarray]:
    """Whether every frame is in a set: one boolean array ``(frames,)`` for each trajectory.

    Parameters
    ----------
    data : trajectories of features
    region : the set
    name : what messages call it

    Raises
    ------
    ValueError
        If it holds no frame, or masks do not fit the trajectories.
    """
    if isinstance(region, Region):
        inside: list[list[np.ndarray]] = [[] for _ in range(len(data))]
        for k, _, frames in data.chunks():
            inside[k].append(np.asarray(region.distance(frames)) <= 0)
        found = [np.concatenate(parts) for parts in inside]
    else:
        found = [np.asarray(mask, bool) for mask in region]
        given = [mask.shape for mask in found]
        if given != [(int(length),) for length in data.lengths]:
            raise ValueError(
                f"set {name} is given by masks of shapes {given[:5]} for trajectories of "
                f"{data.lengths[:5].tolist()} frames; give one boolean for each frame"
            )
    if not any(mask.any() for mask in found):
        raise ValueError(f"set {name} holds none of {data.n_frames} frames; enlarge it, or add frames in it")
    return found


def _hold_tuples(region: Any) -> None:
    """Lists and arrays of a region as tuples of plain numbers: it can be compared, hashed, and written down."""
    for each in fields(region):
        object.__setattr__(region, each.name, _tuples(getattr(region, each.name)))


def _tuples(given: Any) -> Any:
    if isinstance(given, np.ndarray | np.generic):
        given = given.tolist()
    return tuple(map(_tuples, given)) if isinstance(given, list | tuple) else given


def _require_fitting(
    first: Sequence[float], columns: Sequence[int] | None, second: Numbers, name: str
) -> None:
    """Refuse numbers of columns that differ."""
    count = len(first)
    if columns is not None and len(columns) != count:
        raise ValueError(f"{count} numbers for {len(columns)} columns; give one each")
    if np.size(second) not in (1, count):
        raise ValueError(f"{np.size(second)} {name} for {count} columns; give one each")


def _away(frames: Any, origin: Any, columns: Sequence[int] | None, period: Any) -> Any:
    """Differences from a point ``(frames, columns)``, the shortest ones of periodic columns."""
    xp = frames.__array_namespace__()
    used = frames if columns is None else frames[:, np.asarray(columns)]
    away = used - xp.asarray(np.asarray(origin, float), dtype=used.dtype)
    if period is None:
        return away
    periods = np.broadcast_to(np.array(period, float), (away.shape[1],))
    lengths = xp.asarray(np.where(np.isnan(periods), 1.0, periods), dtype=away.dtype)
    around = away - lengths * xp.round(away / lengths)
    return xp.where(xp.asarray(~np.isnan(periods)), around, away)
