"""From claimed deviations to errors: a scale, and a power where claims spread too widely; the noise of labels apart.

Where a deviation ``s`` is claimed, errors have the deviation ``d``, and labels, which are noisy, differ from
predictions by ``r`` of the deviation ``h``,

    d(s) = a m (s / m)^b,     h(s)^2 = d(s)^2 + n^2,

with ``m`` the median claim. The noise ``n`` is told by components that symmetry makes zero: their predictions are
exact, and their labels are not. The scale ``a`` is the median of its posterior,

    p(a, n | r) ~ p(a) p(n) prod_i p(r_i / h(s_i)) / h(s_i).

Before any residual is seen, claims are taken to be about right (``a`` is one within a factor of some `PRIOR_SCALE`):
where errors drown in noise the residuals say little, and a noise that is not quite known must not turn into error, nor
errors into noise. Residuals over deviations are taken to be distributed like Student's t, so that gross outliers hardly
count. The power ``b`` is one unless the data contradict it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.interpolate import CubicSpline

from thalweg.shapes import Array, Float

Many = Float[Array, " values"]

WITHIN = 0.6827
"""Fraction of normal residuals within one deviation."""

LEAST = 1e-3
"""Deviations below this fraction of the usual residual say nothing: no claim goes below."""

CLOSED = 0.05
"""Claims below this fraction of the usual one are of components that symmetry makes zero, or nearly."""

PRIOR_SCALE = 0.5
"""How far the logarithm of the scale lies from zero, before data: as Student's t with `FREEDOM` degrees of freedom."""

FREEDOM = 4.0
"""Degrees of freedom of residuals over deviations, and of the prior of the scale."""

CONSISTENT = 0.831
"""Width of that distribution of residuals which is most likely where they are normal, over their deviation."""

CLEAR = 2.0
"""A power other than one is believed when it is so many standard errors away from it."""

POWERS = (0.4, 1.5)
"""Powers are kept within these."""

PRIOR = 0.3
"""How far powers lie from one, before data."""

FEW = 8
"""Fewer groups of residuals do not tell a power, nor fewer components that are zero by symmetry the noise of labels."""


