"""Least relative entropy: the coarse model under which the reference frames are likeliest [shell2008].

For ``U = U_prior + sum_k c_k Phi_k``,

    dS/dc_k = (<Phi_k>_reference - <Phi_k>_model) / kT,     d2S/dc_k dc_l = cov_model(Phi_k, Phi_l) / kT^2,

positive definite: one minimum. Each Newton step takes its averages from frames of the model, which are reweighted to
new coefficients for as long as enough of them count, and drawn anew by dynamics when they no longer do. No forces are
needed. With one spline a bin this is what iterative Boltzmann inversion and inverse Monte Carlo look for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.interactions.interaction import Interaction
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.learning.models import Method
from thalweg.potentials.energy import Energy
from thalweg.shapes import Float


@dataclass(frozen=True)
class RelativeEntropy(Method):
    """Newton's method on the relative entropy, averages of the model by its own dynamics.

    Parameters
    ----------
    interactions : what the potential is a sum of
    prior : an energy known before
    start : coefficients to begin with, such as those of `ForceMatching` or `BoltzmannInversion`; zero where None
    dynamics : how the model is simulated
    rounds : simulations at most
    least_effective : share of frames that must count after reweighting, else the model is simulated again
    longest_step : largest change of ``U / kT`` that one Newton step may make between frames, as a standard deviation
    settled : done when no mean of ``Phi`` differs from the reference by more than so many standard errors
    progress : told what a round found
    """

    interactions: Sequence[Interaction]
    prior: Energy | None = None
    start: Float[np.ndarray, " functions"] | None = None
    dynamics: CoarseDynamics = CoarseDynamics()  # noqa: RUF009
    rounds: int = 15
    least_effective: float = 0.3
    longest_step: float = 1.0
    settled: float = 2.0
    progress: Callable[[str], None] | None = None

    def fit(self, frames: BeadFrames) -> LinearCoarseModel:
        """The model for ``frames``; forces are not asked for.

        Raises
        ------
        RuntimeError
            If the model's dynamics break, as with coefficients to begin with that hold nothing together.
        """
        size = sum(len(one.names) for one in self.interactions)
        target, target_error = _means(self._sums(frames), frames.weights)
        c = np.zeros(size) if self.start is None else np.array(self.start, float)
        model = LinearCoarseModel(
            tuple(self.interactions), c, np.full(size, np.nan), frames.positions.shape[1], self.prior, {}
        )
        covariance, worst, simulated, place = np.eye(size), np.inf, 0, None
        for _ in range(self.rounds):
            drawn = self.dynamics.run(model.energy(), place or frames, seed=simulated)
            simulated, place = simulated + 1, drawn
            sums, drawn_at = self._sums(drawn), c
            while True:
                log_weights = -(sums @ (c - drawn_at)) / frames.kT
                weights = np.exp(log_weights - log_weights.max())
                effective = weights.sum() ** 2 / (weights**2).sum() / len(weights)
                mean, error = _means(sums, weights)
                covariance = np.cov(sums.T, aweights=weights).reshape(size, size)
                scale = np.sqrt(error**2 + target_error**2)
                worst = _worst(mean, target, scale)
                if worst < self.settled or (effective < self.least_effective and drawn_at is not c):
                    break
                c = c + self._step(target - mean, covariance, frames.kT)
            model = replace(model, coefficients=c)
            if self.progress is not None:
                self.progress(f"round {simulated}: the worst mean is off by {worst:.1f} standard errors")
            if worst < self.settled and effective > self.least_effective:
                break
        # at the minimum, errors of the means of both sides through the curvature
        lever = frames.kT * np.linalg.pinv(covariance, rcond=1e-8, hermitian=True)
        errors = np.sqrt(np.maximum((lever**2) @ target_error**2, 0))
        return replace(
            model,
            errors=errors,
            info={
                "simulations": simulated,
                "worst mean [standard errors]": worst,
                "settled": worst < self.settled,
            },
        )

    def _sums(self, frames: BeadFrames) -> Float[np.ndarray, "frames functions"]:
        return np.concatenate([one.rows(frames.positions, frames.boxes)[0] for one in self.interactions], -1)

    def _step(self, lacking, covariance, kT):
        """``-H^-1 g``, shortened where energies of frames would change by more than the longest step."""
        ridge = 1e-6 * np.trace(covariance) / len(covariance)
        step = -kT * np.linalg.solve(covariance + ridge * np.eye(len(covariance)), lacking)
        change = np.sqrt(max(step @ covariance @ step, 0)) / kT
        return step * min(1.0, self.longest_step / max(change, 1e-12))


def _means(sums, weights):
    """Weighted means of columns, and their errors from ten stretches of the frames."""
    w = np.ones(len(sums)) if weights is None else np.asarray(weights, float)
    mean = w @ sums / w.sum()
    stretches = np.array_split(np.arange(len(sums)), 10)
    each = np.array([w[k] @ (sums[k] - mean) / w.sum() for k in stretches if len(k)])
    return mean, np.sqrt((each**2).sum(0) * len(each) / max(len(each) - 1, 1))


def _worst(mean, target, scale) -> float:
    return float((np.abs(mean - target) / np.maximum(scale, 1e-12)).max(initial=0.0))
