"""Error bars for everything a Markov model says, by re-adding the counts of blocks.

Each replicate draws blocks of data with replacement, adds their counts, estimates a model and asks it the
same question; see `thalweg.time_series.resampling`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from thalweg.kinetics.counts.counts import TransitionCounts
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.time_series.resampling import Estimate, independent_blocks, resample

SETTLED = 1e-6
"""Residual of its estimation up to which a replicate is believed."""


def bootstrap(
    model: MarkovModel,
    quantity: Callable[[MarkovModel], Any],
    samples: int = 100,
    seed: int = 0,
    n_blocks: int | None = None,
) -> Estimate:
    """A quantity of a model with its bootstrap error.

    Parameters
    ----------
    model : `MarkovModel`
    quantity : callable
        From a model to a number or an array of fixed shape; a replicate for which it raises, or for which no model
        can be had, counts as failed.
    samples : bootstrap replicates
    seed : of the replicates; the same seed and blocks draw the same data
    n_blocks : how many to join blocks to; default `lasting_blocks`

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> states = np.cumsum(np.random.default_rng(0).random(20000) < 0.01) % 2
    >>> model = MarkovStateModel(lagtime=1).fit([states])
    >>> population = bootstrap(model, lambda m: m.stationary_distribution[0], samples=30)
    >>> 0.01 < float(population.error) < 0.1
    True
    """

    def replicate(counts: TransitionCounts) -> Any:
        drawn = model.method.fit_counts(counts)
        if not drawn.fit.residual < SETTLED:
            raise ValueError(f"estimation stopped at a residual of {drawn.fit.residual:.1e}")
        return quantity(drawn)

    blocks = lasting_blocks(model) if n_blocks is None else n_blocks
    return resample(model.counts, replicate, quantity(model), samples, blocks, seed)


def lasting_blocks(model: MarkovModel) -> int:
    """How many blocks last at least twice the slowest timescale; twenty at least, if there are as many.

    Parameters
    ----------
    model : `MarkovModel`
    """
    slowest = np.nanmax(np.append(model.timescales, 0.0)) / model.dt
    return independent_blocks(model.counts, slowest + model.lagtime)


def timescale_errors(
    model: MarkovModel, samples: int = 100, seed: int = 0, n_blocks: int | None = None
) -> Estimate:
    """Timescales ``(n_processes,)`` [ps] with bootstrap errors; replicates are matched process by process.

    Parameters
    ----------
    model : `MarkovModel`
    samples : bootstrap replicates
    seed : of the replicates
    n_blocks : as for `bootstrap`
    """
    return bootstrap(model, lambda drawn: matched_timescales(model, drawn), samples, seed, n_blocks)


def matched_timescales(reference: MarkovModel, replicate: MarkovModel) -> np.ndarray:
    """Timescales of a replicate in the order of the reference's processes; NaN where `matching` finds none.

    Parameters
    ----------
    reference : whose processes are looked for
    replicate : a model of the same states
    """
    column = matching(reference, replicate)
    return np.append(replicate.timescales, np.nan)[column]


def matching(reference: MarkovModel, replicate: MarkovModel) -> np.ndarray:
    """Which process of another model each of the reference's is ``(n_processes,)``; -1 for none.

    Processes are matched by the overlap of eigenfunctions, which must be more than half.

    Parameters
    ----------
    reference : whose processes are looked for
    replicate : a model of the same states
    """
    weight = reference.stationary_distribution[:, None]
    ours, theirs = (np.nan_to_num(np.asarray(m.eigenfunctions[:, 1:])) for m in (reference, replicate))
    norms = np.sqrt((weight * np.abs(theirs) ** 2).sum(axis=0))
    # |<psi_i, psi_j>_pi| with eigenfunctions of the replicate normalized in the reference's distribution
    overlap = np.abs(np.conj(ours).T @ (weight * theirs)) / np.where(norms > 0, norms, 1)
    rows, columns = linear_sum_assignment(-overlap)
    column = np.full(ours.shape[1], -1)
    good = overlap[rows, columns] > 0.5
    column[rows[good]] = columns[good]
    return column