@dataclass(frozen=True)
class DeviationMap:
    """Deviations of errors where deviations are claimed.

    Attributes
    ----------
    scale : ``a``
    power : ``b``
    middle : ``m``, in the unit of claims
    highest : above this claim, where none was tried, deviations are proportional to claims again
    floor : no deviation is claimed to be less than this, in the unit of claims
    closed : claims up to this one are of components that symmetry makes zero, or nearly
    scale_error : relative standard error of the scale
    noise : ``n``, by which labels differ from what is true, in the unit of claims

    Examples
    --------
    >>> mapped = DeviationMap(2.0, noise=3.0)
    >>> mapped(np.array([0.0, 2.0])).tolist(), mapped.of_labels(np.array([0.0, 2.0])).tolist()
    ([0.0, 4.0], [3.0, 5.0])
    """

    scale: float = 1.0
    power: float = 1.0
    middle: float = 1.0
    highest: float = float("inf")
    floor: float = 0.0
    closed: float = 0.0
    scale_error: float = float("nan")
    noise: float = 0.0

    def __call__(self, deviations: Float[Array, " *shape"]) -> np.ndarray:
        """Of errors, where ``deviations`` of any shape are claimed."""
        return np.asarray(np.hypot(self._own(np.asarray(deviations, float)), self.floor))

    def of_labels(self, deviations: Float[Array, " *shape"]) -> np.ndarray:
        """Of the differences between predictions and labels, which have noise of their own."""
        return np.hypot(self(deviations), self.noise)

    @property
    def certain(self) -> float:
        """Deviations up to this one are of components that symmetry makes zero, or nearly."""
        return float(self(np.array(self.closed)))

    def _own(self, deviations):
        """Without the floor; proportional beyond the highest claim that was tried."""
        within = np.minimum(deviations, self.highest)
        beyond = np.divide(deviations, within, out=np.ones_like(deviations), where=within > 0)
        return self.scale * self.middle * (within / self.middle) ** self.power * beyond

    @staticmethod
    def of(
        residuals: Many,
        deviations: Many,
        groups: np.ndarray | None = None,
        noise: float = 0.0,
        told_by: int = 0,
    ) -> DeviationMap:
        """The map that claimed ``deviations``, none negative, call for when ``residuals`` were found.

        Parameters
        ----------
        groups : of which frame each is; those of one frame are alike, and errors of ``a`` and ``b`` are over frames
        noise : standard deviation of the labels, as far as it is known without the claims
        told_by : how many normal numbers tell it as well; none where it is known exactly

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
        noise, told_by = _noise(closed, noise, told_by)
        middle = float(np.median(deviations))
        floor = max(LEAST * float(np.quantile(size, WITHIN)), 1e-12 * middle)
        highest = float(np.quantile(deviations, 0.99))
        bare = DeviationMap(1.0, 1.0, middle, highest, floor, threshold, noise=noise)
        first = replace(bare, scale=_scale(size, bare(deviations), groups, noise, told_by)[0])
        bare = replace(bare, power=_power(size, deviations, groups, first))
        scale, error, noise = _scale(size, bare(deviations), groups, noise, told_by)
        return replace(bare, scale=scale, scale_error=error, noise=noise)


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


def _noise(closed: np.ndarray, known: float, known_by: int) -> tuple[float, int]:
    """Noise of labels, and how many labels tell it, or what was ``known`` before if that is as large.

    A label whose prediction is certain differs by its noise alone.
    """
    told = float(np.quantile(closed, WITHIN)) if len(closed) >= FEW else 0.0
    return (told, len(closed)) if told > known else (known, known_by)


def _scale(
    size: np.ndarray, deviations: np.ndarray, groups: np.ndarray, noise: float, told_by: int
) -> tuple[float, float, float]:
    """Median of the posterior of ``a``, its relative standard error, NaN where residuals are of one frame, and ``n``.

    Residuals tell the noise, too: where errors drown in it they are nearly all of it.

    ==============  ===========================================================================================
    ``log a``       ``logs``
    ``n``, p(n)     ``noises``, ``shares``: nodes of a Gauss-Hermite rule in ``log n``
    ``log p(r)``    ``likely``, (noises, logs)
    ==============  ===========================================================================================
    """
    usual = np.clip(np.log(max(np.median(size), 1e-300) / np.median(deviations)), -30.0, 30.0)
    logs = np.arange(min(usual, 0.0) - (6 if noise > 0 else 2), max(usual, 0.0) + 2, 0.2)
    nodes, shares = hermegauss(7) if told_by else (np.zeros(1), np.ones(1))
    noises = noise * np.exp(nodes / np.sqrt(2 * max(told_by, 1)))
    likely = np.array(
        [[_likelihood(size, np.hypot(np.exp(a) * deviations, n)) for a in logs] for n in noises]
    )
    before = -0.5 * (FREEDOM + 1) * np.log1p((logs / PRIOR_SCALE) ** 2 / FREEDOM)
    best = np.unravel_index(np.argmax(likely + before), likely.shape)
    # residuals of one frame are alike, and count for fewer
    alike = _alike(size, np.exp(logs[best[1]]) * deviations, noises[best[0]], groups)
    both = likely / alike + np.log(shares)[:, None] + before
    posterior = np.logaddexp.reduce(both, axis=0)
    of_noise = np.exp(np.logaddexp.reduce(both, axis=1) - np.logaddexp.reduce(both, axis=None))
    fine = np.linspace(logs[0], logs[-1], 20001)
    below = np.cumsum(np.exp(CubicSpline(logs, posterior - posterior.max())(fine)))
    low, middle, high = np.interp(np.array([0.1587, 0.5, 0.8413]) * below[-1], below, fine)
    error = (high - low) / 2 if len(np.unique(groups)) > 1 else np.nan
    return float(np.exp(middle)), float(error), float(of_noise @ noises)


def _likelihood(size: np.ndarray, deviations: np.ndarray) -> float:
    """Logarithm of the probability of residuals, up to a constant."""
    squares = (size / (CONSISTENT * deviations)) ** 2
    return -float(np.sum(np.log(deviations)) + 0.5 * (FREEDOM + 1) * np.sum(np.log1p(squares / FREEDOM)))


def _alike(
    size: np.ndarray,
    deviations: np.ndarray,
    noise: float,
    groups: np.ndarray,
    slopes: np.ndarray | float = 1.0,
) -> float:
    """How many residuals count for one: the variance of what groups say of ``log a``, over that of residuals apart.

    With ``slopes`` of ``log d`` it is what they say of another parameter than ``log a``.
    """
    whole = np.hypot(deviations, noise)
    squares = (size / (CONSISTENT * whole)) ** 2
    pulls = ((FREEDOM + 1) * squares / (FREEDOM + squares) - 1) * (deviations / whole) ** 2 * slopes
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], pulls)
    return max(1.0, float(sums @ sums / max(pulls @ pulls, 1e-300))) if len(sums) > 1 else 1.0


def _power(size: np.ndarray, deviations: np.ndarray, groups: np.ndarray, first: DeviationMap) -> float:
    """The most likely ``b`` at its own best scale, drawn to one by its prior; one where nothing contradicts."""
    if len(np.unique(groups)) < FEW or not np.ptp(np.log(deviations)) > 1e-3:
        return 1.0
    factors = np.exp(np.linspace(-1, 1, 21))

    def likelihood(power):
        own = replace(first, power=power)._own(deviations)
        floor = np.hypot(first.floor, first.noise)
        return max(_likelihood(size, np.hypot(factor * own, floor)) for factor in factors)

    own = first._own(deviations)
    slopes = np.log(np.minimum(deviations, first.highest) / first.middle)
    noise = float(np.hypot(first.floor, first.noise))
    powers = np.append(np.linspace(*POWERS, 23), 1.0)
    told = np.array([likelihood(power) for power in powers]) / _alike(size, own, noise, groups, slopes)
    if 2 * (told.max() - told[-1]) < CLEAR**2:
        return 1.0
    return float(powers[np.argmax(told - 0.5 * ((powers - 1) / PRIOR) ** 2)])
