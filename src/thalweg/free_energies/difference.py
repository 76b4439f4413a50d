"""The free-energy difference of two regions, with an error, and whether the sampling supports it.

``F_A - F_B = -kT log(sum_{n in A} w_n / sum_{n in B} w_n)``

The error is the standard deviation over bootstrap samples of blocks several correlation times long. A number
from walkers that never went back and forth is no estimate, however small its error looks: crossings are
counted, the two halves of the data compared, and the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.free_energies.blocks import block_labels, resamples, statistical_inefficiency
from thalweg.free_energies.reweighting import effective_sample_size
from thalweg.shapes import Bool, Float

NEEDED_CROSSINGS = 5
"""Crossings in each direction below which populations, and hence errors, are not known."""

NEEDED_FRAMES = 50
"""Effective sample size below which a few frames carry the average."""


@dataclass(frozen=True)
class FreeEnergyDifference:
    """``value`` and its standard ``error`` [kJ/mol], and what speaks for or against them.

    Attributes
    ----------
    halves : the difference from the first and second half of every trajectory [kJ/mol]
    crossings : how often a trajectory went from a to b, and from b to a
    effective_frames : effective sample size of the weights
    blocks : number of blocks resampled
    """

    value: float
    error: float
    halves: tuple[float, float]
    crossings: tuple[int, int]
    effective_frames: float
    blocks: int

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What is missing for the number to be trusted; empty if nothing."""
        missing = []
        there, back = self.crossings
        if min(there, back) < NEEDED_CROSSINGS:
            missing.append(
                f"{there} crossings from a to b and {back} back, {NEEDED_CROSSINGS} of each needed"
            )
        if self.effective_frames < NEEDED_FRAMES:
            missing.append(f"the weight of {self.effective_frames:.0f} frames, {NEEDED_FRAMES} needed")
        if not np.isfinite(self.error):
            missing.append(
                f"no error: one of {self.blocks} blocks of correlated frames holds all there is of a region"
            )
        apart = abs(self.halves[0] - self.halves[1])
        if not apart <= 6 * self.error:
            missing.append(
                f"halves of the data differ by {apart:.2f} kJ/mol, {apart / self.error:.0f} times the error"
            )
        return tuple(missing)

    def __str__(self) -> str:
        if self.shortcomings:
            return f"under-sampled: {'; '.join(self.shortcomings)}"
        return f"{self.value:.2f} ± {self.error:.2f} kJ/mol"


