"""From claimed deviations to errors: a scale, a power where claims spread too widely, and a floor.

Where a deviation ``s`` is claimed, errors are expected to have the deviation ``d``,

    d(s)^2 = (a m (s / m)^b)^2 + n^2,

with ``m`` the median claim. The floor ``n`` is the noise of labels: a component that symmetry makes zero is claimed to
be certain, and its label is not. The scale ``a`` is between those that put 68 % within one and 95 % within 1.96
deviations, which a few gross outliers do not move. The power ``b`` is one unless the data contradict it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from thalweg.shapes import Array, Float

Many = Float[Array, " values"]

LEVELS = (0.6827, 0.95)
"""Fractions that the scale should leave within so many deviations of a normal distribution."""

LEAST = 1e-3
"""Deviations below this fraction of the usual error say nothing: a floor where labels have no noise."""

MOST = 0.9
"""At most this fraction of the usual error is noise."""

CLOSED = 0.05
"""Claims below this fraction of the usual one are of components that symmetry makes zero, or nearly."""

CLEAR = 2.0
"""A power other than one is believed when it is so many standard errors away from it."""

POWERS = (0.4, 1.5)
"""Powers are kept within these."""

PRIOR = 0.3
"""How far powers lie from one, before data."""

FEW = 8
"""Fewer groups of residuals do not tell a power."""


@dataclass(frozen=True)
class DeviationMap:
    """Deviations of errors where deviations are claimed.

    Attributes
    ----------
    scale : ``a``
    power : ``b``
    middle : ``m``, in the unit of claims
    highest : above this claim, where none was tried, deviations are proportional to claims again
    floor : ``n``, in the unit of claims
    closed : claims up to this one are of components that symmetry makes zero, or nearly
    scale_error : relative standard error of the scale

    Examples
    --------
    >>> DeviationMap(2.0, floor=3.0)(np.array([0.0, 2.0])).tolist()
    [3.0, 5.0]
    """

    scale: float = 1.0
    power: float = 1.0
    middle: float = 1.0
    highest: float = float("inf")
    floor: float = 0.0
    closed: float = 0.0
    scale_error: float = float("nan")

    def __call__(self, deviations: Float[Array, " *shape"]) -> np.ndarray:
        """Of claimed ``deviations`` of any shape."""
        return np.asarray(np.hypot(self._own(np.asarray(deviations, float)), self.floor))

    @property
    def certain(self) -> float:
        """Deviations up to this one are the floor's, where symmetry leaves no error."""
        return float(self(np.array(self.closed)))

    def _own(self, deviations):
        """Without the floor; proportional beyond the highest claim that was tried."""
        within = np.minimum(deviations, self.highest)
        beyond = np.divide(deviations, within, out=np.ones_like(deviations), where=within > 0)
        return self.scale * self.middle * (within / self.middle) ** self.power * beyond

    @staticmethod
    def of(
        residuals: Many, deviations: Many, groups: np.ndarray | None = None, noise: float = 0.0
    ) -> DeviationMap:
        """The map that claimed ``deviations``, none negative, call for when ``residuals`` were found.

        Parameters
        ----------
        groups : of which frame each is; those of one frame are alike, and errors of ``a`` and ``b`` are over frames
        noise : standard deviation of the labels, as far as it is known without the claims

        Raises
        ------
        ValueError
            If all claims are of components that symmetry makes zero.
        """
        size, deviations = np.abs(np.asarray(residuals, float)), np.asarray(deviations, float)
        groups = np.arange(len(size)) if groups is None else np.asarray(groups)
        threshold = closed_below(deviations)
        open_ = deviations > threshold
        if not open_.any():
            raise ValueError("all claimed deviations are zero; calibrate where something can err")
        closed, size, deviations, groups = size[~open_], size[open_], deviations[open_], groups[open_]
        usual, middle = float(np.quantile(size, LEVELS[0])), float(np.median(deviations))
        # a label whose prediction is certain differs by its noise alone; a fifth of the usual square is never taken for
        # noise: claims would count for nothing where errors drown in it, and far away too
        noise = max(noise, float(np.quantile(closed, LEVELS[0])) if len(closed) >= FEW else 0.0)
        floor = max(min(noise, MOST * usual), LEAST * usual, 1e-12 * middle)
        first = DeviationMap(_scale(size, deviations, floor), 1.0, middle, floor=floor)
        power = _power(size, deviations, groups, first)
        highest = float(np.quantile(deviations, 0.99))
        mapped = DeviationMap(1.0, power, middle, highest)(deviations)
        scale = _scale(size, mapped, floor)
        found = DeviationMap(scale, power, middle, highest, floor, threshold)
        return replace(found, scale_error=_scale_error(size / found(deviations), groups))


def closed_below(deviations: Float[Array, " *shape"]) -> float:
    """The claim up to which components are zero by symmetry, or nearly: a small part of the usual claim.

    That is the median in which each claim counts by its square root: neither any number of zeros nor a few claims of a
    hundred times the others decide it.
    """
    rising = np.sort(np.asarray(deviations, float), axis=None)
    held = np.cumsum(np.sqrt(rising))
    if not len(held) or not held[-1] > 0:
        return 0.0
    return float(CLOSED * rising[np.searchsorted(held, held[-1] / 2)])


def _scale(size: np.ndarray, deviations: np.ndarray, floor: float) -> float:
    """The ``a`` that leaves `LEVELS` of the sizes within ``hypot(a s, n)``, the geometric mean over levels."""
    logs = []
    for level in LEVELS:
        # |r| <= z hypot(a s, n) when a >= sqrt((r / z)^2 - n^2) / s: a quantile of these
        needed = np.sqrt(np.maximum((size / ndtri((1 + level) / 2)) ** 2 - floor**2, 0)) / deviations
        logs.append(np.log(max(np.quantile(needed, level), 1e-6 * np.median(size / deviations), 1e-300)))
    return float(np.exp(np.mean(logs)))


def _power(size: np.ndarray, deviations: np.ndarray, groups: np.ndarray, first: DeviationMap) -> float:
    """Slope of ``log |r|`` over ``log s`` above the floor, drawn to one by its prior; one where nothing contradicts."""
    clear = (first._own(deviations) > 2 * first.floor) & (size > 0)
    if len(np.unique(groups[clear])) < FEW:
        return 1.0
    x, y, groups = np.log(deviations[clear]), np.log(size[clear]), groups[clear]
    x, y = x - x.mean(), y - y.mean()
    spread = x @ x
    if not spread > 1e-6 * len(x):
        return 1.0
    slope = x @ y / spread
    # residuals of one frame are alike: the error of the slope is over frames
    pulls = np.bincount(np.unique(groups, return_inverse=True)[1], x * (y - slope * x))
    error = np.sqrt(pulls @ pulls) / spread
    if abs(slope - 1) < CLEAR * error:
        return 1.0
    drawn = (slope / error**2 + 1 / PRIOR**2) / (1 / error**2 + 1 / PRIOR**2)
    return float(np.clip(drawn, *POWERS))


def _scale_error(ratios: np.ndarray, groups: np.ndarray) -> float:
    """Relative standard error of the scale: of the root mean square ratio, cut at four, over groups; NaN for one."""
    squares = np.minimum(ratios, 4.0) ** 2
    owners = np.unique(groups, return_inverse=True)[1]
    counts, sums = np.bincount(owners), np.bincount(owners, squares)
    many, mean = len(counts), squares.mean()
    if many < 2 or not mean > 0:
        return float("nan")
    off = sums - mean * counts
    return float(np.sqrt(off @ off * many / (many - 1)) / counts.sum() / (2 * mean))
