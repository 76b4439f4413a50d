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
        If the longest lag time leaves no pairs.

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
    lags = np.arange(1, multiples + 1)
    delayed = [model.observed.delayed(int(k)) for k in lags]
    method = replace(model.method, tolerance=max(TOLERANCE, model.method.tolerance))

    def replicate(observed: Observations) -> np.ndarray:
        at_lag = method.improved(model, observed, method.max_iterations)
        return np.stack([_powers(at_lag, lags), _estimates(at_lag, delayed, observed.multiplicities)])

    value = np.stack([_powers(model, lags), _estimates(model, delayed, None)])
    slowest = np.nanmax(np.append(model.timescales, 0.0)) / model.dt
    blocks = independent_blocks(model.observed, slowest + model.lagtime * multiples)
    estimate = resample(model.observed, replicate, value, samples, blocks, seed)
    return ChapmanKolmogorovTest(lags * model.lag, *estimate.value, *estimate.error)


def _powers(model: HiddenModel, lags: np.ndarray) -> np.ndarray:
    """Powers of the transition matrix ``(lags, hidden, hidden)``."""
    return np.stack([np.linalg.matrix_power(model.transition_matrix, int(k)) for k in lags])


def _estimates(
    model: HiddenModel, delayed: list[Observations], multiplicities: np.ndarray | None
) -> np.ndarray:
    """Transition matrices ``(lags, hidden, hidden)`` estimated at the lag times of the observations."""
    matrices = [model.transition_matrix]
    for power, observed in zip(_powers(model, np.arange(2, len(delayed) + 1)), delayed[1:]):
        start = TransitionMatrix(csr_array(power), model.stationary_distribution, model.fit.reversible)
        method = replace(model.method, lagtime=observed.lagtime)
        start_model = replace(model, method=method, fit=start)
        observed = replace(observed, multiplicities=multiplicities)
        matrices.append(method.improved(start_model, observed, method.max_iterations).transition_matrix)
    return np.stack(matrices)
