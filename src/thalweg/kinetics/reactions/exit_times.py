r"""Escape from a state by runs under a bias, in the time that they would have taken without it.

.. math::  t = \int_0^{t_\mathrm{exit}} e^{\beta V(s_t, t)}\, dt,\qquad
           \hat\tau = \frac{\sum_r t_r}{n},\qquad u_k = \frac{T(t_k)}{T(t_n)},\quad T(t) = \sum_r \min(t_r, t)

A bias that never acts on the transition state makes the time of an escape run :math:`e^{\beta V}` times as fast and
leaves which way it goes alone [tiwary2013]. Metadynamics with rare deposits is such a bias, if they are rarer than
crossings are long; so is a bias that is capped below the barrier [ray2022].

Nobody sees that the transition state was free. But escapes from one state come at random: their times have an
exponential distribution, which a Kolmogorov-Smirnov test can reject [salvalaglio2014]. Here it is asked of the total
time :math:`T` that all runs have been at risk when each escape comes (the total time on test of reliability theory),
which is uniform if the rate is one constant, whatever it is and however many runs are still inside: the mean, which is
fitted to the same times, is not in the test, and its p values are exact.

What the test does not see is a bias that slows down or speeds up all escapes alike: compare two rates of deposition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, kstest

from thalweg.shapes import Bool, Float

FEWEST = 10
"""Escapes without which there is no rate."""

REJECTED = 0.05
"""Probability of such escape times at one constant rate below which no rate is given."""


@dataclass(frozen=True, eq=False)
class ExitTimes:
    """Escape times of independent runs, and the mean they are of.

    Attributes
    ----------
    times : (runs,) [ps] unbiased time until a run left the state or ended inside
    left : (runs,), which of them left
    acceleration : unbiased time over simulated time, of all runs together

    Examples
    --------
    >>> times = np.random.default_rng(0).exponential(50.0, 40)
    >>> print(ExitTimes(times, np.ones(40, bool), acceleration=30.0))
    57.9 ± 9.2 ps from 40 of 40 runs, 30 times accelerated, one constant rate with p = 0.97
    """

    times: Float[np.ndarray, " runs"]
    left: Bool[np.ndarray, " runs"]
    acceleration: float

    @property
    def exits(self) -> int:
        """How many runs left."""
        return int(self.left.sum())

    @property
    def mean(self) -> float:
        """Likeliest mean escape time [ps]: all time over all escapes."""
        return float(self.times.sum() / self.exits) if self.exits else np.inf

    @property
    def rate(self) -> float:
        """``1 / mean`` [1/ps]."""
        return 1 / self.mean

    @property
    def error(self) -> float:
        """Standard error of the mean [ps]."""
        return self.mean / self.exits**0.5 if self.exits else np.inf

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Ends of the confidence interval of the mean [ps], exact for exponential times."""
        tails = 0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence
        low, high = (2 * self.times.sum() / chi2.ppf(1 - tail, 2 * self.exits) for tail in tails)
        return float(low), float(high)

    @property
    def p_value(self) -> float:
        """Probability of times as far from one constant rate; NaN for fewer than two escapes."""
        if self.exits < 2:
            return np.nan
        ends = np.sort(self.times[self.left])
        # T(t) = sum_r min(t_r, t) at every escape but the last, over that at the last: uniform for a constant rate
        at_risk = np.minimum(self.times[None], ends[:, None]).sum(axis=1)
        return float(kstest(at_risk[:-1] / at_risk[-1], "uniform").pvalue)

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What is missing for the number to be trusted; empty if nothing."""
        missing = []
        if self.exits < FEWEST:
            missing.append(f"{self.exits} of {len(self.times)} runs left the state, {FEWEST} are needed")
        if self.p_value < REJECTED:
            missing.append(
                f"the times are not those of one constant rate (p = {self.p_value:.2g}): the bias acts on the "
                "transition state, deposit more rarely or cap it lower; or there are several states or ways"
            )
        return tuple(missing)

    def __str__(self) -> str:
        if self.shortcomings:
            return f"no rate: {'; '.join(self.shortcomings)}"
        return (
            f"{self.mean:.3g} ± {self.error:.2g} ps from {self.exits} of {len(self.times)} runs, "
            f"{self.acceleration:.3g} times accelerated, one constant rate with p = {self.p_value:.2g}"
        )


def exit_times(
    bias: Sequence[Float[np.ndarray, " _"]],
    outside: Sequence[Bool[np.ndarray, " _"]],
    kT: float,
    dt: float,
) -> ExitTimes:
    """Escape times of runs that began in one state, from the bias of their frames.

    Parameters
    ----------
    bias : of every frame of each run [kJ/mol], zero where the bias does not act, such as on the transition state: of
        metadynamics the sum of the Gaussians without an offset
    outside : for each run, whether a frame has left the state for good, such as by being in another
    kT : [kJ/mol]
    dt : time between frames [ps]

    Raises
    ------
    ValueError
        If runs and frames do not fit, or a bias is not finite.

    Examples
    --------
    >>> left = np.array([False, False, True])
    >>> exit_times([np.log([2.0, 3.0, 9.0])], [left], kT=1.0, dt=0.5).times.round(6).tolist()     # (2 + 3 + 9) dt
    [7.0]
    """
    if [len(one) for one in bias] != [len(one) for one in outside] or not len(bias):
        raise ValueError(
            f"{len(bias)} runs of {sum(map(len, bias))} frames have a bias, {len(outside)} of "
            f"{sum(map(len, outside))} say whether they left; give both for every frame"
        )
    times, left, spent = [], [], 0.0
    for energy, gone in zip(bias, outside):
        if not np.isfinite(energy).all():
            raise ValueError(
                "the bias of a frame is not finite; leave out what comes after a run has diverged"
            )
        ends = np.flatnonzero(gone)
        stop = int(ends[0]) + 1 if len(ends) else len(energy)
        times.append(dt * float(np.exp(np.asarray(energy[:stop], float) / kT).sum()))
        left.append(bool(len(ends)))
        spent += dt * stop
    return ExitTimes(np.array(times), np.array(left), sum(times) / spent)
