"""Error bars for everything a hidden Markov model says, by refitting it to blocks drawn with replacement.

Each replicate weighs the blocks of the observations by how often they were drawn and continues the
iteration from the model, so that hidden states keep their order; see
`thalweg.time_series.resampling`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.kinetics.hidden.hidden_markov_model import HiddenModel
from thalweg.kinetics.hidden.observations import Observations
from thalweg.time_series.resampling import Estimate, independent_blocks, resample

TOLERANCE = 0.01
"""Log-likelihood three steps of a replicate may still gain: far below the one half of a standard error."""


def hidden_bootstrap(
    model: HiddenModel, quantity: Callable[[HiddenModel], Any], samples: int = 50, seed: int = 0
) -> Estimate:
    """A quantity of a hidden Markov model with its bootstrap error.

    Parameters
    ----------
    quantity : callable
        From a model to a number or an array of fixed shape; it may raise ``ValueError`` for a replicate
        that lacks what it needs.

    Examples
    --------
    >>> from thalweg.kinetics.hidden.hidden_markov_model import HiddenMarkovModel
    >>> rng = np.random.default_rng(0)
    >>> hidden = np.cumsum(rng.random(2000) < 0.02) % 2
    >>> model = HiddenMarkovModel(2, restarts=1).fit([np.where(rng.random(2000) < 0.1, 1 - hidden, hidden)])
    >>> time = hidden_bootstrap(model, lambda m: m.timescales[0], samples=6)
    >>> bool(0.02 < time.error / time.value < 0.5)
    True
    """
    method = replace(model.method, tolerance=max(TOLERANCE, model.method.tolerance))

    def replicate(observed: Observations) -> Any:
        return quantity(method.improved(model, observed, method.max_iterations))

    slowest = np.nanmax(np.append(model.timescales, 0.0)) / model.dt
    blocks = independent_blocks(model.observed, slowest + model.lagtime)
    return resample(model.observed, replicate, quantity(model), samples, blocks, seed)


def hidden_timescale_errors(model: HiddenModel, samples: int = 50, seed: int = 0) -> Estimate:
    """Timescales ``(hidden - 1,)`` [ps] with bootstrap errors.

    Parameters
    ----------
    model : of `HiddenMarkovModel`
    samples : bootstrap replicates
    seed : of the replicates
    """
    return hidden_bootstrap(model, lambda replicate: replicate.timescales, samples, seed)
