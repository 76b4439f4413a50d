r"""What the finite number of points does to the rates of a map, told by parts of them.

The bias of a graph of :math:`n` points within reach is of order :math:`1 / n`. Halves of the points, at the same reach,
have twice the bias and, both together, nearly the same chance deviations, so that

.. math::  \ln\kappa_\infty \approx 2 \ln\kappa - \tfrac12 (\ln\kappa_A + \ln\kappa_B)

is free of the first [quenouille1956]; several divisions into halves are averaged where frames are few. What is left is
of second order. Chance is told by a bootstrap over stretches of the data, of the Rayleigh quotients of the modes as
they are: to first order a rate changes as the quotient of its unchanged mode does, and replicates, in which a third of
the points is missing, would otherwise have more of the bias and its noise than the data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.machine.surviving import surviving
from thalweg.time_series.resampling import Estimate

Solve = Callable[[np.ndarray, float], np.ndarray]
"""Rates ``(dim,)`` of points reweighted by multiplicities ``(points,)``, zero leaving one out, at a reach times a
factor."""

Quotients = Callable[[np.ndarray], np.ndarray]
"""Rayleigh quotients ``(dim,)`` of unchanged modes on points reweighted by multiplicities ``(points,)``."""

LARGEST = 0.5
"""Logarithm of the largest factor by which rates are extrapolated."""

FEWER = 0.7
"""Share of the neighbors at a smaller reach that must give the same."""

DIVISIONS, DIVIDED = 4, 20_000
"""Divisions into halves, at most, and points that are divided all in all, but for one division of more."""


def _divisions(points: int) -> int:
    """How many divisions into halves are averaged."""
    return int(np.clip(DIVIDED // points, 1, DIVISIONS))


def _shifts(solve: Solve, rates: np.ndarray, points: int, factor: float, count: int) -> np.ndarray:
    """What is to be added to the logarithm of rates, by each of some divisions ``(count, dim)``.

    Parameters
    ----------
    solve : rates of some of the points
    rates : (dim,) of all
    points : their number
    factor : of the reach
    count : divisions
    """
    orders = [np.random.default_rng((0, k)).permutation(points) for k in range(count)]
    halves = [
        [np.log(solve((order < points // 2) == half, factor)) for half in (True, False)] for order in orders
    ]
    return np.log(rates) - np.mean(halves, axis=1)


def extrapolated_rates(solve: Solve, rates: np.ndarray, points: int, factor: float = 1.0) -> np.ndarray:
    """Rates ``(dim,)`` for infinitely many points, from those of all, ``rates``, and of halves."""
    shift = _shifts(solve, rates, points, factor, _divisions(points)).mean(axis=0)
    return rates * np.exp(np.clip(shift, -LARGEST, LARGEST))


def rough_word(rates: np.ndarray, value: np.ndarray) -> tuple[str, ...]:
    """A word where extrapolated rates ``value`` are as far as they may be from those of the graph."""
    rough = np.flatnonzero(np.abs(np.log(value / rates)) > 0.99 * LARGEST)
    if not len(rough):
        return ()
    listed = ", ".join(str(k + 1) for k in rough[:10])
    return (
        f"halves of the points give rates of coordinates {listed} that are others by more than a factor of "
        f"{np.exp(LARGEST):.2g}: these are rough; more frames, or more neighbors, are needed",
    )


def rate_estimate(
    solve: Solve,
    quotients: Quotients,
    raw: np.ndarray,
    value: np.ndarray,
    blocks: np.ndarray,
    dimension: float,
    samples: int,
    seed: int,
) -> Estimate:
    """Rates with errors.

    Parameters
    ----------
    solve : rates of some of the points
    quotients : those of unchanged modes
    raw : (dim,) rates of all points
    value : (dim,) the same, extrapolated
    blocks : (blocks, points) weights of points in each stretch of the data
    dimension : of the cloud
    samples : replicates
    seed : of the draws

    Notes
    -----
    Deviations of the logarithm over replicates, from their mean, are stretched so that their variance is that of chance
    plus that of the mean over divisions into halves, plus the squares of two differences: of second order in that of
    extrapolated rates from those of the graph (all of it, where it was limited), and from extrapolated rates with seven
    tenths of the neighbors.
    """
    rng = np.random.default_rng(seed)
    number, points = blocks.shape
    weights = blocks.sum(axis=0)
    drawn = rng.multinomial(number, np.full(number, 1 / number), samples)
    left = surviving(
        range(samples),
        lambda k: np.log(quotients(drawn[k] @ blocks / weights)),
        "bootstrap replicates",
        fewest=2,
    )
    deviations = np.array(left.results) - np.mean(left.results, axis=0)
    chance = (deviations**2).sum(axis=0) / (len(deviations) - 1)
    averaged = _divisions(points)
    divided = _shifts(solve, raw, points, 1.0, max(2, averaged)).var(axis=0, ddof=1) / averaged
    shift = np.log(value / raw)
    left_over = np.where(np.abs(shift) > 0.99 * LARGEST, shift**2, shift**4)
    systematic = divided + left_over + _by_reach(solve, value, points, FEWER ** (1 / dimension)) ** 2
    stretch = np.sqrt(1 + systematic / np.maximum(chance, np.finfo(float).tiny))
    return Estimate(value, value * np.exp(deviations * stretch), number, left.told)


def _by_reach(solve: Solve, value: np.ndarray, points: int, factor: float) -> np.ndarray:
    """What a smaller reach changes in the logarithm of extrapolated rates ``(dim,)``; nothing where it does not hold
    the points together."""
    try:
        narrow = solve(np.ones(points), factor)
        return np.log(extrapolated_rates(solve, narrow, points, factor) / value)
    except ValueError:
        return np.zeros(len(value))
