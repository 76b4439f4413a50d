r"""Flux, rates and mean passage times from a committor, a backward committor and weights, at any lag.

In a window of a stationary process the frames in a set cut it into stretches. A reactive trajectory that passes along
a stretch has come from A with probability :math:`q^-` at its begin and goes on to B with probability :math:`q^+` at its
end, so that

.. math::  F = \frac{1}{\tau} \Big\langle w(x_0) \sum_{\text{stretches}} q^-(x_\text{begin})\, q^+(x_\text{end})\,
           [q^+(x_\text{end}) - q^+(x_\text{begin})] \Big\rangle,\qquad
           k_{AB} = \frac{F}{\langle w\, q^- \rangle}

is the number of reactive trajectories per time whatever the lag time is [strahan2021]. The flux from B to A is summed
alike, and the mean of both is taken: at stationarity they are equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from thalweg.kinetics.reactions.regions import IN_A, IN_B, OUTSIDE
from thalweg.kinetics.reactions.stopped_windows import StoppedWindows

NUMBERS = ("flux", "k_AB", "k_BA", "mean passage time A to B", "mean passage time B to A", "p_A", "p_B")
"""What is summed, in this order."""


class WindowValues(NamedTuple):
    """What is known at the frames of a chunk, for several members: all data first, then resampled ones.

    Attributes
    ----------
    forward, backward : (frames, members), committors
    to_b, to_a : (frames, members) [ps], passage times
    weights : (windows, members), with which each window counts
    """

    forward: np.ndarray
    backward: np.ndarray
    to_b: np.ndarray
    to_a: np.ndarray
    weights: np.ndarray


def reaction_numbers(parts: Iterable[tuple[StoppedWindows, WindowValues]], lag: float) -> np.ndarray:
    """The numbers of `NUMBERS` for each member ``(members, numbers)``; times in the unit of the ``lag``."""
    total: np.ndarray | float = 0.0
    for windows, values in parts:
        total = total + _summed(windows, values)
    assert isinstance(total, np.ndarray)
    weight, ab, ba, from_a, in_a, in_b, time_ab, time_ba = total
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = 0.5 * (ab + ba) / (weight * lag)
        from_a = from_a / weight
        numbers = (flux, flux / from_a, flux / (1 - from_a), time_ab / in_a, time_ba / in_b)
    return np.stack([*numbers, in_a / weight, in_b / weight], axis=1)


def _summed(windows: StoppedWindows, values: WindowValues) -> np.ndarray:
    """Sums ``(8, members)`` over the windows of a chunk."""
    at, weights = windows.begins, values.weights
    ab = _reactive(windows, values.backward, values.forward, IN_A, windows.passages[0])
    ba = _reactive(windows, 1 - values.backward, 1 - values.forward, IN_B, windows.passages[1])
    in_a, in_b = ((windows.labels[at] == place)[:, None] * weights for place in (IN_A, IN_B))
    sums = (weights, weights * ab, weights * ba, weights * values.backward[at], in_a, in_b)
    return np.stack([part.sum(axis=0) for part in (*sums, in_a * values.to_b[at], in_b * values.to_a[at])])


def _reactive(
    windows: StoppedWindows, past: np.ndarray, future: np.ndarray, source: int, passages: np.ndarray
) -> np.ndarray:
    """Reactive trajectories from one set to the other in each window ``(windows, members)``."""
    at, first = windows.begins, windows.stops[-1]
    # from the begin to the first set, or to the end where there is none
    result = past[at] * future[first] * (future[first] - future[at])
    # from the last set to the end
    leaving = (windows.labels[first] != OUTSIDE) & (windows.labels[windows.origins] == source)
    return result + passages[:, None] + leaving[:, None] * future[windows.last] ** 2
