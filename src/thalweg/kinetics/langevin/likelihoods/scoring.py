r"""Maximum penalized likelihood by Fisher scoring, the strength of smoothing found on the way.

With log-likelihood :math:`\ell`, its gradient g and Fisher information I, and roughness
:math:`\tfrac12 \sum_j \lambda_j \theta^T S_j \theta`,

.. math:: \theta \leftarrow \theta + V (g - \lambda S \theta), \qquad V = (I + \lambda S)^{-1}, \qquad
          \lambda_j \leftarrow \frac{\mathrm{rank}\, S_j - \lambda_j \mathrm{tr}\, V S_j}{\theta^T S_j \theta} ,

whose fixed point maximizes the probability of the data with the parameters integrated out [wood2017]: what data
cannot tell stays smooth. V is the covariance of the parameters, and bars from it cover true functions on average along
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thalweg.shapes import Float

WEAKEST, STRONGEST = 1e-6, 1e10
"""Bounds of the strengths of smoothing."""

RIDGE = 1e-6
"""Curvature that holds what neither data nor smoothness tell, such as the constant of a free energy."""


class StepEvidence(NamedTuple):
    """What the data say at certain parameters.

    Attributes
    ----------
    log_likelihood : a number
    score : (parameters,) its gradient
    information : (parameters, parameters) Fisher's
    block_scores : (blocks, parameters) parts of the score, by pieces of trajectories
    """

    log_likelihood: float
    score: np.ndarray
    information: np.ndarray
    block_scores: np.ndarray


@dataclass(frozen=True)
class ScoredFit:
    """Parameters found.

    Attributes
    ----------
    parameters : (parameters,)
    covariance : (parameters, parameters)
    strengths : one per penalty, how much each was smoothed
    log_likelihood : of the data, without penalties
    effective : number of parameters that the data determine, ``tr V I``
    inflation : spread of the scores of pieces of trajectories over that which the model predicts; one if the model
        is right, more where it is not and its error bars are too small by the root
    iterations : taken
    converged : whether the last step was small
    """

    parameters: Float[np.ndarray, " parameters"]
    covariance: Float[np.ndarray, "parameters parameters"]
    strengths: Float[np.ndarray, " penalties"]
    log_likelihood: float
    effective: float
    inflation: float
    iterations: int
    converged: bool

    @property
    def information_criterion(self) -> float:
        """Akaike's, with the effective number of parameters; smaller is better."""
        return 2.0 * (self.effective - self.log_likelihood)


def scored(
    evidence: Callable[[np.ndarray], StepEvidence],
    start: np.ndarray,
    penalties: Sequence[np.ndarray],
    strengths: Sequence[float] | np.ndarray,
    prior: np.ndarray | None = None,
    max_iterations: int = 40,
    tolerance: float = 1e-2,
) -> ScoredFit:
    """Parameters of largest penalized likelihood.

    Parameters
    ----------
    evidence : of parameters
    start : (parameters,)
    penalties : matrices S (parameters, parameters)
    strengths : first guesses, one per penalty
    prior : (parameters,), optional
        Curvatures of a weak prior about ``start``, beside the `RIDGE`.
    tolerance : gain of penalized log-likelihood below which a step ends the search
    """
    theta, strong = np.array(start, float), np.array(strengths, float)
    ranks = [int(np.linalg.matrix_rank(each)) for each in penalties]
    weak = np.diag(np.full(len(theta), RIDGE) + (0.0 if prior is None else prior))

    def stiffness():
        return sum((lam * each for lam, each in zip(strong, penalties)), weak)

    def energy(at, found):
        rough = sum(lam * at @ each @ at for lam, each in zip(strong, penalties))
        return 0.5 * (rough + (at - start) @ weak @ (at - start)) - found.log_likelihood

    found, converged, iterations = evidence(theta), False, 0
    for _ in range(max_iterations):
        iterations += 1
        penalty = stiffness()
        pull = found.score - (penalty - weak) @ theta - weak @ (theta - start)
        hessian = found.information + penalty
        full = np.linalg.solve(hessian, pull)
        # shorter until it goes up
        for length in 0.5 ** np.arange(20):
            step = length * full
            trial = theta + step
            tried = evidence(trial)
            if np.isfinite(tried.log_likelihood) and energy(trial, tried) <= energy(theta, found) + 1e-6:
                break
        else:
            break
        gain = energy(theta, found) - energy(trial, tried)
        theta, found = trial, tried
        updated, free = _smoothed(theta, found, strong, penalties, ranks, weak)
        # a strength matters as far as parameters are left free by it
        steady = (np.abs(np.log(updated / strong)) * np.minimum(free, 1.0)).max(initial=0.0) < 0.1
        strong = updated
        if gain < tolerance and steady and length > 0.1:
            converged = True
            break
    covariance = np.linalg.inv(found.information + stiffness())
    spread = found.block_scores - found.block_scores.mean(axis=0)
    effective = float(np.sum(covariance * found.information.T))
    inflation = float(np.einsum("bi,ij,bj->", spread, covariance, spread)) / max(effective, 1e-12)
    return ScoredFit(
        theta, covariance, strong, float(found.log_likelihood), effective, inflation, iterations, converged
    )


def _smoothed(
    theta: np.ndarray,
    found: StepEvidence,
    strong: np.ndarray,
    penalties: Sequence[np.ndarray],
    ranks: Sequence[int],
    weak: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Strengths of smoothing after one step towards the largest evidence, and parameters left free by each."""
    total = sum((lam * each for lam, each in zip(strong, penalties)), found.information + weak)
    covariance = np.linalg.inv(total)
    traces = [lam * np.sum(covariance * each) for lam, each in zip(strong, penalties)]
    free = np.maximum(np.array(ranks, float) - np.array(traces), 1e-6)
    rough = np.array([theta @ each @ theta for each in penalties])
    updated = free / np.maximum(rough, 1e-12)
    # at most a factor of a hundred at once: early parameters are not yet to be trusted
    return np.clip(np.clip(updated, strong / 100, strong * 100), WEAKEST, STRONGEST), free
