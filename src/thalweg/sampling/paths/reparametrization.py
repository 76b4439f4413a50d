"""Images of a string: spread evenly along a spline, smoothed, and the directions in which the string goes on.

Images are arrays ``(images, ...)`` of anything that has straight lines: positions of atoms, values of variables that go
on beyond their period.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from thalweg.shapes import Shaped


def arc_lengths(x: Shaped[np.ndarray, " images *shape"]) -> Shaped[np.ndarray, " images"]:
    """Length of the line through images up to each of them.

    Examples
    --------
    >>> arc_lengths(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])).tolist()
    [0.0, 5.0, 6.0]
    """
    pieces = np.linalg.norm(np.diff(x, axis=0).reshape(len(x) - 1, -1), axis=1)
    return np.concatenate([[0.0], np.cumsum(np.maximum(pieces, 1e-12))])


def string_tangents(x: Shaped[np.ndarray, " images *shape"]) -> Shaped[np.ndarray, " images *shape"]:
    """Unit tangents of a cubic spline through images.

    Examples
    --------
    >>> string_tangents(np.array([[0.0, 0.0], [0.0, 2.0], [0.0, 3.0]]))[1].tolist()
    [0.0, 1.0]
    """
    at = arc_lengths(x)
    along = CubicSpline(at, x)(at, 1)
    return along / np.linalg.norm(along.reshape(len(x), -1), axis=1).reshape(-1, *(1,) * (x.ndim - 1))


def spread_evenly(
    x: Shaped[np.ndarray, " images *shape"], count: int | None = None
) -> Shaped[np.ndarray, " count *shape"]:
    """Images at equal distances along a cubic spline through ``x``; ends stay.

    Parameters
    ----------
    x : at least two images
    count : of the new images; as many as there are if None

    Examples
    --------
    >>> spread_evenly(np.array([0.0, 0.2, 1.0])[:, None]).ravel().round(6).tolist()
    [0.0, 0.5, 1.0]
    """
    at = arc_lengths(x)
    curve, fine = CubicSpline(at, x), np.linspace(0.0, at[-1], 20 * max(len(x), count or 0))
    lengths = arc_lengths(curve(fine))
    wanted = np.linspace(0.0, lengths[-1], count or len(x))
    spread = curve(np.interp(wanted, lengths, fine))
    spread[0], spread[-1] = x[0], x[-1]
    return spread


def smoothed_string(
    x: Shaped[np.ndarray, " images *shape"], share: float
) -> Shaped[np.ndarray, " images *shape"]:
    """Every image between the ends moved by this share of the way to the middle of its neighbors.

    Examples
    --------
    >>> smoothed_string(np.array([0.0, 3.0, 2.0]), 0.5).tolist()
    [0.0, 2.0, 2.0]
    """
    inner = (1 - share) * x[1:-1] + 0.5 * share * (x[:-2] + x[2:])
    return np.concatenate([x[:1], inner, x[-1:]])
