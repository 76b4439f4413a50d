r"""What speaks against a timescale that a network has found: each doubt one sentence.

Three questions are asked of the slowest function :math:`\psi` and its timescale :math:`t`, beside those that are asked
of every slow function (see `linear.evidence`):

- is it as slow in data that the network never saw?
- is it an eigenfunction? Then its correlations :math:`c` decay as fast between one and two lag times as within the
  first, :math:`-\tau / \ln(c_{2\tau} / c_\tau) = t`; where they decay slower there, something slower is mixed with
  something fast, and :math:`t` is too short;
- if runs did not start from equilibrium, how well do they know :math:`t`?

A question that cannot be asked is a sentence too; none ends a fit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import Functions, along
from thalweg.collective_variables.bases.linear_map import function_values, project
from thalweg.collective_variables.covariances.covariance import Covariances, covariances
from thalweg.collective_variables.covariances.held_out import OVERFITTED
from thalweg.collective_variables.covariances.slow_modes import SlowModes, decay_times
from thalweg.collective_variables.linear.evidence import diagnosed
from thalweg.time_series.blocks import PairRange, segments
from thalweg.time_series.cross_validation import taken
from thalweg.time_series.resampling import Estimate
from thalweg.time_series.trajectories import Trajectories

UNRESOLVED = 1.15
"""Factor by which a timescale grows between one and two lag times, from which it is called too short."""

UNCERTAIN = 0.15
"""Relative distance of an end of the 95 % interval, from which a timescale of runs out of equilibrium is uncertain."""

SIGMAS = 3.0
"""Standard errors that a difference must exceed to count."""

BLOCKS = 40
"""Blocks of data for errors."""

FEWEST_RUNS = 10
"""Runs needed to tell whether they began at equilibrium."""


@dataclass(frozen=True, eq=False)
class SlowestFunction:
    """The slowest function of a model, and what it was found in.

    Attributes
    ----------
    data : of the fit
    functions : that it is a combination of, learned in the data but for ``unseen``
    modes : combinations of them, slowest first
    modes_of : from covariances of functions to such modes
    errors : of the timescales
    lagtime : in frames
    unseen : pairs that nothing was learned from; None where nothing was learned
    """

    data: Trajectories
    functions: Functions
    modes: SlowModes
    modes_of: Callable[[Covariances], SlowModes]
    errors: Callable[[], Estimate]
    lagtime: int
    unseen: Sequence[PairRange] | None

    @property
    def timescale(self) -> float:
        """Timescale [ps] that is claimed; NaN if it does not decay."""
        return float(self.modes.timescales[0])

    def along(self) -> Trajectories:
        """Its values along the data ``(frames, 1)``."""
        return project(function_values(self.data, self.functions), self.modes.mean, self.modes.vectors[:, :1])


def doubts(slowest: SlowestFunction) -> tuple[str, ...]:
    """Sentences about what speaks against the timescale; none if nothing does, or if there is no timescale."""
    if not np.isfinite(slowest.timescale):
        return ()
    values = slowest.along()
    questions: dict[str, Callable[[], str]] = {
        "slowness in data that the network never saw": lambda: _elsewhere(slowest),
        "slower decay at twice the lag time": lambda: _growing(values, slowest.timescale, slowest.lagtime),
        "runs that did not begin at equilibrium": lambda: _uncertain(values, slowest.errors),
    }
    sentences: list[str] = []
    for what, ask in questions.items():
        with warnings.catch_warnings():
            # what a replicate has to say is in the answer
            warnings.simplefilter("ignore")
            answer, failed = diagnosed(what, ask, "")
        sentences += [answer, *failed]
    return tuple(sentence for sentence in sentences if sentence)


def _elsewhere(slowest: SlowestFunction) -> str:
    """Whether it is as slow in data that the network never saw, found without them."""
    if slowest.unseen is None:
        return ""
    if not slowest.unseen:
        return (
            "the data are too few to keep some from the network: the slowest timescale is one of data it has seen; "
            "give longer or more trajectories"
        )
    seen = _rest(slowest.data, slowest.lagtime, slowest.unseen)
    sums = _sums(slowest, seen)
    vector = slowest.modes_of(sums).vectors[:, 0]
    left = _sums(slowest, slowest.unseen)
    variance = float(vector @ left.c00 @ vector)
    correlation = np.array([vector @ left.c0t @ vector / variance if variance > 0 else 0.0])
    found = float(decay_times(correlation, left)[0])
    if slowest.timescale <= OVERFITTED * np.nan_to_num(found):
        return ""
    there = f"{found:.3g} ps" if np.isfinite(found) else f"a correlation of {correlation[0]:.2g}"
    return (
        f"the slowest timescale is {slowest.timescale:.3g} ps in these data and {there} in those that the network "
        "never saw: learned by heart, or too few crossings; give more data, fewer features, or compare by "
        "cross_validate"
    )


def _growing(values: Trajectories, timescale: float, lagtime: int) -> str:
    """Whether correlations decay slower between one and two lag times than within the first."""
    longer = 2 * lagtime
    used = values.report(longer).used
    pieces = segments(used, BLOCKS)
    # first frames are the same at both lags, so that what they start from is
    short, long = (_products(values, pieces, lag) for lag in (lagtime, longer))
    lag = lagtime * values.dt

    def rate(share: np.ndarray) -> float:
        near, far = (_correlation(share @ sums) for sums in (short, long))
        return float(-np.log(far / near) / lag) if near > 0 and far > 0 else float("nan")

    everything = np.ones(len(short))
    first = _correlation(everything @ short)
    later = rate(everything)
    if not (0 < first < 1 and np.isfinite(later)):
        return ""
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(short), np.full(len(short), 1 / len(short)), 100)
    spread = float(np.nanstd([rate(share) + np.log(_correlation(share @ short)) / lag for share in drawn]))
    within = -np.log(first) / lag
    if later <= 0 or within / later < UNRESOLVED or within - later < SIGMAS * spread:
        return ""
    return (
        f"the slowest timescale is too short: the same function decays with {1 / later:.3g} ps between "
        f"{lag:.4g} and {2 * lag:.4g} ps, so that it is a mixture of slow and fast; train with more steps or wider "
        "layers, or use a longer lagtime"
    )


def _uncertain(values: Trajectories, errors: Callable[[], Estimate]) -> str:
    """How well runs that did not begin at equilibrium know the timescale, if that is not well."""
    changes = np.array([float(block[-1, 0] - block[0, 0]) for block in values.blocks])
    if len(changes) < FEWEST_RUNS:
        return ""
    error = changes.std(ddof=1) / np.sqrt(len(changes))
    if abs(changes.mean()) <= SIGMAS * error:
        return ""
    estimate = errors()
    value = float(np.ravel(estimate.value)[0])
    low, high = (float(np.ravel(end)[0]) for end in estimate.interval())
    lost = float(np.ravel(estimate.failed)[0])
    if np.isfinite([low, high]).all() and lost < 0.1 and max(value / low, high / value) < 1 + UNCERTAIN:
        return ""
    known = f"between {low:.3g} and {high:.3g} ps (95 %)" if np.isfinite([low, high]).all() else "not at all"
    return (
        f"runs did not begin at equilibrium, and from them the slowest timescale, {value:.3g} ps, is known {known}: "
        "give more or longer runs"
    )


def _rest(data: Trajectories, lagtime: int, apart: Sequence[PairRange]) -> list[PairRange]:
    """Pairs that share no frame with those of ``apart``."""
    used = data.report(lagtime).used
    rest = []
    for trajectory, count in enumerate(used):
        start = 0
        for piece in sorted(piece for piece in apart if piece.trajectory == trajectory):
            rest.append(PairRange(trajectory, start, piece.start - lagtime, 0))
            start = piece.stop + lagtime
        rest.append(PairRange(trajectory, start, int(count), 0))
    return [piece for piece in rest if piece.stop > piece.start]


def _sums(slowest: SlowestFunction, pieces: Sequence[PairRange]) -> Covariances:
    """Covariances of the functions over pairs that start in the pieces."""
    lengths = slowest.data.lengths
    frames = [
        piece._replace(stop=min(piece.stop + slowest.lagtime, int(lengths[piece.trajectory])))
        for piece in pieces
    ]
    values = along(taken(slowest.data, frames), slowest.functions)
    return covariances(values, slowest.lagtime, n_blocks=1)


def _products(values: Trajectories, pieces: Sequence[PairRange], lagtime: int) -> np.ndarray:
    """Sums ``(blocks, 5)`` of 1, x, y, x x and x y over pairs."""
    sums = np.zeros((1 + max(piece.block for piece in pieces), 5))
    for pairs in values.pairs(pieces, lagtime):
        x, y = pairs.x[:, 0].astype(float), pairs.y[:, 0].astype(float)
        weights: Any = np.ones(len(x)) if pairs.weights is None else pairs.weights
        sums[pairs.segment.block] += [weights @ each for each in (np.ones(len(x)), x, y, x * x, x * y)]
    return sums


def _correlation(sums: np.ndarray) -> float:
    """Covariance of x and y over the variance of x: the factor by which an eigenfunction decays."""
    weight, x, y, squares, products = sums
    variance = squares / weight - (x / weight) ** 2
    return float((products / weight - x * y / weight**2) / variance) if variance > 0 else float("nan")