def free_energy_difference(
    in_a: Sequence[Bool[np.ndarray, " _"]],
    in_b: Sequence[Bool[np.ndarray, " _"]],
    log_weights: Sequence[Float[np.ndarray, " _"]],
    kT: float,
    *,
    samples: int = 200,
    seed: int = 0,
) -> FreeEnergyDifference:
    """``F_A - F_B`` of two regions from weighted trajectories.

    =================  =================================================
    symbol             variable
    =================  =================================================
    ``A``, ``B``       ``a``, ``b``, over all frames in a row
    ``w_n``            ``weights``
    ``sum_A w``        ``weights @ a``; ``per_block`` block by block
    =================  =================================================

    Parameters
    ----------
    in_a, in_b : for each trajectory, in order of time, whether a frame is in the region
    log_weights : for each trajectory, log weights up to one common constant
    kT : [kJ/mol]
    samples : number of bootstrap samples

    Raises
    ------
    ValueError
        If a region holds no frame at all, or the regions share one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> right = [rng.random(2000) < 0.25 for _ in range(4)]                    # exact: 2.5 log 3 = 2.75
    >>> print(free_energy_difference(right, [~x for x in right], [np.zeros(2000)] * 4, kT=2.5))
    2.68 ± 0.06 kJ/mol
    """
    a, b = np.concatenate(in_a), np.concatenate(in_b)
    if not (a.any() and b.any()):
        raise ValueError(
            f"region {'b' if a.any() else 'a'} holds none of {len(a)} frames; sample it or widen it"
        )
    if (a & b).any():
        raise ValueError(f"{np.count_nonzero(a & b)} frames are in both regions; make them disjoint")
    logs = np.concatenate(log_weights)
    weights = np.exp(logs - logs.max())
    lengths = [len(x) for x in in_a]
    # how F_A - F_B answers to each frame (its influence), and the indicator itself: the longer memory of the two counts
    shares = np.split(weights * a / (weights @ a) - weights * b / (weights @ b), np.cumsum(lengths)[:-1])
    correlated = max(
        statistical_inefficiency(shares), statistical_inefficiency([x.astype(float) for x in in_a])
    )
    labels = np.concatenate(block_labels(lengths, int(np.ceil(5 * correlated))))
    # (2, blocks) weights in a and b, added up again for every bootstrap sample
    per_block = np.stack([np.bincount(labels, weights * region) for region in (a, b)])
    first_half = np.concatenate([np.arange(n) < n // 2 for n in lengths])
    drawn = resamples(per_block.shape[1], samples, seed) @ per_block.T
    # F_A - F_B = -kT ln(sum_A w / sum_B w) of samples and of halves; infinite where one region is empty
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = -kT * np.log(drawn[:, 0] / drawn[:, 1])
        halves = [
            -kT * np.log((weights @ (a & half)) / (weights @ (b & half)))
            for half in (first_half, ~first_half)
        ]
    return FreeEnergyDifference(
        value=float(-kT * np.log((weights @ a) / (weights @ b))),
        error=float(np.std(spread)) if np.isfinite(spread).all() and len(per_block.T) > 1 else np.inf,
        halves=(float(halves[0]), float(halves[1])),
        crossings=(sum(map(_crossings, in_a, in_b)), sum(map(_crossings, in_b, in_a))),
        effective_frames=effective_sample_size(logs),
        blocks=per_block.shape[1],
    )


def _crossings(origin, target):
    """How often a trajectory enters ``target`` after it was last in ``origin``."""
    visited = target[origin | target]
    return int(np.count_nonzero(visited[1:] & ~visited[:-1]))


def agreement(estimates: Sequence[FreeEnergyDifference]) -> str:
    """Whether independent estimates of one difference agree, in words.

    They do if none lies more than three of its combined standard errors from the weighted mean of all.

    Parameters
    ----------
    estimates : of one difference, from independent runs [kJ/mol]

    Examples
    --------
    >>> a = FreeEnergyDifference(9.4, 0.1, (9.4, 9.4), (20, 21), 900.0, 30)
    >>> b = FreeEnergyDifference(9.6, 0.1, (9.5, 9.7), (25, 25), 800.0, 30)
    >>> agreement([a, b])
    '2 estimates agree: 9.50 ± 0.10 kJ/mol'
    >>> agreement([a, FreeEnergyDifference(11.0, 0.1, (11.0, 11.0), (25, 25), 800.0, 30)])
    '2 estimates disagree: 9.40 ± 0.10, 11.00 ± 0.10 kJ/mol; none is to be trusted before they agree'
    """
    values = np.array([x.value for x in estimates])
    errors = np.array([x.error for x in estimates])
    listed = ", ".join(f"{v:.2f} ± {e:.2f}" for v, e in zip(values, errors))
    if any(x.shortcomings for x in estimates):
        return f"{len(values)} estimates, some under-sampled: {'; '.join(map(str, estimates))}"
    # mean weighted by 1 / sigma^2, whose own variance is 1 / sum 1 / sigma^2
    precision = errors**-2.0
    mean = (precision @ values) / precision.sum()
    apart = values - mean
    if np.any(np.abs(apart) > 3 * np.sqrt(errors**2 + 1 / precision.sum())):
        return f"{len(values)} estimates disagree: {listed} kJ/mol; none is to be trusted before they agree"
    spread = np.sqrt((precision @ apart**2) / precision.sum() / max(1, len(values) - 1))
    return f"{len(values)} estimates agree: {mean:.2f} ± {max(spread, precision.sum() ** -0.5):.2f} kJ/mol"
