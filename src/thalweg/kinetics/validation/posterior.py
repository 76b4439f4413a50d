r"""Posterior of anything a Markov model says, given its counts: the Bayesian error bar [noe2008].

Transition matrices are drawn one after another and asked the same question; mean, spread and quantiles are
kept as running numbers, so that no list of matrices is ever held and the number of samples is free.

Counts enter the posterior as if each were independent evidence. Sliding counts are not, and not even
effective ones (`Effective`) know that transitions between states remember more than the last state: against
the spread of replicas these bars were five to eight and three to four times too small. So `bootstrap` is
the default everywhere, and this the special case: for counts that truly are independent (a chain, many
short runs at a long lag time), for matrices too large to resample, or as a prior for sampling more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.kinetics.estimation.transition_matrix import Sampler
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.kinetics.validation.bootstrap import matched_timescales
from thalweg.learning.models import Model
from thalweg.machine.memory import require_memory
from thalweg.machine.surviving import surviving
from thalweg.shapes import Shaped
from thalweg.time_series.resampling import MANY, with_errors

HELD = 2**22
"""Numbers kept for quantiles; of more samples only every second, fourth ... is kept."""


@dataclass(frozen=True, eq=False)
class Posterior(Model):
    """A quantity with its posterior, of the same shape as an `Estimate` by bootstrap.

    Attributes
    ----------
    value : (...), of the maximum-likelihood model
    mean : (...), over all samples that gave an answer
    error : (...), standard deviation over them
    failed : (...), share of the samples that gave none
    samples : (kept, ...), all samples, or every second, fourth ... one where the quantity is large
    told : how many samples failed and why the first did; empty if none did
    """

    value: Shaped[np.ndarray, " ..."]
    mean: Shaped[np.ndarray, " ..."]
    error: Shaped[np.ndarray, " ..."]
    failed: Shaped[np.ndarray, " ..."]
    samples: Shaped[np.ndarray, "kept ..."]
    told: str = ""

    def interval(self, confidence: float = 0.95) -> np.ndarray:
        """Lower and upper quantile ``(2, ...)`` between which lies the share ``confidence`` of the samples.

        NaN where half of the samples or more gave no answer.
        """
        known = np.isfinite(self.samples)
        ordered = np.sort(np.where(known, self.samples, np.inf), axis=0)
        number = known.sum(axis=0)
        ends = []
        for share in (0.5 - confidence / 2, 0.5 + confidence / 2):
            # between n samples and beyond them lie n + 1 equally likely places for another one
            place = np.clip(share * (number + 1) - 1, 0, np.maximum(number - 1, 0))
            low = np.floor(place).astype(int)
            high = np.minimum(low + 1, np.maximum(number - 1, 0))
            below, above = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in (low, high))
            with np.errstate(invalid="ignore"):
                ends.append(below + (place - low) * (above - below))
        return np.where(self.failed < 0.5, np.stack(ends), np.nan)

    def __str__(self) -> str:
        return with_errors(self.value, self.error) + (f" ({self.told})" if self.told else "")


def posterior(
    model: MarkovModel, quantity: Callable[[MarkovModel], Any], samples: int = 200, seed: int = 0
) -> Posterior:
    """A quantity of a model with its posterior.

    Parameters
    ----------
    model : `MarkovModel`
        Of independent counts, see the head of the module; fit it with ``counting=Effective()``.
    quantity : callable
        From a model to a number or an array of fixed shape; a sample for which it raises counts as failed, and a
        warning says so if these are more than a tenth.

    Raises
    ------
    ValueError
        If the model's estimator has no posterior that can be sampled, or every sample fails.
    MemoryError
        If sums and samples of the quantity do not fit into memory.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> states = np.cumsum(np.random.default_rng(0).random(20000) < 0.01) % 2
    >>> model = MarkovStateModel(lagtime=1).fit([states])
    >>> rate = posterior(model, lambda m: m.transition_matrix[[0], [1]])
    >>> bool(abs(rate.error[0] / model.transition_matrix[0, 1] - 100**-0.5) < 0.02)
    True
    """
    value = np.asarray(quantity(model), float)
    # running sums and their next values, one sample and its shift, and the samples kept
    require_memory(
        8 * (12 * value.size + min(samples * value.size, max(HELD, 3 * value.size))),
        f"posterior of {value.size} numbers; ask for fewer numbers",
    )
    models, running = sampled_models(model, seed), _Running(value)
    left = surviving(
        range(samples),
        lambda number: running.add(number, np.asarray(quantity(next(models)), float)),
        "posterior samples",
        told=False,
    )
    if len(left.failures) > MANY * samples:
        warnings.warn(left.told, stacklevel=2)
    return Posterior(
        value,
        running.mean,
        running.spread,
        np.asarray(1 - running.answered / samples),
        np.stack(running.kept),
        left.told,
    )


class _Running:
    """Sums over samples of a quantity about its estimate, and every second, fourth ... sample."""

    def __init__(self, value: np.ndarray):
        self.about = np.nan_to_num(value)
        self.total, self.square, self.answered = (np.zeros(value.shape) for _ in range(3))
        self.kept: list[np.ndarray] = []
        self.every = 1

    def add(self, number: int, drawn: np.ndarray) -> None:
        """One more sample."""
        known = np.isfinite(drawn)
        # about the estimate, which is close to the mean: their difference loses no digits
        shifted = np.where(known, drawn - self.about, 0.0)
        self.total, self.square = self.total + shifted, self.square + shifted**2
        self.answered = self.answered + known
        if number % self.every == 0:
            self.kept.append(drawn)
        # thinned by two each time the quantiles' store is full
        if len(self.kept) > max(HELD // max(drawn.size, 1), 2):
            self.kept, self.every = self.kept[::2], 2 * self.every

    @property
    def mean(self) -> np.ndarray:
        """Mean over samples that gave an answer."""
        return np.asarray(self.about + self.total / np.where(self.answered > 0, self.answered, np.nan))

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over them."""
        shift = self.total / np.where(self.answered > 0, self.answered, np.nan)
        degrees = np.where(self.answered > 1, self.answered - 1, np.nan)
        return np.asarray(np.sqrt(np.maximum(self.square - self.answered * shift**2, 0) / degrees))


