r"""The Chapman-Kolmogorov test: does the model predict what the data show at longer times [prinz2011]?

The probability to be in set B a time :math:`k\tau` after equilibrium inside set A, from powers of the
model's transition matrix and from counts at lag :math:`k\tau`:

.. math::  \hat p_{AB}(k\tau) = \sum_{i \in A} w_i \sum_{j \in B} [P(\tau)^k]_{ij},\qquad w_i \propto \pi_i

           p_{AB}(k\tau) = \sum_{i \in A} w_i \sum_{j \in B} \frac{c_{ij}(k\tau)}{c_i(k\tau)}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.kinetics.counts.counts import TransitionCounts, transition_counts
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.kinetics.validation.bootstrap import bootstrap
from thalweg.learning.models import Model
from thalweg.machine.surviving import surviving
from thalweg.shapes import Shaped
from thalweg.time_series.resampling import Estimate, independent_blocks, resample


@dataclass(frozen=True, eq=False)
class ChapmanKolmogorovTest(Model):
    """Predicted and observed transition probabilities between sets.

    Attributes
    ----------
    lags : (multiples,) [ps]
    predicted, observed : (multiples, sets, sets), from row to column
    predicted_errors, observed_errors : the same shape, bootstrap standard errors
    difference_errors : the same shape, of predicted less observed in the same replicates; None where not known
    told : which multiples of the lag have no observation, and why; empty if all have one
    """

    lags: Shaped[np.ndarray, " multiples"]
    predicted: Shaped[np.ndarray, "multiples sets sets"]
    observed: Shaped[np.ndarray, "multiples sets sets"]
    predicted_errors: np.ndarray
    observed_errors: np.ndarray
    difference_errors: np.ndarray | None = None
    told: str = ""

    @classmethod
    def between(
        cls, lags: np.ndarray, predicted: Estimate, observed: Estimate, told: str = ""
    ) -> ChapmanKolmogorovTest:
        """The test of two estimates ``(multiples, sets, sets)`` whose replicates drew the same data."""
        apart = Estimate(
            predicted.value - observed.value, predicted.samples - observed.samples, predicted.n_blocks
        )
        return cls(lags, predicted.value, observed.value, predicted.error, observed.error, apart.error, told)

    @property
    def deviations(self) -> np.ndarray:
        """Differences in their standard errors ``(multiples, sets, sets)``; NaN where nothing was observed.

        Where the error of the difference is not known, both errors are taken as independent: they come from the same
        data, so that the true deviation is rather larger.
        """
        errors = self.difference_errors
        if errors is None:
            errors = np.hypot(self.predicted_errors, self.observed_errors)
        # what is the same by construction differs by rounding, and so do its replicates
        apart = np.where(np.abs(self.predicted - self.observed) > 1e-12, self.predicted - self.observed, 0.0)
        return apart / np.where(errors > 1e-12, errors, np.inf)

    def __str__(self) -> str:
        lines = []
        for lag, model, data, error in zip(self.lags, self.predicted, self.observed, self.observed_errors):
            stays = zip(np.diag(model), np.diag(data), np.diag(error))
            terms = "; ".join(
                f"{p:.3f} ({o:.3f} ± {e:.3f})" if np.isfinite(o) else f"{p:.3f} (not observed)"
                for p, o, e in stays
            )
            lines.append(f"{lag:g} ps: {terms}")
        lines += [self.told] if self.told else []
        largest = np.nanmax(np.abs(self.deviations))
        return "\n".join(["to be in the same set again, by the model (in the data)", *lines]) + (
            f"\nlargest deviation {largest:.1f} standard errors"
        )


def chapman_kolmogorov(
    model: MarkovModel,
    sets: Shaped[np.ndarray, " n_states"],
    multiples: int = 5,
    samples: int = 50,
    seed: int = 0,
) -> ChapmanKolmogorovTest:
    """The test of a model fitted to trajectories, at ``1 ... multiples`` times its lag time.

    Parameters
    ----------
    sets : (n_states,) int
        The set of every state, for instance ``metastable_sets(model, n).assignments``; -1 for none.

    Raises
    ------
    ValueError
        If the model has no trajectories, a set has no active state, or no multiple of the lag can be observed.
    """
    if model.trajectories is None:
        raise ValueError("the test needs trajectories; fit the model to trajectories, not to counts")
    sets = np.asarray(sets)
    if sets.shape != (model.n_states,):
        raise ValueError(f"sets has shape {sets.shape}, needed is one number per state, ({model.n_states},)")
    member = (sets[:, None] == np.arange(sets.max() + 1)).astype(float)
    # [s_i = A], and whether such a state is active
    inside = member * (model.stationary_distribution > 0)[:, None]
    if not inside.any(axis=0).all():
        raise ValueError(f"sets {np.flatnonzero(~inside.any(axis=0)).tolist()} have no active state")
    weights, most, walks = model.stationary_distribution, np.arange(1, multiples + 1), model.trajectories
    assert walks is not None  # a model fitted to counts was refused above
    counted = surviving(
        most,
        lambda k: transition_counts(walks, int(k) * model.lagtime, model.method.n_blocks),
        "multiples of the lag time",
        told=False,
    )
    # blocks long enough to forget the slowest process and the lag, as many at all lags: the same draws
    memory = float(np.nanmax(np.append(model.timescales, 0.0))) / model.dt
    blocks = min(independent_blocks(counts, memory + counts.lagtime) for counts in counted.results)
    predicted = bootstrap(model, lambda drawn: _predictions(drawn, member, multiples), samples, seed, blocks)
    shape = multiples, *member.shape[1:], *member.shape[1:]
    value, drawn = np.full(shape, np.nan), np.full((samples, *shape), np.nan)
    for k, counts in zip(counted.members, counted.results):
        estimate = resample(counts, lambda c: _observation(c, weights, member), None, samples, blocks, seed)
        value[k - 1], drawn[:, k - 1] = estimate.value, estimate.samples
    observed = Estimate(value, drawn, predicted.n_blocks)
    return ChapmanKolmogorovTest.between(model.lag * most, predicted, observed, counted.told)


def _predictions(model: MarkovModel, member: np.ndarray, multiples: int) -> np.ndarray:
    """Probabilities ``(multiples, sets, sets)`` from powers of the transition matrix."""
    # w_i ~ pi_i inside each set, carried on a lag at a time
    begin = member * model.stationary_distribution[:, None]
    spread = (begin / np.maximum(begin.sum(axis=0), 1e-300)).T
    predicted = []
    for _ in range(multiples):
        spread = model.propagate(spread, 1)
        predicted.append(spread @ member)
    return np.stack(predicted)


def _observation(counts: TransitionCounts, weights: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Probabilities ``(sets, sets)`` from counts at one lag, states of a set weighted as at equilibrium."""
    leaving = np.asarray(counts.matrix.sum(axis=1)).ravel()
    # states without counts at this lag cannot begin; the others of the set take their weight
    begin = member * (weights * (leaving > 0))[:, None]
    arrivals = (counts.matrix @ member) / np.maximum(leaving, 1e-300)[:, None]
    return (begin / np.maximum(begin.sum(axis=0), 1e-300)).T @ arrivals
