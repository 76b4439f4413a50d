r"""How much each frequency moves: power spectra of rates of change, from windowed pieces of trajectories.

Of pieces of ``n`` frames, half over each other, with ``v_k = (x_(k+1) - x_k) / dt`` and Hann's window ``w``
[welch1967],

.. math::  P(\nu) = \frac{2 dt}{\sum_k w_k^2} \left\langle \Big| \sum_k w_k v_k e^{-2 \pi i \nu k dt} \Big|^2
           \right\rangle \left( \frac{\pi \nu dt}{\sin \pi \nu dt} \right)^2,

the Fourier transform of the autocorrelation of ``v``; the last factor undoes what a difference over ``dt`` loses. The
integral of ``P`` over positive frequencies is the mean of ``v^2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import Picoseconds

PADDED = 4
"""Frequencies are so many times closer than pieces resolve."""

FEWEST = 16
"""Frames of a piece at least."""


@dataclass(frozen=True)
class PowerSpectra:
    """Power spectra of the rates of change of some features, of each run.

    Attributes
    ----------
    frequencies : [1/ps]
    values : (runs, features, frequencies), mean over the pieces of a run
    pieces : (runs,) number of pieces
    length : of a piece [ps]
    """

    frequencies: Float[np.ndarray, " frequencies"]
    values: Float[np.ndarray, "runs features frequencies"]
    pieces: Float[np.ndarray, " runs"]
    length: Picoseconds


def power_spectra(data: Trajectories, length: Picoseconds, split: bool = False) -> PowerSpectra:
    """Spectra of pieces of a ``length``, or of whole runs where these are shorter.

    Parameters
    ----------
    split : whether pieces count as runs of their own

    Raises
    ------
    ValueError
        If frames have weights, or pieces fewer than 16 frames.

    Examples
    --------
    >>> time = 0.01 * np.arange(1000)[:, None]
    >>> found = power_spectra(Trajectories([np.cos(2 * np.pi * 5.0 * time)], dt=0.01), length=4.0)
    >>> round(float(found.frequencies[found.values[0, 0].argmax()]), 2)
    5.0
    """
    if data.weights is not None or data.log_path is not None:
        raise ValueError(
            "frames have weights, as of a biased run, whose motion is none of the unbiased molecule"
        )
    wanted = round(length / data.dt)
    frames = min(wanted, int(data.lengths.min()) - 1)
    if frames < FEWEST:
        raise ValueError(
            f"pieces of {frames} frames, {data.dt:g} ps apart, are too short for a spectrum; give runs of {FEWEST} "
            "frames at least, and a resolution that leaves as many"
        )
    if split:
        edges = [(block, start) for block in data.blocks for start in range(0, len(block) - frames, frames)]
        data = Trajectories([block[start : start + frames + 1] for block, start in edges], dt=data.dt)
    values, pieces = [], []
    for block in data.blocks:
        found, count = _of_run(np.diff(np.asarray(block, float), axis=0) / data.dt, frames, data.dt)
        values.append(found)
        pieces.append(count)
    frequencies = np.fft.rfftfreq(PADDED * frames, data.dt)
    lost = np.sinc(frequencies * data.dt)
    return PowerSpectra(frequencies, np.array(values) / lost**2, np.array(pieces, float), frames * data.dt)


def _of_run(rates, frames, dt):
    """Mean spectrum of the pieces of one run, and their number."""
    starts = range(0, len(rates) - frames + 1, max(1, frames // 2))
    pieces = np.stack([rates[start : start + frames] for start in starts])
    _, found = signal.periodogram(
        pieces, 1 / dt, window="hann", nfft=PADDED * frames, detrend=False, scaling="density", axis=1
    )
    return found.mean(0).T, len(pieces)