def sampled_models(model: MarkovModel, seed: int = 0) -> Iterator[MarkovModel]:
    """Models with transition matrices from the posterior, without end.

    Parameters
    ----------
    model : `MarkovModel`, of independent counts
    seed : of the samples

    Raises
    ------
    ValueError
        If the model's estimator has no posterior that can be sampled.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> states = np.cumsum(np.random.default_rng(0).random(2000) < 0.1) % 2
    >>> sample = next(sampled_models(MarkovStateModel(lagtime=1).fit([states])))
    >>> bool(0.05 < sample.transition_matrix[0, 1] < 0.2)
    True
    """
    estimator = model.method.estimator.among(model.active.states)
    if not isinstance(estimator, Sampler):
        raise ValueError(
            f"{type(estimator).__name__} has no posterior that can be sampled; "
            "use bootstrap, or the estimator Reversible() or Nonreversible()"
        )
    counts = model.active.restrict(model.counts.matrix)
    for fit in estimator.samples(counts, model.fit, np.random.default_rng(seed)):
        yield replace(model, fit=fit)


def posterior_timescales(model: MarkovModel, samples: int = 200, seed: int = 0) -> Posterior:
    """Timescales ``(n_processes,)`` [ps] with their posterior; samples are matched process by process.

    Parameters
    ----------
    model : `MarkovModel`, of independent counts
    samples : models drawn
    seed : of the samples
    """
    return posterior(model, lambda sample: matched_timescales(model, sample), samples, seed)
