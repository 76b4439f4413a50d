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
from thalweg.free_energies.reweighting import effective_sample_size
from thalweg.learning.models import Method
from thalweg.potentials.energy import Energy
from thalweg.shapes import Float

NEWTON = 30
"""Newton steps on one set of frames, at most."""

LEAST_SHARE = 1 / 16
"""A Newton step that must be shortened below this share waits for new frames."""


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
    settled: float = 3.0
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
        covariance, worst, simulated, place = np.eye(size), np.inf, 0, frames
        for simulated in range(1, self.rounds + 1):
            place = self.dynamics.run(model.energy(), place, seed=simulated)
            drawn = _Drawn(self._sums(place), model.coefficients, frames.kT)
            c, first = model.coefficients, True
            for _ in range(NEWTON):
                mean, error, covariance = drawn.averages(c)
                scale = np.sqrt(error**2 + target_error**2)
                apart = float((np.abs(mean - target) / np.maximum(scale, 1e-12)).max(initial=0.0))
                worst = apart if first else worst
                step = self._step(target - mean, covariance, frames.kT)
                # shortened until enough of the frames still count
                share = 1.0
                while drawn.effective(c + share * step) < self.least_effective and share > LEAST_SHARE:
                    share /= 2
                if apart < self.settled or share <= LEAST_SHARE:
                    break
                c, first = c + share * step, False
            if self.progress is not None:
                self.progress(f"round {simulated}: the worst mean is off by {worst:.1f} standard errors")
            if worst < self.settled:
                break
            model = replace(model, coefficients=c)
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
        # functions in their own deviations; one that the model never varies stays as it is
        size = np.sqrt(np.diagonal(covariance))
        moved = size > 1e-9 * size.max()
        unit = covariance[np.ix_(moved, moved)] / np.outer(size[moved], size[moved])
        step = np.zeros(len(size))
        along = np.linalg.solve(unit + 1e-6 * np.eye(len(unit)), lacking[moved] / size[moved])
        step[moved] = -kT * along / size[moved]
        change = np.sqrt(max(step @ covariance @ step, 0)) / kT
        return step * min(1.0, self.longest_step / max(change, 1e-12))


@dataclass(frozen=True)
class _Drawn:
    """``Phi`` of frames of the model, and the coefficients they were drawn with."""

    sums: np.ndarray
    at: np.ndarray
    kT: float

    def log_weights(self, c) -> np.ndarray:
        """Logarithms of the weights of frames at other coefficients."""
        return -(self.sums @ (c - self.at)) / self.kT

    def effective(self, c) -> float:
        """Share of the frames that count at other coefficients; none where these are not finite."""
        logs = self.log_weights(c)
        return effective_sample_size(logs) / len(logs) if np.isfinite(logs).all() else 0.0

    def averages(self, c):
        """Means, their errors, and covariances at other coefficients."""
        logs = self.log_weights(c)
        w = np.exp(logs - logs.max())
        return *_means(self.sums, w), np.atleast_2d(np.cov(self.sums.T, aweights=w))


def _means(sums, weights):
    """Weighted means of columns, and their errors from ten stretches of the frames."""
    w = np.ones(len(sums)) if weights is None else np.asarray(weights, float)
    mean = w @ sums / w.sum()
    stretches = np.array_split(np.arange(len(sums)), 10)
    each = np.array([w[k] @ (sums[k] - mean) / w.sum() for k in stretches if len(k)])
    return mean, np.sqrt((each**2).sum(0) * len(each) / max(len(each) - 1, 1))
