"""Least relative entropy: the coarse model under which the reference frames are likeliest [shell2008].

For ``U = U_prior + sum_k c_k Phi_k``,

    dS/dc_k = (<Phi_k>_reference - <Phi_k>_model) / kT,     d2S/dc_k dc_l = cov_model(Phi_k, Phi_l) / kT^2,

positive definite: one minimum. Each Newton step takes its averages from frames of the model, which are reweighted to
new coefficients for as long as enough of them count, and drawn anew by dynamics when they no longer do. No forces are
needed. With one spline a bin this is what iterative Boltzmann inversion and inverse Monte Carlo look for.

A pressure may be asked for besides. It is then a constraint of each step, ``grad P . step = P_wanted - P``, with

    P = rho kT + sum_k c_k <W_k>,    dP/dc_k = <W_k> - cov(sum_l c_l W_l, Phi_k) / kT,

``W_k`` what a function adds to the pressure: what is left is the least relative entropy at that pressure.

Where each simulation makes one step, each step has the noise of one simulation. The mean of the coefficients over the
last half of the rounds, [polyak1992], has that of all of these.

Few frames of a molecule leave combinations of functions undecided, along which Newton's method walks off. A Gaussian of
width ``w kT / max|Phi_k|`` around each coefficient to begin with counts as much as data of one effective frame would:
the estimate is the likeliest one under it, and where data decide it does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel, continued
from thalweg.coarse_graining.interactions.interaction import Interaction, PairInteraction
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.free_energies.reweighting import effective_sample_size
from thalweg.learning.models import Method
from thalweg.potentials.energy import Energy
from thalweg.shapes import Float
from thalweg.units import BAR

NEWTON = 30
"""Newton steps on one set of frames, at most."""

RIDGE, SHY = 1e-6, 0.1
"""Added to variances of functions in their own deviations, where steps are tried by reweighting and where not."""

NEAR = 15.0
"""A pressure this near to what is wanted [bar] is there."""

WORSE = 1.5
"""A simulation whose means are off by so many times as much as those of the best one before is stepped back from."""

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
    least_effective : share of frames that must count after reweighting, else the model is simulated again; with 0
        each simulation makes one Newton step, as long as ``longest_step``, and coefficients of the last half of the
        rounds are averaged: frames of a liquid hardly ever reweight
    longest_step : largest change of ``U / kT`` that one Newton step may make between frames, as a standard deviation
    settled : done when no mean of ``Phi`` differs from the reference by more than so many standard errors
    prior_width : ``w``, how far an interaction may move energies of a molecule from those to begin with [kT]; infinite
        leaves all to the data. Frames with boxes, which average over many beads, have no such prior
    pressure : the pressure to have besides [bar], of pairs in boxes; None leaves it as it comes
    seed : of the simulations
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
    prior_width: float = 3.0
    pressure: float | None = None
    seed: int = 0
    progress: Callable[[str], None] | None = None

    def fit(self, frames: BeadFrames) -> LinearCoarseModel:
        """The model for ``frames``; forces are not asked for.

        Raises
        ------
        RuntimeError
            If the model's dynamics break, as with coefficients to begin with that hold nothing together.
        ValueError
            If a pressure is asked for of interactions that are not pairs, or of frames without boxes.
        """
        reference = _Reference.of(self._sums(frames), frames)
        count = len(reference.means)
        begin = np.zeros(count) if self.start is None else np.array(self.start, float)
        model = LinearCoarseModel(
            tuple(self.interactions), begin, np.full(count, np.nan), frames.positions.shape[1], self.prior, {}
        )
        place, best, simulated, found, visited = frames, None, 0, None, []
        for simulated in range(1, self.rounds + 1):
            run = self._run(model, place, simulated, may_break=best is not None)
            drawn = None if run is None else self._drawn(run, model.coefficients)
            off = np.inf if drawn is None else drawn.off(reference)
            if drawn is None or (best is not None and self._too_far(off, best[0])):
                # the last steps went where no frame had been: half way back
                self._say(simulated, "went too far, half of the way back")
                back = begin if best is None else best[1]
                model = replace(model, coefficients=(model.coefficients + back) / 2)
                continue
            place = place if run is None else run
            if best is None or off < best[0]:
                best = off, model.coefficients
            visited.append(model.coefficients)
            found = self._search(drawn, reference, begin)
            self._say(simulated, f"the worst mean is off by {found.worst:.1f} standard errors")
            if found.settled:
                break
            # what the reference hardly ever sees goes on from what it does
            coefficients = continued(self.interactions, found.coefficients, np.abs(reference.means))
            model = replace(model, coefficients=coefficients)
        if found is None:
            raise ValueError(f"relative entropy needs a round at least; got rounds={self.rounds}")
        if not found.settled and best is not None and self._reweights and self.pressure is None:
            # of models that did not settle, the one whose simulation was nearest
            model = replace(model, coefficients=best[1])
        elif not found.settled and not self._reweights:
            model = replace(model, coefficients=np.mean(visited[len(visited) // 2 :], axis=0))
        # at the minimum, errors of the means of both sides through the curvature
        lever = frames.kT * np.linalg.pinv(found.curvature, rcond=1e-8, hermitian=True)
        errors = np.sqrt(np.maximum((lever**2) @ reference.errors**2, 0))
        return replace(
            model,
            errors=errors,
            info={
                "simulations": simulated,
                "worst mean [standard errors]": found.worst,
                "settled": found.worst < self.settled,
                **({} if self.pressure is None else {"pressure [bar]": found.pressure}),
            },
        )

    @property
    def _reweights(self) -> bool:
        """Whether steps are tried on the frames there are before new ones are drawn."""
        return self.least_effective > 0

    def _run(self, model, place: BeadFrames, number: int, may_break: bool) -> BeadFrames | None:
        """Frames of the model; None where its dynamics break and may."""
        try:
            return self.dynamics.run(model.energy(), place, seed=self.rounds * self.seed + number)
        except RuntimeError:
            if may_break:
                return None
            raise

    def _too_far(self, off: float, best: float) -> bool:
        return self.pressure is None and off > WORSE * best

    def _drawn(self, run: BeadFrames, coefficients) -> _Drawn:
        ideal = 0.0 if self.pressure is None else _ideal(run)
        return _Drawn(self._sums(run), coefficients, run.kT, self._virials(run), ideal)

    def _search(self, drawn: _Drawn, reference: _Reference, begin) -> _Search:
        """Newton steps on the frames of one simulation, until these no longer tell."""
        c, found = drawn.at, None
        width = self.prior_width if reference.of_molecule else np.inf
        reach = np.maximum(np.ptp(reference.sums, axis=0), np.ptp(drawn.sums, axis=0)) / 2
        stiffness = reach**2 / (reference.effective * width**2)
        for _ in range(NEWTON):
            means, errors, covariance = drawn.averages(c)
            way = None
            if self.pressure is not None:
                bar, slope = drawn.pressure(c)
                way = slope, (self.pressure - bar) * BAR
            lacking = reference.means - means + stiffness * (c - begin) / drawn.kT
            curvature = covariance + np.diag(stiffness)
            step, forced = self._step(lacking, curvature, drawn.kT, way)
            apart = float((np.abs(lacking - forced) / reference.scale(errors)).max(initial=0.0))
            settled = apart < self.settled and (way is None or abs(way[1]) < NEAR * BAR)
            if found is None:
                found = _Search(c, curvature, apart, settled, np.nan if way is None else bar)
            # shortened until enough of the frames still count
            share = 1.0
            while drawn.effective(c + share * step) < self.least_effective and share > LEAST_SHARE:
                share /= 2
            if settled or share <= LEAST_SHARE:
                break
            c = c + share * step
            if not self._reweights:
                break
        assert found is not None
        return replace(found, coefficients=c, curvature=curvature)

    def _say(self, simulated: int, words: str) -> None:
        if self.progress is not None:
            self.progress(f"round {simulated}: {words}")

    def _sums(self, frames: BeadFrames) -> Float[np.ndarray, "frames functions"]:
        return np.concatenate([one.rows(frames.positions, frames.boxes)[0] for one in self.interactions], -1)

    def _virials(self, frames: BeadFrames) -> Float[np.ndarray, "frames functions"] | None:
        if self.pressure is None:
            return None
        found = []
        for one in self.interactions:
            if not isinstance(one, PairInteraction):
                raise ValueError(
                    f"a pressure is asked for of pairs alone, and {one.names[0]} is of others; leave pressure=None"
                )
            found.append(one.virials(frames.positions, frames.boxes))
        return np.concatenate(found, -1)

    def _step(self, lacking, covariance, kT, way):
        """``-H^-1 g``, shortened where energies of frames would change by more than the longest step.

        ``way`` is the gradient of the pressure and what it lacks, or None; returned with the step is the part of
        ``lacking`` that the pressure forbids to make up for.
        """
        # functions in their own deviations; one that the model never varies stays as it is
        size = np.sqrt(np.diagonal(covariance))
        moved = size > 1e-9 * size.max()
        unit = covariance[np.ix_(moved, moved)] / np.outer(size[moved], size[moved])
        # where frames are not reweighted, combinations of functions that hardly vary among them stay almost as they are
        unit = unit + (RIDGE if self._reweights else SHY) * np.eye(len(unit))
        step, forced = np.zeros(len(size)), np.zeros(len(size))
        along = -kT * np.linalg.solve(unit, lacking[moved] / size[moved])
        if way is not None:
            slope, wanted = way[0][moved] / size[moved], way[1]
            lever = np.linalg.solve(unit, slope)
            share = (wanted - slope @ along) / (slope @ lever)
            along = along + share * lever
            # without what the pressure itself lacks, which no mean has to make up for
            held = (-slope @ (along - share * lever)) / (slope @ lever)
            forced[moved] = held * slope * size[moved] / kT
        step[moved] = along / size[moved]
        change = np.sqrt(max(step @ covariance @ step, 0)) / kT
        return step * min(1.0, self.longest_step / max(change, 1e-12)), forced


@dataclass(frozen=True)
class _Reference:
    """``Phi`` of the frames of the reference, their means and errors of these.

    ``effective`` is how many independent frames there are, by how means vary: the median over functions.
    """

    sums: np.ndarray
    means: np.ndarray
    errors: np.ndarray
    effective: float
    of_molecule: bool

    @staticmethod
    def of(sums, frames: BeadFrames) -> _Reference:
        means, errors = _means(sums, frames.weights)
        w = np.ones(len(sums)) if frames.weights is None else np.asarray(frames.weights, float)
        spread = np.average((sums - means) ** 2, axis=0, weights=w)
        told = errors > 0
        effective = float(np.median(spread[told] / errors[told] ** 2)) if told.any() else 1.0
        return _Reference(sums, means, errors, float(np.clip(effective, 1, len(sums))), frames.boxes is None)

    def scale(self, errors) -> np.ndarray:
        """Standard errors of differences from means with ``errors``."""
        return np.maximum(np.hypot(errors, self.errors), 1e-12)


@dataclass(frozen=True)
class _Search:
    """Where Newton steps on one simulation led, and how far its means were off, and its pressure [bar], before them."""

    coefficients: np.ndarray
    curvature: np.ndarray
    worst: float
    settled: bool
    pressure: float


@dataclass(frozen=True)
class _Drawn:
    """``Phi`` of frames of the model, and the coefficients they were drawn with; ``ideal`` is ``rho kT``."""

    sums: np.ndarray
    at: np.ndarray
    kT: float
    virials: np.ndarray | None
    ideal: float

    def off(self, reference: _Reference) -> float:
        """Root mean square difference of means from the reference, in standard errors."""
        means, errors, _ = self.averages(self.at)
        return float(np.sqrt(np.mean(((means - reference.means) / reference.scale(errors)) ** 2)))

    def log_weights(self, c) -> np.ndarray:
        """Logarithms of the weights of frames at other coefficients."""
        return -(self.sums @ (c - self.at)) / self.kT

    def effective(self, c) -> float:
        """Share of the frames that count at other coefficients; none where these are not finite."""
        logs = self.log_weights(c)
        return effective_sample_size(logs) / len(logs) if np.isfinite(logs).all() else 0.0

    def pressure(self, c) -> tuple[float, np.ndarray]:
        """The pressure [bar] at other coefficients, and its gradient in them [1/nm^3]."""
        logs = self.log_weights(c)
        w = np.exp(logs - logs.max())
        w /= w.sum()
        virials = np.asarray(self.virials)
        mean, whole = w @ virials, virials @ c
        return float((self.ideal + c @ mean) / BAR), mean - (w * (whole - w @ whole)) @ self.sums / self.kT

    def averages(self, c):
        """Means, their errors, and covariances at other coefficients."""
        logs = self.log_weights(c)
        w = np.exp(logs - logs.max())
        return *_means(self.sums, w), np.atleast_2d(np.cov(self.sums.T, aweights=w))


def _ideal(frames: BeadFrames) -> float:
    """``rho kT`` [kJ/mol/nm^3]."""
    return (
        frames.positions.shape[1] / float(np.abs(np.linalg.det(np.asarray(frames.boxes))).mean()) * frames.kT
    )


def _means(sums, weights):
    """Weighted means of columns, and their errors from ten stretches of the frames."""
    w = np.ones(len(sums)) if weights is None else np.asarray(weights, float)
    mean = w @ sums / w.sum()
    stretches = np.array_split(np.arange(len(sums)), 10)
    each = np.array([w[k] @ (sums[k] - mean) / w.sum() for k in stretches if len(k)])
    return mean, np.sqrt((each**2).sum(0) * len(each) / max(len(each) - 1, 1))
