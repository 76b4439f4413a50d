r"""What the finite number of points does to the rates of a map, told by parts of them.

The bias of a graph of :math:`n` points within reach is of order :math:`1 / n`. Halves of the points, at the same reach,
have twice the bias and, both together, nearly the same chance deviations, so that

.. math::  \ln\kappa_\infty \approx 2 \ln\kappa - \tfrac12 (\ln\kappa_A + \ln\kappa_B)

is free of the first [quenouille1956]. Chance is told by a bootstrap over stretches of the data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.machine.surviving import surviving
from thalweg.time_series.resampling import Estimate

Solve = Callable[[np.ndarray, float], np.ndarray]
"""Rates ``(dim,)`` of points reweighted by multiplicities ``(points,)``, zero leaving one out, at a reach times a
factor."""

LARGEST = 0.5
"""Logarithm of the largest factor by which rates are extrapolated."""

FEWER = 0.7
"""Share of the neighbors at a smaller reach that must give the same."""


def extrapolated_rates(
    solve: Solve, rates: np.ndarray, points: int, factor: float = 1.0, pairs: int = 1, seed: int = 0
) -> np.ndarray:
    """Rates ``(dim,)`` for infinitely many points, from those of all and of halves.

    Parameters
    ----------
    solve : rates of some of the points
    rates : (dim,) of all
    points : their number
    factor : of the reach
    pairs : of halves
    seed : of the division
    """
    order = [np.random.default_rng((seed, k)).permutation(points) for k in range(pairs)]
    halves = [np.log(solve((each < points // 2) == half, factor)) for each in order for half in (True, False)]
    shift = np.log(rates) - np.mean(halves, axis=0)
    return np.exp(np.log(rates) + np.clip(shift, -LARGEST, LARGEST))


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
    raw : (dim,) rates of all points
    value : (dim,) the same, extrapolated
    blocks : (blocks, points) weights of points in each stretch of the data
    dimension : of the cloud
    samples : replicates
    seed : of the draws

    Notes
    -----
    Deviations of the logarithm over replicates, from their mean, are stretched so that their variance is that of chance
    plus the squares of two differences: of the extrapolated rates from those of the graph, and from extrapolated rates
    with seven tenths of the neighbors.
    """
    rng = np.random.default_rng(seed)
    number, points = blocks.shape
    weights = blocks.sum(axis=0)
    drawn = rng.multinomial(number, np.full(number, 1 / number), samples)
    left = surviving(
        range(samples),
        lambda k: np.log(solve(drawn[k] @ blocks / weights, 1.0)),
        "bootstrap replicates",
        fewest=2,
    )
    deviations = np.array(left.results) - np.mean(left.results, axis=0)
    chance = (deviations**2).sum(axis=0) / (len(deviations) - 1)
    systematic = np.log(value / raw) ** 2 + _by_reach(solve, value, points, FEWER ** (1 / dimension)) ** 2
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
