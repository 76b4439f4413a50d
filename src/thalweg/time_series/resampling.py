r"""Error bars from block sums, the one way for every estimator of time series.

Data are kept as sums over blocks (`Covariances`, `TransitionCounts`). A bootstrap replicate draws blocks
with replacement and re-adds their sums [efron1994]; the estimator is applied to the sum, so its
non-linearity and all correlations inside a block are accounted for. Blocks must be longer than the memory
of the process: `resample` can join neighboring ones.

Not to be trusted with less than about ten blocks, or for events seen in one or two of them: a bootstrap
knows nothing of what did not happen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy

from thalweg.learning.models import Model
from thalweg.machine.memory import require_memory
from thalweg.machine.surviving import surviving
from thalweg.shapes import Float, Shaped

MANY = 0.1
"""Share of replicates that may fail before a warning says so."""


@runtime_checkable
class BlockSums(Protocol):
    """Sums over blocks of data that can be added up again with other multiplicities."""

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        ...

    @property
    def n_pairs(self) -> int:
        """Pairs of frames in all blocks."""
        ...

    def resampled(self, multiplicities: Float[np.ndarray, " blocks"]) -> Any:
        """The sums of data in which each block occurs as often as stated."""
        ...


@dataclass(frozen=True, eq=False)
class Estimate(Model):
    """A number or an array with its bootstrap replicates.

    Attributes
    ----------
    value : (...), the estimate from all data
    samples : (samples, ...), the same from every replicate; NaN where a replicate gave no answer
    n_blocks : blocks the replicates were drawn from
    told : how many replicates failed and why the first did; empty if none did

    Examples
    --------
    >>> estimate = Estimate(np.array(2.0), np.array([1.0, 2.0, 3.0]), n_blocks=20)
    >>> float(estimate.error.round(3))
    1.026
    """

    value: Shaped[np.ndarray, " ..."]
    samples: Shaped[np.ndarray, "samples ..."]
    n_blocks: int
    told: str = ""

    def headline(self) -> dict[str, object]:
        """The value with its error, and what it rests on."""
        return {
            "value": with_errors(self.value, self.error),
            "replicates": len(self.samples),
            "blocks": self.n_blocks,
        }

    @property
    def failed(self) -> np.ndarray:
        """Share of the replicates that gave no answer ``(...)``."""
        return np.asarray(np.isnan(self.samples).mean(axis=0))

    @property
    def error(self) -> np.ndarray:
        """Standard error ``(...)``: spread of the replicates, corrected for the finite number of blocks."""
        return _spread(self.samples, self.n_blocks)

    def interval(self, confidence: float = 0.95) -> np.ndarray:
        r"""Lower and upper end ``(2, ...)`` of a confidence interval.

        For a positive quantity such as a timescale or a rate :math:`\ln\hat t - b \pm t_{K-1}\,\sigma` with
        the mean shift :math:`b` and the spread :math:`\sigma` of :math:`\ln t` over replicates and
        Student's quantile for :math:`K` blocks, transformed back; the same without logarithm for quantities
        of any sign.
        """
        positive = not (np.append(self.samples, self.value) <= 0).any()
        forward, back = (np.log, np.exp) if positive else (np.asarray, np.asarray)
        samples = forward(self.samples)
        # ln t - b with b = <ln t>_replicates - ln t
        center = 2 * forward(self.value) - _nanmean(samples)
        quantile = scipy.special.stdtrit(max(self.n_blocks - 1, 1), 0.5 + confidence / 2)
        half = quantile * _spread(samples, self.n_blocks)
        return back(np.stack([center - half, center + half]))

    def __str__(self) -> str:
        return with_errors(self.value, self.error) + (f" ({self.told})" if self.told else "")


def with_errors(values: np.ndarray, errors: np.ndarray) -> str:
    """Values and their errors as people write them, up to ten of them; an error without a value is not written.

    Examples
    --------
    >>> with_errors(np.array([527.07, 12.0, np.nan, 3.0]), np.array([14.31, 0.2, 5e3, np.nan]))
    '527.1 ± 14, 12 ± 0.2, none, 3 (no error bar)'
    """
    pairs = list(zip(np.ravel(values), np.ravel(errors)))
    text = ", ".join(plus_minus(value, error) for value, error in pairs[:10])
    return text + (f", ... ({len(pairs)} in all)" if len(pairs) > 10 else "")


def plus_minus(value: float, error: float) -> str:
    """One value and its error, or which of them there is not."""
    if np.isnan(value):
        return "none"
    return f"{value:.4g} ± {error:.2g}" if np.isfinite(error) else f"{value:.4g} (no error bar)"


def resample(
    sums: BlockSums,
    estimator: Callable[[Any], Any],
    value: Any = None,
    samples: int = 100,
    n_blocks: int | None = None,
    seed: int = 0,
) -> Estimate:
    """A quantity estimated from block sums, with bootstrap replicates.

    Parameters
    ----------
    sums : `BlockSums`
    estimator : callable
        From such sums to a number or array of fixed shape; a replicate for which it raises counts as failed,
        and a warning says so if these are more than `MANY`.
    value : optional
        The estimate from all data, if already known.
    samples : int
        Number of replicates.
    n_blocks : int, optional
        Join neighboring blocks to this many; default: take them as they are.
    seed : int

    Raises
    ------
    ValueError
        If there are less than two blocks.

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> x = np.random.default_rng(0).standard_normal((4000, 1))
    >>> mean = resample(covariances(x), lambda c: c.mean_0)
    >>> bool(abs(mean.error[0] - 4000**-0.5) < 0.3 * 4000**-0.5)
    True
    """
    joined = min(n_blocks or sums.n_blocks, sums.n_blocks)
    if joined < 2:
        raise ValueError("errors need at least two blocks of data; use longer or more trajectories")
    group = np.arange(sums.n_blocks) * joined // sums.n_blocks
    rng = np.random.default_rng(seed)
    value = np.asarray(estimator(sums) if value is None else value, float)
    require_memory(
        3 * 8 * samples * value.size,
        f"{samples} bootstrap replicates of {value.size} numbers; ask for fewer numbers or samples",
    )
    # how often each block occurs among as many drawn with replacement
    drawn = rng.multinomial(joined, np.full(joined, 1 / joined), samples).astype(float)
    left = surviving(
        range(samples),
        lambda k: np.broadcast_to(np.asarray(estimator(sums.resampled(drawn[k][group])), float), value.shape),
        "bootstrap replicates",
        fewest=0,
        told=False,
    )
    if len(left.failures) > MANY * samples:
        warnings.warn(left.told, stacklevel=2)
    replicates = np.full((samples, *value.shape), np.nan)
    for k, answer in zip(left.members, left.results):
        replicates[k] = answer
    return Estimate(value, replicates, joined, left.told)


def independent_blocks(sums: BlockSums, memory: float) -> int:
    """Into how many blocks to join sums so that each lasts twice the ``memory`` [frames]; at least twenty.

    Examples
    --------
    >>> from thalweg.collective_variables.covariances.covariance import covariances
    >>> independent_blocks(covariances(np.zeros((10000, 1)), n_blocks=40), memory=200.0)
    25
    """
    pairs = float(sums.n_pairs)
    return int(np.clip(pairs / (2 * max(memory, 1.0)), min(20, sums.n_blocks), sums.n_blocks))


def _nanmean(samples: np.ndarray) -> np.ndarray:
    """Mean over replicates that gave an answer, NaN where none did."""
    counted = np.isfinite(samples)
    number = np.where(counted.any(axis=0), counted.sum(axis=0), np.nan)
    return np.asarray(np.where(counted, samples, 0).sum(axis=0) / number)


def _spread(samples: np.ndarray, n_blocks: int) -> np.ndarray:
    """Standard deviation over replicates that gave an answer, for the finite number of blocks."""
    counted = np.isfinite(samples)
    deviations = np.where(counted, samples - _nanmean(samples), 0)
    degrees = np.where(counted.sum(axis=0) > 1, counted.sum(axis=0) - 1, np.nan)
    return np.asarray(np.sqrt((deviations**2).sum(axis=0) / degrees * n_blocks / (n_blocks - 1)))
