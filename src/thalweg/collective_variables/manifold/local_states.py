r"""Local maps: the state a simulation is caught in, recognized while it runs, and which variable leads out.

A process that stays long in a state forgets where it entered, and its frames then have the *quasi-stationary
distribution* of the state [trstanova2020]. A diffusion map of these frames has the slow functions inside the state. The
distribution has been reached when the map stops changing as frames come, which is asked in two tests:

* *means*: of the slowest functions, over the first and the second half of the frames, which differ by

  .. math::  \chi^2 = \Delta^T S^{-1} \Delta, \qquad
             S = \Sigma \left(\frac{g}{n_1} + \frac{g}{n_2}\right)

  with the covariance :math:`\Sigma` of the functions and the number :math:`g` of frames that one independent frame
  is worth,

* *spectrum*: the slowest rate of the map of either half, against the error of each by a bootstrap over blocks.

Neither speaks against it at the level asked for, and the slowest function inside has relaxed often enough: then the
state is known. From then on, frames farther from all of its frames than these ever are from each other have left it; an
exit is told when a whole relaxation time of frames in a row has. Which physical variable leads out is the question of a
`Dictionary` put to the slowest functions inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from thalweg.collective_variables.interpretation.dictionary import Dictionary, DictionaryRanking
from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap, DiffusionMapModel
from thalweg.collective_variables.manifold.neighbors import nearest
from thalweg.free_energies.blocks import statistical_inefficiency
from thalweg.learning.models import Method, Model
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

MOST_MAPPED = 3000
"""Frames that a local map rests on, evenly spread."""

FEWEST = 200
"""Frames below which nothing is said."""

OUTSIDE_QUANTILE, OUTSIDE_FACTOR = 0.999, 1.5
"""Distance from the nearest frame of a state, as a multiple of this quantile inside, from which on a frame is out."""

BLOCKS = 8
"""Blocks of each half whose maps give the error of its slowest rate."""


@dataclass(frozen=True, eq=False)
class LocalState(Model):
    """A state whose quasi-stationary distribution was reached.

    Attributes
    ----------
    map : of its frames
    reach : distance from the nearest point of the map up to which a frame is inside
    relaxation : of its slowest function [frames]
    """

    map: DiffusionMapModel
    reach: float
    relaxation: float

    def holds(self, frames: Shaped[np.ndarray, "frames features"]) -> np.ndarray:
        """Whether each frame is inside ``(frames,)``."""
        near = nearest(self.map.points, 1, self.map.method.metric, np.asarray(frames, float))
        return near.distances[:, 0] <= self.reach

    def exit(self, frames: Shaped[np.ndarray, "frames features"]) -> int | None:
        """The first of a whole relaxation time of frames in a row outside; None while it has not left."""
        outside = ~self.holds(frames)
        length = max(3, round(self.relaxation))
        runs = np.convolve(outside, np.ones(length), "valid") == length
        return int(runs.argmax()) if len(runs) and runs.any() else None

    def leads_out(
        self,
        candidates: Shaped[np.ndarray, "frames variables"],
        frames: Shaped[np.ndarray, "frames features"],
        periods: Sequence[float | None] | None = None,
        names: Sequence[str] | None = None,
    ) -> DictionaryRanking:
        """Physical variables that explain the slow functions inside, along which the state is left.

        Parameters
        ----------
        candidates : physical variables of frames of the state
        frames : the features of the same frames
        periods, names : of the candidates
        """
        data = Trajectories([candidates], names=None if names is None else tuple(names))
        return Dictionary().fit(data, np.asarray(self.map(np.asarray(frames, float))), periods)


def local_state(data: TrajectoryData, map: DiffusionMap = DiffusionMap(dim=1)) -> LocalState:  # noqa: B008
    """The state that frames fill, taken for known; `StateWatch` asks whether it is.

    Parameters
    ----------
    data : frames of the state
    map : of them

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((600, 2))
    >>> local_state(x).holds(np.array([[0.1, 0.2], [9.0, 9.0]])).tolist()
    [True, False]
    """
    trajectories = as_trajectories(data)
    model = map.fit(trajectories.strided(MOST_MAPPED).astype(float))
    values = [np.asarray(model(_frames(trajectories, k)), float)[:, 0] for k in range(len(trajectories))]
    return LocalState(model, _reach(model), statistical_inefficiency(values) / 2)


@dataclass(frozen=True, eq=False)
class StateVerdict(Model):
    """What can be said of where a simulation is.

    Attributes
    ----------
    word : "known" (in one of the states that were given), "converged" (in a new one, now known), "not yet"
    state : the state; None where the word is "not yet"
    number : of the known state; None for another word
    mean_probability, spectrum_probability : that chance alone makes the halves differ so much; NaN where not asked
    relaxations : how often the slowest function inside has relaxed; NaN where not known
    reason : in words
    """

    word: str
    state: LocalState | None
    number: int | None
    mean_probability: float
    spectrum_probability: float
    relaxations: float
    reason: str

    def headline(self) -> dict[str, object]:
        """The word, and why."""
        return {"word": self.word, "reason": self.reason}


@dataclass(frozen=True)
class StateWatch(Method):
    """Asks of frames whether they lie in a known state, or have filled a new one.

    Parameters
    ----------
    map : a diffusion map of the frames of a state
    significance : probability below which halves differ
    relaxations : times that the slowest function inside must have relaxed

    Examples
    --------
    >>> rng, x = np.random.default_rng(0), np.zeros((4000, 2))
    >>> for t in range(1, len(x)):
    ...     x[t] = 0.8 * x[t - 1] + rng.standard_normal(2)
    >>> StateWatch().judged(x).word
    'converged'
    >>> StateWatch().judged(np.linspace(0, 9, 4000)[:, None] + x).word
    'not yet'
    """

    map: DiffusionMap = DiffusionMap(dim=2)  # noqa: RUF009
    significance: float = 0.01
    relaxations: float = 8.0

    def judged(self, data: TrajectoryData, known: Sequence[LocalState] = ()) -> StateVerdict:
        """What frames say, of one or several runs that entered a state together.

        Parameters
        ----------
        data : all frames since a state was entered, in order
        known : states found before

        Raises
        ------
        ValueError
            If frames are not finite.
        """
        trajectories = as_trajectories(data)
        last = _last(trajectories)
        for number, state in enumerate(known):
            if state.holds(last).mean() > 0.5:
                word = f"the last {len(last)} frames lie in state {number}"
                return StateVerdict("known", state, number, np.nan, np.nan, np.nan, word)
        if trajectories.n_frames < FEWEST:
            return _not_yet(f"{trajectories.n_frames} frames; {FEWEST} are needed at least")
        model = self.map.fit(trajectories.strided(MOST_MAPPED).astype(float)[: 2 * MOST_MAPPED])
        values = [np.asarray(model(_frames(trajectories, k)), float) for k in range(len(trajectories))]
        inefficiency = max(
            statistical_inefficiency([each[:, j] for each in values]) for j in range(self.map.dim)
        )
        relaxed = trajectories.n_frames / inefficiency
        if relaxed < self.relaxations:
            return _not_yet(
                f"the slowest function inside has relaxed {relaxed:.1f} times, needed are {self.relaxations:g}",
                relaxed,
            )
        means = _means_alike(values, inefficiency)
        spectrum = self._spectra_alike(trajectories, inefficiency)
        if min(means, spectrum) < self.significance:
            which = "means of the slowest functions" if means < spectrum else "slowest rates of the map"
            return _not_yet(
                f"the {which} of the two halves differ (probability {min(means, spectrum):.2g} by chance)",
                relaxed,
                means,
                spectrum,
            )
        state = LocalState(model, _reach(model), inefficiency / 2)
        agree = f"halves agree (probabilities {means:.2g} and {spectrum:.2g}) after {relaxed:.1f} relaxations"
        return StateVerdict("converged", state, None, means, spectrum, relaxed, agree)

    def _spectra_alike(self, data: Trajectories, inefficiency: float) -> float:
        """Probability by chance of the difference of the slowest rates of the maps of both halves."""
        halves = [_half(data, k) for k in (0, 1)]
        logs = [self._log_rate(half, np.arange(len(half))) for half in halves]
        errors = []
        for half in halves:
            # rates without one block at a time: a jackknife over blocks longer than a relaxation
            blocks = np.arange(len(half)) * BLOCKS // len(half)
            without = [self._log_rate(half, np.flatnonzero(blocks != k)) for k in range(BLOCKS)]
            errors.append(np.sqrt((BLOCKS - 1) * np.var(without)))
        z = (logs[0] - logs[1]) / max(np.hypot(*errors), 1e-12)
        # jackknife errors of few blocks: Student's distribution
        return float(2 * scipy.stats.t.sf(abs(z), 2 * (BLOCKS - 1)))

    def _log_rate(self, frames: np.ndarray, rows: np.ndarray) -> float:
        step = max(1, len(rows) // (MOST_MAPPED // 4))
        return float(np.log(self.map.fit(frames[rows[::step]]).eigenvalues[0]))


def _not_yet(
    reason: str, relaxed: float = np.nan, means: float = np.nan, spectrum: float = np.nan
) -> StateVerdict:
    return StateVerdict("not yet", None, None, means, spectrum, relaxed, reason)


def _last(data: Trajectories) -> np.ndarray:
    """The last tenth of the frames of every run, twenty at least."""
    parts = [_frames(data, k)[-max(20, int(length) // 10) :] for k, length in enumerate(data.lengths)]
    return np.concatenate(parts)


def _frames(data: Trajectories, trajectory: int) -> np.ndarray:
    (frames,) = data.windows(trajectory, [(0, int(data.lengths[trajectory]))])
    return np.asarray(frames, float)


def _half(data: Trajectories, which: int) -> np.ndarray:
    """The first or the second half of every run."""
    runs = [_frames(data, k) for k in range(len(data))]
    return np.concatenate([run[: len(run) // 2] if which == 0 else run[len(run) // 2 :] for run in runs])


def _means_alike(values: Sequence[np.ndarray], inefficiency: float) -> float:
    """Probability by chance of the difference of the means of slow functions over both halves of the runs."""
    first = np.concatenate([each[: len(each) // 2] for each in values])
    second = np.concatenate([each[len(each) // 2 :] for each in values])
    difference = first.mean(axis=0) - second.mean(axis=0)
    within = 0.5 * (np.cov(first.T, ddof=0) + np.cov(second.T, ddof=0)).reshape(len(difference), -1)
    spread = within * inefficiency * (1 / len(first) + 1 / len(second))
    effective = (len(first) + len(second)) / inefficiency
    dims = len(difference)
    statistic = float(difference @ np.linalg.solve(spread + 1e-12 * np.eye(dims), difference))
    # Hotelling's statistic of so many independent frames
    scale = (effective - dims - 1) / (dims * max(effective - 2, 1e-9))
    return float(scipy.stats.f.sf(max(scale, 1e-9) * statistic, dims, max(effective - dims - 1, 1.0)))


def _reach(model: DiffusionMapModel) -> float:
    """How far from the others the points of a map are, as far as a frame inside may be."""
    apart = nearest(model.points, 1, model.method.metric).distances[:, 0]
    return float(OUTSIDE_FACTOR * np.quantile(apart, OUTSIDE_QUANTILE))


def watched_run(
    watch: StateWatch, frames: Any, every: int, known: Sequence[LocalState] = ()
) -> tuple[list[tuple[int, StateVerdict]], list[LocalState]]:
    """A run as it would be seen while it goes on: verdicts as frames come, and the states found on the way.

    Parameters
    ----------
    watch : that is asked
    frames : (frames, features) of one run
    every : frames between questions
    known : states found before

    Returns
    -------
    verdicts : (frame, verdict) whenever the word changes, with the frame at which it was said
    states : known before and found, in order
    """
    said: list[tuple[int, StateVerdict]] = []
    states, entered, current = list(known), 0, None
    for now in range(every, len(frames) + 1, every):
        if current is not None:
            left = current.exit(frames[entered:now])
            if left is None:
                continue
            entered, current = entered + left, None
        verdict = watch.judged(np.asarray(frames[entered:now]), states)
        if verdict.state is not None:
            current, entered = verdict.state, now
            states += [verdict.state] if verdict.word == "converged" else []
        if not said or said[-1][1].word != verdict.word or verdict.word != "not yet":
            said.append((now, verdict))
    return said, states
