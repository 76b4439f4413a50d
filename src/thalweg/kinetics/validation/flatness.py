r"""Whether implied timescales have become flat, by what correlations do between two lag times.

Between the lags :math:`\tau` and :math:`\tau'` the slow correlation decays by a time :math:`t'` of its own,

.. math::  \frac{\tau' - \tau}{t'} = \frac{\tau'}{t(\tau')} - \frac{\tau}{t(\tau)},\qquad
           \delta(\tau) = 1 - \frac{t(\tau)}{t'} = \Bigl(1 - \frac{t(\tau)}{t(\tau')}\Bigr)\frac{\tau'}{\tau' - \tau} ,

and a model at :math:`\tau` holds if its timescale is that one: if its shortfall :math:`\delta` is zero. Timescales that
creep up between neighboring lags have a large shortfall however close they are. They come from the same data and err
together: the error of :math:`\delta` is the spread over replicates that draw the same blocks at both lags.

Flat is said only where the 95 % interval of :math:`\delta` lies within `ALIKE` about zero, rising where it lies above;
between the two the data cannot tell. Something that is remembered for longer than the longest lag is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from thalweg.shapes import Shaped
from thalweg.time_series.resampling import Estimate
from thalweg.units import duration

ALIKE = (0.05, 0.1)
"""Shortfalls below this share are called none, or below the relative error of the timescale itself if that lies
between the two."""

FEWEST = 0.9
"""Share of replicates that must have an answer for the others to be judged by."""


@dataclass(frozen=True)
class Flatness:
    """What the timescale of one process does between a shortest and a longest lag.

    Attributes
    ----------
    begin : shortest lag [ps] from which on it is flat; NaN if it is not or nobody can tell
    end : longest lag [ps] that was compared; NaN if there are not two
    rising : longest lag [ps] after which it certainly still rises; NaN if none
    shortfall, error : at the last lag before the longest
    alike : share below which a shortfall was called none
    dt : time between frames [ps], in whose unit lags are written

    Examples
    --------
    >>> print(Flatness(begin=5.0, end=50.0, rising=1.0, shortfall=0.01, error=0.02, alike=0.05))
    flat from 5 ps to 50 ps, within 5 %
    """

    begin: float
    end: float
    rising: float
    shortfall: float
    error: float
    alike: float
    dt: float = 1.0

    def __str__(self) -> str:
        begin, end = duration(self.begin, self.dt), duration(self.end, self.dt)
        if np.isfinite(self.begin):
            return f"flat from {begin} to {end}, within {100 * self.alike:.2g} %"
        if np.isnan(self.end):
            return "cannot tell whether it is flat: fewer than two lags below it at which it is crossed often enough"
        known = f"its model falls short of what follows by {self.shortfall:.2g} ± {self.error:.2g}"
        if np.isnan(self.rising):
            return f"cannot tell whether it is flat up to {end} ({known}): more data, or lags further apart"
        return (
            f"not flat up to {end} ({known}): the states remember; "
            "use longer lags, other states, or a model with memory"
        )


UNKNOWN = Flatness(*6 * (np.nan,))
"""Too few lags to compare."""


def flatness(
    lags: Shaped[np.ndarray, " lags"],
    times: Shaped[np.ndarray, " lags"],
    samples: Shaped[np.ndarray, "samples lags"],
    n_blocks: int,
) -> Flatness:
    """What timescales do from lag to lag, judged against the longest.

    Parameters
    ----------
    lags : (lags,) [ps], ascending
    times : (lags,) [ps]
    samples : (samples, lags) [ps], of replicates that draw the same blocks at all lags; NaN for no answer
    n_blocks : blocks the replicates were drawn from

    Examples
    --------
    >>> common = np.random.default_rng(0).normal(1.0, 0.3, (100, 1))
    >>> print(flatness(np.array([1.0, 5.0]), np.array([30.0, 30.1]), common * np.array([30.0, 30.1]), n_blocks=20))
    flat from 1 ps to 5 ps, within 10 %
    """
    if len(lags) < 2:
        return UNKNOWN
    shortfall = Estimate(_shortfalls(lags, times), _shortfalls(lags, samples), n_blocks)
    # as for any interval from replicates: their mean shift is taken out, Student's quantile for as many blocks
    center = 2 * shortfall.value - np.nanmean(shortfall.samples, axis=0)
    half = stdtrit(max(n_blocks - 1, 1), 0.975) * shortfall.error
    half = np.where(shortfall.failed < 1 - FEWEST, half, np.inf)
    low, high = center - half, center + half
    relative = float(Estimate(times[-1:], samples[:, -1:], n_blocks).error[0] / times[-1])
    share = float(np.clip(np.nan_to_num(relative), *ALIKE))
    alike = (low > -share) & (high < share)
    rising = ~alike & (low > 0)
    still = [k for k in range(len(alike)) if alike[k] and not rising[k:].any()]
    return Flatness(
        begin=float(lags[still[0]]) if still else np.nan,
        end=float(lags[-1]),
        rising=float(lags[:-1][rising].max()) if rising.any() else np.nan,
        shortfall=float(shortfall.value[-1]),
        error=float(shortfall.error[-1]),
        alike=share,
    )


def _shortfalls(lags: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``delta`` of every lag but the longest ``(..., lags - 1)``."""
    last = lags[-1]
    return (1 - times[..., :-1] / times[..., -1:]) * last / (last - lags[:-1])
