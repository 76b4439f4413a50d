"""Error bars for everything a Markov model says, by re-adding the counts of blocks.

Each replicate draws blocks of data with replacement, adds their counts, estimates a model and asks it the
same question; see `thalweg.time_series.resampling`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.time_series.resampling import Estimate, independent_blocks, resample


def bootstrap(
    model: MarkovModel, quantity: Callable[[MarkovModel], Any], samples: int = 100, seed: int = 0
) -> Estimate:
    """A quantity of a model with its bootstrap error.

    Blocks are joined until they last at least twice the slowest timescale, but twenty remain.

    Parameters
    ----------
    model : `MarkovModel`
    quantity : callable
        From a model to a number or an array of fixed shape; it may raise ``ValueError`` for a replicate
        that lacks what it needs.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> states = np.cumsum(np.random.default_rng(0).random(20000) < 0.01) % 2
    >>> model = MarkovStateModel(lagtime=1).fit([states])
    >>> population = bootstrap(model, lambda m: m.stationary_distribution[0], samples=30)
    >>> 0.01 < float(population.error) < 0.1
    True
    """
    slowest = np.nanmax(np.append(model.timescales, 0.0)) / model.dt
    return resample(
        model.counts,
        lambda counts: quantity(model.method.fit_counts(counts, start=model)),
        value=quantity(model),
        samples=samples,
        n_blocks=independent_blocks(model.counts, slowest + model.lagtime),
        seed=seed,
    )


def timescale_errors(model: MarkovModel, samples: int = 100, seed: int = 0) -> Estimate:
    """Timescales ``(n_processes,)`` [ps] with bootstrap errors; replicates are matched process by process.

    Parameters
    ----------
    model : `MarkovModel`
    samples : bootstrap replicates
    seed : of the replicates
    """
    return bootstrap(model, lambda replicate: matched_timescales(model, replicate), samples, seed)


def matched_timescales(reference: MarkovModel, replicate: MarkovModel) -> np.ndarray:
    """Timescales of a replicate in the order of the reference's processes.

    Processes are matched by the overlap of eigenfunctions; NaN where none overlaps by more than half.

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
    matched = np.full(ours.shape[1], np.nan)
    good = overlap[rows, columns] > 0.5
    matched[rows[good]] = replicate.timescales[columns[good]]
    return matched
