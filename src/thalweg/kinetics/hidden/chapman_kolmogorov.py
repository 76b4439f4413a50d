r"""The Chapman-Kolmogorov test of hidden Markov models: do hidden states forget as the model says [noe2013b]?

The transition matrix between hidden states :math:`P(\tau)`, raised to a power, is set beside the one estimated at the
longer lag time itself,

.. math::  P(\tau)^k \approx P(k\tau) ,

whose iteration starts from the power and from the outputs of the model, so that hidden states keep their order. Errors
are those of replicates in which all lag times are estimated from the same blocks of data.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.kinetics.hidden.bootstrap import TOLERANCE
from thalweg.kinetics.hidden.hidden_markov_model import HiddenModel
from thalweg.kinetics.hidden.observations import Observations
from thalweg.kinetics.validation.chapman_kolmogorov import ChapmanKolmogorovTest
from thalweg.machine.surviving import surviving
from thalweg.time_series.resampling import independent_blocks, resample


def hidden_chapman_kolmogorov(
    model: HiddenModel, multiples: int = 4, samples: int = 20, seed: int = 0
) -> ChapmanKolmogorovTest:
    """The test at ``1 ... multiples`` times the lag time of a model, with its hidden states as sets.

    Parameters
    ----------
    samples : bootstrap replicates

    Raises
    ------
    ValueError
        If hidden states are not connected, or not even twice the lag time leaves pairs. Longer ones that do not, or
        cannot be estimated, are told and left out.

    Examples
    --------
    >>> from thalweg.kinetics.hidden.hidden_markov_model import HiddenMarkovModel
    >>> rng = np.random.default_rng(0)
    >>> hidden = np.cumsum(rng.random(2000) < 0.02) % 2
    >>> model = HiddenMarkovModel(2, restarts=1).fit([np.where(rng.random(2000) < 0.1, 1 - hidden, hidden)])
    >>> test = hidden_chapman_kolmogorov(model, multiples=2, samples=6)
    >>> test.predicted.shape, bool(np.abs(test.deviations).max() < 4)
    ((2, 2, 2), True)
    """
    if not model.active.complete:
        raise ValueError(f"hidden states must all be connected; {model.active}")
    method = replace(model.method, tolerance=max(TOLERANCE, model.method.tolerance))

    def at_multiple(k: int) -> tuple[Observations, np.ndarray]:
        delayed = model.observed.delayed(k) if k > 1 else model.observed
        return delayed, _estimate(model, k, delayed)

    left = surviving(
        range(1, multiples + 1), at_multiple, "multiples of the lag time", fewest=min(2, multiples)
    )
    lags, observed = np.array(left.members), [delayed for delayed, _ in left.results]

    def replicate(resampled: Observations) -> np.ndarray:
        at_lag = method.improved(model, resampled, method.max_iterations)
        weighted = [replace(delayed, multiplicities=resampled.multiplicities) for delayed in observed]
        estimates = [_estimate(at_lag, int(k), each) for k, each in zip(lags, weighted)]
        return np.stack([_powers(at_lag, lags), np.stack(estimates)])

    value = np.stack([_powers(model, lags), np.stack([estimate for _, estimate in left.results])])
    slowest = np.nanmax(np.append(model.timescales, 0.0)) / model.dt
    blocks = independent_blocks(model.observed, slowest + model.lagtime * lags.max())
    estimate = resample(model.observed, replicate, value, samples, blocks, seed)
    return ChapmanKolmogorovTest(lags * model.lag, *estimate.value, *estimate.error)


def _powers(model: HiddenModel, lags: np.ndarray) -> np.ndarray:
    """Powers of the transition matrix ``(lags, hidden, hidden)``."""
    return np.stack([np.linalg.matrix_power(model.transition_matrix, int(k)) for k in lags])


def _estimate(model: HiddenModel, multiple: int, observed: Observations) -> np.ndarray:
    """The transition matrix ``(hidden, hidden)`` estimated at a multiple of the lag time from observations there."""
    if multiple == 1:
        return model.transition_matrix
    power = np.linalg.matrix_power(model.transition_matrix, multiple)
    start = TransitionMatrix(csr_array(power), model.stationary_distribution, model.fit.reversible)
    method = replace(model.method, lagtime=observed.lagtime)
    start_model = replace(model, method=method, fit=start)
    return method.improved(start_model, observed, method.max_iterations).transition_matrix
