"""Blocks of correlated frames: what may be resampled as if independent.

The error of an average over a trajectory follows from the statistical inefficiency ``g = 1 + 2 sum_t
rho(t)``, the number of frames one independent frame is worth [chodera2007]. Trajectories are cut into blocks
several ``g`` long, and the bootstrap [efron1979] draws whole blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.shapes import Float, Int


def statistical_inefficiency(trajectories: Sequence[Float[np.ndarray, " _"]]) -> float:
    """``g`` [frames] of one quantity along trajectories that share a mean; at least one, at most the longest
    of them.

    The sum over the normalized autocorrelation ends where that first falls to zero.

    Parameters
    ----------
    trajectories : one quantity along each, in order of time

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(8, 4000))
    >>> slow = np.stack([np.convolve(row, np.ones(5)) for row in noise])       # moving average: g = 5
    >>> round(statistical_inefficiency(list(slow)))
    5
    """
    mean = np.mean(np.concatenate(trajectories))
    longest = max(map(len, trajectories))
    products, pairs = np.zeros(longest), np.zeros(longest)
    for x in trajectories:
        n = len(x)
        # sum_t x_t x_{t+k} by the Wiener-Khinchin theorem, zero-padded so that the ends do not meet
        spectrum = np.fft.rfft(np.asarray(x, float) - mean, 2 * n)
        products[:n] += np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[:n]
        pairs[:n] += np.arange(n, 0, -1)
    if products[0] <= 1e-12 * (1 + mean**2) * pairs[0]:
        return 1.0
    correlation = (products / pairs) / (products[0] / pairs[0])
    # g = 1 + 2 sum rho up to where rho is noise
    ends = np.flatnonzero(correlation <= 0)
    until = ends[0] if len(ends) else longest
    return float(np.clip(1 + 2 * correlation[1:until].sum(), 1, longest))


def block_labels(lengths: Sequence[int], block: int) -> list[Int[np.ndarray, " frames"]]:
    """Number of the block of each frame, for trajectories of these lengths; no block spans two trajectories.

    A trajectory is cut into equal parts of at least ``block`` frames; a shorter one is a block of its own.

    Examples
    --------
    >>> [labels.tolist() for labels in block_labels([5, 2], block=2)]
    [[0, 0, 0, 1, 1], [2, 2]]
    """
    labels, first = [], 0
    for n in lengths:
        parts = max(1, n // block)
        labels.append(first + np.arange(n) * parts // n)
        first += parts
    return labels


def resamples(blocks: int, number: int, seed: int) -> Int[np.ndarray, "number blocks"]:
    """How often each block is drawn in each of ``number`` bootstrap samples."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=number)
